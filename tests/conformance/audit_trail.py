"""Reads the audit trail, which nothing in the server reads yet."""

from datetime import datetime
from typing import Any

from sqlalchemy import select

from certmint_server.audit import Action
from certmint_server.store.engine import open_reader
from certmint_server.store.schema import event


def events(url: str) -> list[tuple[str, str, str, datetime, dict[str, Any]]]:
    """Action, actor, subject, time and detail of each event."""
    engine = open_reader(url)
    try:
        with engine.connect() as connection:
            rows = connection.execute(select(event).order_by(event.c.event_key)).all()
    finally:
        engine.dispose()
    return [(Action(row.action).name, row.actor, row.subject, row.occurred_at, row.detail or {}) for row in rows]
