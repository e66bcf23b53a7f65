"""VerifyChain: path, names, purpose and revocation in one verdict.

The engine is `certmint.verification`, the same that clients use offline; here its evidence comes from the registry.
"""

import asyncio
from dataclasses import dataclass
from datetime import datetime

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from certmint.verification import (
    ExpectedName,
    PathResult,
    Purpose,
    Revocation,
    RevocationEvidence,
    RevocationPolicy,
    RevocationReason,
    RevocationSource,
    Verdict,
    build_path,
    conclude,
)
from certmint_server.clock import Clock, whole_seconds
from certmint_server.errors import CRLNotFoundError
from certmint_server.issuers.issuer import Issuer, Issuers
from certmint_server.registry.blocked_keys import BlockedKeys
from certmint_server.registry.certificates import CertificateStore
from certmint_server.revocation.crl import read_entry
from certmint_server.revocation.crls import CRLs, PublishedCRL

_ISSUER_SHARD = 1


@dataclass(frozen=True, slots=True)
class VerificationRequest:
    """What is to be judged, by what. Without `trust_anchors`, by our roots; without `at_time`, by now."""

    chain: tuple[x509.Certificate, ...]
    trust_anchors: tuple[x509.Certificate, ...]
    purpose: Purpose
    expected_name: ExpectedName | None
    at_time: datetime | None
    policy: RevocationPolicy


class VerificationService:
    """Judges chains."""

    def __init__(
        self,
        *,
        certificates: CertificateStore,
        blocked_keys: BlockedKeys,
        crls: CRLs,
        issuers: Issuers,
        clock: Clock,
    ) -> None:
        self._certificates = certificates
        self._blocked_keys = blocked_keys
        self._crls = crls
        self._issuers = issuers
        self._clock = clock

    async def verify(self, request: VerificationRequest) -> Verdict:
        """The verdict. A chain that is not valid is an answer, not an error."""
        result = await asyncio.to_thread(
            build_path,
            request.chain,
            trust_anchors=request.trust_anchors or tuple(root.certificate for root in self._issuers.roots()),
            purpose=request.purpose,
            expected_name=request.expected_name,
            at_time=request.at_time or self._clock.now(),
        )
        evidence = await self._evidence(result)
        return conclude(result, evidence, request.policy, as_of_now=request.at_time is None)

    async def _evidence(self, result: PathResult) -> dict[int, RevocationEvidence]:
        """What we know about each certificate that one of our issuers signed, by its position in the path."""
        evidence = {}
        for position, (placed, above) in enumerate(zip(result.certificates, result.anchored[1:], strict=False)):
            issuer = self._ours(above.certificate)
            if issuer is None:
                continue
            found = await (self._issuer_evidence if issuer.is_root else self._leaf_evidence)(placed.certificate, issuer)
            if found:
                evidence[position] = found
        return evidence

    def _ours(self, certificate: x509.Certificate) -> Issuer | None:
        return next((issuer for issuer in self._issuers if issuer.certificate == certificate), None)

    async def _leaf_evidence(self, certificate: x509.Certificate, issuer: Issuer) -> RevocationEvidence:
        """From the registry: as of now."""
        record = await self._certificates.get_certificate(issuer.issuer_id, certificate.serial_number)
        blocked_at = await self._blocked_keys.blocked_at(record.spki_sha256) if record else None
        known = record is not None and record.certificate_der == certificate.public_bytes(Encoding.DER)
        revocation = None
        if record and record.revocation:
            stored = record.revocation
            revocation = Revocation(RevocationReason(stored.reason.value), stored.revoked_at, stored.crl_number)
        elif blocked_at:
            # Another certificate of the same key was revoked for its compromise; no CRL carries this one.
            revocation = Revocation(RevocationReason.KEY_COMPROMISE, blocked_at, 0)
        shard = record.crl_shard if record else _ISSUER_SHARD
        return RevocationEvidence(
            source=RevocationSource.REGISTRY,
            crl_number=await self._published_number(issuer, shard),
            this_update=whole_seconds(self._clock.now()),
            next_update=None,
            revocation=revocation,
            is_never_issued=not known,
        )

    async def _issuer_evidence(self, certificate: x509.Certificate, root: Issuer) -> RevocationEvidence | None:
        """From the CRL that the root's last ceremony made: the root is not here to be asked."""
        try:
            crl = await self._crls.current(root.issuer_id, _ISSUER_SHARD)
        except CRLNotFoundError:
            return None
        return RevocationEvidence(
            source=RevocationSource.CRL,
            crl_number=crl.crl_number,
            this_update=crl.this_update,
            next_update=crl.next_update,
            revocation=_listed(certificate, crl),
            is_never_issued=self._ours(certificate) is None,
        )

    async def _published_number(self, issuer: Issuer, shard: int) -> int:
        try:
            return (await self._crls.current(issuer.issuer_id, shard)).crl_number
        except CRLNotFoundError:
            return 0


def _listed(certificate: x509.Certificate, crl: PublishedCRL) -> Revocation | None:
    entry = x509.load_der_x509_crl(crl.crl_der).get_revoked_certificate_by_serial_number(certificate.serial_number)
    if entry is None:
        return None
    listed = read_entry(entry)
    return Revocation(RevocationReason(listed.reason.value), listed.revoked_at, crl.crl_number)
