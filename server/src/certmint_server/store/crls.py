"""CRLs, their numbers, and the lease that keeps two servers from making the same one."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, Select, and_, case, delete, insert, or_, select, update

from certmint_server.audit import Event
from certmint_server.clock import whole_seconds
from certmint_server.registry.certificate import RevocationReason
from certmint_server.revocation.crls import Claim, CRLEntry, PublishedCRL, ShardState
from certmint_server.store.events import add_event
from certmint_server.store.reader import Reader
from certmint_server.store.rows import IssuerKeys
from certmint_server.store.schema import certificate, crl_shard
from certmint_server.store.schema import crl as crl_table
from certmint_server.store.schema import issuer as issuer_table
from certmint_server.store.writer import Writer

_EPOCH = datetime.fromtimestamp(0, UTC)
_shard = crl_shard.c


class SQLCRLStore:
    """`CRLStore`."""

    def __init__(self, reader: Reader, writer: Writer, issuer_keys: IssuerKeys) -> None:
        self._reader = reader
        self._writer = writer
        self._issuer_keys = issuer_keys

    async def list_shards(self) -> Sequence[ShardState]:
        """All shards of all issuers."""
        query = _select_shards().order_by(_shard.issuer_key, _shard.shard)
        return await self._reader.run(lambda connection: [_state(row) for row in connection.execute(query)])

    async def get_shard(self, issuer_id: str, shard: int) -> ShardState | None:
        """One shard, if there is one."""
        query = _select_shards().where(issuer_table.c.issuer_id == issuer_id, _shard.shard == shard)
        row = await self._reader.run(lambda connection: connection.execute(query).one_or_none())
        return None if row is None else _state(row)

    async def claim_crl(
        self, state: ShardState, *, now: datetime, lease_until: datetime, carry_from: datetime
    ) -> Claim | None:
        """Claims the next number and reads the entries: see `CRLStore.claim_crl`.

        They are read after the claim is committed: what was promised the number was committed before it. So a long
        CRL does not keep the writer from issuing.
        """
        claimed = await self._writer.run(lambda connection: self._claim(connection, state, now, lease_until))
        if claimed is None:
            return None
        query = (
            select(certificate.c.serial, certificate.c.revoked_at, certificate.c.revocation_reason)
            .where(
                certificate.c.issuer_key == claimed.issuer_key,
                certificate.c.crl_shard == state.shard,
                certificate.c.revoked_at.is_not(None),
                certificate.c.not_after >= carry_from,
            )
            .order_by(certificate.c.serial)
        )
        entries = await self._reader.run(lambda connection: [_entry(row) for row in connection.execute(query)])
        this_update = max(whole_seconds(now), claimed.this_update or _EPOCH)
        return Claim(claimed.claimed_number, this_update, entries)

    async def publish_crl(self, crl: PublishedCRL, *, event: Event | None = None) -> bool:
        """Makes it the current one and ends the lease; False if a larger number is published or this_update is older.

        A number that was never claimed, as that of a root's CRL, counts as claimed from here on.
        """
        return await self._writer.run(lambda connection: self._publish(connection, crl, event))

    async def current_crl(self, issuer_id: str, shard: int) -> PublishedCRL | None:
        """The current CRL of a shard, if one was published."""
        query = (
            select(crl_shard, crl_table.c.entry_count, crl_table.c.crl_der)
            .join(crl_table, _is_shard(crl_table.c.issuer_key, crl_table.c.shard))
            .join(issuer_table, issuer_table.c.issuer_key == _shard.issuer_key)
            .where(issuer_table.c.issuer_id == issuer_id, _shard.shard == shard)
        )
        row = await self._reader.run(lambda connection: connection.execute(query).one_or_none())
        return None if row is None else _published(row, issuer_id)

    def _claim(
        self, connection: Connection, state: ShardState, now: datetime, lease_until: datetime
    ) -> Row[Any] | None:
        milliseconds = (now - _EPOCH) // timedelta(milliseconds=1)
        following = _shard.claimed_number + 1
        statement = (
            update(crl_shard)
            .where(
                _is_shard(self._issuer_keys.find(connection, state.issuer_id), state.shard),
                _shard.claimed_number == state.claimed_number,
                # A lease that ends later than one can was taken by a clock that was ahead.
                or_(_shard.lease_until.is_(None), _shard.lease_until <= now, _shard.lease_until > lease_until),
            )
            .values(
                claimed_number=case((following > milliseconds, following), else_=milliseconds),
                lease_until=lease_until,
            )
            .returning(_shard.issuer_key, _shard.claimed_number, _shard.this_update)
        )
        return connection.execute(statement).one_or_none()

    def _publish(self, connection: Connection, crl: PublishedCRL, event: Event | None) -> bool:
        issuer_key = self._issuer_keys.find(connection, crl.issuer_id)
        is_claimed_later = _shard.claimed_number > crl.crl_number
        statement = (
            update(crl_shard)
            .where(
                _is_shard(issuer_key, crl.shard),
                _shard.published_number < crl.crl_number,
                or_(_shard.this_update.is_(None), _shard.this_update <= crl.this_update),
            )
            .values(
                published_number=crl.crl_number,
                claimed_number=case((is_claimed_later, _shard.claimed_number), else_=crl.crl_number),
                # Whoever claimed a later number keeps the lease.
                lease_until=case((is_claimed_later, _shard.lease_until)),
                this_update=crl.this_update,
                next_update=crl.next_update,
            )
        )
        if connection.execute(statement).rowcount == 0:
            return False
        row = {"issuer_key": issuer_key, "shard": crl.shard, "entry_count": crl.entry_count, "crl_der": crl.crl_der}
        connection.execute(
            delete(crl_table).where(crl_table.c.issuer_key == issuer_key, crl_table.c.shard == crl.shard)
        )
        connection.execute(insert(crl_table).values(row))
        if event:
            add_event(connection, event)
        return True


def _is_shard(issuer_key: Any, shard: Any) -> ColumnElement[bool]:
    return and_(_shard.issuer_key == issuer_key, _shard.shard == shard)


def _select_shards() -> Select[Any]:
    return select(crl_shard, issuer_table.c.issuer_id).join(
        issuer_table, issuer_table.c.issuer_key == _shard.issuer_key
    )


def _state(row: Row[Any]) -> ShardState:
    return ShardState(
        issuer_id=row.issuer_id,
        shard=row.shard,
        claimed_number=row.claimed_number,
        carried_number=row.carried_number,
        published_number=row.published_number,
        this_update=row.this_update,
        next_update=row.next_update,
    )


def _entry(row: Row[Any, Any, Any]) -> CRLEntry:
    return CRLEntry(row.serial, row.revoked_at, RevocationReason(row.revocation_reason))


def _published(row: Row[Any], issuer_id: str) -> PublishedCRL:
    return PublishedCRL(
        issuer_id=issuer_id,
        shard=row.shard,
        crl_number=row.published_number,
        this_update=row.this_update,
        next_update=row.next_update,
        entry_count=row.entry_count,
        crl_der=row.crl_der,
    )
