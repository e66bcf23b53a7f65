"""The last look at what is about to be signed: one rule, one function, on the exact TBS bytes.

A finding is a bug of ours, so `LintError` is not a refusal that a caller sees: it is an alarm.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import TypeVar

from cryptography import x509
from cryptography.x509.oid import AuthorityInformationAccessOID

from certmint_server.issuance.decision import CertificateToIssue
from certmint_server.registry.certificate import SERIAL_BYTES

E = TypeVar("E", bound=x509.ExtensionType)


class LintError(Exception):
    """A certificate breaks a rule. `rule` is the name of the lint."""

    def __init__(self, rule: str, finding: str) -> None:
        super().__init__(f"{rule}: {finding}")
        self.rule = rule


@dataclass(frozen=True, slots=True)
class Subject:
    """What a lint looks at: the certificate to be signed, read from its bytes, and what was decided."""

    certificate: x509.Certificate
    extensions: Mapping[type[x509.ExtensionType], x509.Extension[x509.ExtensionType]]
    wanted: CertificateToIssue
    serial: int

    def extension(self, kind: type[E]) -> tuple[E, bool]:
        """An extension and whether it is critical. `lint_known_extensions` has found it there."""
        extension = self.extensions[kind]
        assert isinstance(extension.value, kind)
        return extension.value, extension.critical


def lint(tbs_der: bytes, wanted: CertificateToIssue, serial: int) -> None:
    """Runs every rule.

    Raises:
        LintError: a rule is broken.
    """
    try:
        certificate = x509.load_der_x509_certificate(_with_empty_signature(tbs_der))
        extensions = {type(extension.value): extension for extension in certificate.extensions}
        subject = Subject(certificate, extensions, wanted, serial)
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
    same = subject.certificate.issuer.public_bytes() == subject.wanted.issuer.name_der
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
    # The library refuses to read an extension that comes twice.
    _require(subject.extensions.keys() == _LEAF_EXTENSIONS, "known_extensions", "not exactly those of a leaf")


def lint_basic_constraints(subject: Subject) -> None:
    """Not a CA, and critical (RFC 5280 section 4.2.1.9)."""
    constraints, critical = subject.extension(x509.BasicConstraints)
    _require(critical and not constraints.ca, "basic_constraints", "not a critical CA:FALSE")


def lint_key_usage(subject: Subject) -> None:
    """The bit digitalSignature alone, and critical (RFC 5280 section 4.2.1.3): right for every type of leaf key."""
    usage, critical = subject.extension(x509.KeyUsage)
    others = (
        usage.content_commitment,
        usage.key_encipherment,
        usage.data_encipherment,
        usage.key_agreement,
        usage.key_cert_sign,
        usage.crl_sign,
    )
    only = usage.digital_signature and not any(others)
    _require(critical and only, "key_usage", "not a critical digitalSignature alone")


def lint_extended_key_usage(subject: Subject) -> None:
    """What the profile has, not critical (RFC 5280 section 4.2.1.12)."""
    usage, critical = subject.extension(x509.ExtendedKeyUsage)
    same = usage == subject.wanted.profile.extended_key_usage
    _require(same and not critical, "extended_key_usage", "not the profile's usages")


def lint_san(subject: Subject) -> None:
    """The names decided and no other; critical exactly when the subject is empty (RFC 5280 section 4.2.1.6)."""
    san, critical = subject.extension(x509.SubjectAlternativeName)
    wanted = subject.wanted
    found = [(type(name), str(name.value)) for name in san]
    decided: list[tuple[type[x509.GeneralName], str]] = [(x509.DNSName, name) for name in wanted.dns_names]
    decided += [(x509.IPAddress, address) for address in wanted.ip_addresses]
    decided += [(x509.UniformResourceIdentifier, uri) for uri in wanted.uris]
    _require(found == decided, "san", "not the names decided")
    _require(len(found) > 0, "san", "no name at all")
    _require(critical == (not wanted.common_name), "san", "wrongly critical or not")


def lint_subject_key_id(subject: Subject) -> None:
    """Derived from the key, not critical (RFC 5280 section 4.2.1.2)."""
    key_id, critical = subject.extension(x509.SubjectKeyIdentifier)
    same = key_id.digest == subject.wanted.spki_sha256[:20]
    _require(same and not critical, "subject_key_id", "not derived from the key")


def lint_authority_key_id(subject: Subject) -> None:
    """The issuer's SKID, not critical (RFC 5280 section 4.2.1.1)."""
    key_id, critical = subject.extension(x509.AuthorityKeyIdentifier)
    same = key_id.key_identifier == subject.wanted.issuer.subject_key_id
    _require(same and not critical, "authority_key_id", "not the issuer's SKID")


def lint_crl_distribution_point(subject: Subject) -> None:
    """One, with the URL of the shard at this issuer and for all reasons (RFC 5280 section 4.2.1.13)."""
    points, critical = subject.extension(x509.CRLDistributionPoints)
    found = [
        (type(name), name.value, point.reasons, point.crl_issuer) for point in points for name in point.full_name or ()
    ]
    url = subject.wanted.issuer.crl_url(subject.wanted.crl_shard)
    same = found == [(x509.UniformResourceIdentifier, url, None, None)] and len(points) == 1
    _require(same and not critical, "crl_distribution_point", "not the shard's URL at this issuer")


def lint_authority_information_access(subject: Subject) -> None:
    """One caIssuers, with the URL of the issuer's certificate (RFC 5280 section 4.2.2.1)."""
    accesses, critical = subject.extension(x509.AuthorityInformationAccess)
    found = [(access.access_method, type(access.access_location), access.access_location.value) for access in accesses]
    url = subject.wanted.issuer.certificate_url
    same = found == [(AuthorityInformationAccessOID.CA_ISSUERS, x509.UniformResourceIdentifier, url)]
    _require(same and not critical, "authority_information_access", "not the URL of this issuer's certificate")


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

_LEAF_EXTENSIONS = frozenset(
    {
        x509.BasicConstraints,
        x509.KeyUsage,
        x509.ExtendedKeyUsage,
        x509.SubjectAlternativeName,
        x509.SubjectKeyIdentifier,
        x509.AuthorityKeyIdentifier,
        x509.CRLDistributionPoints,
        x509.AuthorityInformationAccess,
    }
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
