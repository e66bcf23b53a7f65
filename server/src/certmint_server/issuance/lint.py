"""The last look at what is about to be signed: one rule, one function, on the exact TBS bytes.

What was decided is written down here a second time, by a few lines that have nothing to do with the library that built
the certificate, and must come out the same byte for byte. A finding is a bug of ours, so `LintError` is not a refusal
that a caller sees: it is an alarm.
"""

import ipaddress
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache

from certmint_server.issuance import der
from certmint_server.issuance.decision import CertificateToIssue
from certmint_server.issuance.signature import signature_algorithm_der
from certmint_server.issuance.tbs import TBSCertificate, parse_tbs
from certmint_server.registry.certificate import is_serial


class LintError(Exception):
    """A certificate breaks a rule. `rule` is the name of the lint."""

    def __init__(self, rule: str, finding: str) -> None:
        super().__init__(f"{rule}: {finding}")
        self.rule = rule


@dataclass(frozen=True, slots=True)
class Subject:
    """What a lint looks at: the bytes to be signed, taken apart, and what was decided."""

    tbs: TBSCertificate
    wanted: CertificateToIssue
    serial: int


def lint(tbs_der: bytes, wanted: CertificateToIssue, serial: int) -> None:
    """Runs every rule.

    Raises:
        LintError: a rule is broken.
    """
    try:
        subject = Subject(parse_tbs(tbs_der), wanted, serial)
    except ValueError as error:
        raise LintError("der", "the TBS bytes are not DER of a certificate") from error
    for rule in RULES:
        rule(subject)


def lint_version(subject: Subject) -> None:
    """Version 3, since there are extensions (RFC 5280 section 4.1.2.1)."""
    _require(subject.tbs.version == _VERSION_3, "version", "not version 3")


