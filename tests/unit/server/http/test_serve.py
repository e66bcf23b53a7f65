import asyncio
import signal
import socket
import time
from contextlib import suppress
from datetime import timedelta

import httpx
import pytest
from tests.unit.server.authority import ISSUING, NOW
from tests.unit.server.database import ISSUERS, Database
from tests.unit.server.http.serving import exchange, serving

from certmint_server.errors import ConfigError
from certmint_server.http.app import make_app
from certmint_server.http.serve import HTTPServer, listen
from certmint_server.revocation.crls import CRLs, PublishedCRL

GET = b"GET /bundle.pem HTTP/1.1\r\nHost: x\r\n"
CLOSE = b"Connection: close\r\n\r\n"

NO_REQUESTS = (
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(64) + b"\r\n\r\n",
    b"GET\r\n\r\n",
    b"GET /bundle.pem HTTP/1.1\r\nHost: x\r\nno colon\r\n\r\n",
    b"GET /bundle.pem HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
    b"GET /bundle.pem HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
    b"GET /bundle.pem HTTP/1.1\r\n\r\n",
    GET + b"X: " + b"a" * 10_000,
    b"GET /" + b"a" * 1_000_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
    GET + b"".join(b"X-%d: a\r\n" % number for number in range(200_000)),
)
OUTSIDE = (
    b"/../../../etc/passwd",
    b"/crl/../../etc/passwd",
    b"/%2e%2e/%2e%2e/etc/passwd",
    b"//etc/passwd",
    b"/\\..\\x",
    b"*",
)


def status(answer: bytes) -> int:
    return int(answer.split(b" ", 2)[1]) if answer else 0


async def test_a_request_on_a_raw_socket_is_answered(database: Database) -> None:
    async with serving(database) as address:
        answer = await exchange(address, GET + CLOSE)
    assert status(answer) == 200
    assert b"BEGIN CERTIFICATE" in answer


async def test_several_requests_share_a_connection(database: Database) -> None:
    async with serving(database) as address:
        answer = await exchange(address, (GET + b"\r\n") * 3 + GET + CLOSE)
    assert answer.count(b"HTTP/1.1 200") == 4


async def test_what_is_not_a_request_we_read_is_refused_and_closed(database: Database) -> None:
    async with serving(database) as address:
        for request_bytes in NO_REQUESTS:
            assert status(await exchange(address, request_bytes)) in {0, 400}
            assert status(await exchange(address, GET + CLOSE)) == 200


async def test_no_path_leads_out_of_what_is_served(database: Database) -> None:
    async with serving(database) as address:
        for path in OUTSIDE:
            answer = await exchange(address, b"GET " + path + b" HTTP/1.1\r\nHost: x\r\n" + CLOSE)
            assert status(answer) in {400, 404}
            assert b"root:" not in answer


async def test_a_websocket_is_not_opened(database: Database) -> None:
    upgrade = (
        b"Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: eA==\r\n\r\n"
    )
    async with serving(database) as address:
        reader, writer = await asyncio.open_connection(*address)
        writer.write(GET + upgrade)
        assert b" 101 " not in await asyncio.wait_for(reader.readline(), 5)
        writer.close()


async def drip_header(address: tuple[str, int]) -> float:
    """Sends a header line every half second; the seconds until the server has enough."""
    reader, writer = await asyncio.open_connection(*address)
    started = time.monotonic()
    writer.write(GET)
    while not reader.at_eof() and time.monotonic() - started < 30:
        writer.write(b"X: y\r\n")
        with suppress(TimeoutError, ConnectionError):
            await asyncio.wait_for(reader.read(1), 0.5)
    writer.close()
    return time.monotonic() - started


async def stop_reading(address: tuple[str, int], path: str) -> int:
    """Asks for much, reads nothing for longer than the server is patient; the bytes that came in the end."""
    with socket.socket() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.setblocking(False)
        loop = asyncio.get_running_loop()
        await loop.sock_connect(connection, address)
        await loop.sock_sendall(connection, f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        await asyncio.sleep(12)
        received = 0
        with suppress(ConnectionError):
            while chunk := await asyncio.wait_for(loop.sock_recv(connection, 1 << 16), 5):
                received += len(chunk)
        return received


async def test_neither_a_header_that_drips_in_nor_a_reader_that_stops_holds_a_connection(database: Database) -> None:
    issuer_id = ISSUING.issuer.issuer_id
    large = PublishedCRL(issuer_id, 1, 7, NOW, NOW + timedelta(days=1), 0, bytes(16 * 1024 * 1024))
    assert await database.crls.publish_crl(large)
    async with serving(database) as address:
        held, received = await asyncio.gather(drip_header(address), stop_reading(address, f"/crl/{issuer_id}/1.crl"))
        async with httpx.AsyncClient() as client:
            answer = await client.get(f"http://{address[0]}:{address[1]}/crl/{issuer_id}/1.crl")
    assert 9 < held < 14
    assert received < len(large.crl_der)
    assert answer.content == large.crl_der


async def test_a_connection_that_is_done_with_is_closed_after_some_seconds(database: Database) -> None:
    async with serving(database) as address:
        started = time.monotonic()
        answer = await exchange(address, GET + b"\r\n", patience=15)
        assert status(answer) == 200
        assert 4 < time.monotonic() - started < 8


async def test_more_connections_than_the_bound_are_closed_and_those_before_are_served(database: Database) -> None:
    async with serving(database) as address:
        connections = [await asyncio.open_connection(*address) for _ in range(256)]
        assert await exchange(address, GET + CLOSE) == b""
        reader, writer = connections[0]
        writer.write(GET + CLOSE)
        assert status(await asyncio.wait_for(reader.read(), 5)) == 200
        for _, writer in connections:
            writer.close()


async def test_stopping_closes_idle_and_half_sent_connections_quickly(database: Database) -> None:
    async with serving(database) as address:
        idle = await asyncio.open_connection(*address)
        half = await asyncio.open_connection(*address)
        half[1].write(GET)
        await exchange(address, GET + CLOSE)
        started = time.monotonic()
    assert time.monotonic() - started < 2
    for reader, writer in (idle, half):
        assert await asyncio.wait_for(reader.read(), 1) == b""
        writer.close()
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection(*address)


async def test_the_signals_of_the_process_are_left_alone(database: Database) -> None:
    before = signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)
    async with serving(database) as address:
        await exchange(address, GET + CLOSE)
        assert (signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)) == before


async def test_a_server_listens_on_ipv6_too(database: Database) -> None:
    listener = listen("::1", 0)
    server = HTTPServer(make_app(ISSUERS, CRLs(database.crls), database.clock), listener)
    port = listener.getsockname()[1]
    server.start()
    async with httpx.AsyncClient() as client:
        answer = await client.get(f"http://[::1]:{port}/bundle.pem")
    assert answer.status_code == 200
    await server.stop()


async def test_a_port_that_is_taken_is_said_at_once(database: Database) -> None:
    with listen("127.0.0.1", 0) as listener, pytest.raises(ConfigError, match="Cannot listen on 127"):
        listen("127.0.0.1", listener.getsockname()[1])
