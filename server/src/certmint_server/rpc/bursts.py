"""Calls that come together are worked on together.

gRPC hands calls over one by one, and a commit is over before the next few are read: certificates would be recorded by
twos and threads would take turns at the GIL, which made a call cost a third more than in bursts.
"""

import asyncio
from types import TracebackType

# What the loop is held up for by a burst stays near 15 ms.
MAXIMUM = 32
# How long a burst waits for one more call. A lone caller waits for nobody.
_GAP_SECONDS = 0.003
# The gap may pass while the loop is busy: then gRPC needs some turns to hand over what came meanwhile.
_BARREN_TURNS = 8


class Bursts:
    """Lets calls through in bursts: as many as were under way when the last one was let through.

    `async with bursts:` stands around a call, from when it came until it is answered.
    """

    def __init__(self) -> None:
        self._under_way = 0
        self._expected = 1
        self._waiting: list[asyncio.Future[None]] = []
        self._timer: asyncio.TimerHandle | None = None

    async def __aenter__(self) -> None:
        self._under_way += 1
        loop = asyncio.get_running_loop()
        turn = loop.create_future()
        self._waiting.append(turn)
        if self._timer:
            self._timer.cancel()
        if len(self._waiting) >= self._expected:
            self._let_through()
        else:
            self._timer = loop.call_later(_GAP_SECONDS, self._look_again, len(self._waiting), _BARREN_TURNS)
        try:
            await turn
        except BaseException:  # whatever ended it, it is not under way any more
            self._under_way -= 1
            raise

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._under_way -= 1

    def _look_again(self, waiting: int, turns: int) -> None:
        """Lets them through unless one more came, now that the loop is not busy with the burst before."""
        if len(self._waiting) != waiting:
            return
        if turns:
            asyncio.get_running_loop().call_soon(self._look_again, waiting, turns - 1)
        else:
            self._let_through()

    def _let_through(self) -> None:
        self._expected = min(MAXIMUM, self._under_way)
        turns, self._waiting = self._waiting, []
        for turn in turns:
            if not turn.done():
                turn.set_result(None)
