"""A real authority: made by `certmint-server init`, served by `certmint-server serve`, called over real mTLS."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from certmint import Client, Identity, Registration, Role, keys

BIN = Path(sys.executable).parent
TRUST_DOMAIN = "demo.test"
START_SECONDS = 30.0
STOP_SECONDS = 30.0


class Server:
    """One server process on the data of an authority."""

    def __init__(self, data: Path, process: subprocess.Popen[bytes], grpc_address: str, http_address: str) -> None:
        self.data = data
        self.process = process
        self.address = grpc_address
        self.http_url = f"http://{http_address}"

    def terminate(self) -> int:
        """SIGTERM, and what the process exits with."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(STOP_SECONDS)

    def kill(self) -> None:
        """SIGKILL: what a power cut does."""
        self.process.kill()
        self.process.wait(STOP_SECONDS)

    def log(self) -> str:
        """What it wrote so far."""
        return (self.data / "server.log").read_text(encoding="utf-8")


class Authority:
    """A CA in a folder, with its first operator."""

    def __init__(self, data: Path) -> None:
        self.data = data
        self.operator_identity = Identity.load(data / "operator")

    def operator(self, server: Server) -> Client:
        """A client of the first operator."""
        return Client(server.address, self.operator_identity)

    def enroll(
        self,
        server: Server,
        name: str,
        *,
        dns_names: Sequence[str] = (),
        ip_addresses: Sequence[str] = (),
        profiles: Sequence[str] = ("service", "server", "client"),
        roles: Sequence[Role.ValueType] = (Role.ROLE_SERVICE,),
    ) -> Identity:
        """Registers `spiffe://demo.test/<name>` and gets it its first certificate."""
        identity = f"spiffe://{TRUST_DOMAIN}/{name}"
        registration = Registration(
            identity=identity, dns_names=dns_names, ip_addresses=ip_addresses, profiles=profiles
        )
        key = keys.generate()
        with self.operator(server) as operator:
            registration = operator.create_registration(registration).registration
            answer = operator.sign_csr(keys.csr_der(key), identity=identity, profile=profiles[0])
            # Afterwards: a registration authority asks for services only.
            registration.roles[:] = roles
            operator.update_registration(registration)
            roots_der = operator.get_trust_bundle().trust_bundle.roots_der
        return Identity.from_der(key=key, chain_der=answer.chain_der, trust_bundle_der=roots_der, server=server.address)


def make_authority(
    data: Path, *, database_url: str = "sqlite:///certmint.db", options: Sequence[str] = ()
) -> Authority:
    """Runs `certmint-server init`."""
    command: list[str | Path] = [BIN / "certmint-server", "init", "--dir", data, "--trust-domain", TRUST_DOMAIN]
    command += ["--database-url", database_url, "--grpc-listen", f"127.0.0.1:{free_port()}"]
    command += ["--http-listen", f"127.0.0.1:{free_port()}", *options]
    subprocess.run(command, check=True, capture_output=True, timeout=START_SECONDS)
    return Authority(data)


def start_server(data: Path, *, environment: dict[str, str] | None = None) -> Server:
    """Starts `certmint-server serve`, and returns once it listens."""
    ready = data / f"ready-{time.monotonic_ns()}"
    with (data / "server.log").open("ab") as log:
        process = subprocess.Popen(
            [BIN / "certmint-server", "serve", "--config", data, "--ready-file", ready, "--log-format", "json"],
            stderr=log,
            env={**os.environ, **(environment or {})},
        )
    ends = time.monotonic() + START_SECONDS
    while not ready.exists() or not ready.read_text(encoding="utf-8").endswith("\n"):
        if process.poll() is not None or time.monotonic() > ends:
            process.kill()
            process.wait()
            raise RuntimeError((data / "server.log").read_text(encoding="utf-8"))
        time.sleep(0.02)
    grpc_address, http_address = ready.read_text(encoding="utf-8").split()
    return Server(data, process, grpc_address, http_address)


@contextmanager
def serving(data: Path, *, environment: dict[str, str] | None = None) -> Iterator[Server]:
    """A server for as long as the context lasts; it must still be alive, and drain cleanly, at the end."""
    server = start_server(data, environment=environment)
    try:
        yield server
    finally:
        if server.process.poll() is None:
            assert server.terminate() == 0, server.log()


def free_port() -> int:
    """A loopback port that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port
