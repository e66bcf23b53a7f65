"""Name constraints of issuers over the names below them (RFC 5280 section 4.2.1.10).

dNSName, iPAddress and rfc822Name are enforced, the way `cryptography.x509.verification` does it. Constraints on other
kinds of names refuse the chain where such a name is there; those on directory names always do, since every subject
is one.
"""

import ipaddress
import re
from collections.abc import Iterator, Mapping, Sequence

from cryptography import x509

from certmint.verification.failure import FailureReason, Fault, PlacedFault
from certmint.verification.name import is_dns_name
from certmint.verification.profile import alternative_names, find, read_extensions, readable_name

# A hundred names under fifty constraints, about 20 ms: beyond lies an attack on the CPU.
_MAXIMUM_COMPARISONS = 5_000
_Bases = Sequence[x509.GeneralName]
_Subtrees = Mapping[type[x509.GeneralName], _Bases]
_ENFORCED = (x509.DNSName, x509.IPAddress, x509.RFC822Name)
_ATOMS = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(?:\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*")


class _MalformedError(ValueError):
    """A name or a constraint cannot be compared."""


def constraint_faults(path: Sequence[x509.Certificate]) -> Iterator[PlacedFault]:
    """What the constraints in `path` (leaf first, anchor last) forbid in it."""
    comparisons = 0
    for position, issuer in enumerate(path[1:], start=1):
        constraints = name_constraints(issuer)
        if constraints is None:
            continue
        below = _names_below(path, position)
        comparisons += len(below) * len(_bases(constraints))
        if comparisons > _MAXIMUM_COMPARISONS:
            detail = "Its name constraints and the names below it are too many to compare."
            yield PlacedFault(position, Fault(FailureReason.NAME_CONSTRAINT, detail))
            return
        permitted, excluded = _by_kind(constraints.permitted_subtrees), _by_kind(constraints.excluded_subtrees)
        for place, name in below:
            detail = _refusal(name, permitted.get(type(name), ()), excluded.get(type(name), ()))
            if detail:
                yield PlacedFault(place, Fault(FailureReason.NAME_CONSTRAINT, detail))


def directory_constraint_faults(path: Sequence[x509.Certificate]) -> Iterator[PlacedFault]:
    """The issuers that constrain directory names, which nobody here compares."""
    for position, issuer in enumerate(path[1:], start=1):
        constraints = name_constraints(issuer)
        if constraints and any(isinstance(base, x509.DirectoryName) for base in _bases(constraints)):
            detail = "It constrains directory names, which cannot be checked here."
            yield PlacedFault(position, Fault(FailureReason.NAME_CONSTRAINT, detail))


def name_constraints(certificate: x509.Certificate) -> x509.NameConstraints | None:
    """Its name constraints; None when it has none, or none that can be read."""
    extensions = read_extensions(certificate)
    found = find(extensions, x509.NameConstraints) if extensions else None
    return found.value if found else None


def _names_below(path: Sequence[x509.Certificate], position: int) -> list[tuple[int, x509.GeneralName]]:
    """Names of the leaf, and of the issuers up to `position` that are not self-issued."""
    return [
        (place, name)
        for place, certificate in enumerate(path[: position + 1])
        if place == 0 or certificate.subject.public_bytes() != certificate.issuer.public_bytes()
        for name in alternative_names(certificate)
    ]


def _bases(constraints: x509.NameConstraints) -> list[x509.GeneralName]:
    return [*(constraints.permitted_subtrees or ()), *(constraints.excluded_subtrees or ())]


def _by_kind(subtrees: Sequence[x509.GeneralName] | None) -> _Subtrees:
    kinds: dict[type[x509.GeneralName], list[x509.GeneralName]] = {}
    for base in subtrees or ():
        kinds.setdefault(type(base), []).append(base)
    return kinds


def _refusal(name: x509.GeneralName, permitted: _Bases, excluded: _Bases) -> str:
    """Why the name is forbidden by subtrees of its kind; empty when it is not."""
    if not permitted and not excluded:
        return ""
    if not isinstance(name, _ENFORCED):
        return "An issuer constrains names of a kind that it carries and that cannot be checked here."
    try:
        if permitted and not any(_contains(base, name) for base in permitted):
            return f"An issuer's name constraints do not permit {readable_name(name)}."
        if any(_overlaps(base, name) for base in excluded):
            return f"An issuer's name constraints exclude {readable_name(name)}."
    except _MalformedError as error:
        return str(error)
    return ""


def _contains(base: x509.GeneralName, name: x509.GeneralName) -> bool:
    """Whether everything that `name` stands for lies in the subtree."""
    if isinstance(base, x509.DNSName) and isinstance(name, x509.DNSName):
        return _is_within(_dns(name.value.removeprefix("*.")), _dns(base.value))
    if isinstance(base, x509.RFC822Name) and isinstance(name, x509.RFC822Name):
        return _mailbox_matches(base.value, name.value)
    return _address_matches(base.value, name.value)


def _overlaps(base: x509.GeneralName, name: x509.GeneralName) -> bool:
    """Whether anything that `name` stands for lies in the subtree: `*.example` may be the excluded `a.example`."""
    if isinstance(base, x509.DNSName) and name.value.startswith("*."):
        parent = _dns(name.value[2:])
        return _contains(base, name) or _dns(base.value).partition(".")[2] == parent
    return _contains(base, name)


def _address_matches(base: object, address: object) -> bool:
    networks = ipaddress.IPv4Network | ipaddress.IPv6Network
    if not isinstance(base, networks) or not isinstance(address, ipaddress.IPv4Address | ipaddress.IPv6Address):
        raise _MalformedError("An IP address, or a constraint on IP addresses, is malformed.")
    return address in base


def _dns(text: str) -> str:
    if not is_dns_name(text):
        raise _MalformedError("A DNS name, or a constraint on DNS names, is malformed.")
    return text.lower()


def _is_within(name: str, base: str) -> bool:
    return name == base or name.endswith("." + base)


def _mailbox_matches(base: str, mailbox: str) -> bool:
    """A base is one mailbox, the mailboxes of one host, or, with a leading dot, those of all hosts in a domain."""
    local, _, host = mailbox.partition("@")
    if not _ATOMS.fullmatch(local):
        raise _MalformedError("An e-mail address is malformed.")
    host = _dns(host)
    if base.startswith("."):
        domain = _dns(base[1:])
        return host != domain and _is_within(host, domain)
    if "@" in base:
        base_local, _, base_host = base.partition("@")
        if not _ATOMS.fullmatch(base_local):
            raise _MalformedError("A constraint on e-mail addresses is malformed.")
        return local == base_local and host == _dns(base_host)
    return host == _dns(base)
