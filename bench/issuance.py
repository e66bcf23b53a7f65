"""Server CPU per SignCSR, on both engines, beside the floor and a bare mTLS echo, all in one run.

    python bench/issuance.py [--calls 3000] [--rounds 3] [--json FILE]

The unit is CPU time, user and system, of the server process per call, from the kernel's accounting (Linux). The load
comes from another process. A round visits every server and every number of callers in turn, so that what else the
machine does falls on all alike; the median of the rounds is shown, and the multiple of the floor, which carries over to
other machines.
"""

import argparse
import asyncio
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import grpc
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from tests.integration.authority import make_authority, serving
from tests.postgres import postgres_cluster

from bench.accounting import cpu_seconds
from bench.steps import Steps, measure_steps
from certmint import Client, Identity, Registration, keys
from certmint.ca.v1.certificate_authority_service_pb2 import SignCSRRequest
from certmint.ca.v1.certificate_authority_service_pb2_grpc import CertificateAuthorityServiceStub
from certmint.calls import _uuid7
from certmint.credentials import channel_credentials

CALLERS = (1, 8, 64)
DISTINCT_CSRS = 500
IDENTITY = "spiffe://demo.test/bench"
DNS_NAMES = ["a.bench.demo.test", "b.bench.demo.test", "c.bench.demo.test"]
# What the best rival of each kind needed for a certificate stored, measured elsewhere, as multiples of the floor (91 µs
# there) and of a whole leaf by the library (166 µs there).
RIVALS = {
    ("SQLite", 8): (10.5, 5.7, "cfssl, SQLite"),
    ("SQLite", 64): (8.7, 4.8, "step-ca, badger"),
    ("PostgreSQL", 8): (14.6, 8.0, "cfssl, with the database's share"),
    ("PostgreSQL", 64): (19.4, 10.6, "cfssl, with the database's share"),
}


@dataclass(frozen=True, slots=True)
class Target:
    """A server under load: its process, and the database's if it has one."""

    name: str
    address: str
    identity: Identity
    pid: int
    database_pid: int | None = None


@dataclass(frozen=True, slots=True)
class Reading:
    """CPU microseconds per call of the server and its database, and calls per second."""

    target: str
    callers: int
    server: float
    database: float
    rate: float


