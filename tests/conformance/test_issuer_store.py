import pytest
from tests.conformance.audit_trail import events
from tests.conformance.conftest import AUTHORITY, OPERATOR, ManualClock
from tests.conformance.leaves import NOW

from certmint_server.errors import ConfigError
from certmint_server.issuers.issuer import Issuer
from certmint_server.store.store import Store


async def test_a_new_database_has_no_authority(database_url: str, clock: ManualClock) -> None:
    async with await Store.open(database_url, clock=clock) as store:
        assert await store.issuers.authority() is None
        assert await store.issuers.list_issuers() == []


async def test_issuers_come_back_as_they_were_given_in_their_order(store: Store, root: Issuer, issuing: Issuer) -> None:
    assert await store.issuers.authority() == AUTHORITY
    assert await store.issuers.list_issuers() == [root, issuing]


async def test_each_issuer_gets_its_crl_shards(store: Store, root: Issuer, issuing: Issuer) -> None:
    shards = await store.crls.list_shards()
    assert [(state.issuer_id, state.shard) for state in shards] == [(root.issuer_id, 1), (issuing.issuer_id, 1)]
    assert {(state.claimed_number, state.carried_number, state.published_number) for state in shards} == {(0, 0, 0)}


async def test_a_database_is_initialised_once(store: Store, root: Issuer, second_store: Store) -> None:
    for opened in (store, second_store):
        with pytest.raises(ConfigError):
            await opened.issuers.initialise(AUTHORITY, [root], at=NOW, by=OPERATOR)
    assert len(await store.issuers.list_issuers()) == 2


async def test_adding_issuers_is_audited(store: Store, database_url: str, root: Issuer, issuing: Issuer) -> None:
    assert events(database_url) == [
        ("ISSUER_ADDED", OPERATOR, root.issuer_id, NOW, {}),
        ("ISSUER_ADDED", OPERATOR, issuing.issuer_id, NOW, {}),
    ]
