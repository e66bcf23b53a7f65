"""The one writer of a server: its thread is where everything that changes the database happens.

Certificates that wait to be recorded while a transaction commits are recorded together in the next. There is no timer:
a lone caller waits for nobody, and under load calls come in bursts.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Protocol, TypeVar

from sqlalchemy import Connection, Engine

from certmint_server.errors import StoreUnavailableError
from certmint_server.issuance.log import Issuance, Recorded
from certmint_server.store.failure import unavailable_on_failure

GROUP_SIZE = 256
A = TypeVar("A")
T = TypeVar("T")


class GroupRecorder(Protocol):
    """Records certificates together."""

    def record(self, issuances: Sequence[Issuance]) -> Sequence[Recorded | Exception]:
        """What became of each, once it is durable."""
        ...


class Writer:
    """Records certificates in groups, and runs every other act in a transaction of its own."""

    def __init__(self, engine: Engine, recorder: GroupRecorder) -> None:
        self._engine = engine
        self._recorder = recorder
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="store-writer")
        self._records: deque[tuple[Issuance, asyncio.Future[Recorded]]] = deque()
        self._acts: deque[tuple[Callable[[Connection], Any], asyncio.Future[Any]]] = deque()
        self._task: asyncio.Task[None] | None = None
        self._closed = False

    async def record(self, issuance: Issuance) -> Recorded:
        """Records a certificate: `CertificateLog.record`."""
        self._verify_open()
        done: asyncio.Future[Recorded] = asyncio.get_running_loop().create_future()
        self._records.append((issuance, done))
        self._wake()
        return await done

    async def run(self, act: Callable[[Connection], T]) -> T:
        """What `act` returns, once it is durable; if it raises, it changed nothing.

        Raises:
            StoreUnavailableError: the database failed; whether the act is durable is then unknown.
        """
        self._verify_open()
        done: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._acts.append((act, done))
        self._wake()
        return await done

    async def close(self) -> None:
        """Finishes what is pending and takes nothing more."""
        self._closed = True
        if self._task:
            await self._task
        self._thread.shutdown()
        self._engine.dispose()

    def _verify_open(self) -> None:
        if self._closed:
            raise StoreUnavailableError("This server is shutting down. Try again.")

    def _wake(self) -> None:
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._work())

    async def _work(self) -> None:
        # In turn, so that neither a flood of records nor one of acts makes the other wait for longer than one commit.
        while self._records or self._acts:
            if self._records:
                await self._record_group()
            if self._acts:
                await self._run_act()

    async def _record_group(self) -> None:
        group = [self._records.popleft() for _ in range(min(GROUP_SIZE, len(self._records)))]
        # Whoever gave up while waiting gets no certificate.
        wanted = [(issuance, done) for issuance, done in group if not done.done()]
        outcomes = await self._in_thread(self._recorder.record, [issuance for issuance, _ in wanted])
        for (_, done), outcome in zip(wanted, outcomes, strict=True):
            _settle(done, outcome)

    async def _run_act(self) -> None:
        act, done = self._acts.popleft()
        if not done.done():
            _settle(done, await self._in_thread(self._run, act))

    async def _in_thread(self, function: Callable[[A], T], argument: A) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, function, argument)

    def _run(self, act: Callable[[Connection], T]) -> T | Exception:
        try:
            with unavailable_on_failure(), self._engine.begin() as connection:
                return act(connection)
        except Exception as error:  # noqa: BLE001  raised where it is awaited
            return error


def _settle(done: asyncio.Future[T], outcome: T | Exception) -> None:
    if done.done():
        return
    if isinstance(outcome, Exception):
        done.set_exception(outcome)
    else:
        done.set_result(outcome)
