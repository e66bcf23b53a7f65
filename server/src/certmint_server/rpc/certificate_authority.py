"""CertificateAuthorityService: decode, call, encode."""

from collections.abc import Sequence
from typing import Any

import grpc

from certmint.ca.v1 import certificate_authority_service_pb2 as pb
from certmint.ca.v1 import resources_pb2
from certmint.ca.v1.certificate_authority_service_pb2_grpc import CertificateAuthorityServiceServicer
from certmint_server.clock import Clock
from certmint_server.errors import CRLNotFoundError, CRLTooLargeError, FieldInvalidError
from certmint_server.issuance.csr import MAXIMUM_BYTES
from certmint_server.issuance.decision import CertificateToIssue
from certmint_server.issuance.profile import StoredProfile
from certmint_server.issuance.profiles import Profiles
from certmint_server.issuance.request import DEFAULT_PROFILE, SignRequest
from certmint_server.issuance.service import IssuanceService, Issued
from certmint_server.issuers.issuer import Issuer, Issuers, IssuerState
from certmint_server.registry.certificate import RevocationReason, parse_serial_hex, serial_hex
from certmint_server.revocation.crls import CRLs, PublishedCRL
from certmint_server.revocation.service import RevocationService
from certmint_server.rpc import wire
from certmint_server.rpc.bursts import Bursts
from certmint_server.rpc.call import current_caller, log_serial
from certmint_server.rpc.verification import verdict_message, verification_request
from certmint_server.verification.service import VerificationService
from certmint_server.version import VERSION

# grpc refuses to receive more than 4 MiB by default; what stands around the CRL in the message is far below 64 KiB.
MAXIMUM_CRL_BYTES = 4 * 1024 * 1024 - 64 * 1024

Context = grpc.aio.ServicerContext[Any, Any]


