"""The last look at what is about to be signed: one rule, one function, on the exact TBS bytes.

A finding is a bug of ours, so `LintError` is not a refusal that a caller sees: it is an alarm.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

from cryptography import x509
from cryptography.x509.oid import AuthorityInformationAccessOID, ExtensionOID

from certmint_server.issuance.decision import CertificateToIssue
from certmint_server.registry.certificate import SERIAL_BYTES


class LintError(Exception):
    """A certificate breaks a rule. `rule` is the name of the lint."""

    def __init__(self, rule: str, finding: str) -> None:
        super().__init__(f"{rule}: {finding}")
        self.rule = rule


@dataclass(frozen=True, slots=True)
class Subject:
    """What a lint looks at: the certificate to be signed, read from its bytes, and what was decided."""

    certificate: x509.Certificate
    extensions: x509.Extensions
    wanted: CertificateToIssue
    serial: int


def lint(tbs_der: bytes, wanted: CertificateToIssue, serial: int) -> None:
    """Runs every rule.

    Raises:
        LintError: a rule is broken.
    """
    try:
        certificate = x509.load_der_x509_certificate(_with_empty_signature(tbs_der))
        subject = Subject(certificate, certificate.extensions, wanted, serial)
    except ValueError as error:
        raise LintError("der", "the TBS bytes do not parse") from error
    for rule in RULES:
        rule(subject)


def lint_version(subject: Subject) -> None:
    """Version 3, since there are extensions (RFC 5280 section 4.1.2.1)."""
    _require(subject.certificate.version is x509.Version.v3, "version", "not version 3")


def lint_serial(subject: Subject) -> None:
    """Positive, at most 20 octets, the one decided (RFC 5280 section 4.1.2.2)."""
    serial = subject.certificate.serial_number
    _require(0 < serial < 1 << (8 * SERIAL_BYTES - 1), "serial", "not positive in 20 octets")
    _require(serial == subject.serial, "serial", "not the serial decided")


def lint_issuer_name(subject: Subject) -> None:
    """Byte-equal to the issuer's subject (RFC 5280 section 4.1.2.4)."""
    same = subject.certificate.issuer.public_bytes() == subject.wanted.issuer.certificate.subject.public_bytes()
    _require(same, "issuer_name", "not the issuer's subject, byte for byte")


def lint_validity(subject: Subject) -> None:
    """The times decided, inside the profile's maximum and the issuer's own (RFC 5280 section 4.1.2.5)."""
    wanted, certificate = subject.wanted, subject.certificate
    not_before, not_after = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    _require((not_before, not_after) == (wanted.not_before, wanted.not_after), "validity", "not the times decided")
    _require(not_before <= not_after, "validity", "ends before it begins")
    # Both ends are inclusive, so a validity lasts one second more than their difference.
    lifetime = not_after - not_before + timedelta(seconds=1)
    config = wanted.profile.config
    _require(lifetime <= config.maximum_lifetime + config.backdate, "validity", "longer than the profile allows")
    issuer = wanted.issuer.certificate
    inside = issuer.not_valid_before_utc <= not_before and not_after <= issuer.not_valid_after_utc
    _require(inside, "validity", "outside the issuer's validity")


def lint_subject(subject: Subject) -> None:
    """One common name, or nothing; never what a CSR said."""
    values = [(attribute.oid, attribute.value) for attribute in subject.certificate.subject]
    expected = [(x509.NameOID.COMMON_NAME, subject.wanted.common_name)] if subject.wanted.common_name else []
    _require(values == expected, "subject", "not the subject decided")


def lint_public_key(subject: Subject) -> None:
    """The key whose possession was proved."""
    _require(subject.certificate.public_key() == subject.wanted.public_key, "public_key", "not the key of the CSR")


def lint_known_extensions(subject: Subject) -> None:
    """The eight extensions of a leaf, each once, and nothing else."""
    oids = sorted(extension.oid.dotted_string for extension in subject.extensions)
    _require(oids == _LEAF_EXTENSIONS, "known_extensions", "not exactly the extensions of a leaf")


def lint_basic_constraints(subject: Subject) -> None:
    """Not a CA, and critical (RFC 5280 section 4.2.1.9)."""
    extension = subject.extensions.get_extension_for_class(x509.BasicConstraints)
    _require(extension.critical and not extension.value.ca, "basic_constraints", "not a critical CA:FALSE")


def lint_key_usage(subject: Subject) -> None:
    """DigitalSignature alone, and critical (RFC 5280 section 4.2.1.3): right for every type of leaf key."""
    extension = subject.extensions.get_extension_for_class(x509.KeyUsage)
    usage = extension.value
    others = (
        usage.content_commitment,
        usage.key_encipherment,
        usage.data_encipherment,
        usage.key_agreement,
        usage.key_cert_sign,
        usage.crl_sign,
    )
    only = usage.digital_signature and not any(others)
    _require(extension.critical and only, "key_usage", "not a critical digitalSignature alone")


