"""What RFC 5280 asks of one certificate of a path, as strictly as `cryptography.x509.verification` does."""

from collections.abc import Iterator
from datetime import datetime
from typing import TypeVar

from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID, ExtensionOID

from certmint.verification.criteria import Criteria
from certmint.verification.failure import FailureReason, Fault, describe, printable
from certmint.verification.signature import key_fault

_Type = TypeVar("_Type", bound=x509.ExtensionType)

# What the library raises for extensions that it cannot read; the TypeError comes from the checks of its values.
UNREADABLE = (ValueError, TypeError, x509.DuplicateExtension, x509.UnsupportedGeneralNameType)
UNREADABLE_EXTENSIONS = Fault(FailureReason.EXTENSION, "Its extensions cannot be read, or one is there twice.")
_MAXIMUM_SERIAL_BITS = 160
_NAMES_OF_A_SENTENCE = 10
_FIRST_UTC_TIME_YEAR = 1950
_FIRST_GENERALIZED_TIME_YEAR = 2050
_UNDERSTOOD = frozenset(
    {
        ExtensionOID.AUTHORITY_INFORMATION_ACCESS,
        ExtensionOID.AUTHORITY_KEY_IDENTIFIER,
        ExtensionOID.BASIC_CONSTRAINTS,
        ExtensionOID.EXTENDED_KEY_USAGE,
        ExtensionOID.KEY_USAGE,
        ExtensionOID.NAME_CONSTRAINTS,
        ExtensionOID.SUBJECT_ALTERNATIVE_NAME,
        ExtensionOID.SUBJECT_KEY_IDENTIFIER,
    }
)
_NEVER_CRITICAL = frozenset(
    {
        ExtensionOID.AUTHORITY_INFORMATION_ACCESS,
        ExtensionOID.AUTHORITY_KEY_IDENTIFIER,
        ExtensionOID.EXTENDED_KEY_USAGE,
    }
)
_NEVER_CRITICAL_IN_ISSUERS = _NEVER_CRITICAL | {ExtensionOID.SUBJECT_KEY_IDENTIFIER}


def leaf_faults(certificate: x509.Certificate, criteria: Criteria) -> Iterator[Fault]:
    """What is wrong with `certificate` as a leaf, whoever issued it."""
    yield from _common_faults(certificate, criteria.at_time)
    extensions = read_extensions(certificate)
    if extensions is None:
        yield UNREADABLE_EXTENSIONS
        return
    yield from _criticality_faults(extensions, _NEVER_CRITICAL)
    yield from _leaf_usage_faults(extensions)
    yield from _purpose_faults(extensions, criteria, accepts_any=False)
    yield from _leaf_extension_faults(extensions)
    yield from name_faults(certificate, criteria)
    yield from _critical_name_faults(certificate, extensions)


def issuer_faults(certificate: x509.Certificate, criteria: Criteria, *, intermediates_below: int) -> Iterator[Fault]:
    """What is wrong with `certificate` as an issuer with that many intermediates between it and the leaf."""
    yield from _common_faults(certificate, criteria.at_time)
    extensions = read_extensions(certificate)
    if extensions is None:
        yield UNREADABLE_EXTENSIONS
        return
    yield from _criticality_faults(extensions, _NEVER_CRITICAL_IN_ISSUERS)
    yield from _authority_faults(extensions, intermediates_below)
    yield from _purpose_faults(extensions, criteria, accepts_any=True)
    identifier = find(extensions, x509.AuthorityKeyIdentifier)
    if identifier and identifier.value.key_identifier is None:
        yield Fault(FailureReason.EXTENSION, "Its authority key identifier has no key identifier.")


