"""Revocations and blocked keys.

A revocation holds its shard's row from its promise until it commits, and so does a claim (`crls.py`): a claim waits
for the revocations that were promised its number, and those that wait for a claim are promised the next.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, exists, select, update

from certmint_server.audit import Action, Event
from certmint_server.registry.certificate import RevocationReason
from certmint_server.revocation.service import RevocationOrder, Revoked
from certmint_server.store.events import add_event
from certmint_server.store.insertion import insert_if_absent
from certmint_server.store.reader import Reader
from certmint_server.store.rows import IssuerKeys, certificate_subject, record_of
from certmint_server.store.schema import blocked_key, certificate, crl_shard
from certmint_server.store.writer import Writer


class SQLRevocationLog:
    """`RevocationLog`."""

    def __init__(self, writer: Writer, issuer_keys: IssuerKeys) -> None:
        self._writer = writer
        self._issuer_keys = issuer_keys

    async def revoke(self, order: RevocationOrder) -> Revoked | None:
        """Revokes, durably; None if there is no such certificate: see `RevocationLog.revoke`."""
        return await self._writer.run(lambda connection: self._revoke(connection, order))

    def _revoke(self, connection: Connection, order: RevocationOrder) -> Revoked | None:
        issuer_key = self._issuer_keys.find(connection, order.issuer_id)
        is_wanted = (certificate.c.issuer_key == issuer_key) & (certificate.c.serial == order.serial)
        query = select(certificate).where(is_wanted)
        row = connection.execute(query.with_for_update()).one_or_none()
        if row is None:
            return None
        is_changed = _is_changed(row, order.reason)
        if is_changed:
            changes = {
                "revoked_at": row.revoked_at or order.revoked_at,
                "revocation_reason": order.reason.value,
                "revocation_crl_number": _promise(connection, row),
            }
            connection.execute(update(certificate).where(is_wanted).values(changes))
        is_newly_blocked = order.block_key and _block(connection, row.spki_sha256, order)
        if is_changed or is_newly_blocked:
            add_event(connection, _event(order, is_first=row.revoked_at is None, is_newly_blocked=is_newly_blocked))
        key_blocked = order.block_key or _is_blocked(connection, row.spki_sha256)
        return Revoked(record_of(connection.execute(query).one(), order.issuer_id), key_blocked)


class SQLBlockedKeyStore:
    """`BlockedKeyStore`."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader

    async def blocked_keys_since(self, moment: datetime) -> Sequence[tuple[bytes, datetime]]:
        """(SHA-256 of the SPKI, when it was blocked) of all blocked at or after `moment`."""
        columns = blocked_key.c
        query = select(columns.spki_sha256, columns.blocked_at).where(columns.blocked_at >= moment)
        return await self._reader.run(
            lambda connection: [(row.spki_sha256, row.blocked_at) for row in connection.execute(query)]
        )


def _is_changed(row: Row[Any], reason: RevocationReason) -> bool:
    is_upgrade = reason is RevocationReason.KEY_COMPROMISE and row.revocation_reason != reason
    return row.revoked_at is None or is_upgrade


def _promise(connection: Connection, row: Row[Any]) -> int:
    """The number of the next CRL of the certificate's shard, which is now due."""
    statement = (
        update(crl_shard)
        .where(crl_shard.c.issuer_key == row.issuer_key, crl_shard.c.shard == row.crl_shard)
        .values(carried_number=crl_shard.c.claimed_number + 1)
        .returning(crl_shard.c.carried_number)
    )
    number: int = connection.scalars(statement).one()
    return number


def _block(connection: Connection, spki_sha256: bytes, order: RevocationOrder) -> bool:
    return insert_if_absent(
        connection, blocked_key, spki_sha256=spki_sha256, blocked_at=order.revoked_at, blocked_by=order.actor
    )


def _is_blocked(connection: Connection, spki_sha256: bytes) -> bool:
    return bool(connection.scalar(select(exists().where(blocked_key.c.spki_sha256 == spki_sha256))))


def _event(order: RevocationOrder, *, is_first: bool, is_newly_blocked: bool) -> Event:
    action = Action.CERTIFICATE_REVOKED if is_first else Action.REVOCATION_UPGRADED
    detail = {"reason": order.reason.name}
    if is_newly_blocked:
        detail["key"] = "blocked"
    return Event(action, order.actor, certificate_subject(order.issuer_id, order.serial), order.revoked_at, detail)