class CertificateAuthorityServicer(CertificateAuthorityServiceServicer):
    """Certificates for services."""

    def __init__(
        self,
        *,
        issuance: IssuanceService,
        revocation: RevocationService,
        crls: CRLs,
        verification: VerificationService,
        issuers: Issuers,
        profiles: Profiles,
        clock: Clock,
    ) -> None:
        self._bursts = Bursts()
        self._issuance = issuance
        self._revocation = revocation
        self._crls = crls
        self._verification = verification
        self._issuers = issuers
        self._profiles = profiles
        self._clock = clock

    async def SignCSR(self, request: pb.SignCSRRequest, context: Context) -> pb.SignCSRResponse:
        """Issues a certificate."""
        async with self._bursts:
            wanted = _sign_request(request)
            if request.validate_only:
                return self._validated(await self._issuance.validate(current_caller(), wanted))
            issued = await self._issuance.sign_csr(current_caller(), wanted)
            log_serial(serial_hex(issued.certificate.serial))
            return self._issued(issued)

    async def Revoke(self, request: pb.RevokeRequest, context: Context) -> pb.RevokeResponse:
        """Revokes a certificate."""
        reason = wire.number(RevocationReason, request.reason, field="reason")
        caller = current_caller()
        match request.WhichOneof("target"):
            case "certificate_der":
                revoked = await self._revocation.revoke_der(caller, request.certificate_der, reason)
            case "issuer_and_serial":
                target = request.issuer_and_serial
                serial = parse_serial_hex(target.serial_hex, field_name="issuer_and_serial.serial_hex")
                revoked = await self._revocation.revoke(caller, target.issuer_id, serial, reason)
            case _:
                raise FieldInvalidError("Name a certificate, or its issuer and serial.", field="target")
        log_serial(serial_hex(revoked.certificate.serial))
        return pb.RevokeResponse(
            certificate=wire.certificate_message(revoked.certificate, self._clock.now(), with_der=True),
            published_by=wire.timestamp(self._revocation.published_by()),
            key_blocked=revoked.key_blocked,
        )

    async def GetCRL(self, request: pb.GetCRLRequest, context: Context) -> pb.GetCRLResponse:
        """The current CRL."""
        issuer = self._issuers.get(request.issuer_id)
        crl = await self._crls.current(issuer.issuer_id, _shard(issuer, request.shard))
        url = issuer.crl_url(crl.shard)
        not_modified = request.if_newer_than > 0 and crl.crl_number <= request.if_newer_than
        if not not_modified and len(crl.crl_der) > MAXIMUM_CRL_BYTES:
            raise CRLTooLargeError(f"This CRL is larger than a message may be. Fetch it from {url}.")
        return pb.GetCRLResponse(crl=_crl_message(crl, url, with_der=not not_modified), not_modified=not_modified)

    async def VerifyChain(
        self,
        request: pb.VerifyChainRequest,
        context: Context,
    ) -> pb.VerifyChainResponse:
        """Path, names, purpose and revocation of a chain in one verdict."""
        return verdict_message(await self._verification.verify(verification_request(request)))

    async def GetConfiguration(
        self,
        request: pb.GetConfigurationRequest,
        context: Context,
    ) -> pb.GetConfigurationResponse:
        """What this caller may ask for."""
        caller = current_caller()
        return pb.GetConfigurationResponse(
            identity=caller.identity,
            trust_domain=self._issuers.authority.trust_domain,
            roles=wire.role_numbers(caller.roles),
            dns_names=caller.grant.dns_names,
            ip_addresses=caller.grant.ip_addresses,
            profiles=[wire.profile_message(profile) for profile in await self._granted(caller.grant.profiles)],
            issuers=[
                wire.issuer_message(issuer)
                for issuer in sorted(self._issuers, key=lambda issuer: issuer.state is not IssuerState.ACTIVE)
            ],
            server_version=VERSION,
            server_time=wire.timestamp(self._clock.now()),
            maximum_csr_bytes=MAXIMUM_BYTES,
            crl_publication_bound=wire.duration(self._revocation.publication_bound),
        )

    async def _granted(self, names: Sequence[str]) -> Sequence[StoredProfile]:
        """Those that are granted and applied: a registration may name a profile that is still to come."""
        return [profile for profile in await self._profiles.list() if profile.config.name in names]

    def _issued(self, issued: Issued) -> pb.SignCSRResponse:
        return pb.SignCSRResponse(
            certificate=wire.certificate_message(issued.certificate, self._clock.now(), with_der=True),
            chain_der=issued.chain_der,
            trust_bundle_sequence=issued.trust_bundle_sequence,
            renew_after=wire.timestamp(issued.renew_after),
            renew_before=wire.timestamp(issued.renew_before),
            limited_by_issuer=issued.limited_by_issuer,
        )

    def _validated(self, wanted: CertificateToIssue) -> pb.SignCSRResponse:
        renew_after, renew_before = wanted.profile.renewal_window(self._clock.now(), wanted.not_after)
        return pb.SignCSRResponse(
            certificate=resources_pb2.Certificate(
                issuer_id=wanted.issuer.issuer_id,
                identity=wanted.identity,
                dns_names=wanted.dns_names,
                ip_addresses=wanted.ip_addresses,
                profile=wanted.profile.name,
                profile_version=wanted.profile.version,
                not_before=wire.timestamp(wanted.not_before),
                not_after=wire.timestamp(wanted.not_after),
                spki_sha256=wanted.spki_sha256.hex(),
                crl_shard=wanted.crl_shard,
                requested_by=current_caller().identity,
            ),
            trust_bundle_sequence=self._issuers.authority.trust_bundle_sequence,
            renew_after=wire.timestamp(renew_after),
            renew_before=wire.timestamp(renew_before),
            limited_by_issuer=wanted.limited_by_issuer,
        )


def _sign_request(request: pb.SignCSRRequest) -> SignRequest:
    lifetime = wire.length_of_time(request.lifetime, field="lifetime") if request.HasField("lifetime") else None
    return SignRequest(
        csr_der=request.csr_der,
        profile=wire.text(request.profile, field="profile") or DEFAULT_PROFILE,
        lifetime=lifetime,
        request_id=wire.request_id(request.request_id),
        labels=wire.labels(request.labels.items()),
        identity=wire.text(request.identity, field="identity"),
    )


def _shard(issuer: Issuer, shard: int) -> int:
    if shard > issuer.crl_shard_count:
        raise CRLNotFoundError(f"This issuer has CRL shards from 1 to {issuer.crl_shard_count}.", field="shard")
    return shard or 1


def _crl_message(crl: PublishedCRL, url: str, *, with_der: bool) -> resources_pb2.CertificateRevocationList:
    return resources_pb2.CertificateRevocationList(
        issuer_id=crl.issuer_id,
        shard=crl.shard,
        crl_number=crl.crl_number,
        this_update=wire.timestamp(crl.this_update),
        next_update=wire.timestamp(crl.next_update),
        crl_der=crl.crl_der if with_der else b"",
        sha256=crl.sha256.hex(),
        entry_count=crl.entry_count,
        url=url,
    )
