"""A server process, from start to drain."""

import asyncio
import gc
import signal
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

import structlog
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from certmint import keys
from certmint_server.config import split_address
from certmint_server.host import KeyPair, issue_server_certificate
from certmint_server.http.app import make_app
from certmint_server.http.serve import HTTPServer, listen
from certmint_server.rpc.credentials import RotatingCredentials, TLSMaterial
from certmint_server.wiring import Services, rpc_server

_RETRY = timedelta(seconds=10)
_COLLECTOR_THRESHOLDS = (20_000, 20, 20)
_RENEWAL_TICK = timedelta(seconds=1)

_log = structlog.get_logger("certmint.serving")


@dataclass(frozen=True, slots=True)
class Listening:
    """Where a server listens."""

    grpc_address: str
    http_address: str


async def serve(services: Services, *, on_listening: Callable[[Listening], None]) -> None:
    """Serves until SIGTERM or SIGINT, then takes no new calls, ends those under way and closes.

    Raises:
        ConfigError: an address cannot be listened at.
    """
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    await serve_until(services, stop, on_listening=on_listening)


async def serve_until(services: Services, stop: asyncio.Event, *, on_listening: Callable[[Listening], None]) -> None:
    """Serves until `stop` is set."""
    config = services.config
    pair = await issue_server_certificate(services, config.names)
    credentials = RotatingCredentials(tls_material(services, pair))
    listener = listen(*split_address(config.http_listen))
    http = HTTPServer(make_app(services.issuers, services.crls, services.clock), listener)
    rpc = rpc_server(services)
    grpc_port = await rpc.start(config.grpc_listen, credentials)
    http.start()
    services.publisher.start()
    _spare_the_collector()
    renewal = asyncio.create_task(_renew(services, pair, credentials), name="server-certificate")
    try:
        grpc_host, _, _ = config.grpc_listen.rpartition(":")
        http_host, _, _ = config.http_listen.rpartition(":")
        on_listening(Listening(f"{grpc_host}:{grpc_port}", f"{http_host}:{listener.getsockname()[1]}"))
        await stop.wait()
        _log.info("draining", seconds=config.drain_seconds)
    finally:
        renewal.cancel()
        await rpc.stop(config.drain_seconds)
        await services.publisher.stop()
        await http.stop()


def _spare_the_collector() -> None:
    """Keeps the garbage collector from walking through all modules again and again: a tenth of what a call cost."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(*_COLLECTOR_THRESHOLDS)


async def _renew(services: Services, pair: KeyPair, credentials: RotatingCredentials) -> None:
    """Renews the server's own certificate in its window, with a new key; open connections are not touched."""
    while True:
        # In short steps: the loop's clock stands still while a machine sleeps, and does not see one that is set.
        await asyncio.sleep(_RENEWAL_TICK.total_seconds())
        if services.clock.now() < pair.issued.renew_after:
            continue
        try:
            pair = await issue_server_certificate(services, services.config.names)
        except Exception as error:  # noqa: BLE001  whatever it is, the next attempt must come: this one is all there is
            _log.error("server_certificate_not_renewed", exc_info=error)
            await asyncio.sleep(_RETRY.total_seconds())
            continue
        credentials.offer(tls_material(services, pair))
        _log.info("server_certificate_renewed", not_after=pair.issued.certificate.not_after.isoformat())


def tls_material(services: Services, pair: KeyPair) -> TLSMaterial:
    """What the server shows, and the roots that callers must chain to."""
    return TLSMaterial(
        private_key_pem=keys.to_pem(pair.key),
        chain_pem=b"".join(map(_pem, pair.issued.chain_der)),
        client_roots_pem=b"".join(_pem(root.certificate_der) for root in services.issuers.roots()),
    )


def _pem(certificate_der: bytes) -> bytes:
    return x509.load_der_x509_certificate(certificate_der).public_bytes(Encoding.PEM)
