"""Values of the registry kept for a moment, so that a hot path does not ask the database at every call."""

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Hashable
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class FreshCache(Generic[K, V]):
    """Keeps what `load` gave for at most `bound` seconds; many callers that miss at once load once.

    A load that fails is not kept: its error reaches every caller that waited for it, so what cannot be refreshed
    fails closed. A load that began before `forget` is not kept either, since it may have read the old state.
    """

    def __init__(self, load: Callable[[K], Awaitable[V]], *, bound: float, size: int = 10_000) -> None:
        self._load = load
        self._bound = bound
        self._size = size
        self._kept: OrderedDict[K, tuple[float, V]] = OrderedDict()
        self._under_way: dict[K, asyncio.Task[V]] = {}

    async def get(self, key: K) -> V:
        """The value, not older than the bound.

        Raises whatever `load` raises.
        """
        kept = self._kept.get(key)
        if kept and asyncio.get_running_loop().time() - kept[0] <= self._bound:
            return kept[1]
        task = self._under_way.get(key)
        if task is None:
            task = self._under_way[key] = asyncio.create_task(self._refresh(key))
        # Shielded: a caller that gives up must not take the load away from the others.
        return await asyncio.shield(task)

    def forget(self, key: K) -> None:
        """Load afresh at the next `get`."""
        self._kept.pop(key, None)
        self._under_way.pop(key, None)

    async def _refresh(self, key: K) -> V:
        started = asyncio.get_running_loop().time()
        task = asyncio.current_task()
        try:
            value = await self._load(key)
        finally:
            current = self._under_way.get(key) is task
            if current:
                del self._under_way[key]
        if current:
            self._kept[key] = (started, value)
            self._kept.move_to_end(key)
            if len(self._kept) > self._size:
                self._kept.popitem(last=False)
        return value
