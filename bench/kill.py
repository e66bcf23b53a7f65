"""A server that is killed amid its work loses nothing.

    python -m bench.kill [--rounds 20] [--calls 2000] [--engine sqlite|postgresql|both]

A round asks for certificates, 64 at a time, and kills the server (SIGKILL) at a random instant amid the calls. It is
started again on what it left behind, and the registry is asked: every certificate that the client received must be
there byte for byte, no serial twice, and every call, repeated with its request id, must give the certificate that is
stored, or make exactly one. Exit code 1, with the reason, if anything was lost.
"""

import argparse
import asyncio
import hashlib
import random
import statistics
import sys
import tempfile
import time
import uuid
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path

from tests.integration.authority import Authority, Server, make_authority, start_server
from tests.postgres import postgres_cluster

from certmint import Identity, aio, calls, errors, keys
from certmint.ca.v1.certificate_authority_service_pb2 import SignCSRResponse
from certmint.ca.v1.resources_pb2 import Certificate

IN_FLIGHT = 64
DISTINCT_CSRS = 32
REPEATED_ANSWERS = 50
TIMEOUT_SECONDS = 60.0
LARGEST_DELAY_SECONDS = 0.05
LABEL = "order"


class LossError(Exception):
    """Something was lost, or made twice."""


@dataclass(frozen=True, slots=True)
class Order:
    """One certificate that is asked for. Its request id is also its label, by which the registry is searched."""

    request_id: str
    csr_der: bytes

    def call(self) -> calls.Call[SignCSRResponse]:
        """The call, which repeats itself only if it is told to."""
        return calls.sign_csr(self.csr_der, request_id=self.request_id, labels={LABEL: self.request_id})


@dataclass(slots=True)
class Outcome:
    """What a client saw before the server was killed: certificates (DER) by request id, and calls without an answer."""

    received: dict[str, bytes] = field(default_factory=dict)
    unanswered: list[Order] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Round:
    """The figures of a round."""

    received: int
    cut_off: int
    stored_unanswered: int
    repeated: int
    restart_seconds: float
    total_seconds: float


def kill_rounds(authority: Authority, *, rounds: int, calls_per_round: int, seed: int) -> Iterator[Round]:
    """Kills a server so many times.

    Raises:
        LossError: something was lost.
    """
    chance = random.Random(seed)
    csrs = [keys.csr_der(keys.generate()) for _ in range(DISTINCT_CSRS)]
    server = start_server(authority.data)
    serials: set[str] = set()
    try:
        for _ in range(rounds):
            server, figures, made = _round(authority, server, csrs, calls_per_round, chance)
            _verify(serials.isdisjoint(made), "a serial of an earlier round was given again")
            serials |= made
            yield figures
    finally:
        if server.process.poll() is None:
            code = server.terminate()
            _verify(code == 0, f"the server ended with {code}:\n{server.log()[-2000:]}")


def _round(
    authority: Authority, server: Server, csrs: Sequence[bytes], count: int, chance: random.Random
) -> tuple[Server, Round, set[str]]:
    started = time.monotonic()
    identity = authority.enroll(server, f"round-{uuid.uuid4().hex[:8]}")
    orders = [Order(str(uuid.uuid4()), csrs[position % len(csrs)]) for position in range(count)]
    # So early that all are still being called when the delay is over.
    kill_after = chance.randint(1, max(1, count - 2 * IN_FLIGHT))
    delay = chance.uniform(0, LARGEST_DELAY_SECONDS)
    outcome = asyncio.run(_sign_until_killed(server, identity, orders, kill_after, delay))
    killed = time.monotonic()
    server = start_server(authority.data)
    restart_seconds = time.monotonic() - killed
    stored, repeated, made = asyncio.run(_verify_nothing_lost(authority, server, identity, orders, outcome))
    figures = Round(
        received=len(outcome.received),
        cut_off=len(outcome.unanswered),
        stored_unanswered=stored,
        repeated=repeated,
        restart_seconds=restart_seconds,
        total_seconds=time.monotonic() - started,
    )
    return server, figures, made


async def _sign_until_killed(
    server: Server, identity: Identity, orders: Iterable[Order], kill_after: int, delay: float
) -> Outcome:
    outcome = Outcome()
    waiting = iter(orders)
    killed = asyncio.Event()

    def kill() -> None:
        server.process.kill()
        killed.set()

    async def work(client: aio.Client) -> None:
        for order in waiting:
            if killed.is_set():
                return
            try:
                answer = await client.send(replace(order.call(), repeatable=False))
            except (errors.UnavailableError, errors.CallCancelledError):
                if not killed.is_set():
                    raise
                outcome.unanswered.append(order)
                return
            outcome.received[order.request_id] = answer.chain_der[0]
            if len(outcome.received) == kill_after:
                asyncio.get_running_loop().call_later(delay, kill)

    async with aio.Client(server.address, identity, timeout=TIMEOUT_SECONDS) as client:
        await asyncio.gather(*(work(client) for _ in range(IN_FLIGHT)))
        await asyncio.wait_for(killed.wait(), TIMEOUT_SECONDS)
    server.kill()
    return outcome


