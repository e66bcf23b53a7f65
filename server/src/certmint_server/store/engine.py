"""Connections to the database, for the two engines that there are.

A writer has one connection and is used by one thread. Readers have a few. None waits for ever: neither for a
connection, nor for a lock, nor for a statement, nor for a host that went away.
"""

import os
import sqlite3
from pathlib import Path
from typing import Any
from urllib.parse import quote

from sqlalchemy import URL, Connection, Engine, ExceptionContext, QueuePool, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError
from sqlalchemy.pool import ConnectionPoolEntry

from certmint_server.errors import ConfigError

READERS = 4
PATIENCE_SECONDS = 10

_OLDEST_SQLITE = (3, 35)  # RETURNING
_RECYCLE_SECONDS = 60
_READ_ONLY_SQL_TRANSACTION = "25006"
_DATABASE_MODE = 0o600
# More than the recording of certificates has: four tables, by up to 64 rows.
_PREPARED_STATEMENTS = 512


def open_writer(url: str, *, patience_seconds: int = PATIENCE_SECONDS) -> Engine:
    """An engine with one connection that may write.

    On PostgreSQL each statement is a transaction, on SQLite transactions take the write lock as they begin.

    Raises:
        ConfigError: the URL is not one of SQLite or PostgreSQL.
    """
    parsed = parse_url(url)
    if parsed.get_backend_name() == "postgresql":
        # The statements of a writer are few and have one plan each: planning them anew would cost as much as they do.
        options = "-c plan_cache_mode=force_generic_plan"
        return _open_postgresql(parsed, 1, patience_seconds, options=options, target="read-write")
    engine = _open_sqlite(parsed, 1, patience_seconds, "synchronous = FULL")
    event.listen(engine, "begin", _begin_immediate)
    return engine


def transactional(writer: Engine) -> Engine:
    """The same connection, for acts of several statements.

    To switch a connection of PostgreSQL to and fro takes 70 µs of CPU: acts do, the recording of certificates does not.
    """
    is_postgresql = writer.dialect.name == "postgresql"
    return writer.execution_options(isolation_level="READ COMMITTED") if is_postgresql else writer


def open_reader(url: str) -> Engine:
    """An engine with a few connections that only read; each statement sees what was committed before it.

    Raises:
        ConfigError: the URL is not one of SQLite or PostgreSQL.
    """
    parsed = parse_url(url)
    if parsed.get_backend_name() == "postgresql":
        options = "-c default_transaction_read_only=on"
        return _open_postgresql(parsed, READERS, PATIENCE_SECONDS, options=options, target="primary")
    return _open_sqlite(parsed, READERS, PATIENCE_SECONDS, "query_only = ON")


def parse_url(url: str) -> URL:
    """The URL of a database.

    Raises:
        ConfigError: it is not one of SQLite or PostgreSQL; the message does not repeat it, it may hold a password.
    """
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError) as error:
        raise ConfigError("database.url is not a URL.") from error
    if parsed.get_backend_name() == "postgresql":
        return parsed.set(drivername="postgresql+psycopg")
    if parsed.get_backend_name() != "sqlite":
        raise ConfigError("database.url begins with sqlite:/// or postgresql://.")
    if parsed.database in (None, "", ":memory:"):
        raise ConfigError("database.url must name a file: sqlite:///certmint.db.")
    return parsed


def sqlite_path(url: str) -> Path | None:
    """The file of an SQLite database; None on PostgreSQL."""
    parsed = parse_url(url)
    return Path(str(parsed.database)) if parsed.get_backend_name() == "sqlite" else None


def create_sqlite_file(path: Path) -> None:
    """Makes the file, for its owner only, if it is not there; SQLite gives its other files the same mode."""
    try:
        descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, _DATABASE_MODE)
    except FileExistsError:
        # Never opened here: closing any descriptor of the file drops the locks that SQLite holds in this process.
        return
    os.close(descriptor)


def _open_sqlite(url: URL, connections: int, patience_seconds: int, *pragmas: str) -> Engine:
    if sqlite3.sqlite_version_info < _OLDEST_SQLITE:
        raise ConfigError(f"SQLite {sqlite3.sqlite_version} is too old: at least 3.35 is needed.")

    def connect() -> sqlite3.Connection:
        # mode=rw: a mistyped path must not make an empty database.
        return sqlite3.connect(
            f"file:{quote(str(url.database))}?mode=rw",
            uri=True,
            timeout=patience_seconds,
            isolation_level=None,
            check_same_thread=False,
            cached_statements=_PREPARED_STATEMENTS,
        )

    engine = create_engine(
        url,
        hide_parameters=True,  # a traceback in the log must hold no certificate
        creator=connect,
        poolclass=QueuePool,
        pool_size=connections,
        max_overflow=0,
        pool_timeout=patience_seconds,
    )

    @event.listens_for(engine, "connect")
    def _set_pragmas(connection: sqlite3.Connection, _entry: ConnectionPoolEntry) -> None:
        # fullfsync: on macOS a plain fsync leaves the data in the disk's cache.
        for pragma in ("journal_mode = WAL", "foreign_keys = ON", "fullfsync = ON", *pragmas):
            connection.execute(f"PRAGMA {pragma}")

    return engine


def _begin_immediate(connection: Connection) -> None:
    connection.exec_driver_sql("BEGIN IMMEDIATE")


def _open_postgresql(url: URL, connections: int, patience_seconds: int, *, options: str, target: str) -> Engine:
    milliseconds = patience_seconds * 1000
    defaults: dict[str, Any] = {
        "connect_timeout": "5",
        # Among several hosts the primary; and a single one that became a standby is not spoken to.
        "target_session_attrs": target,
        "keepalives_idle": "10",
        "keepalives_interval": "5",
        "keepalives_count": "3",
        "tcp_user_timeout": str(milliseconds),
        "application_name": "certmint-server",
    }
    given = url.query.get("options", "")
    query = defaults | dict(url.query) | {"options": f"-c statement_timeout={milliseconds} {options} {given}".strip()}
    engine = create_engine(
        url.set(query=query),
        hide_parameters=True,
        pool_size=connections,
        max_overflow=0,
        pool_timeout=patience_seconds,
        pool_recycle=_RECYCLE_SECONDS,
        pool_pre_ping=connections > 1,
        isolation_level="AUTOCOMMIT",
        use_native_hstore=False,
    )
    event.listen(engine, "handle_error", _drop_read_only_connection)
    return engine


def _drop_read_only_connection(context: ExceptionContext) -> None:
    """A primary that became a standby answers every ping, so a pool would keep the connection for ever."""
    if getattr(context.original_exception, "sqlstate", None) == _READ_ONLY_SQL_TRANSACTION:
        context.is_disconnect = True
