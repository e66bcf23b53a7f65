"""What callers see when the database fails, and that the store recovers by itself."""

import asyncio
import sqlite3
import stat
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import psycopg
import pytest
from sqlalchemy.exc import SQLAlchemyError
from tests.conformance.conftest import AUTHORITY, OPERATOR, ManualClock
from tests.conformance.leaves import NOW, issuance
from tests.postgres import PostgresCluster

from certmint_server.errors import ConfigError, StoreUnavailableError
from certmint_server.issuers.issuer import Issuer
from certmint_server.store.engine import open_writer, sqlite_path, transactional
from certmint_server.store.migrate import migrate
from certmint_server.store.recording import Recorder
from certmint_server.store.rows import IssuerKeys
from certmint_server.store.store import Store
from certmint_server.store.writer import Writer


@contextmanager
def locked(url: str) -> Iterator[None]:
    """Keeps everybody from writing certificates."""
    path = sqlite_path(url)
    if path:
        with closing(sqlite3.connect(path, isolation_level=None)) as connection:
            connection.execute("BEGIN IMMEDIATE")
            yield
    else:
        with psycopg.connect(url) as connection:
            connection.execute("LOCK TABLE certificate IN EXCLUSIVE MODE")
            yield


def terminate_connections(url: str) -> None:
    """Ends all connections of the store."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
            " WHERE datname = current_database() AND application_name = 'certmint-server'"
        )


@pytest.fixture
async def postgresql_store(postgresql_url: str, clock: ManualClock, root: Issuer) -> Store:
    store = await Store.open(postgresql_url, clock=clock)
    await store.issuers.initialise(AUTHORITY, [root], at=NOW, by=OPERATOR)
    return store


async def test_a_lock_that_is_not_given_up_is_not_waited_for_for_ever(
    store: Store, database_url: str, clock: ManualClock, issuer_id: str
) -> None:
    engine = open_writer(database_url, patience_seconds=1)
    writer = Writer(transactional(engine), Recorder(engine, IssuerKeys(), clock))
    waiting = [issuance(issuer_id) for _ in range(3)]
    with locked(database_url):
        outcomes = await asyncio.gather(*map(writer.record, waiting), return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [StoreUnavailableError] * 3
    assert all(isinstance(outcome.__cause__, SQLAlchemyError) for outcome in outcomes if isinstance(outcome, Exception))
    recorded = await writer.record(waiting[0])
    assert recorded.certificate == waiting[0].certificate
    await writer.close()


async def test_a_lost_connection_fails_those_waiting_and_the_next_reconnect(
    postgresql_store: Store, postgresql_url: str, root: Issuer
) -> None:
    log = postgresql_store.certificate_log
    await log.record(issuance(root.issuer_id))
    with locked(postgresql_url):
        waiting = [asyncio.ensure_future(log.record(issuance(root.issuer_id))) for _ in range(3)]
        await asyncio.to_thread(wait_until_blocked, postgresql_url)
        await asyncio.to_thread(terminate_connections, postgresql_url)
        outcomes = await asyncio.gather(*waiting, return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [StoreUnavailableError] * 3
    issued = issuance(root.issuer_id)
    await log.record(issued)
    certificates = postgresql_store.certificates
    assert await certificates.get_certificate(root.issuer_id, issued.certificate.serial) == issued.certificate
    await postgresql_store.close()


def wait_until_blocked(url: str) -> None:
    """Returns once somebody waits for a lock."""
    deadline = time.monotonic() + 5
    with psycopg.connect(url, autocommit=True) as connection:
        while connection.execute("SELECT count(*) FROM pg_locks WHERE NOT granted").fetchone() == (0,):
            assert time.monotonic() < deadline
            time.sleep(0.01)


def file_modes(folder: Path) -> dict[str, int]:
    return {path.name: stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()}


async def test_readers_do_not_notice_a_restart(postgresql_store: Store, postgresql_url: str, root: Issuer) -> None:
    assert await postgresql_store.issuers.list_issuers() == [root]
    terminate_connections(postgresql_url)
    assert await postgresql_store.issuers.list_issuers() == [root]
    await postgresql_store.close()


async def test_a_connection_to_a_primary_that_became_read_only_is_dropped(
    postgresql_store: Store, postgresql_url: str, root: Issuer
) -> None:
    log = postgresql_store.certificate_log
    await log.record(issuance(root.issuer_id))
    with psycopg.connect(postgresql_url, autocommit=True) as connection:
        for setting in ("default_transaction_read_only = on", "default_transaction_read_only = off"):
            connection.execute(f"ALTER SYSTEM SET {setting}".encode())
            connection.execute("SELECT pg_reload_conf()")
            async with asyncio.timeout(5):
                while await is_recorded(postgresql_store, root) is setting.endswith("on"):
                    pass
        connection.execute("ALTER SYSTEM RESET default_transaction_read_only")
        connection.execute("SELECT pg_reload_conf()")
    await postgresql_store.close()


async def is_recorded(store: Store, root: Issuer) -> bool:
    try:
        await store.certificate_log.record(issuance(root.issuer_id))
    except StoreUnavailableError:
        return False
    return True


async def test_of_several_hosts_the_primary_is_used(
    postgresql_url: str, clock: ManualClock, root: Issuer, tmp_path: Path
) -> None:
    several = postgresql_url.replace("?", f"?host={tmp_path}&")
    async with await Store.open(several, clock=clock) as store:
        await store.issuers.initialise(AUTHORITY, [root], at=NOW, by=OPERATOR)
        assert await store.issuers.list_issuers() == [root]


async def test_an_unreachable_server_is_reported_as_such(clock: ManualClock, tmp_path: Path) -> None:
    with pytest.raises(StoreUnavailableError) as failed:
        await Store.open(f"postgresql://certmint:secret@/certmint?host={tmp_path}", clock=clock)
    assert "secret" not in str(failed.value)


@pytest.mark.parametrize(
    "url", ["sqlite://", "sqlite:///:memory:", "mysql://certmint:secret@db/certmint", "certmint.db", ""]
)
async def test_a_url_of_neither_engine_is_refused(clock: ManualClock, url: str) -> None:
    with pytest.raises(ConfigError) as refused:
        await Store.open(url, clock=clock)
    assert "secret" not in str(refused.value)


async def test_opening_never_makes_a_database(clock: ManualClock, tmp_path: Path) -> None:
    with pytest.raises(ConfigError):
        await Store.open(f"sqlite:///{tmp_path}/mistyped.db", clock=clock)
    assert file_modes(tmp_path) == {}


async def test_a_database_that_was_not_migrated_is_not_opened(
    clock: ManualClock, tmp_path: Path, postgres: PostgresCluster
) -> None:
    empty = tmp_path / "empty.db"
    empty.touch(mode=0o600)
    database = postgres.create_database()
    for url in (f"sqlite:///{empty}", postgres.url(database)):
        with pytest.raises(ConfigError, match="certmint-server migrate"):
            await Store.open(url, clock=clock)
    postgres.drop_database(database)


async def test_the_files_of_a_database_are_for_their_owner_only(clock: ManualClock, tmp_path: Path) -> None:
    path = tmp_path / "certmint 100%.db"
    migrate(f"sqlite:///{path}")
    async with await Store.open(f"sqlite:///{path}", clock=clock) as store:
        assert await store.issuers.authority() is None
        modes = file_modes(tmp_path)
    assert modes == dict.fromkeys((path.name, f"{path.name}-shm", f"{path.name}-wal"), 0o600)
