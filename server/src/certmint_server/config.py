"""The configuration of a server process, read once. Nothing else reads the environment.

One TOML file; what is secret stands in files that it names. Paths and SQLite files are relative to its folder.
"""

import os
import stat
import tomllib
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from certmint_server.errors import ConfigError

FILE_NAME = "certmint.toml"
MAXIMUM_FILE_BYTES = 64 * 1024
MAXIMUM_SECRET_BYTES = 4096
PASSPHRASE_VARIABLE = "CERTMINT_PASSPHRASE"  # noqa: S105  the name of a variable
DATABASE_URL_VARIABLE = "CERTMINT_DATABASE_URL"
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_SQLITE = "sqlite:///"
_SHORTEST_CRL_LIFETIME = timedelta(seconds=2)
_OTHERS = stat.S_IRWXO


@dataclass(frozen=True, slots=True)
class Config:
    """What a server process is told. `names` stand in the server's own certificate."""

    folder: Path
    database_url: str
    grpc_listen: str
    http_listen: str
    names: tuple[str, ...]
    passphrase_file: Path | None
    crl_lifetime: timedelta = timedelta(hours=24)
    crl_publication_bound: timedelta = timedelta(seconds=5)
    authorization_bound: float = 1.0
    drain_seconds: float = 20.0


def prepare_grpc() -> None:
    """What grpc reads from the environment when it is first imported, and nowhere else.

    grpcio has no option for the least TLS version. With an ECDSA certificate, a list of cipher suites that holds only
    an RSA one leaves TLS 1.2 without a common suite, and TLS 1.3 untouched.

    grpc-core writes a line of its own to standard error for each handshake that fails, which anybody can cause: between
    our lines of JSON it is noise. GRPC_VERBOSITY=ERROR brings it back.
    """
    os.environ.setdefault("GRPC_SSL_CIPHER_SUITES", "ECDHE-RSA-AES256-GCM-SHA384")
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")


def find_config(explicit: Path | None) -> Path:
    """The configuration file: the one named, or `certmint.toml` in a folder named, here or in `certmint-data`.

    Raises:
        ConfigError: there is none.
    """
    candidates = [explicit] if explicit else [Path(), Path("certmint-data")]
    for candidate in candidates:
        path = candidate / FILE_NAME if candidate.is_dir() else candidate
        if path.is_file():
            return path
    raise ConfigError(
        f"No configuration at {explicit or FILE_NAME}. Make one with: certmint-server init --dir certmint-data"
    )


def load_config(path: Path) -> Config:
    """Reads a configuration file.

    Raises:
        ConfigError: it cannot be read; the message names the path of the key at fault.
    """
    if path.stat().st_size > MAXIMUM_FILE_BYTES:
        raise ConfigError(f"{path} is larger than {MAXIMUM_FILE_BYTES} bytes.")
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} is not TOML: {error}") from error
    reader = _Reader(document, path)
    folder = path.resolve().parent
    passphrase_file = reader.text("keys.passphrase_file", default="")
    config = Config(
        folder=folder,
        database_url=_database_url(reader, folder),
        grpc_listen=reader.text("grpc.listen"),
        http_listen=reader.text("http.listen"),
        names=reader.texts("grpc.names"),
        passphrase_file=folder / passphrase_file if passphrase_file else None,
        crl_lifetime=reader.duration("crl.lifetime", default="24h"),
    )
    reader.verify_all_read()
    if config.crl_lifetime < _SHORTEST_CRL_LIFETIME:
        raise ConfigError(f"{path}: crl.lifetime is at least {int(_SHORTEST_CRL_LIFETIME.total_seconds())}s.")
    _verify_address(config.grpc_listen, "grpc.listen")
    _verify_address(config.http_listen, "http.listen")
    return config


def environment_passphrase() -> bytes | None:
    """The passphrase of the issuer's key, if the environment has one."""
    return os.fsencode(os.environ.get(PASSPHRASE_VARIABLE, "")) or None


