"""Profiles: a row for each version, none ever changed."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from sqlalchemy import Connection, Row, func, select

from certmint_server.audit import Action, Event
from certmint_server.errors import VersionMismatchError
from certmint_server.issuance.keys import KeyType
from certmint_server.issuance.profile import ProfileConfig, StoredProfile
from certmint_server.store import schema
from certmint_server.store.events import add_event
from certmint_server.store.insertion import insert_if_absent
from certmint_server.store.reader import Reader
from certmint_server.store.writer import Writer

_table = schema.profile


class SQLProfileStore:
    """`ProfileStore`."""

    def __init__(self, reader: Reader, writer: Writer) -> None:
        self._reader = reader
        self._writer = writer

    async def newest_profiles(self) -> Sequence[StoredProfile]:
        """The newest version of every profile, by name."""
        newest = select(_table.c.name, func.max(_table.c.version).label("version")).group_by(_table.c.name).subquery()
        is_newest = (_table.c.name == newest.c.name) & (_table.c.version == newest.c.version)
        query = select(_table).join(newest, is_newest).order_by(_table.c.name)
        return await self._reader.run(lambda connection: [_profile(row) for row in connection.execute(query)])

    async def add_profile(self, profile: StoredProfile) -> None:
        """Adds a version, with its audit event.

        Raises:
            VersionMismatchError: `profile.version` is not one above the newest.
        """
        newest = select(func.coalesce(func.max(_table.c.version), 0)).where(_table.c.name == profile.config.name)
        row = {
            "name": profile.config.name,
            "version": profile.version,
            "document": _document(profile.config),
            "applied_at": profile.applied_at,
            "applied_by": profile.applied_by,
        }

        def add(connection: Connection) -> None:
            is_next = connection.scalars(newest).one() == profile.version - 1
            if not is_next or not insert_if_absent(connection, _table, **row):
                raise VersionMismatchError("The profile changed since you read it. Read it again.", field="version")
            detail = {"version": str(profile.version)}
            add_event(
                connection,
                Event(Action.PROFILE_APPLIED, profile.applied_by, profile.config.name, profile.applied_at, detail),
            )

        await self._writer.run(add)


def _document(config: ProfileConfig) -> dict[str, Any]:
    return {
        "maximum_lifetime_seconds": int(config.maximum_lifetime.total_seconds()),
        "default_lifetime_seconds": int(config.default_lifetime.total_seconds()),
        "backdate_seconds": int(config.backdate.total_seconds()),
        "key_types": [key_type.name for key_type in config.key_types],
        "extended_key_usages": list(config.extended_key_usages),
        "include_identity": config.include_identity,
        "renew_after_percent": config.renew_after_percent,
        "renew_before_percent": config.renew_before_percent,
    }


def _profile(row: Row[Any]) -> StoredProfile:
    return StoredProfile(_config(row.name, row.document), row.version, row.applied_at, row.applied_by)


def _config(name: str, document: Mapping[str, Any]) -> ProfileConfig:
    return ProfileConfig(
        name=name,
        maximum_lifetime=timedelta(seconds=document["maximum_lifetime_seconds"]),
        default_lifetime=timedelta(seconds=document["default_lifetime_seconds"]),
        backdate=timedelta(seconds=document["backdate_seconds"]),
        key_types=tuple(KeyType[key_type] for key_type in document["key_types"]),
        extended_key_usages=tuple(document["extended_key_usages"]),
        include_identity=document["include_identity"],
        renew_after_percent=document["renew_after_percent"],
        renew_before_percent=document["renew_before_percent"],
    )
