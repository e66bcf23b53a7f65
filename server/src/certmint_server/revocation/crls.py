"""CRLs as they are kept and served. Shards count from 1."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Protocol

from certmint_server.audit import Event
from certmint_server.errors import CRLNotFoundError
from certmint_server.registry.certificate import RevocationReason


@dataclass(frozen=True, slots=True)
class CRLEntry:
    """One revoked certificate."""

    serial: int
    revoked_at: datetime
    reason: RevocationReason


@dataclass(frozen=True)
class PublishedCRL:
    """A signed CRL. Times are UTC, in whole seconds."""

    issuer_id: str
    shard: int
    crl_number: int
    this_update: datetime
    next_update: datetime
    entry_count: int
    crl_der: bytes

    @cached_property
    def sha256(self) -> bytes:
        """SHA-256 of its DER."""
        return hashlib.sha256(self.crl_der).digest()


@dataclass(frozen=True, slots=True)
class ShardState:
    """Where a shard stands. A number of zero means never.

    `claimed_number` is the largest number ever claimed; `carried_number` the largest that a revocation was promised
    (every CRL from there on carries it): while it is above `published_number`, a CRL is due.
    """

    issuer_id: str
    shard: int
    claimed_number: int
    carried_number: int
    published_number: int
    this_update: datetime | None
    next_update: datetime | None


@dataclass(frozen=True, slots=True)
class Claim:
    """The right to publish CRL `crl_number`, and what it must carry."""

    crl_number: int
    this_update: datetime
    entries: Sequence[CRLEntry]


class CRLStore(Protocol):
    """Where CRLs and their numbers are kept."""

    async def list_shards(self) -> Sequence[ShardState]:
        """All shards of all issuers."""
        ...

    async def get_shard(self, issuer_id: str, shard: int) -> ShardState | None:
        """One shard, if there is one."""
        ...

    async def claim_crl(
        self, state: ShardState, *, now: datetime, lease_until: datetime, carry_from: datetime
    ) -> Claim | None:
        """Claims the next number, durably, then reads the entries; None while another server holds the lease.

        None too if the shard was claimed since `state` was read. The number is max(claimed_number + 1, milliseconds
        since the epoch), and this_update never decreases. Every revocation that was promised this number or a smaller
        one is among the entries; one that commits later is promised a larger number. Certificates that expired before
        `carry_from` are left out.
        """
        ...

    async def publish_crl(self, crl: PublishedCRL, *, event: Event | None = None) -> bool:
        """Makes it current and ends the lease; False if a larger number is published or this_update is older.

        `event` is written down with it: a ceremony is an act, the daily publication is not.
        """
        ...

    async def current_crl(self, issuer_id: str, shard: int) -> PublishedCRL | None:
        """The current CRL of a shard, if one was published."""
        ...


class CRLs:
    """Reads the current CRLs; bytes that have not changed are kept, so a read costs one look-up of a number."""

    def __init__(self, store: CRLStore) -> None:
        self._store = store
        self._kept: dict[tuple[str, int], PublishedCRL] = {}

    async def current(self, issuer_id: str, shard: int) -> PublishedCRL:
        """The current CRL.

        Raises:
            CRLNotFoundError: there is no such shard, or nothing was published yet.
        """
        state = await self._store.get_shard(issuer_id, shard)
        kept = self._kept.get((issuer_id, shard))
        if state and kept and kept.crl_number == state.published_number:
            return kept
        crl = await self._store.current_crl(issuer_id, shard) if state else None
        if crl is None:
            raise CRLNotFoundError("There is no such CRL. Shards count from 1.", field="shard")
        self._kept[issuer_id, shard] = crl
        return crl
