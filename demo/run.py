"""The demo: makes a CA in a fresh folder, serves it, and walks a client process through a service's whole life."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import BinaryIO

HERE = Path(__file__).parent
BIN = Path(sys.executable).parent
START_SECONDS = 15.0
STOP_SECONDS = 15.0


def main() -> int:
    """Runs the demo; 0 only if every step did what it says."""
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="certmint-demo-") as folder:
        data, other = Path(folder, "ca"), Path(folder, "other-ca")
        grpc_port, http_port = free_ports(2)
        makers = [
            initialise(data, "demo.test", grpc_port, http_port),
            initialise(other, "other.test", *free_ports(2)),
        ]
        for maker in makers:
            if maker.wait():
                raise SystemExit(f"certmint-server init failed: {maker.stderr and maker.stderr.read()}")
        took(f"two CAs are made, for demo.test and (a stranger's) other.test, in {folder}", started)
        log_path = Path(folder, "server.log")
        with log_path.open("wb") as log:
            server = serve(data, log)
            try:
                outcome = walk(data, other, server)
            finally:
                stop(server)
        if outcome or server.returncode:
            shutil.copyfileobj(log_path.open(encoding="utf-8"), sys.stderr)
            print(f"The demo failed (walk {outcome}, server {server.returncode}).", file=sys.stderr)
            return 1
        took("the server drained and stopped", started, since="in all")
    return 0


def initialise(data: Path, trust_domain: str, grpc_port: int, http_port: int) -> subprocess.Popen[str]:
    """Begins to make a two-tier CA on SQLite."""
    command: list[str | Path] = [BIN / "certmint-server", "init", "--dir", data]
    command += ["--trust-domain", trust_domain, "--name", trust_domain]
    command += ["--grpc-listen", f"127.0.0.1:{grpc_port}", "--http-listen", f"127.0.0.1:{http_port}"]
    return subprocess.Popen(command, stderr=subprocess.PIPE, text=True)


def serve(data: Path, log: BinaryIO) -> subprocess.Popen[bytes]:
    """Starts a server, and waits until it listens."""
    ready = data / "ready"
    command: list[str | Path] = [BIN / "certmint-server", "serve", "--config", data, "--ready-file", ready]
    started = time.monotonic()
    server = subprocess.Popen(command, stderr=log)
    while not ready.exists():
        if server.poll() is not None or time.monotonic() - started > START_SECONDS:
            stop(server)
            raise SystemExit(f"The server did not start: {Path(log.name).read_text(encoding='utf-8')}")
        time.sleep(0.02)
    grpc_address, http_address = ready.read_text(encoding="utf-8").split()
    took(f"the server listens: gRPC over mTLS at {grpc_address}, CRLs at http://{http_address}", started)
    return server


def walk(data: Path, other: Path, server: subprocess.Popen[bytes]) -> int:
    """Runs the client process."""
    if server.poll() is not None:
        return 1
    command: list[str | Path] = [sys.executable, HERE / "walk.py", data / "operator", other / "operator"]
    # gRPC's C core writes what a TLS peer refuses to standard error: the demo provokes that, and tells it in words.
    quiet = {**os.environ, "GRPC_VERBOSITY": "NONE"}
    return subprocess.run(command, check=False, timeout=60, env=quiet).returncode


def stop(server: subprocess.Popen[bytes]) -> None:
    """Ends the server as an operator would."""
    if server.poll() is None:
        server.send_signal(signal.SIGTERM)
    server.wait(STOP_SECONDS)


def free_ports(count: int) -> list[int]:
    """Loopback ports that nobody listens on."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [listener.getsockname()[1] for listener in sockets]
    for listener in sockets:
        listener.close()
    return ports


def took(text: str, started: float, since: str = "") -> None:
    """Says what was done, and how long it took."""
    print(f"  ·  {text}  [{time.monotonic() - started:.2f} s{f' {since}' if since else ''}]", flush=True)


if __name__ == "__main__":
    raise SystemExit(main())
