"""What each step of SignCSR costs, in one process, without gRPC."""

import asyncio
import tempfile
import time
import uuid
from collections.abc import Awaitable, Callable
from pathlib import Path

from tests.integration.authority import make_authority

from certmint.ca.v1.certificate_authority_service_pb2 import SignCSRRequest
from certmint_server.cli.options import issuer_passphrase
from certmint_server.clock import SystemClock
from certmint_server.config import load_config
from certmint_server.host import host_identity
from certmint_server.issuance.certificate import prepare
from certmint_server.issuance.csr import parse_csr
from certmint_server.issuance.log import Issuance, RequestKey
from certmint_server.issuance.request import SignRequest
from certmint_server.issuance.serial import new_serial
from certmint_server.registry.callers import Caller
from certmint_server.registry.certificate import CertificateRecord, SubjectNames
from certmint_server.registry.registration import Grant
from certmint_server.rpc import wire
from certmint_server.wiring import Services, open_services

Steps = dict[str, float]
REPEATS = 1500


def measure_steps(csrs: list[bytes]) -> Steps:
    """CPU microseconds of each step, on SQLite."""
    with tempfile.TemporaryDirectory(prefix="certmint-steps-") as folder:
        authority = make_authority(Path(folder, "ca"))
        return asyncio.run(_measure(authority.data, csrs))


async def _measure(data: Path, csrs: list[bytes]) -> Steps:
    config = load_config(data / "certmint.toml")
    async with open_services(config, SystemClock(), issuer_passphrase(config)) as services:
        grant = Grant("spiffe://demo.test/bench", tuple(_names()), profiles=("service",))
        await services.registry.registrations.create(grant, by=host_identity(services.issuers.authority))
        caller = Caller(None, grant)
        requests = [SignRequest(csr_der=csr) for csr in csrs]
        decided = [await services.issuance.decide(caller, request) for request in requests]
        signer = services.issuers.signer(services.issuers.active())
        now = services.clock.now()
        message = SignCSRRequest(csr_der=csrs[0], request_id=str(uuid.uuid4())).SerializeToString()
        steps = {
            "message in (parse)": _cpu(lambda _: SignCSRRequest.FromString(message)),
            "1 CSR: parse, verify possession, keys, names": _cpu(lambda n: parse_csr(csrs[n % len(csrs)])),
            "1-3 decide: the CSR again, authorize, decide": await _cpu_async(
                lambda n: services.issuance.decide(caller, requests[n % len(requests)])
            ),
            "4-6 build, lint, sign, re-read, verify": _cpu(
                lambda n: prepare(decided[n % len(decided)], new_serial(now), signer).sign()
            ),
        }
        certificate_der = prepare(decided[0], new_serial(now), signer).sign().certificate_der
        for group in (1, 8, 64):
            steps[f"7 record, {group} at a time, all threads"] = await _record(services, group, certificate_der)
        records = [_issuance(services, certificate_der).certificate for _ in range(REPEATS)]
        steps["8 message out (build, serialize)"] = _cpu(
            lambda n: wire.certificate_message(records[n], now, with_der=True).SerializeToString()
        )
        return steps


async def _record(services: Services, group: int, certificate_der: bytes) -> float:
    items = [_issuance(services, certificate_der) for _ in range(REPEATS // group * group)]
    started = time.process_time()
    for start in range(0, len(items), group):
        await asyncio.gather(*map(services.store.certificate_log.record, items[start : start + group]))
    return (time.process_time() - started) / len(items) * 1e6


def _issuance(services: Services, certificate_der: bytes) -> Issuance:
    """A certificate to record, with a serial and a request id of its own."""
    now = services.clock.now().replace(microsecond=0)
    record = CertificateRecord(
        issuer_id=services.issuers.active().issuer_id,
        serial=new_serial(services.clock.now()),
        identity="spiffe://demo.test/bench",
        profile="service",
        profile_version=1,
        not_before=now,
        not_after=now,
        spki_sha256=uuid.uuid4().bytes * 2,
        crl_shard=1,
        requested_by="spiffe://demo.test/bench",
        certificate_der=certificate_der,
        known_names=SubjectNames(tuple(_names())),
    )
    return Issuance(record, RequestKey(record.identity, uuid.uuid4(), b"y" * 32))


def _names() -> list[str]:
    return ["a.bench.demo.test", "b.bench.demo.test", "c.bench.demo.test"]


def _cpu(step: Callable[[int], object]) -> float:
    started = time.process_time()
    for number in range(REPEATS):
        step(number)
    return (time.process_time() - started) / REPEATS * 1e6


async def _cpu_async(step: Callable[[int], Awaitable[object]]) -> float:
    started = time.process_time()
    for number in range(REPEATS):
        await step(number)
    return (time.process_time() - started) / REPEATS * 1e6
