import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import datetime, timedelta

from cryptography import x509
from structlog.testing import capture_logs
from tests.unit.server.authority import ISSUING, NOW, ROOT
from tests.unit.server.database import AUTHORITY, ISSUERS, Database

from certmint_server.issuers.issuer import Issuers
from certmint_server.revocation.crl import build_crl
from certmint_server.revocation.crls import Claim, PublishedCRL
from certmint_server.revocation.publisher import Publisher

ISSUER_ID = ISSUING.issuer.issuer_id
LIFETIME = timedelta(hours=24)
PATIENCE = 5.0


@asynccontextmanager
async def publishing(database: Database, *, issuers: Issuers = ISSUERS, tick: float = 0.02) -> AsyncIterator[Publisher]:
    publisher = Publisher(store=database.crls, issuers=issuers, clock=database.clock, crl_lifetime=LIFETIME, tick=tick)
    publisher.start()
    try:
        yield publisher
    finally:
        await publisher.stop()


async def published(
    database: Database, wanted: Callable[[PublishedCRL], bool] = lambda _: True, *, patience: float = PATIENCE
) -> PublishedCRL:
    """The current CRL, as soon as it is as wanted."""
    deadline = time.monotonic() + patience
    while time.monotonic() < deadline:
        crl = await database.crls.current_crl(ISSUER_ID, 1)
        if crl and wanted(crl):
            return crl
        await asyncio.sleep(0.01)
    raise TimeoutError


def serials(crl: PublishedCRL) -> set[int]:
    return {revoked.serial_number for revoked in x509.load_der_x509_crl(crl.crl_der)}


async def test_a_first_crl_is_published_at_once(database: Database) -> None:
    async with publishing(database, tick=60):
        crl = await published(database)
    assert (crl.entry_count, crl.this_update, crl.next_update) == (0, NOW, NOW + LIFETIME)
    assert crl.crl_number >= int(NOW.timestamp() * 1000)


async def test_a_revocation_is_published_when_the_publisher_is_woken(database: Database) -> None:
    await database.record(7)
    async with publishing(database, tick=60) as publisher:
        first = await published(database)
        database.clock.advance(seconds=2)
        promised = await database.revoke(7)

        def is_wanted(crl: PublishedCRL) -> bool:
            publisher.wake()
            return crl.crl_number >= promised

        crl = await published(database, is_wanted)
    assert serials(crl) == {7}
    assert crl.crl_number > first.crl_number
    assert crl.this_update > first.this_update


async def test_a_revocation_of_another_server_is_found_at_the_next_tick(database: Database) -> None:
    await database.record(7)
    async with publishing(database):
        await published(database)
        database.clock.advance(seconds=2)
        promised = await database.revoke(7)
        assert serials(await published(database, lambda crl: crl.crl_number >= promised)) == {7}


async def test_many_revocations_make_few_crls_with_all_of_them(database: Database) -> None:
    revoked = set(range(1, 41))
    for serial in revoked:
        await database.record(serial)
    numbers = set()
    async with publishing(database) as publisher:
        numbers.add((await published(database)).crl_number)
        database.clock.advance(seconds=2)
        for serial in revoked:
            promised = await database.revoke(serial)
            publisher.wake()
            numbers.add((await published(database)).crl_number)
            database.clock.advance(seconds=0.25)
        crl = await published(database, lambda crl: crl.crl_number >= promised)
    assert serials(crl) == revoked
    assert len(numbers) <= 3


async def test_no_two_crls_say_the_same_second(database: Database) -> None:
    await database.record(7)
    async with publishing(database):
        first = await published(database)
        promised = await database.revoke(7)
        await asyncio.sleep(1.2)
        assert (await published(database)).crl_number == first.crl_number
        database.clock.advance(seconds=1)
        assert (await published(database, lambda crl: crl.crl_number >= promised)).this_update > first.this_update


async def test_a_crl_is_replaced_at_half_its_life(database: Database) -> None:
    async with publishing(database):
        first = await published(database)
        database.clock.advance(hours=11, minutes=59)
        await asyncio.sleep(1.2)
        assert (await published(database)).crl_number == first.crl_number
        database.clock.advance(minutes=1)
        second = await published(database, lambda crl: crl.crl_number > first.crl_number)
    assert second.next_update == NOW + timedelta(hours=36)