def lint_serial(subject: Subject) -> None:
    """Positive, at most 20 octets, the one decided (RFC 5280 section 4.1.2.2)."""
    serial = subject.serial
    _require(is_serial(serial), "serial", "not positive in 20 octets")
    octets = serial.to_bytes(serial.bit_length() // 8 + 1, "big")
    _require(subject.tbs.serial == der.write(der.INTEGER, octets), "serial", "not the serial decided")


def lint_signature(subject: Subject) -> None:
    """The issuer's algorithm with the parameters it must have (RFC 5280 section 4.1.2.3)."""
    expected = signature_algorithm_der(subject.wanted.issuer.scheme)
    _require(subject.tbs.signature == expected, "signature", "not the issuer's algorithm")


def lint_issuer_name(subject: Subject) -> None:
    """Byte-equal to the issuer's subject (RFC 5280 section 4.1.2.4)."""
    _require(subject.tbs.issuer == subject.wanted.issuer.name_der, "issuer_name", "not the issuer's subject")


def lint_validity(subject: Subject) -> None:
    """The times decided, inside the profile's maximum and the issuer's own (RFC 5280 section 4.1.2.5)."""
    wanted = subject.wanted
    expected = der.write(der.SEQUENCE, _time(wanted.not_before), _time(wanted.not_after))
    _require(subject.tbs.validity == expected, "validity", "not the times decided")
    _require(wanted.not_before <= wanted.not_after, "validity", "ends before it begins")
    # Both ends are inclusive, so a validity lasts one second more than their difference.
    lifetime = wanted.not_after - wanted.not_before + timedelta(seconds=1)
    config = wanted.profile.config
    _require(lifetime <= config.maximum_lifetime + config.backdate, "validity", "longer than the profile allows")
    issuer = wanted.issuer
    inside = issuer.not_before <= wanted.not_before and wanted.not_after <= issuer.not_after
    _require(inside, "validity", "outside the issuer's validity")


def lint_subject(subject: Subject) -> None:
    """One common name as a UTF8String, or nothing; never what a CSR said (RFC 5280 section 4.1.2.6)."""
    common_name = subject.wanted.common_name.encode()
    attribute = der.write(der.SEQUENCE, _COMMON_NAME, der.write(der.UTF8_STRING, common_name))
    expected = der.write(der.SEQUENCE, der.write(der.SET, attribute) if common_name else b"")
    _require(subject.tbs.subject == expected, "subject", "not the subject decided")


def lint_public_key(subject: Subject) -> None:
    """The key whose possession was proved (RFC 5280 section 4.1.2.7)."""
    _require(subject.tbs.spki == subject.wanted.spki_der, "public_key", "not the key of the CSR")


def lint_known_extensions(subject: Subject) -> None:
    """Eight extensions: those that the rules below ask for, and nothing else."""
    _require(len(subject.tbs.extensions) == _LEAF_EXTENSIONS, "known_extensions", "not exactly those of a leaf")


def lint_basic_constraints(subject: Subject) -> None:
    """Not a CA, and critical (RFC 5280 section 4.2.1.9)."""
    _require(_NOT_A_CA in subject.tbs.extensions, "basic_constraints", "not a critical CA:FALSE")


def lint_key_usage(subject: Subject) -> None:
    """The bit digitalSignature alone, and critical (RFC 5280 section 4.2.1.3): right for every type of leaf key."""
    _require(_SIGNS_ONLY in subject.tbs.extensions, "key_usage", "not a critical digitalSignature alone")


def lint_extended_key_usage(subject: Subject) -> None:
    """What the profile has, not critical (RFC 5280 section 4.2.1.12)."""
    expected = _extension(_EXTENDED_KEY_USAGE, subject.wanted.profile.extended_key_usage_der)
    _require(expected in subject.tbs.extensions, "extended_key_usage", "not the profile's usages")


def lint_san(subject: Subject) -> None:
    """The names decided and no other; critical exactly when the subject is empty (RFC 5280 section 4.2.1.6)."""
    wanted = subject.wanted
    names = [der.write(_DNS_NAME, name.encode()) for name in wanted.dns_names]
    names += [der.write(_IP_ADDRESS, ipaddress.ip_address(address).packed) for address in wanted.ip_addresses]
    names += [der.write(_URI, uri.encode()) for uri in wanted.uris]
    _require(len(names) > 0, "san", "no name at all")
    expected = _extension(_SUBJECT_ALTERNATIVE_NAME, der.write(der.SEQUENCE, *names), critical=not wanted.common_name)
    _require(expected in subject.tbs.extensions, "san", "not the names decided, or wrongly critical or not")


def lint_subject_key_id(subject: Subject) -> None:
    """Derived from the key, not critical (RFC 5280 section 4.2.1.2)."""
    expected = _extension(_SUBJECT_KEY_ID, der.write(der.OCTET_STRING, subject.wanted.subject_key_id))
    _require(expected in subject.tbs.extensions, "subject_key_id", "not derived from the key")


def lint_authority_key_id(subject: Subject) -> None:
    """The issuer's SKID alone, not critical (RFC 5280 section 4.2.1.1)."""
    expected = _authority_key_id(subject.wanted.issuer.subject_key_id)
    _require(expected in subject.tbs.extensions, "authority_key_id", "not the issuer's SKID")


def lint_crl_distribution_point(subject: Subject) -> None:
    """One, with the URL of the shard at this issuer and for all reasons (RFC 5280 section 4.2.1.13)."""
    expected = _crl_distribution_point(subject.wanted.issuer.crl_url(subject.wanted.crl_shard))
    _require(expected in subject.tbs.extensions, "crl_distribution_point", "not the shard's URL at this issuer")


def lint_authority_information_access(subject: Subject) -> None:
    """One caIssuers, with the URL of the issuer's certificate (RFC 5280 section 4.2.2.1)."""
    expected = _authority_information_access(subject.wanted.issuer.certificate_url)
    _require(expected in subject.tbs.extensions, "authority_information_access", "not this issuer's certificate")


RULES: tuple[Callable[[Subject], None], ...] = (
    lint_version,
    lint_serial,
    lint_signature,
    lint_issuer_name,
    lint_validity,
    lint_subject,
    lint_public_key,
    lint_known_extensions,
    lint_basic_constraints,
    lint_key_usage,
    lint_extended_key_usage,
    lint_san,
    lint_subject_key_id,
    lint_authority_key_id,
    lint_crl_distribution_point,
    lint_authority_information_access,
)

_LEAF_EXTENSIONS = 8
_VERSION_3 = bytes.fromhex("a003020102")

# Tags of GeneralName (RFC 5280 section 4.2.1.6), of keyIdentifier, and of distributionPoint and fullName.
_DNS_NAME, _URI, _IP_ADDRESS = 0x82, 0x86, 0x87
_KEY_IDENTIFIER = 0x80
_FIRST = 0xA0

_COMMON_NAME = bytes.fromhex("0603550403")
_CA_ISSUERS = bytes.fromhex("06082b06010505073002")
_SUBJECT_KEY_ID = bytes.fromhex("0603551d0e")
_KEY_USAGE = bytes.fromhex("0603551d0f")
_SUBJECT_ALTERNATIVE_NAME = bytes.fromhex("0603551d11")
_BASIC_CONSTRAINTS = bytes.fromhex("0603551d13")
_CRL_DISTRIBUTION_POINTS = bytes.fromhex("0603551d1f")
_AUTHORITY_KEY_ID = bytes.fromhex("0603551d23")
_EXTENDED_KEY_USAGE = bytes.fromhex("0603551d25")
_AUTHORITY_INFORMATION_ACCESS = bytes.fromhex("06082b06010505070101")
_FIRST_YEAR_OF_GENERALIZED_TIME = 2050


def _time(moment: datetime) -> bytes:
    """UTCTime through 2049, GeneralizedTime from 2050 on."""
    if moment.year < _FIRST_YEAR_OF_GENERALIZED_TIME:
        return der.write(der.UTC_TIME, f"{moment:%y%m%d%H%M%SZ}".encode())
    return der.write(der.GENERALIZED_TIME, f"{moment:%Y%m%d%H%M%SZ}".encode())


def _extension(oid: bytes, value_der: bytes, *, critical: bool = False) -> bytes:
    # FALSE is the default of critical, and a default is not encoded (X.690 section 11.5).
    return der.write(der.SEQUENCE, oid, der.BOOLEAN_TRUE if critical else b"", der.write(der.OCTET_STRING, value_der))


@lru_cache(maxsize=256)
def _authority_key_id(key_id: bytes) -> bytes:
    return _extension(_AUTHORITY_KEY_ID, der.write(der.SEQUENCE, der.write(_KEY_IDENTIFIER, key_id)))


@lru_cache(maxsize=1024)
def _crl_distribution_point(url: str) -> bytes:
    full_name = der.write(_FIRST, der.write(_FIRST, der.write(_URI, url.encode())))
    return _extension(_CRL_DISTRIBUTION_POINTS, der.write(der.SEQUENCE, der.write(der.SEQUENCE, full_name)))


@lru_cache(maxsize=256)
def _authority_information_access(url: str) -> bytes:
    access = der.write(der.SEQUENCE, _CA_ISSUERS, der.write(_URI, url.encode()))
    return _extension(_AUTHORITY_INFORMATION_ACCESS, der.write(der.SEQUENCE, access))


def _require(holds: bool, rule: str, finding: str) -> None:  # noqa: FBT001  reads as a sentence at its calls
    if not holds:
        raise LintError(rule, finding)


_NOT_A_CA = _extension(_BASIC_CONSTRAINTS, der.write(der.SEQUENCE), critical=True)
# Seven unused bits: a named bit list ends with its last bit set (X.690 section 11.2.2).
_SIGNS_ONLY = _extension(_KEY_USAGE, bytes.fromhex("03020780"), critical=True)
