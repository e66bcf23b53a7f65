import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from tests.unit.client.peer import CA, Peer, serving

import certmint
from certmint import aio
from certmint.identity import Identity

Connect = Callable[..., Any]


@pytest.fixture(scope="session")
def ca() -> CA:
    return CA()


@pytest.fixture
def peer(ca: CA) -> Iterator[Peer]:
    with serving(ca) as peer:
        yield peer


class Threaded:
    """The synchronous client under the asyncio client's face, each call in a thread."""

    def __init__(self, client: certmint.Client) -> None:
        self._client = client

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._client, name)
        if name.startswith("iterate_"):
            return lambda **arguments: self._iterate(method, arguments)
        return lambda *positional, **named: asyncio.to_thread(method, *positional, **named)

    async def _iterate(self, method: Any, arguments: dict[str, Any]) -> AsyncIterator[Any]:
        for item in await asyncio.to_thread(lambda: list(method(**arguments))):
            yield item


@pytest.fixture(params=["sync", "aio"])
def connect(request: pytest.FixtureRequest) -> Connect:
    """Opens either client, so that one suite holds for both."""

    @asynccontextmanager
    async def opened(server: str, identity: Identity, **options: Any) -> AsyncIterator[Any]:
        if request.param == "aio":
            async with aio.Client(server, identity, **options) as client:
                yield client
        else:
            with certmint.Client(server, identity, **options) as synchronous:
                yield Threaded(synchronous)

    return opened