async def test_a_certificate_revoked_before_its_end_is_on_a_crl_after_its_end(database: Database) -> None:
    await database.record(7, lifetime=timedelta(hours=1))
    await database.revoke(7)
    async with publishing(database):
        crl = await published(database)
        carried: list[datetime] = []
        while serials(crl):
            carried.append(crl.this_update)
            database.clock.advance(hours=12)
            number = crl.crl_number
            crl = await published(database, lambda crl, number=number: crl.crl_number > number)  # type: ignore[misc]  # a default binds the loop's value
    assert carried[-1] > NOW + timedelta(hours=1)


async def test_a_clock_that_was_set_back_neither_stops_nor_turns_back_the_numbers(database: Database) -> None:
    await database.record(7)
    async with publishing(database):
        first = await published(database)
        database.clock.advance(hours=-3)
        promised = await database.revoke(7)
        second = await published(database, lambda crl: crl.crl_number >= promised)
    assert second.crl_number > first.crl_number
    assert second.this_update == first.this_update
    assert serials(second) == {7}


async def test_two_servers_publish_one_crl_at_a_time_and_never_a_smaller_number(database: Database) -> None:
    numbers = []
    async with publishing(database), publishing(database):
        for serial in range(1, 4):
            await database.record(serial)
            promised = await database.revoke(serial)
            database.clock.advance(seconds=4)
            numbers.append((await published(database, lambda crl, n=promised: crl.crl_number >= n)).crl_number)  # type: ignore[misc]  # likewise
    assert numbers == sorted(numbers)
    assert serials(await published(database)) == {1, 2, 3}


async def test_a_long_crl_is_signed_beside_the_loop(database: Database) -> None:
    for serial in range(1, 302):
        await database.record(serial)
        await database.revoke(serial)
    async with publishing(database):
        assert (await published(database)).entry_count == 301


async def test_a_publisher_whose_key_is_not_the_issuers_publishes_nothing_and_says_so(database: Database) -> None:
    wrong = Issuers(AUTHORITY, [ROOT.issuer, ISSUING.issuer], {ISSUER_ID: ROOT.signer})
    with capture_logs() as logs:
        async with publishing(database, issuers=wrong):
            deadline = time.monotonic() + PATIENCE
            while not any(log["event"] == "crl.publication_failed" for log in logs):
                assert time.monotonic() < deadline
                await asyncio.sleep(0.01)
    assert await database.crls.current_crl(ISSUER_ID, 1) is None
    failure = next(log for log in logs if log["event"] == "crl.publication_failed")
    assert (failure["log_level"], failure["issuer_id"], failure["shard"]) == ("error", ISSUER_ID, 1)


async def test_a_publisher_outlives_a_database_that_goes_away_and_ends_quickly(database: Database) -> None:
    with capture_logs() as logs:
        async with publishing(database) as publisher:
            await published(database)
            database.lose()
            database.clock.advance(hours=12)
            deadline = time.monotonic() + PATIENCE
            while sum(log["event"] == "crl.publication_failed" for log in logs) < 2:
                assert time.monotonic() < deadline
                await asyncio.sleep(0.01)
            started = time.monotonic()
            await publisher.stop()
            assert time.monotonic() - started < 1


async def test_the_roots_crl_is_watched_and_not_signed(database: Database) -> None:
    long = Claim(1, NOW, [])
    crl = build_crl(ROOT.issuer, ROOT.signer, 1, long, NOW + timedelta(days=100))
    assert await database.crls.publish_crl(crl)
    database.clock.advance(days=90)
    with capture_logs() as logs:
        async with publishing(database):
            await published(database)
            await asyncio.sleep(0.2)
    warnings = [log for log in logs if log["log_level"] == "warning"]
    assert [(log["event"], log["issuer_id"]) for log in warnings] == [("crl.expiring", ROOT.issuer.issuer_id)]
    current = await database.crls.current_crl(ROOT.issuer.issuer_id, 1)
    assert current
    assert current.crl_der == crl.crl_der


async def test_a_publisher_that_was_never_started_can_be_stopped_and_woken(database: Database) -> None:
    publisher = Publisher(store=database.crls, issuers=ISSUERS, clock=database.clock)
    publisher.wake()
    await publisher.stop()


async def test_a_publisher_ends_whenever_it_is_stopped(database: Database) -> None:
    for step in range(100):
        async with asyncio.timeout(PATIENCE), publishing(database, tick=0.001):
            await asyncio.sleep(step * 0.000_1)
