import asyncio

import pytest

from certmint_server.errors import StoreUnavailableError
from certmint_server.rpc.drain import Drain

# What a drain takes at most, 2 seconds, on a machine that is busy.
BOUND_SECONDS = 10.0


async def test_a_call_that_was_received_begins_and_a_later_one_is_refused() -> None:
    drain = Drain()
    draining = asyncio.create_task(drain.run())
    await asyncio.sleep(0)
    drain.admit()
    await asyncio.wait_for(draining, BOUND_SECONDS)
    with pytest.raises(StoreUnavailableError):
        drain.admit()


async def test_callers_that_never_pause_do_not_hold_it() -> None:
    drain = Drain()
    draining = asyncio.create_task(drain.run())
    refused = 0
    async with asyncio.timeout(BOUND_SECONDS):
        while not draining.done():
            try:
                drain.admit()
            except StoreUnavailableError:
                refused += 1
            await asyncio.sleep(0.001)
    assert refused > 0


async def test_a_stream_that_is_open_ends_and_so_does_one_that_opens_later() -> None:
    drain = Drain()
    idle = asyncio.create_task(_stream(drain))
    await asyncio.sleep(0)
    await asyncio.wait_for(drain.run(), BOUND_SECONDS)
    for stream in (idle, asyncio.create_task(_stream(drain))):
        with pytest.raises(StoreUnavailableError):
            await asyncio.wait_for(stream, BOUND_SECONDS)


async def test_a_timeout_of_the_streams_own_stays_one() -> None:
    with pytest.raises(TimeoutError):
        async with Drain().stream():
            raise TimeoutError


async def _stream(drain: Drain) -> None:
    async with drain.stream():
        await asyncio.Event().wait()
