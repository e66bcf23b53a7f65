import asyncio

import pytest

from certmint_server.registry.freshness import FreshCache


class Source:
    """Counts how often it was asked; answers when it is let."""

    def __init__(self) -> None:
        self.asked = 0
        self.value = "old"
        self.let = asyncio.Event()
        self.let.set()
        self.failing = False

    async def load(self, _key: str) -> str:
        self.asked += 1
        value = self.value
        await self.let.wait()
        if self.failing:
            raise ConnectionError
        return value


async def test_a_value_is_asked_for_once_within_its_bound() -> None:
    source = Source()
    cache = FreshCache(source.load, bound=60)
    assert [await cache.get("a") for _ in range(3)] == ["old"] * 3
    assert source.asked == 1


async def test_a_value_past_its_bound_is_asked_for_again() -> None:
    source = Source()
    cache = FreshCache(source.load, bound=0)
    await cache.get("a")
    await asyncio.sleep(0.001)
    source.value = "new"
    assert await cache.get("a") == "new"


async def test_many_that_miss_at_once_ask_once() -> None:
    source = Source()
    source.let.clear()
    cache = FreshCache(source.load, bound=60)
    waiting = [asyncio.create_task(cache.get("a")) for _ in range(50)]
    await asyncio.sleep(0)
    source.let.set()
    assert await asyncio.gather(*waiting) == ["old"] * 50
    assert source.asked == 1


async def test_a_load_that_began_before_forget_is_not_kept() -> None:
    source = Source()
    source.let.clear()
    cache = FreshCache(source.load, bound=60)
    early = asyncio.create_task(cache.get("a"))
    await asyncio.sleep(0.01)
    source.value = "new"
    cache.forget("a")
    source.let.set()
    assert await early == "old"
    assert await cache.get("a") == "new"


async def test_a_failure_reaches_all_that_wait_and_is_not_kept() -> None:
    source = Source()
    source.failing = True
    source.let.clear()
    cache = FreshCache(source.load, bound=60)
    waiting = [asyncio.create_task(cache.get("a")) for _ in range(3)]
    await asyncio.sleep(0)
    source.let.set()
    for task in waiting:
        with pytest.raises(ConnectionError):
            await task
    source.failing = False
    assert await cache.get("a") == "old"


async def test_one_that_gives_up_does_not_take_the_answer_from_the_others() -> None:
    source = Source()
    source.let.clear()
    cache = FreshCache(source.load, bound=60)
    first, second = (asyncio.create_task(cache.get("a")) for _ in range(2))
    await asyncio.sleep(0)
    first.cancel()
    source.let.set()
    assert await second == "old"
    assert source.asked == 1


async def test_the_oldest_value_goes_when_there_are_too_many() -> None:
    source = Source()
    cache = FreshCache(source.load, bound=60, size=2)
    for key in "abca":
        await cache.get(key)
    assert source.asked == 4