def lint_extended_key_usage(subject: Subject) -> None:
    """What the profile has, not critical (RFC 5280 section 4.2.1.12)."""
    extension = subject.extensions.get_extension_for_class(x509.ExtendedKeyUsage)
    same = extension.value == subject.wanted.profile.extended_key_usage
    _require(same and not extension.critical, "extended_key_usage", "not the profile's usages")


def lint_san(subject: Subject) -> None:
    """The names decided and no other; critical exactly when the subject is empty (RFC 5280 section 4.2.1.6)."""
    extension = subject.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    wanted, san = subject.wanted, extension.value
    found = (
        tuple(san.get_values_for_type(x509.DNSName)),
        tuple(str(address) for address in san.get_values_for_type(x509.IPAddress)),
        tuple(san.get_values_for_type(x509.UniformResourceIdentifier)),
    )
    decided = (wanted.dns_names, wanted.ip_addresses, wanted.uris)
    _require(found == decided and len(san) == sum(map(len, decided)), "san", "not the names decided")
    _require(len(san) > 0, "san", "no name at all")
    _require(extension.critical == (not wanted.common_name), "san", "wrongly critical or not")


def lint_subject_key_id(subject: Subject) -> None:
    """Derived from the key, not critical (RFC 5280 section 4.2.1.2)."""
    extension = subject.extensions.get_extension_for_class(x509.SubjectKeyIdentifier)
    same = extension.value.digest == subject.wanted.spki_sha256[:20]
    _require(same and not extension.critical, "subject_key_id", "not derived from the key")


def lint_authority_key_id(subject: Subject) -> None:
    """The issuer's SKID, not critical (RFC 5280 section 4.2.1.1)."""
    extension = subject.extensions.get_extension_for_class(x509.AuthorityKeyIdentifier)
    same = extension.value.key_identifier == subject.wanted.issuer.subject_key_id
    _require(same and not extension.critical, "authority_key_id", "not the issuer's SKID")


def lint_crl_distribution_point(subject: Subject) -> None:
    """One, with the URL of the shard at this issuer (RFC 5280 section 4.2.1.13)."""
    extension = subject.extensions.get_extension_for_class(x509.CRLDistributionPoints)
    url = x509.UniformResourceIdentifier(subject.wanted.issuer.crl_url(subject.wanted.crl_shard))
    expected = x509.CRLDistributionPoints([x509.DistributionPoint([url], None, None, None)])
    same = extension.value == expected and not extension.critical
    _require(same, "crl_distribution_point", "not the shard's URL at this issuer")


def lint_authority_information_access(subject: Subject) -> None:
    """One caIssuers, with the URL of the issuer's certificate (RFC 5280 section 4.2.2.1)."""
    extension = subject.extensions.get_extension_for_class(x509.AuthorityInformationAccess)
    url = x509.UniformResourceIdentifier(subject.wanted.issuer.certificate_url)
    expected = x509.AuthorityInformationAccess([x509.AccessDescription(AuthorityInformationAccessOID.CA_ISSUERS, url)])
    same = extension.value == expected and not extension.critical
    _require(same, "authority_information_access", "not the URL of this issuer's certificate")


RULES: tuple[Callable[[Subject], None], ...] = (
    lint_version,
    lint_serial,
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

_LEAF_EXTENSIONS = sorted(
    oid.dotted_string
    for oid in (
        ExtensionOID.BASIC_CONSTRAINTS,
        ExtensionOID.KEY_USAGE,
        ExtensionOID.EXTENDED_KEY_USAGE,
        ExtensionOID.SUBJECT_ALTERNATIVE_NAME,
        ExtensionOID.SUBJECT_KEY_IDENTIFIER,
        ExtensionOID.AUTHORITY_KEY_IDENTIFIER,
        ExtensionOID.CRL_DISTRIBUTION_POINTS,
        ExtensionOID.AUTHORITY_INFORMATION_ACCESS,
    )
)


def _require(holds: bool, rule: str, finding: str) -> None:  # noqa: FBT001  reads as a sentence at its calls
    if not holds:
        raise LintError(rule, finding)


# AlgorithmIdentifier of ecdsa-with-SHA256 and a BIT STRING of no bits: the library reads whole certificates only, and
# does not compare the outer algorithm with the inner one while parsing.
_NO_SIGNATURE = bytes.fromhex("300a06082a8648ce3d040302") + bytes.fromhex("030100")


def _with_empty_signature(tbs_der: bytes) -> bytes:
    length = len(tbs_der) + len(_NO_SIGNATURE)
    octets = length.to_bytes((length.bit_length() + 7) // 8, "big")
    header = bytes([length]) if length < 0x80 else bytes([0x80 | len(octets)]) + octets  # noqa: PLR2004  X.690 8.1.3
    return b"\x30" + header + tbs_der + _NO_SIGNATURE
