"""Messages in people's words."""

from collections.abc import Iterable
from typing import Final

from google.protobuf.timestamp_pb2 import Timestamp

from certmint.ca.v1 import resources_pb2 as resources
from certmint.cli.output import Facts, Table

# As RFC 5280 section 5.3.1 writes them.
REVOCATION_REASONS: Final = {
    "unspecified": resources.REVOCATION_REASON_UNSPECIFIED,
    "keyCompromise": resources.REVOCATION_REASON_KEY_COMPROMISE,
    "cACompromise": resources.REVOCATION_REASON_CA_COMPROMISE,
    "affiliationChanged": resources.REVOCATION_REASON_AFFILIATION_CHANGED,
    "superseded": resources.REVOCATION_REASON_SUPERSEDED,
    "cessationOfOperation": resources.REVOCATION_REASON_CESSATION_OF_OPERATION,
    "certificateHold": resources.REVOCATION_REASON_CERTIFICATE_HOLD,
    "removeFromCRL": resources.REVOCATION_REASON_REMOVE_FROM_CRL,
    "privilegeWithdrawn": resources.REVOCATION_REASON_PRIVILEGE_WITHDRAWN,
    "aACompromise": resources.REVOCATION_REASON_AA_COMPROMISE,
}
_REASON_WORDS: Final = {number: word for word, number in REVOCATION_REASONS.items()}


def moment(timestamp: Timestamp) -> str:
    """The time in whole seconds, UTC. Empty for a time that is not set."""
    return f"{timestamp.ToDatetime():%Y-%m-%dT%H:%M:%SZ}" if timestamp.seconds else ""


def joined(items: Iterable[str]) -> str:
    """The items, with commas."""
    return ", ".join(items)


def word(name: str, prefix: str) -> str:
    """The name of an enum's value without its prefix, as people write it."""
    return name.removeprefix(prefix).lower().replace("_", "-")


def status(certificate: resources.Certificate) -> str:
    """Where a certificate stands."""
    return word(resources.CertificateStatus.Name(certificate.status), "CERTIFICATE_STATUS_")


def revocation(revocation: resources.Revocation) -> str:
    """When and why something was revoked."""
    reason = _REASON_WORDS.get(revocation.reason, str(revocation.reason))
    return f"{moment(revocation.revoked_at)} {reason}"


def certificate_facts(certificate: resources.Certificate) -> Facts:
    """Everything about one certificate."""
    return Facts(
        [
            ("serial", certificate.serial_hex),
            ("issuer", certificate.issuer_id),
            ("identity", certificate.identity),
            ("DNS names", joined(certificate.dns_names)),
            ("IP addresses", joined(certificate.ip_addresses)),
            ("profile", f"{certificate.profile} (version {certificate.profile_version})"),
            ("not before", moment(certificate.not_before)),
            ("not after", moment(certificate.not_after)),
            ("status", status(certificate) if certificate.status else ""),
            ("revoked", revocation(certificate.revocation) if certificate.HasField("revocation") else ""),
            ("requested by", certificate.requested_by),
            ("labels", joined(f"{key}={value}" for key, value in sorted(certificate.labels.items()))),
            ("SPKI SHA-256", certificate.spki_sha256),
            ("SHA-256", certificate.sha256),
        ]
    )


def certificate_table(certificates: Iterable[resources.Certificate]) -> Table:
    """A line for each certificate."""
    return Table(
        ("SERIAL", "STATUS", "NOT AFTER", "IDENTITY", "NAMES", "PROFILE", "ISSUER"),
        [
            (
                certificate.serial_hex,
                status(certificate),
                moment(certificate.not_after),
                certificate.identity,
                joined([*certificate.dns_names, *certificate.ip_addresses]),
                certificate.profile,
                certificate.issuer_id,
            )
            for certificate in certificates
        ],
    )
