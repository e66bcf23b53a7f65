"""`certmint-server issuer`: ceremonies with the root's key."""

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

import click
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from certmint_server.ceremonies import import_root_crl, revoke_issuers, sign_root_crl
from certmint_server.cli.options import config_option, find_passphrase, issuer_passphrase, read_config
from certmint_server.cli.output import fact, heading, shown
from certmint_server.clock import SystemClock
from certmint_server.config import Config, parse_duration
from certmint_server.errors import ConfigError
from certmint_server.init import PASSPHRASE_FILE, ROOT_FOLDER, ROOT_KEY_FILE
from certmint_server.revocation.crl import MAXIMUM_ROOT_CRL_BYTES, parse_root_crl
from certmint_server.revocation.crls import PublishedCRL
from certmint_server.signers.file import load_signer
from certmint_server.signers.signer import Signer
from certmint_server.wiring import Services, open_services


@click.group()
def issuer() -> None:
    """Issuers: the root and the issuing CAs.

    The root's key is needed for these commands only. Bring its folder, run the command, take it away again.
    """


@issuer.command("root-crl")
@config_option
@click.option(
    "--root-dir",
    type=click.Path(path_type=Path, file_okay=False),
    help="The folder with the root's key. Default: root in the data folder.",
)
@click.option(
    "--root-passphrase-file",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Default: passphrase in the root's folder, else a prompt.",
)
@click.option("--lifetime", default="180d", show_default=True, help="Until its next update, such as 90d.")
@click.option(
    "--revoke",
    "revoked",
    multiple=True,
    metavar="ISSUER_ID",
    help="Revoke the certificate of this issuing CA as well. Repeat for more.",
)
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), help="Also write the CRL here, DER.")
def root_crl(
    config_path: Path | None,
    root_dir: Path | None,
    root_passphrase_file: Path | None,
    lifetime: str,
    revoked: Sequence[str],
    out: Path | None,
) -> None:
    """Sign a new CRL with the root's key and publish it. What the last one revoked stays revoked.

    \b
    Examples:
      certmint-server issuer root-crl --config certmint-data --root-dir /media/root
      certmint-server issuer root-crl --config certmint-data --revoke 5f0c2d9be1a84437
    """
    config = read_config(config_path)
    root_folder = root_dir or config.folder / ROOT_FOLDER
    if not (root_folder / ROOT_KEY_FILE).is_file():
        raise ConfigError(f"The root's key is not in {root_folder}. Name its folder with --root-dir.")
    beside = root_folder / PASSPHRASE_FILE
    passphrase_file = root_passphrase_file or (beside if beside.is_file() else None)
    passphrase = find_passphrase(
        passphrase_file, "Passphrase of the root's key", "Name its file with --root-passphrase-file."
    )
    try:
        length = parse_duration(lifetime)
    except ValueError as error:
        raise ConfigError(f"--lifetime: {error}.") from error
    crl = asyncio.run(_root_crl(config, root_folder, passphrase, length, revoked))
    if out:
        out.write_bytes(crl.crl_der)
    _report(crl, out)


async def _root_crl(
    config: Config, root_folder: Path, passphrase: bytes, lifetime: timedelta, revoked: Sequence[str]
) -> PublishedCRL:
    async with open_services(config, SystemClock(), issuer_passphrase(config)) as services:
        entries = await revoke_issuers(services, revoked)
        return await sign_root_crl(services, _root_signer(services, root_folder, passphrase), entries, lifetime)


def _root_signer(services: Services, root_folder: Path, passphrase: bytes) -> Signer:
    root = services.issuers.roots()[0]
    return load_signer(f"file:{ROOT_KEY_FILE}", root.scheme, passphrase, root_folder, public_key=root.public_key)


def _report(crl: PublishedCRL, out: Path | None) -> None:
    heading(f"The root's CRL {crl.crl_number} is published")
    fact("next update", f"{crl.next_update:%Y-%m-%d %H:%M:%S} UTC")
    for entry in x509.load_der_x509_crl(crl.crl_der):
        fact("revoked", f"{entry.serial_number:x} since {entry.revocation_date_utc:%Y-%m-%d}")
    if out:
        fact("written to", shown(out))


@issuer.command("import-crl")
@config_option
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False, exists=True))
def import_crl(config_path: Path | None, file: Path) -> None:
    """Publish a CRL that was signed with the root's key elsewhere (DER).

    \b
    Example:
      certmint-server issuer import-crl root.crl --config certmint-data
    """
    config = read_config(config_path)
    with file.open("rb") as crl_file:
        crl_der = crl_file.read(MAXIMUM_ROOT_CRL_BYTES + 1)
    _report(asyncio.run(_import_crl(config, crl_der)), None)


async def _import_crl(config: Config, crl_der: bytes) -> PublishedCRL:
    async with open_services(config, SystemClock(), issuer_passphrase(config)) as services:
        return await import_root_crl(services, parse_root_crl(crl_der, services.issuers.roots()[0]))


@issuer.command("list")
@config_option
def list_issuers(config_path: Path | None) -> None:
    """List the issuers of this authority, with their certificates."""
    config = read_config(config_path)
    asyncio.run(_list(config, issuer_passphrase(config)))


async def _list(config: Config, passphrase: bytes) -> None:
    async with open_services(config, SystemClock(), passphrase) as services:
        for found in services.issuers:
            heading(f"{found.issuer_id}  {found.state.name.lower()}")
            fact("subject", found.certificate.subject.rfc4514_string())
            fact("until", f"{found.not_after:%Y-%m-%d %H:%M:%S} UTC")
            click.echo(found.certificate.public_bytes(Encoding.PEM).decode(), nl=False)
