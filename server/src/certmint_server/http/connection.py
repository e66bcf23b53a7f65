"""A connection that cannot be held for long, nor with many others."""

import asyncio
from typing import Any

from uvicorn.protocols.http.h11_impl import H11Protocol

_MAXIMUM_CONNECTIONS = 256
_PERIOD_SECONDS = 10.0
_MINIMUM_BYTES = 10 * 1024


class BoundedConnection(H11Protocol):
    """HTTP/1.1 with the bounds that uvicorn leaves to a proxy in front of it.

    A request is read and answered within 10 seconds, however slowly its header or body drips in. An answer may take
    longer to be sent while its reader takes a kilobyte a second. Above 256 connections, new ones are closed: this
    process needs its file descriptors for more than this.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._deadline: asyncio.TimerHandle | None = None
        self._unsent = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        """Begins the first period."""
        super().connection_made(transport)
        if len(self.connections) > _MAXIMUM_CONNECTIONS:
            transport.abort()
            return
        self._begin_period()

    def connection_lost(self, exc: Exception | None) -> None:
        """Ends the period."""
        if self._deadline:
            self._deadline.cancel()
        super().connection_lost(exc)

    def on_response_complete(self) -> None:
        """Begins the period of the next request."""
        self._begin_period()
        super().on_response_complete()

    def _begin_period(self) -> None:
        if self._deadline:
            self._deadline.cancel()
        self._unsent = self.transport.get_write_buffer_size()
        self._deadline = self.loop.call_later(_PERIOD_SECONDS, self._end_period)

    def _end_period(self) -> None:
        unsent = self.transport.get_write_buffer_size()
        if unsent and self._unsent - unsent >= _MINIMUM_BYTES:
            self._begin_period()
        else:
            self.transport.abort()
