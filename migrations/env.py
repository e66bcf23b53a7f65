"""How Alembic runs our migrations: within a transaction that the caller opened, all or nothing.

From the command line, to write a new one: alembic -x url=sqlite:////tmp/new.db revision --autogenerate -m "add_x"
"""

from alembic import context
from sqlalchemy import Connection

from certmint_server.store.engine import open_writer, transactional
from certmint_server.store.schema import metadata


def run(connection: Connection) -> None:
    context.configure(
        connection=connection,
        target_metadata=metadata,
        render_as_batch=True,
        # SQLite can, though Alembic does not expect it.
        transactional_ddl=True,
    )
    with context.begin_transaction():
        context.run_migrations()


given = context.config.attributes.get("connection")
if given is not None:
    run(given)
else:
    with transactional(open_writer(context.get_x_argument(as_dictionary=True)["url"])).begin() as opened:
        run(opened)
