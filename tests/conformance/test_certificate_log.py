import asyncio
import dataclasses
import hashlib
import uuid
from datetime import timedelta

import pytest
from tests.conformance.audit_trail import events
from tests.conformance.conftest import OPERATOR
from tests.conformance.leaves import NOW, PAYMENTS, issuance, request_key

from certmint_server.errors import IssuerNotFoundError, KeyBlockedError, RequestIdReusedError, StoreUnavailableError
from certmint_server.issuance.log import Issuance, Recorded
from certmint_server.registry.certificate import RevocationReason, serial_hex
from certmint_server.revocation.service import RevocationOrder
from certmint_server.store.store import Store

KEY = hashlib.sha256(b"a key").digest()


async def block(store: Store, issued: Issuance) -> None:
    """Blocks the key of a certificate."""
    certificate = issued.certificate
    order = RevocationOrder(
        issuer_id=certificate.issuer_id,
        serial=certificate.serial,
        reason=RevocationReason.KEY_COMPROMISE,
        revoked_at=NOW,
        block_key=True,
        actor=OPERATOR,
    )
    assert await store.revocation_log.revoke(order)


async def test_a_recorded_certificate_comes_back_as_it_was_given(store: Store, issuer_id: str) -> None:
    issued = issuance(
        issuer_id,
        dns_names=("a.example.test", "b.example.test"),
        ip_addresses=("192.0.2.1", "2001:db8::1"),
        labels={"team": "käse", "zone": "1"},
        request=request_key(uuid.uuid4()),
    )
    recorded = await store.certificate_log.record(issued)
    stored = await store.certificates.get_certificate(issuer_id, issued.certificate.serial)
    assert recorded == Recorded(issued.certificate, replayed=False)
    assert stored == issued.certificate
    assert stored is not None
    assert stored.dns_names == issued.certificate.dns_names


async def test_a_certificate_needs_no_request_id(store: Store, issuer_id: str) -> None:
    issued = [issuance(issuer_id) for _ in range(3)]
    recorded = await asyncio.gather(*map(store.certificate_log.record, issued))
    assert not any(outcome.replayed for outcome in recorded)


async def test_issuance_is_audited(store: Store, database_url: str, issuer_id: str) -> None:
    issued = issuance(issuer_id)
    await store.certificate_log.record(issued)
    subject = f"{issuer_id}/{serial_hex(issued.certificate.serial)}"
    assert events(database_url)[-1] == ("CERTIFICATE_ISSUED", PAYMENTS, subject, NOW, {})


async def test_the_same_request_gets_the_same_certificate(store: Store, second_store: Store, issuer_id: str) -> None:
    request = request_key(uuid.uuid4())
    first = issuance(issuer_id, request=request, labels={"team": "payments"})
    await store.certificate_log.record(first)
    for opened in (store, second_store):
        again = await opened.certificate_log.record(issuance(issuer_id, request=request))
        assert again == Recorded(first.certificate, replayed=True)


async def test_another_request_with_the_same_id_is_refused(store: Store, issuer_id: str) -> None:
    request_id = uuid.uuid4()
    await store.certificate_log.record(issuance(issuer_id, request=request_key(request_id)))
    other = issuance(issuer_id, request=request_key(request_id, content="another csr"))
    with pytest.raises(RequestIdReusedError) as refused:
        await store.certificate_log.record(other)
    assert refused.value.field == "request_id"
    assert await store.certificates.get_certificate(issuer_id, other.certificate.serial) is None


async def test_a_request_id_belongs_to_the_requester(store: Store, issuer_id: str) -> None:
    request_id = uuid.uuid4()
    requesters = ("spiffe://example.test/a", "spiffe://example.test/b")
    issued = [issuance(issuer_id, request=request_key(request_id, requester=name)) for name in requesters]
    recorded = await asyncio.gather(*map(store.certificate_log.record, issued))
    assert not any(outcome.replayed for outcome in recorded)


async def test_fifty_concurrent_calls_with_one_request_id_make_one_certificate(
    store: Store, second_store: Store, database_url: str, issuer_id: str
) -> None:
    request = request_key(uuid.uuid4())
    calls = [
        opened.certificate_log.record(issuance(issuer_id, request=request))
        for _ in range(25)
        for opened in (store, second_store)
    ]
    recorded = await asyncio.gather(*calls)
    assert len({outcome.certificate.serial for outcome in recorded}) == 1
    assert sorted(outcome.replayed for outcome in recorded) == [False] + [True] * 49
    assert [action for action, *_ in events(database_url)].count("CERTIFICATE_ISSUED") == 1


async def test_servers_that_get_the_same_requests_in_other_orders_do_not_deadlock(
    store: Store, second_store: Store, issuer_id: str
) -> None:
    requests = [request_key(uuid.uuid4()) for _ in range(64)]
    calls = [store.certificate_log.record(issuance(issuer_id, request=request)) for request in requests]
    calls += [second_store.certificate_log.record(issuance(issuer_id, request=r)) for r in reversed(requests)]
    recorded = await asyncio.gather(*calls)
    assert sum(outcome.replayed for outcome in recorded) == 64
    assert len({outcome.certificate.serial for outcome in recorded}) == 64


async def test_a_blocked_key_gets_no_certificate(store: Store, second_store: Store, issuer_id: str) -> None:
    compromised = issuance(issuer_id, spki_sha256=KEY)
    await store.certificate_log.record(compromised)
    await block(store, compromised)
    for opened in (store, second_store):
        again = issuance(issuer_id, spki_sha256=KEY, request=request_key(uuid.uuid4()))
        with pytest.raises(KeyBlockedError):
            await opened.certificate_log.record(again)
        assert await opened.certificates.get_certificate(issuer_id, again.certificate.serial) is None


