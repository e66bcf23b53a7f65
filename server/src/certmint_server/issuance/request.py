"""What a caller asks for."""

import hashlib
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

DEFAULT_PROFILE = "service"


@dataclass(frozen=True, slots=True)
class SignRequest:
    """A request for a certificate. `identity` is empty for the caller's own, `labels` are sorted by key."""

    csr_der: bytes
    profile: str = DEFAULT_PROFILE
    lifetime: timedelta | None = None
    request_id: UUID | None = None
    labels: tuple[tuple[str, str], ...] = ()
    identity: str = ""

    def sha256(self) -> bytes:
        """What makes two requests the same: all of it but the request id, each value led by its length."""
        lifetime = "" if self.lifetime is None else str(self.lifetime // timedelta(microseconds=1))
        values = [self.csr_der, self.profile.encode(), lifetime.encode(), self.identity.encode()]
        values += [text.encode() for label in self.labels for text in label]
        digest = hashlib.sha256()
        for value in values:
            digest.update(len(value).to_bytes(4, "big") + value)
        return digest.digest()
