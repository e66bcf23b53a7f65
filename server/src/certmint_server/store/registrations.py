"""Registrations, one row each."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Row, delete, select, update

from certmint_server.audit import Action, Event
from certmint_server.errors import (
    CertmintError,
    RegistrationExistsError,
    RegistrationNotFoundError,
    VersionMismatchError,
)
from certmint_server.registry.registration import Grant, Registration, Role
from certmint_server.store import schema
from certmint_server.store.events import add_event
from certmint_server.store.insertion import insert_if_absent
from certmint_server.store.reader import Reader
from certmint_server.store.writer import Writer

_table = schema.registration


class SQLRegistrationStore:
    """`RegistrationStore`."""

    def __init__(self, reader: Reader, writer: Writer) -> None:
        self._reader = reader
        self._writer = writer

    async def get_registration(self, identity: str) -> Registration | None:
        """The registration, if there is one."""
        return await self._reader.run(lambda connection: _find(connection, identity))

    async def list_registrations(self, *, after: str, limit: int) -> Sequence[Registration]:
        """Those whose identity sorts after `after` (bytewise), in that order, at most `limit`."""
        identity = _table.c.identity
        query = select(_table).where(identity > after).order_by(identity).limit(limit)
        return await self._reader.run(lambda connection: [_registration(row) for row in connection.execute(query)])

    async def create_registration(self, registration: Registration) -> None:
        """Adds it.

        Raises:
            RegistrationExistsError: the identity is registered.
        """

        def create(connection: Connection) -> None:
            if not insert_if_absent(
                connection,
                _table,
                identity=registration.grant.identity,
                created_at=registration.created_at,
                **_changeable(registration),
            ):
                raise RegistrationExistsError("This identity is registered already.", field="registration.identity")
            _audit(connection, Action.REGISTRATION_CREATED, registration)

        await self._writer.run(create)

    async def update_registration(self, registration: Registration) -> None:
        """Replaces the version before `registration.version`.

        Raises:
            RegistrationNotFoundError: the identity is not registered.
            VersionMismatchError: the stored version is not `registration.version - 1`.
        """
        statement = update(_table).where(
            _table.c.identity == registration.grant.identity, _table.c.version == registration.version - 1
        )

        def replace(connection: Connection) -> None:
            if connection.execute(statement.values(**_changeable(registration))).rowcount == 0:
                raise _missed(connection, registration.grant.identity)
            _audit(connection, Action.REGISTRATION_UPDATED, registration)

        await self._writer.run(replace)

    async def delete_registration(self, registration: Registration) -> None:
        """Removes it; `updated_at` and `updated_by` say when and by whom.

        Raises:
            RegistrationNotFoundError: the identity is not registered.
            VersionMismatchError: the stored version is not `registration.version`.
        """
        statement = delete(_table).where(
            _table.c.identity == registration.grant.identity, _table.c.version == registration.version
        )

        def remove(connection: Connection) -> None:
            if connection.execute(statement).rowcount == 0:
                raise _missed(connection, registration.grant.identity)
            _audit(connection, Action.REGISTRATION_DELETED, registration)

        await self._writer.run(remove)


def _find(connection: Connection, identity: str) -> Registration | None:
    row = connection.execute(select(_table).where(_table.c.identity == identity)).one_or_none()
    return None if row is None else _registration(row)


def _missed(connection: Connection, identity: str) -> CertmintError:
    if _find(connection, identity) is None:
        return RegistrationNotFoundError("This identity is not registered.", field="identity")
    return VersionMismatchError("The registration changed since you read it. Read it again.", field="version")


def _changeable(value: Registration) -> dict[str, Any]:
    grant = value.grant
    return {
        "dns_names": list(grant.dns_names),
        "ip_addresses": list(grant.ip_addresses),
        "profiles": list(grant.profiles),
        "roles": sorted(grant.roles),
        "disabled": grant.disabled,
        "version": value.version,
        "updated_at": value.updated_at,
        "updated_by": value.updated_by,
    }


def _registration(row: Row[Any]) -> Registration:
    grant = Grant(
        identity=row.identity,
        dns_names=tuple(row.dns_names),
        ip_addresses=tuple(row.ip_addresses),
        profiles=tuple(row.profiles),
        roles=frozenset(map(Role, row.roles)),
        disabled=row.disabled,
    )
    return Registration(grant, row.version, row.created_at, row.updated_at, row.updated_by)


def _audit(connection: Connection, action: Action, value: Registration) -> None:
    detail = {"version": str(value.version)}
    add_event(connection, Event(action, value.updated_by, value.grant.identity, value.updated_at, detail))
