import asyncio
from datetime import datetime, timedelta

from tests.conformance.audit_trail import events
from tests.conformance.conftest import OPERATOR
from tests.conformance.leaves import NOW, issuance

from certmint_server.audit import Action, Event
from certmint_server.issuers.issuer import Issuer
from certmint_server.registry.certificate import RevocationReason
from certmint_server.revocation.crls import Claim, CRLEntry, PublishedCRL, ShardState
from certmint_server.revocation.service import RevocationOrder
from certmint_server.store.store import Store

LEASE = timedelta(seconds=30)
MILLISECONDS = int(NOW.timestamp() * 1000)


async def shard(store: Store, issuer_id: str) -> ShardState:
    state = await store.crls.get_shard(issuer_id, 1)
    assert state
    return state


async def claim(store: Store, issuer_id: str, *, now: datetime = NOW, carry_from: datetime = NOW) -> Claim | None:
    state = await shard(store, issuer_id)
    return await store.crls.claim_crl(state, now=now, lease_until=now + LEASE, carry_from=carry_from)


def crl(issuer_id: str, number: int, *, this_update: datetime = NOW) -> PublishedCRL:
    return PublishedCRL(
        issuer_id=issuer_id,
        shard=1,
        crl_number=number,
        this_update=this_update,
        next_update=this_update + timedelta(days=1),
        entry_count=3,
        crl_der=b"crl %d" % number,
    )


async def test_there_are_the_shards_that_were_made_and_no_others(store: Store, issuer_id: str) -> None:
    assert await store.crls.get_shard(issuer_id, 2) is None
    assert await store.crls.get_shard("0" * 16, 1) is None
    assert await store.crls.current_crl(issuer_id, 1) is None
    assert await store.crls.current_crl(issuer_id, 2) is None


async def test_the_number_is_that_of_the_clock(store: Store, issuer_id: str) -> None:
    claimed = await claim(store, issuer_id, now=NOW + timedelta(milliseconds=345))
    assert claimed == Claim(MILLISECONDS + 345, NOW, [])
    assert (await shard(store, issuer_id)).claimed_number == MILLISECONDS + 345


async def test_numbers_grow_and_this_update_does_not_decrease_with_the_clock_set_back(
    store: Store, issuer_id: str
) -> None:
    numbers = []
    for hours in (0, -1, -2):
        claimed = await claim(store, issuer_id, now=NOW + timedelta(hours=hours))
        assert claimed
        assert claimed.this_update == NOW
        numbers.append(claimed.crl_number)
        assert await store.crls.publish_crl(crl(issuer_id, claimed.crl_number, this_update=claimed.this_update))
    assert numbers == [MILLISECONDS, MILLISECONDS + 1, MILLISECONDS + 2]


async def test_a_lease_keeps_others_out_until_it_ends(store: Store, second_store: Store, issuer_id: str) -> None:
    assert await claim(store, issuer_id)
    for opened in (store, second_store):
        assert await claim(opened, issuer_id, now=NOW + LEASE - timedelta(seconds=1)) is None
    taken_over = await claim(second_store, issuer_id, now=NOW + LEASE + timedelta(seconds=1))
    assert taken_over


async def test_a_lease_is_over_at_the_moment_that_it_ends(store: Store, second_store: Store, issuer_id: str) -> None:
    assert await claim(store, issuer_id)
    assert await claim(second_store, issuer_id, now=NOW + LEASE)


async def test_a_lease_that_ends_later_than_one_can_keeps_nobody_out(
    store: Store, second_store: Store, issuer_id: str
) -> None:
    fast = await claim(store, issuer_id, now=NOW + timedelta(days=365))
    assert fast
    taken_over = await claim(second_store, issuer_id)
    assert taken_over
    assert taken_over.crl_number == fast.crl_number + 1
    assert await claim(store, issuer_id) is None


async def test_of_two_servers_that_claim_at_once_one_gets_it(store: Store, second_store: Store, issuer_id: str) -> None:
    claims = await asyncio.gather(*(claim(opened, issuer_id) for opened in (store, second_store)))
    assert [bool(each) for each in claims].count(True) == 1


async def test_what_was_claimed_since_it_was_read_is_not_claimed_again(
    store: Store, second_store: Store, issuer_id: str
) -> None:
    stale = await shard(store, issuer_id)
    claimed = await claim(second_store, issuer_id)
    assert claimed
    assert await second_store.crls.publish_crl(crl(issuer_id, claimed.crl_number))
    assert await store.crls.claim_crl(stale, now=NOW, lease_until=NOW + LEASE, carry_from=NOW) is None