async def test_a_request_refused_for_its_blocked_key_does_not_use_up_its_id(store: Store, issuer_id: str) -> None:
    compromised = issuance(issuer_id, spki_sha256=KEY)
    await store.certificate_log.record(compromised)
    await block(store, compromised)
    request_id = uuid.uuid4()
    with pytest.raises(KeyBlockedError):
        await store.certificate_log.record(issuance(issuer_id, spki_sha256=KEY, request=request_key(request_id)))
    other = issuance(issuer_id, request=request_key(request_id, content="a csr with a new key"))
    assert not (await store.certificate_log.record(other)).replayed


async def test_a_repeated_request_is_refused_once_its_key_is_blocked(store: Store, issuer_id: str) -> None:
    issued = issuance(issuer_id, spki_sha256=KEY, request=request_key(uuid.uuid4()))
    await store.certificate_log.record(issued)
    await block(store, issued)
    with pytest.raises(KeyBlockedError):
        await store.certificate_log.record(issuance(issuer_id, spki_sha256=KEY, request=issued.request))


async def test_those_recorded_together_each_get_their_own_answer(store: Store, issuer_id: str) -> None:
    compromised = issuance(issuer_id, spki_sha256=KEY)
    earlier = issuance(issuer_id, request=request_key(uuid.uuid4()))
    for issued in (compromised, earlier):
        await store.certificate_log.record(issued)
    await block(store, compromised)
    assert earlier.request is not None
    reused = dataclasses.replace(earlier.request, request_sha256=bytes(32))
    together = [
        issuance(issuer_id, request=request_key(uuid.uuid4())),
        issuance(issuer_id, spki_sha256=KEY, request=request_key(uuid.uuid4())),
        issuance(issuer_id, request=earlier.request),
        issuance(issuer_id, request=reused),
        issuance(issuer_id),
    ]
    outcomes = await asyncio.gather(*map(store.certificate_log.record, together), return_exceptions=True)
    assert outcomes[0] == Recorded(together[0].certificate, replayed=False)
    assert isinstance(outcomes[1], KeyBlockedError)
    assert outcomes[2] == Recorded(earlier.certificate, replayed=True)
    assert isinstance(outcomes[3], RequestIdReusedError)
    assert outcomes[4] == Recorded(together[4].certificate, replayed=False)


async def test_one_that_the_database_refuses_does_not_harm_its_neighbours(
    store: Store, database_url: str, issuer_id: str
) -> None:
    taken = issuance(issuer_id)
    await store.certificate_log.record(taken)
    same_serial = dataclasses.replace(issuance(issuer_id), certificate=taken.certificate)
    invalid = dataclasses.replace(taken.certificate, serial=5, not_after=NOW - timedelta(days=10))
    unstorable = dataclasses.replace(taken.certificate, serial=1 << 170)
    bad = [same_serial, Issuance(invalid, None), Issuance(unstorable, None)]
    good = [issuance(issuer_id) for _ in range(6)]
    together = [good[0], bad[0], *good[1:3], bad[1], good[3], bad[2], *good[4:]]
    outcomes = await asyncio.gather(*map(store.certificate_log.record, together), return_exceptions=True)
    failed = [type(outcome) for outcome in outcomes if isinstance(outcome, BaseException)]
    assert failed == [StoreUnavailableError, StoreUnavailableError, OverflowError]
    for issued in good:
        assert await store.certificates.get_certificate(issuer_id, issued.certificate.serial) == issued.certificate
    assert [action for action, *_ in events(database_url)].count("CERTIFICATE_ISSUED") == 1 + len(good)


async def test_a_certificate_of_an_unknown_issuer_is_refused_alone(store: Store, issuer_id: str) -> None:
    together = [issuance(issuer_id), issuance("0" * 16), issuance(issuer_id)]
    outcomes = await asyncio.gather(*map(store.certificate_log.record, together), return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [Recorded, IssuerNotFoundError, Recorded]


async def test_more_than_a_group_at_once_are_all_recorded(store: Store, issuer_id: str) -> None:
    issued = [issuance(issuer_id, request=request_key(uuid.uuid4())) for _ in range(600)]
    recorded = await asyncio.gather(*map(store.certificate_log.record, issued))
    assert [outcome.certificate.serial for outcome in recorded] == [each.certificate.serial for each in issued]
    assert not any(outcome.replayed for outcome in recorded)


async def test_whoever_gives_up_before_its_turn_gets_no_certificate(store: Store, issuer_id: str) -> None:
    issued = issuance(issuer_id)
    waiting = asyncio.ensure_future(store.certificate_log.record(issued))
    await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.wait([waiting])
    await store.certificate_log.record(issuance(issuer_id))
    assert waiting.cancelled()
    assert await store.certificates.get_certificate(issuer_id, issued.certificate.serial) is None


async def test_closing_finishes_what_is_pending_and_takes_nothing_more(
    store: Store, second_store: Store, issuer_id: str
) -> None:
    issued = [issuance(issuer_id) for _ in range(20)]
    pending = [asyncio.ensure_future(second_store.certificate_log.record(each)) for each in issued]
    await asyncio.sleep(0)
    await second_store.close()
    assert all(future.done() for future in pending)
    for each in issued:
        assert await store.certificates.get_certificate(issuer_id, each.certificate.serial) == each.certificate
    with pytest.raises(StoreUnavailableError):
        await second_store.certificate_log.record(issuance(issuer_id))
