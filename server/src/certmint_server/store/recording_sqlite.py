"""Recording certificates on SQLite, in the transaction that the caller has open and commits.

That transaction is the only one that writes, so what is read in it first cannot change before it ends.
"""

from collections.abc import Callable, Iterator, Sequence
from functools import cache
from typing import Any

from sqlalchemy import BindParameter, ClauseElement, Connection, Table, bindparam, insert, select
from sqlalchemy.dialects import sqlite

from certmint_server.audit import Action
from certmint_server.store.rows import CertificateRow, Entry
from certmint_server.store.schema import blocked_key, certificate, event, issuance_request, name

# A list of values is padded to one of these lengths, so that few statements are ever prepared.
_LIST_LENGTHS = (1, 8, 64, 256)
# Rows that one statement inserts; so many statements a table are kept prepared.
_MOST_ROWS = 64


def _compile(statement: ClauseElement, columns: Sequence[str] | None = None) -> str:
    return str(statement.compile(dialect=sqlite.dialect(), column_keys=columns))


def _insert(table: Table, columns: Sequence[str]) -> str:
    return _compile(insert(table), columns)


_INSERT_CERTIFICATE = _insert(certificate, CertificateRow._fields)
_INSERT_NAME = _insert(name, name.columns.keys())
_INSERT_REQUEST = _insert(issuance_request, issuance_request.columns.keys())
_INSERT_EVENT = _insert(event, ("action", "actor", "subject", "occurred_at"))


def record_entries(connection: Connection, entries: Sequence[Entry], recorded_at: int) -> set[int]:
    """Writes what may be recorded; the positions in `entries` of what was. Each position else is to be settled."""
    positions = _fresh(connection, entries)
    fresh = [entries[position] for position in positions]
    _insert_rows(
        connection,
        _INSERT_REQUEST,
        [
            (*entry.request, entry.certificate.issuer_key, entry.certificate.serial, recorded_at)
            for entry in fresh
            if entry.request
        ],
    )
    _insert_rows(connection, _INSERT_CERTIFICATE, [tuple(entry.certificate) for entry in fresh])
    _insert_rows(
        connection,
        _INSERT_NAME,
        [
            (kind, value, entry.certificate.not_after, entry.certificate.issuer_key, entry.certificate.serial)
            for entry in fresh
            for kind, value in entry.names
        ],
    )
    _insert_rows(
        connection,
        _INSERT_EVENT,
        [
            (Action.CERTIFICATE_ISSUED.value, entry.certificate.requested_by, entry.subject, recorded_at)
            for entry in fresh
        ],
    )
    return set(positions)


def _fresh(connection: Connection, entries: Sequence[Entry]) -> list[int]:
    """The positions of the entries whose key is not blocked and whose request is new; of several, the first."""
    keys = [entry.certificate.spki_sha256 for entry in entries]
    blocked = {row[0] for row in _rows_with(connection, _select_blocked, keys)}
    request_ids = [entry.request.request_id for entry in entries if entry.request]
    taken = {tuple(row) for row in _rows_with(connection, _select_requests, request_ids)}
    fresh = []
    for position, entry in enumerate(entries):
        if entry.certificate.spki_sha256 in blocked:
            continue
        if entry.request:
            request_key = entry.request[:2]
            if request_key in taken:
                continue
            taken.add(request_key)
        fresh.append(position)
    return fresh


def _rows_with(
    connection: Connection, select_with: Callable[[int], str], values: Sequence[bytes]
) -> Iterator[tuple[Any, ...]]:
    for start in range(0, len(values), _LIST_LENGTHS[-1]):
        part = values[start : start + _LIST_LENGTHS[-1]]
        length = next(length for length in _LIST_LENGTHS if length >= len(part))
        padding = [part[-1]] * (length - len(part))
        yield from connection.exec_driver_sql(select_with(length), (*part, *padding))


@cache
def _select_blocked(length: int) -> str:
    column = blocked_key.c.spki_sha256
    return _compile(select(column).where(column.in_(_parameters(length))))


@cache
def _select_requests(length: int) -> str:
    columns = issuance_request.c
    return _compile(select(columns.request_id, columns.requester).where(columns.request_id.in_(_parameters(length))))


def _parameters(length: int) -> list[BindParameter[bytes]]:
    return [bindparam(f"value_{position}") for position in range(length)]


def _insert_rows(connection: Connection, statement: str, rows: Sequence[tuple[Any, ...]]) -> None:
    """Inserts rows, so many at a time.

    An executemany would be one call too, but sqlite3 gives the GIL away and takes it back at every row: beside an event
    loop that holds it, that cost more than all else together.
    """
    for start in range(0, len(rows), _MOST_ROWS):
        part = rows[start : start + _MOST_ROWS]
        connection.exec_driver_sql(_of_rows(statement, len(part)), tuple(value for row in part for value in row))


@cache
def _of_rows(statement: str, length: int) -> str:
    """An INSERT of one row, made one of `length` rows."""
    head, keyword, row = statement.rpartition(" VALUES ")
    return head + keyword + ", ".join([row] * length)