def main() -> None:
    options = parse_arguments()
    with ExitStack() as stack:
        targets = [stack.enter_context(make()) for make in (echo, sqlite, postgresql)]
        csrs = [keys.csr_der(keys.generate(), dns_names=DNS_NAMES) for _ in range(DISTINCT_CSRS)]
        readings, floors, leaves = [], [], []
        for round_number in range(options.rounds + 1):
            floors.append(floor())
            leaves.append(whole_leaf())
            for callers in CALLERS:
                for target in targets:
                    say(f"round {round_number}/{options.rounds}: {target.name}, {callers} callers")
                    reading = measure(target, callers, options.calls if callers > 1 else options.calls // 3, csrs)
                    if round_number:  # the first one warms up
                        readings.append(reading)
        say("steps")
        steps = measure_steps(csrs)
    report(readings, statistics.median(floors), statistics.median(leaves), steps)
    if options.json:
        options.json.write_text(json.dumps([asdict(reading) for reading in readings], indent=2), encoding="utf-8")


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--calls", type=int, default=3000, help="calls per reading (a third of them for 1 caller)")
    parser.add_argument("--rounds", type=int, default=3, help="readings of each kind")
    parser.add_argument("--json", type=Path, help="write every reading here")
    return parser.parse_args()


@contextmanager
def sqlite() -> Iterator[Target]:
    with issuing("SQLite", "sqlite:///certmint.db") as target:
        yield target


@contextmanager
def postgresql() -> Iterator[Target]:
    with postgres_cluster(durable=True) as cluster:
        url = cluster.url(cluster.create_database())
        with issuing("PostgreSQL", url, database_pid=cluster.pid) as target:
            yield target


@contextmanager
def issuing(name: str, database_url: str, database_pid: int | None = None) -> Iterator[Target]:
    with tempfile.TemporaryDirectory(prefix="certmint-bench-") as folder:
        authority = make_authority(Path(folder, "ca"), database_url=database_url)
        with serving(authority.data) as server:
            with authority.operator(server) as operator:
                operator.create_registration(Registration(identity=IDENTITY, dns_names=DNS_NAMES, profiles=["service"]))
                identity = enroll(operator, server.address)
            yield Target(name, server.address, identity, server.process.pid, database_pid)


def enroll(operator: Client, address: str) -> Identity:
    key = keys.generate()
    answer = operator.sign_csr(keys.csr_der(key), identity=IDENTITY)
    roots_der = operator.get_trust_bundle().trust_bundle.roots_der
    return Identity.from_der(key=key, chain_der=answer.chain_der, trust_bundle_der=roots_der, server=address)


@contextmanager
def echo() -> Iterator[Target]:
    """A bare grpc.aio server over mTLS on the same kind of loop, answering with as many bytes as SignCSR does."""
    with tempfile.TemporaryDirectory(prefix="certmint-echo-") as folder:
        authority = make_authority(Path(folder, "ca"))
        command = [sys.executable, "-m", "bench.echo", str(authority.data)]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        try:
            assert process.stdout
            port = process.stdout.readline().strip()
            yield Target("bare echo", f"localhost:{port}", authority.operator_identity, process.pid)
        finally:
            process.terminate()
            process.wait(10)


def measure(target: Target, callers: int, calls: int, csrs: list[bytes]) -> Reading:
    server_before = cpu_seconds(target.pid)
    database_before = cpu_seconds(target.database_pid, tree=True) if target.database_pid else 0.0
    started = time.monotonic()
    asyncio.run(load(target, callers, calls, csrs))
    elapsed = time.monotonic() - started
    database_after = cpu_seconds(target.database_pid, tree=True) if target.database_pid else 0.0
    return Reading(
        target.name,
        callers,
        (cpu_seconds(target.pid) - server_before) / calls * 1e6,
        (database_after - database_before) / calls * 1e6,
        calls / elapsed,
    )


async def load(target: Target, callers: int, calls: int, csrs: list[bytes]) -> None:
    """`calls` calls of SignCSR by so many callers, each over one of at most 8 connections."""
    left = iter(range(calls))
    options = [("grpc.use_local_subchannel_pool", 1), ("grpc.ssl_target_name_override", "localhost")]
    channels = [
        grpc.aio.secure_channel(target.address, channel_credentials(target.identity), options)
        for _ in range(min(callers, 8))
    ]

    async def caller(number: int) -> None:
        stub = CertificateAuthorityServiceStub(channels[number % len(channels)])
        for index in left:
            request = SignCSRRequest(csr_der=csrs[index % len(csrs)], request_id=_uuid7())
            await stub.SignCSR(request, timeout=60)

    await asyncio.gather(*(caller(number) for number in range(callers)))
    for channel in channels:
        await channel.close()


def floor() -> float:
    """CPU microseconds of one raw P-256 verification and one raw P-256 signature."""
    key, data = ec.generate_private_key(ec.SECP256R1()), b"x" * 500
    algorithm = ec.ECDSA(hashes.SHA256())
    signature, public_key = key.sign(data, algorithm), key.public_key()
    started = time.process_time()
    for _ in range(1000):
        public_key.verify(signature, data, algorithm)
        key.sign(data, algorithm)
    return (time.process_time() - started) * 1e3


def whole_leaf() -> float:
    """CPU microseconds of a leaf made in the ordinary way of the library: read and verify a CSR, build, sign, PEM.

    How dear the work around the two operations of the floor is differs between machines; this carries it over.
    """
    csr_der, issuer_key = keys.csr_der(keys.generate(), dns_names=DNS_NAMES), ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "issuer")])
    start = datetime(2030, 1, 1, tzinfo=UTC)
    started = time.process_time()
    for _ in range(500):
        csr = x509.load_der_x509_csr(csr_der)
        assert csr.is_signature_valid
        san = csr.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        key = csr.public_key()
        builder = x509.CertificateBuilder(name, name, key, x509.random_serial_number())
        builder = builder.not_valid_before(start).not_valid_after(start + timedelta(days=1))
        for extension in (
            x509.BasicConstraints(ca=False, path_length=None),
            x509.KeyUsage(True, *[False] * 8),
            x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]),
            san,
            x509.SubjectKeyIdentifier.from_public_key(key),
            x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()),
        ):
            builder = builder.add_extension(extension, critical=False)
        builder.sign(issuer_key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
    return (time.process_time() - started) / 500 * 1e6


def report(readings: list[Reading], base: float, leaf: float, steps: Steps) -> None:
    print(f"\nfloor (raw P-256 verify + sign): {base:.0f} µs; a whole leaf by the library: {leaf:.0f} µs\n")
    print(
        f"{'server':<12} {'callers':>7} {'CPU µs':>8} {'database':>9} {'x floor':>8} {'x leaf':>7} {'calls/s':>8}"
        "   to beat"
    )
    for target, callers in dict.fromkeys((reading.target, reading.callers) for reading in readings):
        chosen = [reading for reading in readings if (reading.target, reading.callers) == (target, callers)]
        server = statistics.median(reading.server for reading in chosen)
        database = statistics.median(reading.database for reading in chosen)
        rate = statistics.median(reading.rate for reading in chosen)
        of_floor, of_leaf, rival = RIVALS.get((target, callers), (0.0, 0.0, ""))
        beat = f"{of_floor:.1f} and {of_leaf:.1f} ({rival})" if rival else ""
        print(
            f"{target:<12} {callers:>7} {server:>8.0f} {database or 0:>9.0f} {(server + database) / base:>8.1f} "
            f"{(server + database) / leaf:>7.1f} "
            f"{rate:>8.0f}   {beat}"
        )
    print("\nsteps of one SignCSR, in the process (CPU µs)\n")
    for name, microseconds in steps.items():
        print(f"  {name:<58} {microseconds:>7.1f}")


def say(text: str) -> None:
    print(f"\r\x1b[K{text}", end="", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
