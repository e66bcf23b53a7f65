import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from alembic import command
from alembic.script import ScriptDirectory
from sqlalchemy import Engine, func, inspect, select, text
from tests.migrations.populated import populate
from tests.postgres import PostgresCluster

from certmint_server.errors import ConfigError, StoreUnavailableError
from certmint_server.store.engine import open_writer, transactional
from certmint_server.store.migrate import alembic_config, migrate, verify_current
from certmint_server.store.schema import metadata

MIGRATE = "import sys; from certmint_server.store.migrate import migrate; migrate(sys.argv[1])"


@pytest.fixture
def empty_postgresql_url(postgres: PostgresCluster) -> Iterator[str]:
    name = postgres.create_database()
    yield postgres.url(name)
    postgres.drop_database(name)


@pytest.fixture(params=["sqlite", "postgresql"])
def empty_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A database with nothing in it, on each engine; on SQLite there is no file yet."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/empty.db"
    url: str = request.getfixturevalue("empty_postgresql_url")
    return url


@pytest.fixture
def engine(database_url: str) -> Iterator[Engine]:
    engine = transactional(open_writer(database_url))
    yield engine
    engine.dispose()


def test_the_tables_are_those_that_the_code_expects(engine: Engine) -> None:
    with engine.begin() as connection:
        command.check(alembic_config(connection))


def test_every_constraint_and_index_is_there(engine: Engine) -> None:
    """Alembic compares neither checks nor the names of primary keys."""
    found = inspect(engine)
    for table in metadata.tables.values():
        checks = {check["name"] for check in found.get_check_constraints(table.name)}
        assert checks == {each.name for each in table.constraints if type(each).__name__ == "CheckConstraint"}
        assert found.get_pk_constraint(table.name)["name"] == table.primary_key.name
        assert {index["name"] for index in found.get_indexes(table.name) if not index["unique"]} == {
            index.name for index in table.indexes
        }


def test_der_is_kept_as_it_is_on_postgresql(postgresql_url: str) -> None:
    engine = open_writer(postgresql_url)
    query = text("SELECT attstorage FROM pg_attribute WHERE attrelid = CAST(:t AS regclass) AND attname = :c")
    with engine.connect() as connection:
        for table, column in (("certificate", "certificate_der"), ("crl", "crl_der")):
            assert connection.scalar(query, {"t": table, "c": column}) == "e"
    engine.dispose()


async def test_going_down_and_up_again_works_on_a_populated_database(database_url: str, engine: Engine) -> None:
    await populate(database_url)
    with engine.connect() as connection:
        counts = {
            table.name: connection.scalar(select(func.count()).select_from(table)) for table in metadata.tables.values()
        }
    assert all(counts.values()), counts
    for revision in revisions():
        with engine.begin() as connection:
            command.downgrade(alembic_config(connection), revision)
    assert set(inspect(engine).get_table_names()) == {"alembic_version"}
    with pytest.raises(ConfigError):
        verify_current(database_url)
    migrate(database_url)
    verify_current(database_url)
    await populate(database_url)


def revisions() -> list[str]:
    """Each revision below the newest, from there down."""
    scripts = ScriptDirectory(str(Path(__file__).parents[2] / "migrations"))
    return [str(script.down_revision or "base") for script in scripts.walk_revisions()]


async def test_migrating_what_is_current_changes_nothing(database_url: str) -> None:
    await populate(database_url)
    migrate(database_url)
    verify_current(database_url)


def test_a_migration_that_fails_leaves_nothing_behind(empty_url: str) -> None:
    migrate(empty_url)
    engine = transactional(open_writer(empty_url))
    with engine.begin() as connection:
        command.downgrade(alembic_config(connection), "base")
        # The last table that the first migration makes.
        connection.execute(text("CREATE TABLE event (event_key INTEGER)"))
    with pytest.raises(StoreUnavailableError):
        migrate(empty_url)
    assert set(inspect(engine).get_table_names()) == {"alembic_version", "event"}
    engine.dispose()


def test_four_servers_that_start_at_once_migrate_once(empty_url: str) -> None:
    processes = [
        subprocess.Popen([sys.executable, "-c", MIGRATE, empty_url], stderr=subprocess.PIPE, text=True)
        for _ in range(4)
    ]
    errors = [process.communicate(timeout=60)[1] for process in processes]
    assert [process.returncode for process in processes] == [0] * 4, errors
    verify_current(empty_url)


def test_the_folder_of_a_database_must_be_there(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="does not exist"):
        migrate(f"sqlite:///{tmp_path}/missing/certmint.db")