def split_address(address: str) -> tuple[str, int]:
    """Host and port of `host:port`; an IPv6 host stands in brackets.

    Raises:
        ConfigError: it is not that.
    """
    host, separator, port = address.rpartition(":")
    if not (separator and host and port.isascii() and port.isdigit() and int(port) < 1 << 16):
        raise ConfigError(f"'{address}' is not host:port.")
    return host.strip("[]"), int(port)


def parse_duration(text: str) -> timedelta:
    """A length of time as people write it: `90s`, `15m`, `24h`, `7d`.

    Raises:
        ValueError: it is not that.
    """
    digits, unit = text[:-1], text[-1:]
    if unit not in _UNITS or not (digits.isascii() and digits.isdigit()) or len(digits) > len("999999999"):
        raise ValueError(f"'{text}' is not a number with s, m, h or d, such as 24h")
    return timedelta(seconds=int(digits) * _UNITS[unit])


def _database_url(reader: "_Reader", folder: Path) -> str:
    """From the environment, from a file that is named because it holds a password, or as it is written.

    A relative SQLite path is taken from the configuration's folder.
    """
    url_file = reader.text("database.url_file", default="")
    url = os.environ.get(DATABASE_URL_VARIABLE, "")
    if not url and url_file:
        url = _read_secret(folder / url_file, "database.url_file")
    written = reader.text("database.url", default=url or None)
    url = url or written
    if url.startswith(_SQLITE):
        return f"{_SQLITE}{folder / url.removeprefix(_SQLITE)}"
    return url


def _read_secret(path: Path, what: str) -> str:
    return read_private(path, what).decode(errors="replace").strip()


def read_private(path: Path, what: str) -> bytes:
    """A small file that only its owner and group may read.

    Raises:
        ConfigError: it cannot be read, others may, or it is empty or too large.
    """
    try:
        with path.open("rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            data = file.read(MAXIMUM_SECRET_BYTES + 1)
    except OSError as error:
        raise ConfigError(f"{what}: {path} cannot be read: {error.strerror}.") from error
    if mode & _OTHERS:
        raise ConfigError(f"{what}: others may read {path}. Run: chmod 600 {path}")
    if not 0 < len(data) <= MAXIMUM_SECRET_BYTES:
        raise ConfigError(f"{what}: {path} is empty or larger than {MAXIMUM_SECRET_BYTES} bytes.")
    return data


def _verify_address(address: str, key: str) -> None:
    try:
        split_address(address)
    except ConfigError as error:
        raise ConfigError(f"{key}: {error}") from error


class _Reader:
    """Reads keys by their path, and knows which were never read."""

    def __init__(self, document: dict[str, Any], path: Path) -> None:
        self._values = dict(_flatten(document))
        self._path = path
        self._read: set[str] = set()

    def text(self, key: str, *, default: str | None = None) -> str:
        value = self._value(key, default)
        if not isinstance(value, str):
            raise ConfigError(f"{self._path}: {key} is a text in quotes.")
        return value

    def texts(self, key: str) -> tuple[str, ...]:
        value = self._value(key, None)
        if not isinstance(value, list) or not value or not all(isinstance(item, str) for item in value):
            raise ConfigError(f"{self._path}: {key} is a list of one or more texts.")
        return tuple(value)

    def duration(self, key: str, *, default: str) -> timedelta:
        try:
            return parse_duration(self.text(key, default=default))
        except ValueError as error:
            raise ConfigError(f"{self._path}: {key}: {error}.") from error

    def verify_all_read(self) -> None:
        unknown = sorted(self._values.keys() - self._read)
        if unknown:
            raise ConfigError(f"{self._path}: {unknown[0]} is not a key of the configuration.")

    def _value(self, key: str, default: object) -> object:
        self._read.add(key)
        value = self._values.get(key, default)
        if value is None:
            raise ConfigError(f"{self._path}: {key} is missing.")
        return value


def _flatten(document: dict[str, Any], prefix: str = "") -> list[tuple[str, object]]:
    pairs: list[tuple[str, object]] = []
    for key, value in document.items():
        pairs += _flatten(value, f"{prefix}{key}.") if isinstance(value, dict) else [(f"{prefix}{key}", value)]
    return pairs
