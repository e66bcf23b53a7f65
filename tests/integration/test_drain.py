import asyncio
import time
import uuid
from collections.abc import Sequence
from dataclasses import replace

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc
from tests.integration.authority import Authority, Server, serving, start_server

from certmint import Identity, aio, calls, errors, keys
from certmint.credentials import channel_credentials

# Far below the drain_seconds of a server, 20, and far above what a busy machine takes.
PROMPT_SECONDS = 8.0
PATIENCE_SECONDS = 30.0
CALLS = 200
ANSWERS_BEFORE = 40


async def test_a_call_that_sigterm_finds_is_answered_or_may_be_repeated(own_authority: Authority) -> None:
    server = start_server(own_authority.data)
    identity = own_authority.enroll(server, f"drained-{uuid.uuid4().hex[:8]}")
    received: list[bytes] = []
    enough = asyncio.Event()
    csr_der = keys.csr_der(keys.generate())

    async def call(client: aio.Client) -> None:
        once = replace(calls.sign_csr(csr_der), repeatable=False)
        received.append((await client.send(once)).chain_der[0])
        if len(received) >= ANSWERS_BEFORE:
            enough.set()

    async with aio.Client(server.address, identity, timeout=PATIENCE_SECONDS) as client:
        answering = asyncio.gather(*(call(client) for _ in range(CALLS)), return_exceptions=True)
        await asyncio.wait_for(enough.wait(), PATIENCE_SECONDS)
        await _stop_promptly(server)
        outcomes = await answering
    # gRPC's CANCELLED is not among them: few clients repeat that.
    assert [outcome for outcome in outcomes if not isinstance(outcome, errors.UnavailableError | None)] == []
    assert len(received) == outcomes.count(None)
    with serving(own_authority.data) as again:
        assert set(received) <= set(await _stored(own_authority, again, identity))


@pytest.mark.parametrize("own_authority", ["sqlite"], indirect=True)
async def test_a_caller_that_repeats_outlasts_a_server_that_is_replaced(own_authority: Authority) -> None:
    server = start_server(own_authority.data)
    identity = own_authority.enroll(server, f"patient-{uuid.uuid4().hex[:8]}")
    received: list[bytes] = []
    enough, replaced = asyncio.Event(), asyncio.Event()
    csr_der = keys.csr_der(keys.generate())

    async def call_on(client: aio.Client) -> None:
        is_last = False
        while not is_last:
            is_last = replaced.is_set()
            received.append(await _sign_patiently(client, csr_der))
            if len(received) >= ANSWERS_BEFORE:
                enough.set()

    async with aio.Client(server.address, identity) as client:
        calling = asyncio.gather(*(call_on(client) for _ in range(8)))
        await asyncio.wait_for(enough.wait(), PATIENCE_SECONDS)
        await _stop_promptly(server)
        with serving(own_authority.data) as replacement:
            assert replacement.address == server.address
            replaced.set()
            await calling
            stored = await _stored(own_authority, replacement, identity)
    # The first is the one that it was enrolled with.
    assert len(stored) == len(received) + 1
    assert set(received) <= set(stored)


@pytest.mark.parametrize("own_authority", ["sqlite"], indirect=True)
async def test_an_idle_stream_is_told_and_does_not_hold_a_server_that_stops(own_authority: Authority) -> None:
    server = start_server(own_authority.data)
    credentials = channel_credentials(own_authority.operator_identity)
    async with grpc.aio.secure_channel(server.address, credentials) as channel:
        watch = health_pb2_grpc.HealthStub(channel).Watch(health_pb2.HealthCheckRequest())
        assert (await watch.read()).status == health_pb2.HealthCheckResponse.SERVING
        reflection = reflection_pb2_grpc.ServerReflectionStub(channel).ServerReflectionInfo()
        await reflection.write(reflection_pb2.ServerReflectionRequest(list_services=""))
        await reflection.read()

        await _stop_promptly(server)
        assert (await watch.read()).status == health_pb2.HealthCheckResponse.NOT_SERVING
        assert await watch.code() is grpc.StatusCode.UNAVAILABLE
        assert await reflection.code() is grpc.StatusCode.UNAVAILABLE


async def _stop_promptly(server: Server) -> None:
    started = time.monotonic()
    assert await asyncio.to_thread(server.terminate) == 0, server.log()
    assert time.monotonic() - started < PROMPT_SECONDS


async def _sign_patiently(client: aio.Client, csr_der: bytes) -> bytes:
    """Repeats with one request id for longer than the client does by itself: a start takes longer than that."""
    request_id = str(uuid.uuid4())
    async with asyncio.timeout(PATIENCE_SECONDS):
        while True:
            try:
                return (await client.sign_csr(csr_der, request_id=request_id)).chain_der[0]
            except errors.UnavailableError:
                continue


async def _stored(authority: Authority, server: Server, identity: Identity) -> Sequence[bytes]:
    async with aio.Client(server.address, authority.operator_identity) as operator:
        listed = [found async for found in operator.iterate_certificates(identity=identity.spiffe_id)]
        answers = [await operator.get_certificate(found.serial_hex) for found in listed]
    return [answer.certificate.certificate_der for answer in answers]
