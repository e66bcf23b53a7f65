"""Runs the distribution points with uvicorn in the loop that is running."""

import asyncio
import contextlib
import os
import socket
from collections.abc import Iterator

import uvicorn
from starlette.types import ASGIApp

from certmint_server.errors import ConfigError
from certmint_server.http.connection import BoundedConnection

_BACKLOG = 128
_MAXIMUM_HEADER_BYTES = 8 * 1024
_KEEP_ALIVE_SECONDS = 5
_DRAIN_SECONDS = 2


class HTTPServer:
    """Serves an application on a listening socket, from `start` to `stop`."""

    def __init__(self, app: ASGIApp, listener: socket.socket) -> None:
        self._listener = listener
        self._server = _Server(
            uvicorn.Config(
                app,
                http=BoundedConnection,
                ws="none",
                lifespan="off",
                interface="asgi3",
                log_config=None,
                access_log=False,
                server_header=False,
                proxy_headers=False,
                timeout_keep_alive=_KEEP_ALIVE_SECONDS,
                timeout_graceful_shutdown=_DRAIN_SECONDS,
                h11_max_incomplete_event_size=_MAXIMUM_HEADER_BYTES,
            )
        )
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begins serving. The socket listens already, so nobody is refused in between."""
        self._task = asyncio.create_task(self._server.serve(sockets=[self._listener]), name="http")

    async def stop(self) -> None:
        """Stops accepting, lets answers under way end for at most 2 seconds, and closes what is left.

        Raises:
            Whatever ended the server before.
        """
        if self._task:
            self._server.should_exit = True
            await self._task
            self._server.close_connections()
            self._task = None


def listen(host: str, port: int) -> socket.socket:
    """A listening TCP socket; its `getsockname()` has the port if `port` is 0.

    Raises:
        ConfigError: the address cannot be used.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=_BACKLOG)
    except OSError as error:
        why = os.strerror(error.errno) if error.errno else str(error)
        raise ConfigError(
            f"Cannot listen on {host} port {port}: {why}. Change http.listen in certmint.toml."
        ) from error


class _Server(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        # The signals of this process are for the whole of it, not for its HTTP server.
        yield

    def close_connections(self) -> None:
        for connection in list(self.server_state.connections):
            connection.transport.abort()
