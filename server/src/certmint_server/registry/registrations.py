"""Registrations: creating, reading, changing and removing them."""

from collections.abc import Iterable, Sequence
from typing import Protocol

from certmint_server.clock import Clock, whole_seconds
from certmint_server.errors import FieldInvalidError, RegistrationNotFoundError, VersionMismatchError
from certmint_server.registry.freshness import FreshCache
from certmint_server.registry.identity import parse_identity
from certmint_server.registry.names import parse_dns_name, parse_ip_address
from certmint_server.registry.registration import Grant, Registration, Role

MAXIMUM_NAMES = 100


class RegistrationStore(Protocol):
    """Where registrations are kept. Every change writes its audit event in the same transaction."""

    async def get_registration(self, identity: str) -> Registration | None:
        """The registration, if there is one."""
        ...

    async def list_registrations(self, *, after: str, limit: int) -> Sequence[Registration]:
        """Those whose identity sorts after `after` (bytewise), in that order, at most `limit`."""
        ...

    async def create_registration(self, registration: Registration) -> None:
        """Adds it.

        Raises:
            RegistrationExistsError: the identity is registered.
        """
        ...

    async def update_registration(self, registration: Registration) -> None:
        """Replaces the version before `registration.version`.

        Raises:
            RegistrationNotFoundError: the identity is not registered.
            VersionMismatchError: the stored version is not `registration.version - 1`.
        """
        ...

    async def delete_registration(self, registration: Registration) -> None:
        """Removes it; `updated_at` and `updated_by` say when and by whom.

        Raises:
            RegistrationNotFoundError: the identity is not registered.
            VersionMismatchError: the stored version is not `registration.version`.
        """
        ...


class Registrations:
    """The registrations of one trust domain, those in use kept for at most `bound` seconds."""

    def __init__(self, store: RegistrationStore, clock: Clock, *, trust_domain: str, bound: float) -> None:
        self._store = store
        self._clock = clock
        self._trust_domain = trust_domain
        self._fresh = FreshCache(store.get_registration, bound=bound)

    async def find(self, identity: str) -> Registration | None:
        """The registration, not older than the bound, if there is one."""
        return await self._fresh.get(identity)

    async def get(self, identity: str) -> Registration:
        """The registration as it is stored now.

        Raises:
            RegistrationNotFoundError: there is none.
        """
        registration = await self._store.get_registration(identity)
        if registration is None:
            raise RegistrationNotFoundError("This identity is not registered.", field="identity")
        return registration

    async def list(self, *, after: str, limit: int) -> Sequence[Registration]:
        """Those after `after`, by identity."""
        return await self._store.list_registrations(after=after, limit=limit)

    async def create(self, grant: Grant, *, by: str) -> Registration:
        """Registers an identity.

        Raises:
            InvalidRequestError: the identity or a name is not one.
            RegistrationExistsError: it is registered.
        """
        now = whole_seconds(self._clock.now())
        registration = Registration(self._checked(grant), version=1, created_at=now, updated_at=now, updated_by=by)
        await self._store.create_registration(registration)
        self._fresh.forget(grant.identity)
        return registration

    async def update(self, grant: Grant, *, version: int, by: str) -> Registration:
        """Replaces what version `version` granted.

        Raises:
            InvalidRequestError: the identity or a name is not one.
            RegistrationNotFoundError: it is not registered.
            VersionMismatchError: it changed since.
        """
        checked = self._checked(grant)
        stored = await self._read(checked.identity, version)
        now = whole_seconds(self._clock.now())
        registration = Registration(
            checked, version=version + 1, created_at=stored.created_at, updated_at=now, updated_by=by
        )
        await self._store.update_registration(registration)
        self._fresh.forget(grant.identity)
        return registration

    async def delete(self, identity: str, *, version: int, by: str) -> None:
        """Removes a registration.

        Raises:
            RegistrationNotFoundError: it is not registered.
            VersionMismatchError: it changed since.
        """
        stored = await self._read(identity, version)
        now = whole_seconds(self._clock.now())
        await self._store.delete_registration(Registration(stored.grant, version, stored.created_at, now, by))
        self._fresh.forget(identity)

    async def _read(self, identity: str, version: int) -> Registration:
        # The store looks again as it writes; but no database holds every number that a caller may name.
        stored = await self.get(identity)
        if stored.version != version:
            raise VersionMismatchError("The registration changed since you read it. Read it again.", field="version")
        return stored

    def _checked(self, grant: Grant) -> Grant:
        if len(grant.dns_names) + len(grant.ip_addresses) > MAXIMUM_NAMES:
            raise FieldInvalidError(f"A registration grants at most {MAXIMUM_NAMES} names.", field="registration")
        return Grant(
            identity=parse_identity(grant.identity, self._trust_domain, field="registration.identity"),
            dns_names=_unique(parse_dns_name(n, field="registration.dns_names") for n in grant.dns_names),
            ip_addresses=_unique(parse_ip_address(a, field="registration.ip_addresses") for a in grant.ip_addresses),
            profiles=_unique(grant.profiles),
            roles=grant.roles | {Role.SERVICE},
            disabled=grant.disabled,
        )


def _unique(values: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(values))
