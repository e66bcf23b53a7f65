"""What was decided about a certificate, before anything is signed."""

from dataclasses import dataclass
from datetime import datetime

from certmint_server.issuance.keys import LeafPublicKey
from certmint_server.issuance.profile import Profile
from certmint_server.issuers.issuer import Issuer

SUBJECT_KEY_ID_BYTES = 20
MAXIMUM_COMMON_NAME = 64  # ub-common-name, RFC 5280 appendix A.1


@dataclass(frozen=True, slots=True)
class CertificateToIssue:
    """Everything about a certificate but its serial. Times are UTC, in whole seconds, `not_after` is inclusive."""

    issuer: Issuer
    profile: Profile
    public_key: LeafPublicKey
    spki_der: bytes
    spki_sha256: bytes
    identity: str
    dns_names: tuple[str, ...]
    ip_addresses: tuple[str, ...]
    not_before: datetime
    not_after: datetime
    crl_shard: int
    limited_by_issuer: bool

    @property
    def common_name(self) -> str:
        """The first DNS name if it fits; else the subject is empty and the SAN critical (RFC 5280 4.2.1.6)."""
        first = self.dns_names[0] if self.dns_names else ""
        return first if len(first) <= MAXIMUM_COMMON_NAME else ""

    @property
    def subject_key_id(self) -> bytes:
        """Its SKID: the beginning of the SHA-256 of its SPKI."""
        return self.spki_sha256[:SUBJECT_KEY_ID_BYTES]

    @property
    def uris(self) -> tuple[str, ...]:
        """The identity, unless the profile leaves it out."""
        return (self.identity,) if self.profile.config.include_identity else ()
