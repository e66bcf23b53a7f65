"""`certmint-server serve`, `migrate` and `check-config`."""

import asyncio
import sys
from collections.abc import Callable
from pathlib import Path

import click
import structlog

from certmint_server.cli.options import config_option, issuer_passphrase, read_config
from certmint_server.cli.output import command, fact, heading, program, shown
from certmint_server.clock import SystemClock
from certmint_server.config import Config
from certmint_server.init import OPERATOR_FOLDER
from certmint_server.logs import configure_logging
from certmint_server.serving import Listening
from certmint_server.serving import serve as serve_services
from certmint_server.store.migrate import migrate as migrate_database
from certmint_server.wiring import open_services


@click.command()
@config_option
@click.option(
    "--log-format",
    type=click.Choice(["auto", "json", "console"]),
    default="auto",
    show_default=True,
    help="auto: console on a terminal, JSON elsewhere.",
)
@click.option(
    "--ready-file",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write the gRPC and HTTP addresses here, a line each, once they are served.",
)
def serve(config_path: Path | None, log_format: str, ready_file: Path | None) -> None:
    """Serve gRPC over mTLS, and CRLs over HTTP, until SIGTERM.

    The database is migrated first if it must be; several servers that start at once migrate it once.

    \b
    Examples:
      certmint-server serve --config certmint-data
      CERTMINT_DATABASE_URL=postgresql://certmint@db/certmint certmint-server serve --config /etc/certmint
    """
    as_json = log_format == "json" or (log_format == "auto" and not sys.stderr.isatty())
    configure_logging(as_json=as_json)
    config = read_config(config_path)
    passphrase = issuer_passphrase(config)
    migrate_database(config.database_url)
    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        runner.run(_serve(config, passphrase, ready_file, as_json=as_json))


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop]:
    """Uvloop spends a sixth less on a call; it is not made for Windows."""
    if sys.platform == "win32":
        return asyncio.new_event_loop
    from uvloop import new_event_loop  # noqa: PLC0415  it is not there on Windows

    return new_event_loop


async def _serve(config: Config, passphrase: bytes, ready_file: Path | None, *, as_json: bool) -> None:
    def report(listening: Listening) -> None:
        structlog.get_logger("certmint.serving").info(
            "serving", grpc=listening.grpc_address, http=listening.http_address
        )
        if not as_json:
            _banner(config, listening)
        if ready_file:
            ready_file.write_text(f"{listening.grpc_address}\n{listening.http_address}\n", encoding="utf-8")

    async with open_services(config, SystemClock(), passphrase) as services:
        await serve_services(services, on_listening=report)


def _banner(config: Config, listening: Listening) -> None:
    folder = shown(config.folder)
    heading("Certmint is serving")
    fact("gRPC over mTLS", listening.grpc_address)
    fact("CRLs over HTTP", listening.http_address)
    fact("data", folder)
    heading("In another terminal")
    command(f"{program('certmint')} --identity {folder}/{OPERATOR_FOLDER} configuration")


@click.command()
@config_option
def migrate(config_path: Path | None) -> None:
    """Bring the database to this version's schema. Running it again does nothing.

    \b
    Example:
      certmint-server migrate --config certmint-data
    """
    migrate_database(read_config(config_path).database_url)
    heading("The database is at this version's schema.")


@click.command("check-config")
@config_option
def check_config(config_path: Path | None) -> None:
    """Check the configuration, the database and the issuer's key, and change nothing.

    \b
    Example:
      certmint-server check-config --config certmint-data
    """
    config = read_config(config_path)
    asyncio.run(_check(config, issuer_passphrase(config)))


async def _check(config: Config, passphrase: bytes) -> None:
    async with open_services(config, SystemClock(), passphrase) as services:
        heading(f"{shown(config.folder)} is in order")
        fact("trust domain", services.issuers.authority.trust_domain)
        for issuer in services.issuers:
            fact(
                issuer.state.name.lower(),
                f"{issuer.certificate.subject.rfc4514_string()}, until {issuer.not_after:%Y-%m-%d}",
            )
        for profile in await services.registry.profiles.list():
            fact("profile", f"{profile.config.name}, version {profile.version}")
