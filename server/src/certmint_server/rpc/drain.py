"""How a server comes to its end without cutting anybody off."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from certmint_server.errors import StoreUnavailableError

# What is said last, such as NOT_SERVING to those who watch the health, still gets out.
_PARTING_SECONDS = 0.1
_TICK_SECONDS = 0.03
# More than one: a process that was not scheduled for a while finds its timer and a call in the same turn.
_QUIET_TICKS = 3
_PATIENCE_SECONDS = 1.0


class Drain:
    """Counts the calls, keeps the streams that are open, and turns both away at the end."""

    def __init__(self) -> None:
        self._calls = 0
        self._refuses = False
        self._streams: set[asyncio.Timeout] = set()
        self._streams_end_at: float | None = None

    def admit(self) -> None:
        """Lets one more call begin.

        Raises:
            StoreUnavailableError: the server stops.
        """
        self._calls += 1
        if self._refuses:
            raise _stopping()

    @asynccontextmanager
    async def stream(self) -> AsyncIterator[None]:
        """Where one stream runs.

        Raises:
            StoreUnavailableError: the server stops.
        """
        stream = asyncio.timeout_at(self._streams_end_at)
        try:
            async with stream:
                self._streams.add(stream)
                yield
        except TimeoutError:
            if not stream.expired():
                raise
            raise _stopping() from None
        finally:
            self._streams.discard(stream)

    async def run(self) -> None:
        """Ends the streams, lets every call begin that was received, then refuses more; at most 2 seconds.

        A stream that is idle would hold the server for the whole of its grace. A call that was received and has not
        begun when grpc stops is CANCELLED (grpc/grpc#41785), which few clients repeat, so none is to be left.
        """
        self._streams_end_at = asyncio.get_running_loop().time() + _PARTING_SECONDS
        for stream in self._streams:
            stream.reschedule(self._streams_end_at)
        await self._quiet()
        self._refuses = True
        await self._quiet()

    async def _quiet(self) -> None:
        """Returns once no call began for a moment, or when patience ends."""
        try:
            async with asyncio.timeout(_PATIENCE_SECONDS):
                quiet_ticks = 0
                while quiet_ticks < _QUIET_TICKS:
                    calls = self._calls
                    await asyncio.sleep(_TICK_SECONDS)
                    quiet_ticks = quiet_ticks + 1 if calls == self._calls else 0
        except TimeoutError:
            return


def _stopping() -> StoreUnavailableError:
    return StoreUnavailableError("This server is shutting down. Connect again.")
