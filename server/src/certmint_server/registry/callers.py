"""Who is calling: a certificate of the registry, whose identity is registered."""

from dataclasses import dataclass
from datetime import datetime

from certmint_server.clock import Clock
from certmint_server.errors import (
    CallerDisabledError,
    CallerExpiredError,
    CallerNotRegisteredError,
    CallerRevokedError,
    CallerUnknownError,
)
from certmint_server.registry.blocked_keys import BlockedKeys
from certmint_server.registry.certificate import CertificateRecord
from certmint_server.registry.certificates import CertificateStore
from certmint_server.registry.freshness import FreshCache
from certmint_server.registry.registration import Grant, Role
from certmint_server.registry.registrations import Registrations


@dataclass(frozen=True, slots=True)
class PresentedCertificate:
    """What a connection shows: enough to find it in the registry and to compare it with what stands there."""

    issuer_id: str
    serial: int
    not_before: datetime
    not_after: datetime
    sha256: bytes


@dataclass(frozen=True, slots=True)
class Caller:
    """An authenticated caller and what its registration grants. The host itself calls without a certificate."""

    certificate: CertificateRecord | None
    grant: Grant

    @property
    def identity(self) -> str:
        """Its SPIFFE ID."""
        return self.grant.identity

    @property
    def roles(self) -> frozenset[Role]:
        """What it may do."""
        return self.grant.roles

    @property
    def sees_all(self) -> bool:
        """Whether it may read what belongs to others."""
        return not self.roles.isdisjoint({Role.AUDITOR, Role.OPERATOR})


class Callers:
    """Authenticates callers at every call; what the registry says of them is never older than `bound` seconds."""

    def __init__(
        self,
        certificates: CertificateStore,
        registrations: Registrations,
        blocked_keys: BlockedKeys,
        clock: Clock,
        *,
        bound: float,
    ) -> None:
        self._certificates = certificates
        self._registrations = registrations
        self._blocked_keys = blocked_keys
        self._clock = clock
        self._fresh = FreshCache(self._load, bound=bound)

    async def authenticate(self, presented: PresentedCertificate) -> Caller:
        """The caller.

        The identity is the one that the registry wrote down at issuance, not one that is read from the certificate.

        Raises:
            AuthenticationError: the certificate is out of date, revoked or not one of the registry, or its identity
                is not registered or disabled.
            StoreUnavailableError: the registry cannot be asked: whoever cannot be checked is not let in.
        """
        if not presented.not_before <= self._clock.now() <= presented.not_after:
            raise CallerExpiredError(
                f"Your certificate is valid from {presented.not_before:%Y-%m-%dT%H:%M:%SZ} to "
                f"{presented.not_after:%Y-%m-%dT%H:%M:%SZ}. Get a new one."
            )
        certificate = await self._fresh.get((presented.issuer_id, presented.serial))
        if certificate is None or certificate.sha256 != presented.sha256:
            raise CallerUnknownError("The registry does not know your certificate. Ask an operator to enroll you.")
        if certificate.revocation:
            raise CallerRevokedError("Your certificate is revoked. Ask an operator to enroll you anew.")
        if await self._blocked_keys.is_blocked(certificate.spki_sha256):
            raise CallerRevokedError("Your key was reported as compromised. Ask an operator to enroll you anew.")
        registration = await self._registrations.find(certificate.identity)
        # Whoever had the name before it was deleted and given to another must not come back with it.
        if registration is None or certificate.issued_at < registration.created_at:
            raise CallerNotRegisteredError("Your identity is not registered. Ask an operator to register it.")
        if registration.grant.disabled:
            raise CallerDisabledError("Your registration is disabled. Ask an operator.")
        return Caller(certificate, registration.grant)

    def forget(self, issuer_id: str, serial: int) -> None:
        """Ask the registry at the next call: something changed."""
        self._fresh.forget((issuer_id, serial))

    async def _load(self, key: tuple[str, int]) -> CertificateRecord | None:
        return await self._certificates.get_certificate(*key)
