"""Revoke: one certificate, for good."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from cryptography import x509

from certmint_server.clock import Clock, whole_seconds
from certmint_server.errors import (
    CertificateMalformedError,
    CertificateNotFoundError,
    IdentityNotAllowedError,
    RevocationReasonNotAllowedError,
)
from certmint_server.issuers.issuer import Issuers
from certmint_server.registry.blocked_keys import BlockedKeys
from certmint_server.registry.callers import Caller, Callers
from certmint_server.registry.certificate import CertificateRecord, RevocationReason, is_serial
from certmint_server.registry.certificates import CertificateStore
from certmint_server.registry.registration import Role
from certmint_server.unreadable import UNREADABLE

_REFUSED_REASONS = frozenset(
    {RevocationReason.CERTIFICATE_HOLD, RevocationReason.REMOVE_FROM_CRL, RevocationReason.AA_COMPROMISE}
)
MAXIMUM_CERTIFICATE_BYTES = 64 * 1024


@dataclass(frozen=True, slots=True)
class RevocationOrder:
    """What is to be written down in one transaction."""

    issuer_id: str
    serial: int
    reason: RevocationReason
    revoked_at: datetime
    block_key: bool
    actor: str


@dataclass(frozen=True, slots=True)
class Revoked:
    """The certificate with its revocation as it is stored, and whether its key is blocked."""

    certificate: CertificateRecord
    key_blocked: bool


class RevocationLog(Protocol):
    """Where revocations are written."""

    async def revoke(self, order: RevocationOrder) -> Revoked | None:
        """Revokes, durably; None if there is no such certificate.

        A stored revocation stays as it is, but for an upgrade to KEY_COMPROMISE, which keeps its date. Its
        `crl_number` is one above the largest number claimed for the shard. With `block_key` the key is blocked,
        whether or not the certificate was revoked before. The audit event is written in the same transaction.
        """
        ...


class RevocationService:
    """Revokes certificates: a caller's own, and any for an operator."""

    def __init__(
        self,
        *,
        log: RevocationLog,
        certificates: CertificateStore,
        issuers: Issuers,
        callers: Callers,
        blocked_keys: BlockedKeys,
        clock: Clock,
        publication_bound: timedelta,
        on_revoked: Callable[[], None],
    ) -> None:
        self._log = log
        self._certificates = certificates
        self._issuers = issuers
        self._callers = callers
        self._blocked_keys = blocked_keys
        self._clock = clock
        self.publication_bound = publication_bound
        self._on_revoked = on_revoked

    async def revoke_der(self, caller: Caller, certificate_der: bytes, reason: RevocationReason) -> Revoked:
        """Revokes the certificate that these bytes are.

        Raises:
            CertificateMalformedError: they are not a certificate.
            Everything that `revoke` raises.
        """
        certificate = _parse(certificate_der)
        issuer = self._issuers.of_certificate(certificate)
        if issuer is None or not is_serial(certificate.serial_number):
            raise _not_found()
        stored = await self._certificates.get_certificate(issuer.issuer_id, certificate.serial_number)
        if stored is None or stored.certificate_der != certificate_der:
            raise _not_found()
        return await self._revoke(caller, stored, reason)

    async def revoke(self, caller: Caller, issuer_id: str, serial: int, reason: RevocationReason) -> Revoked:
        """Revokes the certificate of this issuer and serial.

        Raises:
            RevocationReasonNotAllowedError: the reason is not one for a final revocation of a certificate.
            CertificateNotFoundError: there is none, or the caller may not know of it.
            IdentityNotAllowedError: the caller may see it, but not revoke it.
        """
        stored = await self._certificates.get_certificate(self._issuers.get(issuer_id).issuer_id, serial)
        if stored is None:
            raise _not_found()
        return await self._revoke(caller, stored, reason)

    def published_by(self) -> datetime:
        """By when a CRL with what was just stored is published.

        Not counted from the date of the revocation: an upgrade keeps it, and is in a later CRL.
        """
        return self._clock.now() + self.publication_bound

    async def _revoke(self, caller: Caller, stored: CertificateRecord, reason: RevocationReason) -> Revoked:
        if reason in _REFUSED_REASONS:
            raise RevocationReasonNotAllowedError(
                "A revocation is final and of a certificate: this reason is not one for it.", field="reason"
            )
        is_operator = Role.OPERATOR in caller.roles
        if caller.identity != stored.identity and not is_operator:
            if Role.AUDITOR in caller.roles:
                raise IdentityNotAllowedError("Only its holder or an operator revokes a certificate.")
            raise _not_found()
        holds_key = caller.certificate is not None and caller.certificate.spki_sha256 == stored.spki_sha256
        order = RevocationOrder(
            issuer_id=stored.issuer_id,
            serial=stored.serial,
            reason=reason,
            revoked_at=whole_seconds(self._clock.now()),
            block_key=reason is RevocationReason.KEY_COMPROMISE and (is_operator or holds_key),
            actor=caller.identity,
        )
        revoked = await self._log.revoke(order)
        if revoked is None:
            raise _not_found()
        self._callers.forget(stored.issuer_id, stored.serial)
        self._blocked_keys.forget()
        self._on_revoked()
        return revoked


def _parse(certificate_der: bytes) -> x509.Certificate:
    if len(certificate_der) > MAXIMUM_CERTIFICATE_BYTES:
        raise CertificateMalformedError("A certificate here has at most 64 KiB.", field="certificate_der")
    try:
        return x509.load_der_x509_certificate(certificate_der)
    except UNREADABLE as error:
        raise CertificateMalformedError("Not a DER certificate.", field="certificate_der") from error


def _not_found() -> CertificateNotFoundError:
    return CertificateNotFoundError("There is no such certificate, or it is not yours.")
