"""Names that a certificate may carry: in a grant and in a CSR they are read by the same rules.

dNSName: RFC 5280 section 4.2.1.6 with the preferred syntax of RFC 1034 section 3.5 as RFC 1123 section 2.1 amends it.
"""

import ipaddress
import re

from certmint_server.errors import NameInvalidError

MAXIMUM_DNS_NAME = 253
_LABEL = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
_DIGITS = re.compile(r"[0-9]+|0x[0-9a-f]*")


def parse_dns_name(text: str, *, field: str) -> str:
    """The name in lower case: letters, digits and hyphens, no wildcard, no trailing dot, A-labels for IDN.

    Raises:
        NameInvalidError: it is not such a name.
    """
    name = text.lower()
    labels = name.split(".")
    if not text.isascii() or len(name) > MAXIMUM_DNS_NAME or not all(map(_LABEL.fullmatch, labels)):
        raise NameInvalidError(
            "A DNS name here has labels of 1 to 63 letters, digits and inner hyphens, at most 253 characters in all; "
            "no wildcard, no underscore, no trailing dot, and IDN as A-labels.",
            field=field,
        )
    if _DIGITS.fullmatch(labels[-1]):
        # A last label of digits makes parsers read an IPv4 address (RFC 3696 section 2).
        raise NameInvalidError("A DNS name does not end in a number; ask for an IP address instead.", field=field)
    if any(label[2:4] == "--" and not label.startswith("xn--") for label in labels):
        # R-LDH labels other than A-labels are reserved (RFC 5890 section 2.3.1).
        raise NameInvalidError("A label with '--' in its third and fourth place must begin with 'xn--'.", field=field)
    return name


def parse_ip_address(text: str, *, field: str) -> str:
    """The address in its canonical text form.

    Raises:
        NameInvalidError: it is not an IPv4 or IPv6 address.
    """
    try:
        address = ipaddress.ip_address(text)
    except ValueError as error:
        raise NameInvalidError("Not an IPv4 or IPv6 address.", field=field) from error
    if isinstance(address, ipaddress.IPv6Address) and (address.scope_id is not None or address.ipv4_mapped):
        raise NameInvalidError("An IPv6 address here has no zone, and is not an IPv4 address in disguise.", field=field)
    return str(address)
