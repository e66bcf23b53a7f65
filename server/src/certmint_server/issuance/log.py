"""What is written down before a certificate leaves."""

from dataclasses import dataclass
from typing import Protocol
from uuid import UUID

from certmint_server.registry.certificate import CertificateRecord


@dataclass(frozen=True, slots=True)
class RequestKey:
    """What makes issuance repeatable: who asks, the id it chose, and the SHA-256 of what it asked for."""

    requester: str
    request_id: UUID
    request_sha256: bytes


@dataclass(frozen=True, slots=True)
class Issuance:
    """A signed certificate to be recorded, and the request it answers if that can be repeated."""

    certificate: CertificateRecord
    request: RequestKey | None


@dataclass(frozen=True, slots=True)
class Recorded:
    """What the registry holds now: the certificate given, or the one that an earlier call got for the same request."""

    certificate: CertificateRecord
    replayed: bool


class RequestStore(Protocol):
    """Where the requests of earlier calls are read."""

    async def request_sha256(self, requester: str, request_id: UUID) -> bytes | None:
        """The SHA-256 of what the requester asked for with this id, if it did."""
        ...


class CertificateLog(Protocol):
    """Where certificates are recorded."""

    async def record(self, issuance: Issuance) -> Recorded:
        """Writes request id, certificate, names and audit event in one transaction, and returns once it is durable.

        Raises:
            RequestIdReusedError: the request id was used with another request.
            KeyBlockedError: the key was blocked.
            StoreUnavailableError: it could not be made durable; whether it was is then unknown, and repeating the
                call with its request id is safe.
        """
        ...
