"""Options that commands share, and what is written in them."""

import argparse
import sys
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Final, TypeAlias

from certmint import pem
from certmint.cli.output import Answer
from certmint.client import Client
from certmint.credentials import DEFAULT_TIMEOUT

Run: TypeAlias = Callable[[Client, argparse.Namespace], Answer]
Commands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"  # noqa: SLF001 - argparse has no public name for it

MAXIMUM_INPUT_BYTES: Final = 2 << 20


class UsageError(Exception):
    """The command line, or a file that it names, cannot be used. The message says why."""


def add_command(commands: Commands, name: str, run: Run, *, about: str, examples: str) -> argparse.ArgumentParser:
    """A subcommand that `run` does."""
    parser = commands.add_parser(
        name,
        help=about,
        description=about,
        epilog=f"Examples:\n{examples}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_global_options(parser)
    parser.set_defaults(run=run)
    return parser


def add_group(commands: Commands, name: str, *, about: str, examples: str) -> Commands:
    """A noun, whose verbs are added to the result."""
    parser = commands.add_parser(
        name,
        help=about,
        description=about,
        epilog=f"Examples:\n{examples}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_global_options(parser)
    return parser.add_subparsers(title="commands", metavar="COMMAND", required=True)


def add_global_options(parser: argparse.ArgumentParser, *, outermost: bool = False) -> None:
    """The options that may stand before or after a subcommand: only the outermost parser has their defaults."""

    def default(value: object) -> object:
        return value if outermost else argparse.SUPPRESS

    options = parser.add_argument_group("connection and output")
    options.add_argument(
        "--identity", metavar="DIR", default=default(""), help="folder of your identity (else CERTMINT_IDENTITY)"
    )
    options.add_argument(
        "--server",
        metavar="HOST:PORT",
        default=default(""),
        help="the server (else CERTMINT_SERVER, else the one that the identity names)",
    )
    options.add_argument(
        "--timeout",
        metavar="SECONDS",
        type=seconds,
        default=default(DEFAULT_TIMEOUT),
        help=f"how long a call may take (default {DEFAULT_TIMEOUT:g})",
    )
    options.add_argument("--json", action="store_true", default=default(value=False), help="print JSON, for programs")


def add_names(parser: argparse.ArgumentParser, *, dns: str, ip: str) -> None:
    """`--dns` and `--ip`, each as often as needed."""
    parser.add_argument("--dns", metavar="NAME", action="append", default=[], help=f"{dns}; may be repeated")
    parser.add_argument("--ip", metavar="ADDRESS", action="append", default=[], help=f"{ip}; may be repeated")


def seconds(text: str) -> float:
    """A number of seconds above zero."""
    value = float(text)
    if not 0 < value < 86_400:  # noqa: PLR2004 - a day
        raise argparse.ArgumentTypeError("a number of seconds above zero is needed")
    return value


def positive(text: str) -> int:
    """A whole number above zero that fits a field of 32 bits."""
    value = int(text)
    if not 0 < value < 1 << 32:
        raise argparse.ArgumentTypeError("a whole number above zero is needed")
    return value


def moment(text: str) -> datetime:
    """A time of RFC 3339, such as 2027-01-31T12:00:00Z."""
    try:
        value = datetime.fromisoformat(text)
    except ValueError:
        value = None
    if value is None or value.tzinfo is None:
        raise argparse.ArgumentTypeError("a time with its zone is needed, such as 2027-01-31T12:00:00Z")
    return value


def serial(text: str) -> str:
    """A serial in hex, without the colons that openssl writes."""
    return text.replace(":", "")


def label(text: str) -> tuple[str, str]:
    """`key=value`."""
    key, separator, value = text.partition("=")
    if not (key and separator):
        raise argparse.ArgumentTypeError("key=value is needed")
    return key, value


def words(enum: Any, prefix: str) -> dict[str, int]:
    """The values of a generated enum, by their names as people write them: `ROLE_X_Y` is `x-y`."""
    names: Sequence[str] = enum.keys()
    return {name.removeprefix(prefix).lower().replace("_", "-"): enum.Value(name) for name in names if enum.Value(name)}


def read_input(path: str, *, limit: int = MAXIMUM_INPUT_BYTES) -> bytes:
    """A file, or standard input for `-`.

    Raises:
        OSError: it cannot be read.
        UsageError: it is larger than `limit` bytes.
    """
    if path == "-":
        data = sys.stdin.buffer.read(limit + 1)
    else:
        with Path(path).open("rb") as file:
            data = file.read(limit + 1)
    if len(data) > limit:
        raise UsageError(f"{path} is larger than {limit} bytes.")
    return data


def read_certificates(path: str) -> Sequence[bytes]:
    """The certificates of a file, PEM or one of DER, or of standard input for `-`.

    Raises:
        OSError: it cannot be read.
        UsageError: it is too large, or holds PEM without a certificate.
    """
    data = read_input(path)
    if b"-----BEGIN" not in data:
        return (data,)
    try:
        return pem.decode(pem.CERTIFICATE, data)
    except ValueError as error:
        raise UsageError(f"{path} cannot be read: {error}") from error
