"""Writing the audit trail, in the transaction of the act."""

from sqlalchemy import Connection, insert

from certmint_server.audit import Event
from certmint_server.store.schema import event


def add_event(connection: Connection, happened: Event) -> None:
    """Writes an event down."""
    connection.execute(
        insert(event).values(
            action=happened.action.value,
            actor=happened.actor,
            subject=happened.subject,
            occurred_at=happened.occurred_at,
            detail=dict(happened.detail) or None,
        )
    )
