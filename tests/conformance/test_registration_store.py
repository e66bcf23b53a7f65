import asyncio
import dataclasses

import pytest
from tests.conformance.audit_trail import events
from tests.conformance.conftest import OPERATOR
from tests.conformance.leaves import NOW, PAYMENTS

from certmint_server.errors import RegistrationExistsError, RegistrationNotFoundError, VersionMismatchError
from certmint_server.registry.registration import Grant, Registration, Role
from certmint_server.store.store import Store


def registration(identity: str = PAYMENTS, *, version: int = 1) -> Registration:
    grant = Grant(
        identity,
        dns_names=("a.example.test", "b.example.test"),
        ip_addresses=("192.0.2.1",),
        profiles=("service",),
        roles=frozenset({Role.SERVICE, Role.AUDITOR}),
        disabled=True,
    )
    return Registration(grant, version, created_at=NOW, updated_at=NOW, updated_by=OPERATOR)


async def test_a_registration_comes_back_as_it_was_given(store: Store) -> None:
    assert await store.registrations.get_registration(PAYMENTS) is None
    await store.registrations.create_registration(registration())
    assert await store.registrations.get_registration(PAYMENTS) == registration()


async def test_an_identity_is_registered_once(store: Store, second_store: Store) -> None:
    outcomes = await asyncio.gather(
        store.registrations.create_registration(registration()),
        second_store.registrations.create_registration(registration()),
        return_exceptions=True,
    )
    assert sorted(type(outcome).__name__ for outcome in outcomes) == ["NoneType", "RegistrationExistsError"]
    with pytest.raises(RegistrationExistsError):
        await store.registrations.create_registration(registration())


async def test_an_update_replaces_the_version_before_it(store: Store) -> None:
    await store.registrations.create_registration(registration())
    update = dataclasses.replace(registration(version=2), grant=Grant(PAYMENTS))
    await store.registrations.update_registration(update)
    assert await store.registrations.get_registration(PAYMENTS) == update
    with pytest.raises(VersionMismatchError):
        await store.registrations.update_registration(update)


async def test_of_two_updates_of_one_version_one_wins(store: Store, second_store: Store) -> None:
    await store.registrations.create_registration(registration())
    outcomes = await asyncio.gather(
        store.registrations.update_registration(registration(version=2)),
        second_store.registrations.update_registration(registration(version=2)),
        return_exceptions=True,
    )
    assert sorted(type(outcome).__name__ for outcome in outcomes) == ["NoneType", "VersionMismatchError"]


async def test_what_is_not_registered_is_neither_updated_nor_deleted(store: Store) -> None:
    with pytest.raises(RegistrationNotFoundError):
        await store.registrations.update_registration(registration(version=2))
    with pytest.raises(RegistrationNotFoundError):
        await store.registrations.delete_registration(registration())


async def test_only_the_version_that_was_read_is_deleted(store: Store) -> None:
    await store.registrations.create_registration(registration())
    with pytest.raises(VersionMismatchError):
        await store.registrations.delete_registration(registration(version=2))
    await store.registrations.delete_registration(registration())
    assert await store.registrations.get_registration(PAYMENTS) is None


async def test_lists_are_in_the_order_of_bytes_page_by_page(store: Store) -> None:
    names = ["Zeta", "a", "a-b", "a.b", "a/b", "a_b", "aa", "b"]
    identities = [f"spiffe://example.test/{name}" for name in names]
    for identity in reversed(identities):
        await store.registrations.create_registration(registration(identity))
    found: list[str] = []
    while page := await store.registrations.list_registrations(after=found[-1] if found else "", limit=3):
        found += [each.grant.identity for each in page]
    assert found == sorted(identities, key=str.encode)


async def test_every_change_is_audited_and_no_refusal_is(store: Store, database_url: str) -> None:
    before = len(events(database_url))
    await store.registrations.create_registration(registration())
    await store.registrations.update_registration(registration(version=2))
    with pytest.raises(VersionMismatchError):
        await store.registrations.update_registration(registration(version=2))
    await store.registrations.delete_registration(registration(version=2))
    assert events(database_url)[before:] == [
        ("REGISTRATION_CREATED", OPERATOR, PAYMENTS, NOW, {"version": "1"}),
        ("REGISTRATION_UPDATED", OPERATOR, PAYMENTS, NOW, {"version": "2"}),
        ("REGISTRATION_DELETED", OPERATOR, PAYMENTS, NOW, {"version": "2"}),
    ]
