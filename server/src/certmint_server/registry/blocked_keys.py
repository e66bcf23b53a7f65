"""Keys that are never certified again."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Protocol

from certmint_server.clock import Clock
from certmint_server.registry.freshness import FreshCache

# A block that committed late carries an older time than one already read; looking back this far finds it.
_OVERLAP = timedelta(minutes=5)


class BlockedKeyStore(Protocol):
    """Where blocked keys are kept."""

    async def blocked_keys_since(self, moment: datetime) -> Sequence[tuple[bytes, datetime]]:
        """(SHA-256 of the SPKI, when it was blocked) of all blocked at or after `moment`."""
        ...


class BlockedKeys:
    """The blocked keys, in memory, not older than `bound` seconds.

    The transaction that records a certificate looks again, so a key blocked in the meantime gets none.
    """

    def __init__(self, store: BlockedKeyStore, clock: Clock, *, bound: float) -> None:
        self._store = store
        self._clock = clock
        self._blocked: dict[bytes, datetime] = {}
        self._read_until = datetime.fromtimestamp(0, tz=clock.now().tzinfo) + _OVERLAP
        self._fresh = FreshCache(self._read, bound=bound)

    async def is_blocked(self, spki_sha256: bytes) -> bool:
        """Whether the key is blocked."""
        return await self.blocked_at(spki_sha256) is not None

    async def blocked_at(self, spki_sha256: bytes) -> datetime | None:
        """When the key was blocked, if it is."""
        return self._blocked.get(spki_sha256) or (await self._fresh.get("all")).get(spki_sha256)

    def forget(self) -> None:
        """Read afresh at the next question."""
        self._fresh.forget("all")

    async def _read(self, _key: str) -> Mapping[bytes, datetime]:
        now = self._clock.now()
        for spki_sha256, blocked_at in await self._store.blocked_keys_since(self._read_until - _OVERLAP):
            self._blocked[spki_sha256] = blocked_at
        self._read_until = now
        return self._blocked
