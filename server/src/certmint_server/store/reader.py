"""Reading: a few threads with a connection each."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from sqlalchemy import Connection, Engine

from certmint_server.store.engine import READERS
from certmint_server.store.failure import unavailable_on_failure

T = TypeVar("T")


class Reader:
    """Runs queries in threads of its own."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._threads = ThreadPoolExecutor(READERS, thread_name_prefix="store-reader")

    async def run(self, query: Callable[[Connection], T]) -> T:
        """What `query` returns.

        Raises:
            StoreUnavailableError: the database failed.
        """
        return await asyncio.get_running_loop().run_in_executor(self._threads, self._run, query)

    async def close(self) -> None:
        """Waits for the queries under way."""
        await asyncio.to_thread(self._threads.shutdown)
        self._engine.dispose()

    def _run(self, query: Callable[[Connection], T]) -> T:
        with unavailable_on_failure(), self._engine.connect() as connection:
            return query(connection)
