"""The name that a leaf must carry, and how it is matched."""

import ipaddress
import re
from collections.abc import Iterable
from dataclasses import dataclass

from cryptography import x509

_LONGEST_DNS_NAME = 253
_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_DNS_NAME = re.compile(rf"{_LABEL}(?:\.{_LABEL})*")


class ExpectedNameError(ValueError):
    """The name to expect is not one that a certificate can carry."""


def is_dns_name(text: str) -> bool:
    """Whether it has the preferred name syntax (RFC 1034 section 3.5), with digits first allowed, no final dot."""
    return len(text) <= _LONGEST_DNS_NAME and _DNS_NAME.fullmatch(text) is not None


@dataclass(frozen=True, slots=True)
class DnsName:
    """A host name; an internationalised one in its A-label form."""

    value: str

    def __post_init__(self) -> None:
        """Refuse what no dNSName may hold.

        Raises:
            ExpectedNameError: it is not a host name, or ends in a dot.
        """
        if not is_dns_name(self.value):
            raise ExpectedNameError("A DNS name has labels of letters, digits and hyphens, and no final dot.")

    def is_carried_by(self, names: Iterable[x509.GeneralName]) -> bool:
        """Whether a dNSName matches it, in any case; a `*` stands for one whole leftmost label (RFC 6125 §6.4.3)."""
        return any(isinstance(name, x509.DNSName) and self._is_matched_by(name.value) for name in names)

    def _is_matched_by(self, pattern: str) -> bool:
        expected = self.value.lower()
        if pattern.startswith("*."):
            parent = pattern[2:].lower()
            return is_dns_name(parent) and expected.partition(".")[2] == parent
        return expected == pattern.lower()

    def __str__(self) -> str:
        return f"DNS {self.value}"


@dataclass(frozen=True, slots=True)
class IpAddress:
    """An IPv4 or IPv6 address."""

    value: ipaddress.IPv4Address | ipaddress.IPv6Address

    def __post_init__(self) -> None:
        """Refuse what no iPAddress can hold.

        Raises:
            ExpectedNameError: it is an IPv6 address with a zone.
        """
        if isinstance(self.value, ipaddress.IPv6Address) and self.value.scope_id:
            raise ExpectedNameError("An IP address in a certificate has no zone.")

    def is_carried_by(self, names: Iterable[x509.GeneralName]) -> bool:
        """Whether an iPAddress has the same octets."""
        return any(isinstance(name, x509.IPAddress) and name.value == self.value for name in names)

    def __str__(self) -> str:
        return f"IP {self.value}"


@dataclass(frozen=True, slots=True)
class UriName:
    """A URI such as a SPIFFE ID."""

    value: str

    def __post_init__(self) -> None:
        """Refuse the empty URI, which is more likely a forgotten one.

        Raises:
            ExpectedNameError: it is empty.
        """
        if not self.value:
            raise ExpectedNameError("A URI to expect is not empty.")

    def is_carried_by(self, names: Iterable[x509.GeneralName]) -> bool:
        """Whether a uniformResourceIdentifier equals it, character by character (SPIFFE X.509-SVID section 2)."""
        return any(isinstance(name, x509.UniformResourceIdentifier) and name.value == self.value for name in names)

    def __str__(self) -> str:
        return f"URI {self.value}"


ExpectedName = DnsName | IpAddress | UriName
