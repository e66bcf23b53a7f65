"""SignCSR: the life of a certificate, from the request to the answer."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from certmint_server.clock import Clock, whole_seconds
from certmint_server.errors import (
    IssuerNotActiveError,
    KeyBlockedError,
    KeyTypeNotAllowedError,
    LifetimeNotAllowedError,
    NameInvalidError,
    RegistrationNotFoundError,
    RequestIdReusedError,
)
from certmint_server.issuance.certificate import SignedCertificate, prepare
from certmint_server.issuance.csr import ParsedCSR, parse_csr
from certmint_server.issuance.decision import CertificateToIssue
from certmint_server.issuance.log import CertificateLog, Issuance, RequestKey, RequestStore
from certmint_server.issuance.profile import Profile
from certmint_server.issuance.profiles import Profiles
from certmint_server.issuance.request import SignRequest
from certmint_server.issuance.serial import new_serial
from certmint_server.issuers.issuer import Issuer, Issuers, IssuerTrust
from certmint_server.registry.authorization import (
    authorize_identity,
    authorize_issuance_for,
    authorize_names,
    authorize_profile,
)
from certmint_server.registry.blocked_keys import BlockedKeys
from certmint_server.registry.callers import Caller
from certmint_server.registry.certificate import CertificateRecord, SubjectNames
from certmint_server.registry.registration import Grant
from certmint_server.registry.registrations import Registrations

_ONE_SECOND = timedelta(seconds=1)
_FIRST_SHARD = 1


@dataclass(frozen=True, slots=True)
class Issued:
    """The answer to SignCSR. It exists only once its certificate is recorded."""

    certificate: CertificateRecord
    chain_der: tuple[bytes, ...]
    trust_bundle_sequence: int
    renew_after: datetime
    renew_before: datetime
    limited_by_issuer: bool


class IssuanceService:
    """Issues certificates to registered identities."""

    def __init__(
        self,
        *,
        log: CertificateLog,
        requests: RequestStore,
        issuers: Issuers,
        issuer_trust: IssuerTrust,
        profiles: Profiles,
        registrations: Registrations,
        blocked_keys: BlockedKeys,
        clock: Clock,
    ) -> None:
        self._log = log
        self._requests = requests
        self._issuers = issuers
        self._issuer_trust = issuer_trust
        self._profiles = profiles
        self._registrations = registrations
        self._blocked_keys = blocked_keys
        self._clock = clock

    async def sign_csr(self, caller: Caller, request: SignRequest) -> Issued:
        """Issues a certificate, or gives the one that this request got before.

        Raises:
            CertmintError: the request is refused; nothing was signed or changed.
            LintError: what we were about to sign was not what we had decided: a bug, nothing is handed out.
        """
        # Steps 1 to 3: read and refuse, authorize, decide. Nothing was signed yet.
        wanted = await self.decide(caller, request)

        # Step 4 and 5: lint the very bytes that are signed, then sign them. Step 6: read them again.
        prepared = prepare(wanted, new_serial(self._clock.now()), self._issuers.signer(wanted.issuer))
        signed = prepared.sign()

        # Step 7: write it down, with the request id, durably. Until then nobody has it: a crash loses nothing.
        recorded = await self._log.record(_issuance(caller, request, signed))

        # Step 8: answer, from what the registry holds: for a repeated request the certificate of the first.
        return self._issued(recorded.certificate, wanted.profile)

    async def validate(self, caller: Caller, request: SignRequest) -> CertificateToIssue:
        """What `sign_csr` would issue; it does everything but serial and signature, and changes nothing.

        Raises:
            CertmintError: `sign_csr` would be refused.
        """
        key = _request_key(caller, request)
        if key:
            earlier = await self._requests.request_sha256(key.requester, key.request_id)
            if earlier not in (None, key.request_sha256):
                raise RequestIdReusedError("This request id was used with another request.", field="request_id")
        return await self.decide(caller, request)

    async def decide(self, caller: Caller, request: SignRequest) -> CertificateToIssue:
        """The whole certificate but its serial, for a request that is granted.

        Raises:
            CertmintError: the request is refused.
        """
        # Step 1: read the request, and refuse what would never be signed, whoever asks.
        csr = parse_csr(request.csr_der)
        if await self._blocked_keys.is_blocked(csr.spki_sha256):
            raise KeyBlockedError("This key was reported as compromised. Make a new one.", field="csr_der")

        # Step 2: authorize the identity, the profile, the kind of key and every name.
        grant = await self._grant(authorize_identity(caller, request.identity))
        authorize_issuance_for(caller, grant)
        authorize_profile(grant, request.profile)
        profile = await self._profiles.current(request.profile)
        _verify_key_type(csr, profile)
        authorize_names(grant, dns_names=csr.dns_names, ip_addresses=csr.ip_addresses, uris=csr.uris)

        # Step 3: decide the whole certificate, by an issuer that is still trusted.
        issuer = self._issuers.active()
        await self._issuer_trust.verify(issuer)
        return self._decide(csr, grant, profile, issuer, request.lifetime)

    async def _grant(self, identity: str) -> Grant:
        registration = await self._registrations.find(identity)
        if registration is None:
            raise RegistrationNotFoundError("This identity is not registered.", field="identity")
        return registration.grant

    def _decide(
        self, csr: ParsedCSR, grant: Grant, profile: Profile, issuer: Issuer, lifetime: timedelta | None
    ) -> CertificateToIssue:
        not_before, not_after = _validity(self._clock.now(), lifetime, profile, issuer)
        wanted = CertificateToIssue(
            issuer=issuer,
            profile=profile,
            public_key=csr.public_key,
            spki_der=csr.spki_der,
            spki_sha256=csr.spki_sha256,
            identity=grant.identity,
            dns_names=csr.dns_names if csr.asks_for_names else grant.dns_names,
            ip_addresses=csr.ip_addresses,
            not_before=not_before,
            not_after=not_after,
            crl_shard=_FIRST_SHARD,
            limited_by_issuer=not_after == issuer.not_after,
        )
        if not (wanted.dns_names or wanted.ip_addresses or wanted.uris):
            raise NameInvalidError("Nothing to certify: the profile leaves the identity out, and there is no name.")
        return wanted

    def _issued(self, certificate: CertificateRecord, profile: Profile) -> Issued:
        issuer = self._issuers.get(certificate.issuer_id)
        renew_after, renew_before = profile.renewal_window(certificate.issued_at, certificate.not_after)
        return Issued(
            certificate=certificate,
            chain_der=(certificate.certificate_der, *self._issuers.chain_der(issuer)),
            trust_bundle_sequence=self._issuers.authority.trust_bundle_sequence,
            renew_after=renew_after,
            renew_before=renew_before,
            limited_by_issuer=certificate.not_after == issuer.not_after,
        )


def _verify_key_type(csr: ParsedCSR, profile: Profile) -> None:
    if csr.key_type not in profile.key_types:
        accepted = ", ".join(key_type.title for key_type in sorted(profile.key_types))
        raise KeyTypeNotAllowedError(f"The profile {profile.name} accepts keys of type {accepted}.", field="csr_der")


def _validity(now: datetime, lifetime: timedelta | None, profile: Profile, issuer: Issuer) -> tuple[datetime, datetime]:
    """Both ends, inclusive (RFC 5280 section 4.1.2.5): valid for exactly `lifetime` from now on, and the backdate."""
    config = profile.config
    lifetime = config.default_lifetime if lifetime is None else lifetime
    if not _ONE_SECOND <= lifetime <= config.maximum_lifetime or lifetime % _ONE_SECOND:
        raise LifetimeNotAllowedError(
            f"The profile {profile.name} allows whole seconds from 1 to "
            f"{int(config.maximum_lifetime.total_seconds())}.",
            field="lifetime",
        )
    start = whole_seconds(now)
    if not issuer.certificate.not_valid_before_utc <= start <= issuer.not_after:
        raise IssuerNotActiveError("The issuer's certificate is out of date. Ask an operator to rotate it.")
    not_before = max(start - config.backdate, issuer.certificate.not_valid_before_utc)
    return not_before, min(start + lifetime - _ONE_SECOND, issuer.not_after)


def _issuance(caller: Caller, request: SignRequest, signed: SignedCertificate) -> Issuance:
    wanted = signed.wanted
    record = CertificateRecord(
        issuer_id=wanted.issuer.issuer_id,
        serial=signed.serial,
        identity=wanted.identity,
        profile=wanted.profile.name,
        profile_version=wanted.profile.version,
        not_before=wanted.not_before,
        not_after=wanted.not_after,
        spki_sha256=wanted.spki_sha256,
        crl_shard=wanted.crl_shard,
        requested_by=caller.identity,
        certificate_der=signed.certificate_der,
        labels=dict(request.labels),
        known_names=SubjectNames(wanted.dns_names, wanted.ip_addresses),
    )
    return Issuance(record, _request_key(caller, request))


def _request_key(caller: Caller, request: SignRequest) -> RequestKey | None:
    if request.request_id is None:
        return None
    return RequestKey(caller.identity, request.request_id, request.sha256())