def name_faults(certificate: x509.Certificate, criteria: Criteria) -> Iterator[Fault]:
    """Whether the leaf carries a SAN, and in it the expected name. The subject is not looked at (RFC 6125 §6.4.4)."""
    names = alternative_names(certificate)
    if criteria.expected_name is None:
        if not names:
            yield Fault(FailureReason.EXTENSION, "It has no subject alternative name.")
    elif not criteria.expected_name.is_carried_by(names):
        carried = ", ".join(readable_name(name) for name in names[:_NAMES_OF_A_SENTENCE]) or "no name at all"
        more = f" and {len(names) - _NAMES_OF_A_SENTENCE} more" if len(names) > _NAMES_OF_A_SENTENCE else ""
        expected = printable(str(criteria.expected_name))
        yield Fault(FailureReason.NAME_MISMATCH, f"It is expected to carry {expected}, and carries {carried}{more}.")


def read_extensions(certificate: x509.Certificate) -> x509.Extensions | None:
    """The extensions; None when they cannot be read."""
    try:
        return certificate.extensions
    except UNREADABLE:
        return None


def find(extensions: x509.Extensions, kind: type[_Type]) -> x509.Extension[_Type] | None:
    """The extension of that kind; None when there is none."""
    try:
        return extensions.get_extension_for_class(kind)
    except x509.ExtensionNotFound:
        return None


def alternative_names(certificate: x509.Certificate) -> tuple[x509.GeneralName, ...]:
    """The names of the SAN; none when there is no SAN or it cannot be read."""
    extensions = read_extensions(certificate)
    found = find(extensions, x509.SubjectAlternativeName) if extensions else None
    return tuple(found.value) if found else ()


def readable_name(name: x509.GeneralName) -> str:
    """The name with its kind, for a sentence."""
    match name:
        case x509.DNSName():
            return f"DNS {printable(name.value)}"
        case x509.UniformResourceIdentifier():
            return f"URI {printable(name.value)}"
        case x509.IPAddress():
            return f"IP {name.value}"
        case x509.RFC822Name():
            return f"e-mail {printable(name.value)}"
        case x509.DirectoryName():
            return f"directory name {describe(name.value)}"
        case _:
            return f"a {type(name).__name__}"


def _common_faults(certificate: x509.Certificate, at_time: datetime) -> Iterator[Fault]:
    if at_time > certificate.not_valid_after_utc:
        expired = f"It expired at {certificate.not_valid_after_utc:%Y-%m-%d %H:%M:%S} UTC."
        yield Fault(FailureReason.EXPIRED, expired)
    if at_time < certificate.not_valid_before_utc:
        early = f"It is not valid before {certificate.not_valid_before_utc:%Y-%m-%d %H:%M:%S} UTC."
        yield Fault(FailureReason.NOT_YET_VALID, early)
    if _validity_der(certificate) not in certificate.tbs_certificate_bytes:
        yield Fault(FailureReason.EXTENSION, "Its dates are not encoded the way RFC 5280 asks.")
    if certificate.version is not x509.Version.v3:
        yield Fault(FailureReason.EXTENSION, "It is not of version 3, so it has no extensions to rely on.")
    if certificate.serial_number < 0 or certificate.serial_number.bit_length() > _MAXIMUM_SERIAL_BITS:
        yield Fault(FailureReason.EXTENSION, "Its serial is negative or longer than 20 octets.")
    if not certificate.issuer.rdns:
        yield Fault(FailureReason.EXTENSION, "It names no issuer.")
    fault = key_fault(certificate)
    if fault:
        yield fault


def _validity_der(certificate: x509.Certificate) -> bytes:
    """Its validity as DER: UTCTime through 2049, GeneralizedTime after (RFC 5280 section 4.1.2.5)."""
    dates = b"".join(map(_time_der, (certificate.not_valid_before_utc, certificate.not_valid_after_utc)))
    return bytes([0x30, len(dates)]) + dates


def _time_der(moment: datetime) -> bytes:
    is_short = _FIRST_UTC_TIME_YEAR <= moment.year < _FIRST_GENERALIZED_TIME_YEAR
    tag, text = (0x17, f"{moment:%y%m%d%H%M%SZ}") if is_short else (0x18, f"{moment.year:04}{moment:%m%d%H%M%SZ}")
    return bytes([tag, len(text)]) + text.encode()


