"""`certmint-server operator`: the break-glass on the host."""

import asyncio
from pathlib import Path

import click

from certmint_server.cli.options import config_option, issuer_passphrase, read_config
from certmint_server.cli.output import command, fact, heading, program, shown
from certmint_server.clock import SystemClock
from certmint_server.config import Config
from certmint_server.host import KeyPair, issue_operator_certificate
from certmint_server.init import add_default_profiles, save_key_pair
from certmint_server.registry.certificate import serial_hex
from certmint_server.wiring import open_services


@click.group()
def operator() -> None:
    """Operators: who may administer this authority."""


@operator.command()
@config_option
@click.option("--name", default="admin", show_default=True, help="Who: the last part of the operator's identity.")
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    required=True,
    help="The identity folder to write: key, chain and trust bundle.",
)
def issue(config_path: Path | None, name: str, out: Path) -> None:
    """Issue a certificate to an operator, with the host's own authority.

    It needs the host's files and its database, not a running server. The operator is registered if it is not yet, and
    its registration is enabled.

    \b
    Example:
      certmint-server operator issue --config certmint-data --name alice --out alice
    """
    config = read_config(config_path)
    pair = asyncio.run(_issue(config, issuer_passphrase(config), name, out))
    certificate = pair.issued.certificate
    heading(f"{certificate.identity} is in {shown(out)}")
    fact("serial", serial_hex(certificate.serial))
    fact("until", f"{certificate.not_after:%Y-%m-%d %H:%M:%S} UTC")
    command(f"{program('certmint')} --identity {shown(out)} configuration")


async def _issue(config: Config, passphrase: bytes, name: str, out: Path) -> KeyPair:
    async with open_services(config, SystemClock(), passphrase) as services:
        await add_default_profiles(services)  # what an init that was broken off has left to do
        pair = await issue_operator_certificate(services, name)
        save_key_pair(out, pair, services)
        return pair
