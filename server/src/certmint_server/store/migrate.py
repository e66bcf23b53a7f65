"""Bringing a database to the tables of this version."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text

import certmint_server
from certmint_server.errors import ConfigError
from certmint_server.store.engine import create_sqlite_file, open_reader, open_writer, sqlite_path, transactional
from certmint_server.store.failure import unavailable_on_failure

# Any number that nothing else locks in the same database.
_LOCK = 0x6365_7274_6D69_6E74
_PATIENCE_SECONDS = 600


def migrate(url: str) -> None:
    """Makes the tables, or brings them to this version, in one transaction; several processes at once do it once.

    Raises:
        ConfigError: the URL is not one, the folder of an SQLite file is missing, or the tables are of a newer version.
        StoreUnavailableError: the database cannot be reached.
    """
    path = sqlite_path(url)
    if path:
        if not path.parent.is_dir():
            raise ConfigError(f"The folder of the database, {path.parent}, does not exist.")
        create_sqlite_file(path)
    engine = transactional(open_writer(url, patience_seconds=_PATIENCE_SECONDS))
    try:
        with unavailable_on_failure(), engine.begin() as connection:
            if engine.dialect.name == "postgresql":
                connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
            _verify_known(MigrationContext.configure(connection).get_current_revision())
            command.upgrade(alembic_config(connection), "head")
    finally:
        engine.dispose()


def verify_current(url: str) -> None:
    """Returns if the tables are those of this version.

    Raises:
        ConfigError: they are not, or there are none.
        StoreUnavailableError: the database cannot be reached.
    """
    path = sqlite_path(url)
    if path and not path.is_file():
        raise ConfigError(f"There is no database at {path}. Make one with: certmint-server init")
    engine = open_reader(url)
    try:
        with unavailable_on_failure(), engine.connect() as connection:
            found = MigrationContext.configure(connection).get_current_revision()
    finally:
        engine.dispose()
    _verify_known(found)
    newest = ScriptDirectory(str(_migrations_folder())).get_current_head()
    if found != newest:
        raise ConfigError(
            f"The database is at revision {found or 'none'} and this version needs {newest}. "
            "Run: certmint-server migrate"
        )


def _verify_known(revision: str | None) -> None:
    known = {script.revision for script in ScriptDirectory(str(_migrations_folder())).walk_revisions()}
    if revision is not None and revision not in known:
        raise ConfigError(
            "The database is of a newer version than this program. Install that version of certmint-server, or name "
            "another database."
        )


def alembic_config(connection: Connection) -> Config:
    """How Alembic is to run, within the transaction that `connection` has open."""
    config = Config(attributes={"connection": connection})
    config.set_main_option("script_location", str(_migrations_folder()).replace("%", "%%"))
    return config


def _migrations_folder() -> Path:
    """The migrations in the wheel or in the checkout.

    Taken from where the code was imported from: an editable installation leaves a copy in site-packages that grows
    stale.
    """
    package = Path(certmint_server.__file__).parent
    packaged = package / "migrations"
    return packaged if packaged.is_dir() else package.parents[2] / "migrations"