async def _verify_nothing_lost(
    authority: Authority, server: Server, identity: Identity, orders: Sequence[Order], outcome: Outcome
) -> tuple[int, int, set[str]]:
    """How many were stored without their answer, how many calls were repeated, and every serial."""
    async with (
        aio.Client(server.address, authority.operator_identity, timeout=TIMEOUT_SECONDS) as operator,
        aio.Client(server.address, identity, timeout=TIMEOUT_SECONDS) as service,
    ):
        found = await _listed(operator, identity)
        _verify_received(outcome.received, found)
        answered = [order for order in orders if order.request_id in outcome.received]
        others = [order for order in orders if order.request_id not in outcome.received]
        repeated = await _sign_all(service, answered[-REPEATED_ANSWERS:] + others)
        for request_id, certificate_der in repeated.items():
            first_der = outcome.received.get(request_id, certificate_der)
            _verify(certificate_der == first_der, f"request {request_id}, repeated, got another certificate")
        listed = await _listed(operator, identity)
    _verify_received(outcome.received | repeated, listed)
    made = Counter(certificate.labels[LABEL] for certificate in listed)
    ordered = Counter(order.request_id for order in orders)
    _verify(made == ordered, f"{(made - ordered).total()} made twice, {(ordered - made).total()} never")
    unanswered = {order.request_id for order in outcome.unanswered}
    stored_unanswered = sum(certificate.labels[LABEL] in unanswered for certificate in found)
    return stored_unanswered, len(repeated), {certificate.serial_hex for certificate in listed}


def _verify_received(received: Mapping[str, bytes], listed: Sequence[Certificate]) -> None:
    """The registry's SHA-256 of a certificate is that of the DER it holds."""
    stored = {certificate.labels[LABEL]: certificate.sha256 for certificate in listed}
    _verify(len({certificate.serial_hex for certificate in listed}) == len(listed), "a serial was given twice")
    for request_id, certificate_der in received.items():
        _verify(
            stored.get(request_id) == hashlib.sha256(certificate_der).hexdigest(),
            f"the certificate of request {request_id} was received, and is not in the registry",
        )


async def _listed(operator: aio.Client, identity: Identity) -> list[Certificate]:
    """The certificates of this round's identity, without the one it was enrolled with."""
    pages = operator.iterate_certificates(identity=identity.spiffe_id, page_size=1000)
    return [certificate async for certificate in pages if LABEL in certificate.labels]


async def _sign_all(client: aio.Client, orders: Iterable[Order]) -> dict[str, bytes]:
    waiting = iter(orders)
    received: dict[str, bytes] = {}

    async def work() -> None:
        for order in waiting:
            received[order.request_id] = (await client.send(order.call())).chain_der[0]

    await asyncio.gather(*(work() for _ in range(IN_FLIGHT)))
    return received


def _verify(holds: bool, otherwise: str) -> None:
    if not holds:
        raise LossError(otherwise)


def _run(engine: str, arguments: argparse.Namespace) -> None:
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        url = "sqlite:///certmint.db"
        if engine == "postgresql":
            postgres = stack.enter_context(postgres_cluster(durable=True))
            url = postgres.url(postgres.create_database())
        authority = make_authority(folder / "ca", database_url=url)
        rounds: list[Round] = []
        for figures in kill_rounds(
            authority, rounds=arguments.rounds, calls_per_round=arguments.calls, seed=arguments.seed
        ):
            rounds.append(figures)
            print(
                f"{engine}  round {len(rounds):>2}: {figures.received:>5} received, {figures.cut_off:>3} cut off, "
                f"of which {figures.stored_unanswered:>3} stored; {figures.repeated:>5} repeated; "
                f"up again in {figures.restart_seconds:.2f} s; {figures.total_seconds:.1f} s in all",
                flush=True,
            )
        print(_summary(engine, rounds), flush=True)


def _summary(engine: str, rounds: Sequence[Round]) -> str:
    restarts = [figures.restart_seconds for figures in rounds]
    return (
        f"{engine}: killed {len(rounds)} times; {sum(figures.received for figures in rounds)} certificates received, "
        f"0 lost; {sum(figures.cut_off for figures in rounds)} calls cut off, "
        f"of which {sum(figures.stored_unanswered for figures in rounds)} were stored; "
        f"{sum(figures.repeated for figures in rounds)} repeated, 0 made twice; "
        f"up again in {statistics.median(restarts):.2f} s (median), {max(restarts):.2f} s (longest)"
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--calls", type=int, default=2000)
    parser.add_argument("--engine", choices=["sqlite", "postgresql", "both"], default="both")
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 32))
    arguments = parser.parse_args()
    print(f"seed {arguments.seed}", flush=True)
    try:
        for engine in ("sqlite", "postgresql") if arguments.engine == "both" else (arguments.engine,):
            _run(engine, arguments)
    except LossError as error:
        print(f"LOST: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
