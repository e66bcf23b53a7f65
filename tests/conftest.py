import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.postgres import PostgresCluster, postgres_cluster

from certmint_server.store.migrate import migrate


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresCluster]:
    with postgres_cluster() as cluster:
        yield cluster


@pytest.fixture(scope="session")
def postgres_template(postgres: PostgresCluster) -> str:
    name = postgres.create_database()
    migrate(postgres.url(name))
    return name


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("template") / "certmint.db"
    migrate(f"sqlite:///{path}")
    return path


@pytest.fixture
def postgresql_url(postgres: PostgresCluster, postgres_template: str) -> Iterator[str]:
    """A migrated database on PostgreSQL, for one test."""
    name = postgres.create_database(template=postgres_template)
    yield postgres.url(name)
    postgres.drop_database(name)


@pytest.fixture
def sqlite_url(sqlite_template: Path, tmp_path: Path) -> str:
    """A migrated database on SQLite, for one test."""
    return f"sqlite:///{shutil.copy(sqlite_template, tmp_path / 'certmint.db')}"


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest) -> str:
    """A migrated database, for one test: once on each engine."""
    url: str = request.getfixturevalue(f"{request.param}_url")
    return url
