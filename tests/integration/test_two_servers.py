"""Two servers with the same keys on one PostgreSQL. What one of them knows, the other heeds in time."""

import asyncio
import shutil
import statistics
import subprocess
import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding
from tests.integration.authority import BIN, Authority, Server, free_port, make_authority, serving, start_server
from tests.postgres import PostgresCluster

from certmint import Client, Identity, RevocationReason, Role, aio, errors, keys
from certmint.ca.v1.resources_pb2 import CertificateRevocationList

# A server asks the registry again after a second; a machine that is busy may be late.
STALENESS_SECONDS = 2.0
PUBLICATION_SECONDS = 5.0
LEASE_SECONDS = 3.0
PATIENCE_SECONDS = 30.0
SAMPLES = 5


@dataclass(frozen=True, slots=True)
class Pair:
    """The two, of which a test may end neither but for a moment."""

    authority: Authority
    other: Path
    first: Server
    second: Server

    def enroll(self) -> Identity:
        return self.authority.enroll(self.first, f"both-{uuid.uuid4().hex[:8]}", roles=[Role.ROLE_SERVICE])


@pytest.fixture(scope="module")
def pair(postgres: PostgresCluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    """Started at once, on a database that no server has served from yet."""
    folder = tmp_path_factory.mktemp("pair")
    authority = make_authority(folder / "ca", database_url=postgres.url(postgres.create_database()))
    other = _copy(authority.data, folder / "other")
    with ThreadPoolExecutor() as threads, ExitStack() as stack:
        starting = [threads.submit(stack.enter_context, serving(data)) for data in (authority.data, other)]
        first, second = [future.result() for future in starting]
        yield Pair(authority, other, first, second)


def test_processes_that_migrate_at_once_migrate_once(postgres: PostgresCluster, pair: Pair) -> None:
    url = postgres.url(postgres.create_database())
    command: list[str | Path] = [BIN / "certmint-server", "migrate", "--config", pair.authority.data]
    environment = {"CERTMINT_DATABASE_URL": url, "PATH": str(BIN)}
    migrating = [subprocess.Popen(command, env=environment, stderr=subprocess.PIPE) for _ in range(2)]
    ended = [(process.communicate(timeout=PATIENCE_SECONDS)[1], process.returncode) for process in migrating]
    assert [code for _, code in ended] == [0, 0], ended


def test_a_second_server_at_the_same_address_is_refused(pair: Pair, tmp_path: Path) -> None:
    data = _copy(pair.authority.data, tmp_path / "third", keep="grpc")
    with pytest.raises(RuntimeError, match=f"error: Cannot listen on {pair.first.address}"):
        start_server(data)


async def test_calls_with_one_request_id_on_both_make_one_certificate(pair: Pair) -> None:
    identity = pair.enroll()
    csr_der = keys.csr_der(keys.generate())
    request_id = str(uuid.uuid4())
    async with (
        aio.Client(pair.first.address, identity, timeout=PATIENCE_SECONDS) as first,
        aio.Client(pair.second.address, identity, timeout=PATIENCE_SECONDS) as second,
    ):
        answers = await asyncio.gather(
            *((first, second)[number % 2].sign_csr(csr_der, request_id=request_id) for number in range(50))
        )
        listed = [found async for found in first.iterate_certificates()]
    assert len({answer.chain_der[0] for answer in answers}) == 1
    # The other is the one that it was enrolled with.
    assert len(listed) == 2


def test_a_caller_revoked_on_one_is_refused_by_the_other(pair: Pair) -> None:
    with ThreadPoolExecutor(SAMPLES) as threads:
        staleness = list(threads.map(_staleness_of_revocation, [pair] * SAMPLES))
    print(f"a revocation is heeded by the other server after {statistics.median(staleness):.2f} s (median)")
    assert max(staleness) <= STALENESS_SECONDS


def test_an_identity_disabled_on_one_is_refused_by_the_other(pair: Pair) -> None:
    identity = pair.enroll()
    with pair.authority.operator(pair.first) as operator, Client(pair.second.address, identity) as service:
        service.get_configuration()
        registration = operator.get_registration(identity.spiffe_id).registration
        registration.disabled = True
        operator.update_registration(registration)
        assert _staleness(service.get_configuration, errors.CallerDisabledError) <= STALENESS_SECONDS


def test_a_key_blocked_on_one_is_refused_by_the_other_at_once(pair: Pair) -> None:
    victim = pair.enroll()
    with pair.authority.operator(pair.first) as first, pair.authority.operator(pair.second) as second:
        second.sign_csr(keys.csr_der(keys.generate()), identity=victim.spiffe_id)
        revoked = first.revoke(certificate_der=_der(victim), reason=RevocationReason.REVOCATION_REASON_KEY_COMPROMISE)
        assert revoked.key_blocked
        with pytest.raises(errors.KeyBlockedError):
            second.sign_csr(keys.csr_der(keys.from_pem(victim.key_pem)), identity=victim.spiffe_id)


def test_both_serve_each_revocation_in_time_under_numbers_that_grow(pair: Pair) -> None:
    numbers = [0]
    with pair.authority.operator(pair.first) as first, pair.authority.operator(pair.second) as second:
        for operator in (first, second, first):
            revoked = operator.revoke(certificate_der=_der(pair.enroll()))
            promised = revoked.certificate.revocation.crl_number
            assert promised > numbers[-1]
            bound = time.monotonic() + PUBLICATION_SECONDS
            numbers += [_wait_for_crl(client, promised, bound).crl_number for client in (first, second)]
    assert numbers == sorted(numbers)


def test_a_server_killed_while_it_may_hold_the_lease_does_not_stop_publication(pair: Pair) -> None:
    with pair.authority.operator(pair.second) as survivor:
        for _ in range(2):
            identity = pair.enroll()
            with serving(_copy(pair.authority.data, pair.other.with_name(uuid.uuid4().hex))) as doomed:
                with pair.authority.operator(doomed) as operator:
                    revoked = operator.revoke(certificate_der=_der(identity))
                # The revocation woke its publisher, which claims at once.
                doomed.kill()
            bound = time.monotonic() + PUBLICATION_SECONDS + LEASE_SECONDS
            _wait_for_crl(survivor, revoked.certificate.revocation.crl_number, bound)


def _staleness_of_revocation(pair: Pair) -> float:
    identity = pair.enroll()
    with pair.authority.operator(pair.first) as operator, Client(pair.second.address, identity) as service:
        service.get_configuration()
        operator.revoke(certificate_der=_der(identity))
        return _staleness(service.get_configuration, errors.CallerRevokedError)


def _staleness(call: Callable[[], object], refusal: type[errors.CertmintError]) -> float:
    """Seconds from now until the last call began that was still let through."""
    started = time.monotonic()
    last = 0.0
    while time.monotonic() - started < PATIENCE_SECONDS:
        began = time.monotonic()
        try:
            call()
        except refusal:
            return last
        last = began - started
        time.sleep(0.02)
    raise AssertionError(f"never refused with {refusal.reason}")


def _wait_for_crl(client: Client, number: int, bound: float) -> CertificateRevocationList:
    """The CRL as it is served once its number is reached, which must be before `bound`."""
    while (crl := client.get_crl().crl).crl_number < number:
        assert time.monotonic() < bound, f"CRL {number} is late: {crl.crl_number} is served"
        time.sleep(0.05)
    return crl


def _der(identity: Identity) -> bytes:
    return identity.certificate.public_bytes(Encoding.DER)


def _copy(data: Path, target: Path, *, keep: str = "") -> Path:
    """The folder of one more server on the same database, at addresses of its own but for the one to `keep`."""
    shutil.copytree(data, target, ignore=shutil.ignore_patterns("ready-*", "server.log"))
    config = target / "certmint.toml"
    text = config.read_text(encoding="utf-8")
    for section in {"grpc", "http"} - {keep}:
        listen = f'[{section}]\nlisten = "127.0.0.1:'
        before, _, after = text.partition(listen)
        text = f"{before}{listen}{free_port()}{after[after.index(chr(34)) :]}"
    config.write_text(text, encoding="utf-8")
    return target
