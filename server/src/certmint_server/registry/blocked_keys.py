"""Keys that are never certified again."""

from collections.abc import Sequence
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
        self._spki_sha256s: set[bytes] = set()
        self._read_until = datetime.fromtimestamp(0, tz=clock.now().tzinfo) + _OVERLAP
        self._fresh = FreshCache(self._read, bound=bound)

    async def is_blocked(self, spki_sha256: bytes) -> bool:
        """Whether the key is blocked."""
        return spki_sha256 in self._spki_sha256s or spki_sha256 in await self._fresh.get("all")

    def forget(self) -> None:
        """Read afresh at the next question."""
        self._fresh.forget("all")

    async def _read(self, _key: str) -> set[bytes]:
        now = self._clock.now()
        for spki_sha256, _blocked_at in await self._store.blocked_keys_since(self._read_until - _OVERLAP):
            self._spki_sha256s.add(spki_sha256)
        self._read_until = now
        return self._spki_sha256s
