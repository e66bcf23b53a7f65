import asyncio

from certmint_server.rpc.bursts import MAXIMUM, Bursts


class Calls:
    """Calls that are answered when they are told to, and their numbers in the order they were let through."""

    def __init__(self) -> None:
        self.bursts = Bursts()
        self.worked_on: list[int] = []
        self.answer = asyncio.Event()

    def start(self, number: int) -> asyncio.Task[None]:
        return asyncio.create_task(self._call(number))

    async def _call(self, number: int) -> None:
        async with self.bursts:
            self.worked_on.append(number)
            await self.answer.wait()


async def turns(count: int = 5) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


async def test_a_lone_call_waits_for_nobody() -> None:
    calls = Calls()
    calls.answer.set()
    for number in range(3):
        await asyncio.wait_for(calls.start(number), 1)
    assert calls.worked_on == [0, 1, 2]


async def test_as_many_as_were_under_way_are_let_through_together() -> None:
    calls = Calls()
    first = [calls.start(number) for number in range(4)]
    await asyncio.sleep(0.05)
    assert sorted(calls.worked_on) == [0, 1, 2, 3]
    calls.answer.set()
    await asyncio.gather(*first)

    calls.answer.clear()
    calls.worked_on.clear()
    waiting = [calls.start(10)]
    await turns()
    expected = calls.bursts._expected
    assert expected > 1
    assert calls.worked_on == []
    waiting += [calls.start(10 + number) for number in range(1, expected)]
    await turns()
    assert len(calls.worked_on) == expected
    calls.answer.set()
    await asyncio.gather(*waiting)


async def test_a_burst_that_stays_incomplete_is_let_through_soon() -> None:
    calls = Calls()
    calls.bursts._expected = MAXIMUM
    alone = calls.start(1)
    calls.answer.set()
    await asyncio.wait_for(alone, 1)
    assert calls.worked_on == [1]
    await asyncio.wait_for(calls.start(2), 1)


async def test_a_call_that_is_given_up_while_it_waits_does_not_hold_the_others() -> None:
    calls = Calls()
    calls.bursts._expected = 3
    given_up, other = calls.start(1), calls.start(2)
    await turns()
    given_up.cancel()
    await turns()
    calls.answer.set()
    third = calls.start(3)
    await asyncio.wait_for(asyncio.gather(other, third), 1)
    assert sorted(calls.worked_on) == [2, 3]
    assert calls.bursts._under_way == 0


async def test_a_burst_has_a_largest_size() -> None:
    calls = Calls()
    crowd = [calls.start(number) for number in range(3 * MAXIMUM)]
    await asyncio.sleep(0.1)
    assert calls.bursts._expected <= MAXIMUM
    calls.answer.set()
    await asyncio.gather(*crowd)
    assert len(calls.worked_on) == 3 * MAXIMUM
