"""The distribution points on a real port, over a real registry."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from tests.unit.server.database import ISSUERS, Database

from certmint_server.http.app import make_app
from certmint_server.http.serve import HTTPServer, listen
from certmint_server.revocation.crls import CRLs


@asynccontextmanager
async def serving(database: Database) -> AsyncIterator[tuple[str, int]]:
    """The address that is served."""
    listener = listen("127.0.0.1", 0)
    host, port = listener.getsockname()
    server = HTTPServer(make_app(ISSUERS, CRLs(database.crls), database.clock), listener)
    server.start()
    try:
        yield host, port
    finally:
        await server.stop()


async def exchange(address: tuple[str, int], sent: bytes, *, patience: float = 5.0) -> bytes:
    """What comes back for raw bytes until the server closes; nothing if it just closes."""
    reader, writer = await asyncio.open_connection(*address)
    try:
        writer.write(sent)
        return await asyncio.wait_for(reader.read(), patience)
    except ConnectionError:
        return b""
    finally:
        writer.close()
