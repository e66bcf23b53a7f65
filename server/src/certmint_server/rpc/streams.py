"""How many streams one caller may have open: each holds one of the calls that the server takes in all."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from certmint_server.errors import TooManyStreamsError

MAXIMUM_OF_A_CALLER = 16


class StreamLimit:
    """Counts the open streams of each caller."""

    def __init__(self) -> None:
        self._open: Counter[str] = Counter()

    @contextmanager
    def one_of(self, identity: str) -> Iterator[None]:
        """Where one stream of a caller runs.

        Raises:
            TooManyStreamsError: it has as many open as it may.
        """
        if self._open[identity] >= MAXIMUM_OF_A_CALLER:
            raise TooManyStreamsError(f"Close a stream first: a caller has at most {MAXIMUM_OF_A_CALLER} open.")
        self._open[identity] += 1
        try:
            yield
        finally:
            self._open[identity] -= 1
            if not self._open[identity]:
                del self._open[identity]