def _criticality_faults(
    extensions: x509.Extensions, never_critical: frozenset[x509.ObjectIdentifier]
) -> Iterator[Fault]:
    for extension in extensions:
        oid = extension.oid.dotted_string
        if extension.critical and extension.oid not in _UNDERSTOOD:
            yield Fault(FailureReason.EXTENSION, f"Its extension {oid} is critical and not understood here.")
        elif extension.critical and extension.oid in never_critical:
            yield Fault(FailureReason.EXTENSION, f"Its extension {oid} is critical, which RFC 5280 forbids.")


def _leaf_usage_faults(extensions: x509.Extensions) -> Iterator[Fault]:
    constraints = find(extensions, x509.BasicConstraints)
    if constraints and constraints.value.ca:
        yield Fault(FailureReason.BASIC_CONSTRAINTS, "It is a CA certificate, and stands where a leaf belongs.")
    usage = find(extensions, x509.KeyUsage)
    if usage and usage.value.key_cert_sign:
        yield Fault(FailureReason.KEY_USAGE, "Its key usage has keyCertSign, which a leaf may not have.")


def _leaf_extension_faults(extensions: x509.Extensions) -> Iterator[Fault]:
    if not find(extensions, x509.AuthorityKeyIdentifier):
        yield Fault(FailureReason.EXTENSION, "It has no authority key identifier.")
    if find(extensions, x509.NameConstraints):
        yield Fault(FailureReason.EXTENSION, "It has name constraints, which belong in CA certificates only.")


def _critical_name_faults(certificate: x509.Certificate, extensions: x509.Extensions) -> Iterator[Fault]:
    """A SAN is critical exactly when the subject is empty (RFC 5280 section 4.2.1.6, as the library reads it)."""
    names = find(extensions, x509.SubjectAlternativeName)
    if names and names.critical != (not certificate.subject.rdns):
        state = "critical beside a subject" if names.critical else "not critical though the subject is empty"
        yield Fault(FailureReason.EXTENSION, f"Its subject alternative name is {state}.")


def _purpose_faults(extensions: x509.Extensions, criteria: Criteria, *, accepts_any: bool) -> Iterator[Fault]:
    """Without an EKU every purpose is allowed; anyExtendedKeyUsage counts in issuers only."""
    needed, usages = criteria.purpose.key_purpose, find(extensions, x509.ExtendedKeyUsage)
    if needed is None or usages is None or needed in usages.value:
        return
    if not (accepts_any and ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE in usages.value):
        allowed = ", ".join(usage.dotted_string for usage in list(usages.value)[:_NAMES_OF_A_SENTENCE])
        detail = f"Its extended key usage allows {allowed}, not {needed.dotted_string} ({criteria.purpose.name})."
        yield Fault(FailureReason.PURPOSE, detail)


def _authority_faults(extensions: x509.Extensions, intermediates_below: int) -> Iterator[Fault]:
    constraints = find(extensions, x509.BasicConstraints)
    if constraints is None or not constraints.value.ca:
        yield Fault(FailureReason.BASIC_CONSTRAINTS, "It issued a certificate of this chain, and is not a CA.")
    else:
        length = constraints.value.path_length
        if length is not None and intermediates_below > length:
            detail = f"It allows {length} intermediates below it, and has {intermediates_below}."
            yield Fault(FailureReason.BASIC_CONSTRAINTS, detail)
        if not constraints.critical:
            yield Fault(FailureReason.EXTENSION, "Its basic constraints are not critical.")
    usage = find(extensions, x509.KeyUsage)
    if usage is None or not usage.value.key_cert_sign:
        yield Fault(FailureReason.KEY_USAGE, "Its key usage does not have keyCertSign, and it issued a certificate.")