async def test_publishing_ends_the_lease_and_serves_the_crl(store: Store, issuer_id: str) -> None:
    claimed = await claim(store, issuer_id)
    assert claimed
    published = crl(issuer_id, claimed.crl_number)
    assert await store.crls.publish_crl(published)
    assert await store.crls.current_crl(issuer_id, 1) == published
    state = await shard(store, issuer_id)
    assert state.published_number == claimed.crl_number
    assert (state.this_update, state.next_update) == (published.this_update, published.next_update)
    assert await claim(store, issuer_id)


async def test_an_older_crl_is_not_published_over_a_newer_one(store: Store, issuer_id: str) -> None:
    newest = crl(issuer_id, 10)
    assert await store.crls.publish_crl(newest)
    for number, this_update in ((9, NOW), (10, NOW), (11, NOW - timedelta(seconds=1))):
        assert not await store.crls.publish_crl(crl(issuer_id, number, this_update=this_update))
    assert await store.crls.current_crl(issuer_id, 1) == newest


async def test_a_late_publisher_does_not_end_the_lease_of_the_one_after_it(store: Store, issuer_id: str) -> None:
    first = await claim(store, issuer_id)
    later = NOW + LEASE + timedelta(seconds=1)
    second = await claim(store, issuer_id, now=later)
    assert first
    assert second
    assert await store.crls.publish_crl(crl(issuer_id, first.crl_number))
    assert await claim(store, issuer_id, now=later) is None
    assert await store.crls.publish_crl(crl(issuer_id, second.crl_number, this_update=later))
    assert await claim(store, issuer_id, now=later)


async def test_a_crl_that_nobody_claimed_raises_what_is_claimed_next(store: Store, root: Issuer) -> None:
    ahead = MILLISECONDS + 5_000
    assert await store.crls.publish_crl(crl(root.issuer_id, ahead))
    assert (await shard(store, root.issuer_id)).claimed_number == ahead
    claimed = await claim(store, root.issuer_id)
    assert claimed
    assert claimed.crl_number == ahead + 1


async def test_the_event_is_written_down_with_the_crl_and_only_if_it_is_published(
    store: Store, root: Issuer, database_url: str
) -> None:
    event = Event(Action.CRL_IMPORTED, OPERATOR, root.issuer_id, NOW, {"crl_number": "10"})
    assert await store.crls.publish_crl(crl(root.issuer_id, 10), event=event)
    assert not await store.crls.publish_crl(crl(root.issuer_id, 9), event=event)
    written = [each for each in events(database_url) if each[0] == Action.CRL_IMPORTED.name]
    assert written == [(Action.CRL_IMPORTED.name, OPERATOR, root.issuer_id, NOW, {"crl_number": "10"})]


async def test_nothing_is_published_for_a_shard_that_there_is_not(store: Store) -> None:
    assert not await store.crls.publish_crl(crl("0" * 16, 1))


async def test_a_claim_carries_what_is_revoked_in_its_shard_and_not_long_expired(
    store: Store, root: Issuer, issuer_id: str
) -> None:
    expiring = [NOW - timedelta(hours=2), NOW - timedelta(hours=1), NOW + timedelta(hours=1)]
    certificates = [issuance(issuer_id, not_after=not_after) for not_after in expiring]
    others = [issuance(issuer_id), issuance(root.issuer_id)]
    for issued in [*certificates, *others]:
        await store.certificate_log.record(issued)
    revoked_at = NOW - timedelta(hours=3)
    for issued in [*certificates, others[1]]:
        order = RevocationOrder(
            issuer_id=issued.certificate.issuer_id,
            serial=issued.certificate.serial,
            reason=RevocationReason.SUPERSEDED,
            revoked_at=revoked_at,
            block_key=False,
            actor=OPERATOR,
        )
        await store.revocation_log.revoke(order)
    claimed = await claim(store, issuer_id, carry_from=NOW - timedelta(hours=1))
    assert claimed
    serials = sorted(issued.certificate.serial for issued in certificates[1:])
    assert claimed.entries == [CRLEntry(serial, revoked_at, RevocationReason.SUPERSEDED) for serial in serials]
