"""`certmint-server init`."""

from pathlib import Path

import click
from cryptography.hazmat.primitives import hashes

from certmint_server.cli.options import read_passphrase
from certmint_server.cli.output import as_json, command, fact, heading, program, say, shown
from certmint_server.clock import SystemClock
from certmint_server.config import environment_passphrase
from certmint_server.init import (
    FIRST_OPERATOR,
    OPERATOR_FOLDER,
    ROOT_FOLDER,
    Initialised,
    InitOptions,
    initialise,
)
from certmint_server.issuers.ceremony import KeyChoice
from certmint_server.registry.certificate import serial_hex
from certmint_server.signers.keys import IssuerKeyType
from certmint_server.signers.signer import SignatureScheme

_KEY_TYPES = click.Choice([key_type.value for key_type in IssuerKeyType])
_SCHEMES = click.Choice([scheme.value for scheme in SignatureScheme])


@click.command()
@click.option(
    "--dir",
    "folder",
    type=click.Path(path_type=Path),
    default=Path("certmint-data"),
    show_default=True,
    help="The folder to make: configuration, keys, database.",
)
@click.option("--trust-domain", required=True, help="The SPIFFE trust domain, such as example.org. Fixed for good.")
@click.option("--name", default="Certmint", show_default=True, help="What the CAs are called: '<name> Root CA 1'.")
@click.option(
    "--database-url",
    default="sqlite:///certmint.db",
    show_default=True,
    help="sqlite:///FILE (relative to the folder) or postgresql://USER@HOST/NAME.",
)
@click.option("--grpc-listen", default="127.0.0.1:8443", show_default=True, help="Where gRPC listens.")
@click.option("--http-listen", default="127.0.0.1:8080", show_default=True, help="Where CRLs are served.")
@click.option(
    "--http-url",
    default=None,
    help="How others reach the HTTP port; it is in every certificate. Default: http://<http-listen>.",
)
@click.option(
    "--server-name",
    "names",
    multiple=True,
    default=("localhost", "127.0.0.1"),
    show_default=True,
    help="A DNS name or IP address that clients call the server by. Repeat for more.",
)
@click.option("--root-key", type=_KEY_TYPES, default="ecdsa-p256", show_default=True, help="The root's key.")
@click.option("--root-signature", type=_SCHEMES, default="ecdsa-sha256", show_default=True, help="How it signs.")
@click.option("--issuing-key", type=_KEY_TYPES, default="ecdsa-p256", show_default=True, help="The issuing CA's key.")
@click.option("--issuing-signature", type=_SCHEMES, default="ecdsa-sha256", show_default=True, help="How it signs.")
@click.option(
    "--passphrase-file",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Passphrase of the issuing CA's key. Default: CERTMINT_PASSPHRASE, else one is made.",
)
@click.option(
    "--root-passphrase-file",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Passphrase of the root's key. Default: one is made, and kept beside it.",
)
@click.option("--prompt-passphrase", is_flag=True, help="Ask for both passphrases.")
@click.option("--json", "json_output", is_flag=True, help="Print what was made as JSON.")
def init(  # noqa: PLR0917  click hands every option over by name
    folder: Path,
    trust_domain: str,
    name: str,
    database_url: str,
    grpc_listen: str,
    http_listen: str,
    http_url: str | None,
    names: tuple[str, ...],
    root_key: str,
    root_signature: str,
    issuing_key: str,
    issuing_signature: str,
    passphrase_file: Path | None,
    root_passphrase_file: Path | None,
    prompt_passphrase: bool,  # noqa: FBT001
    json_output: bool,  # noqa: FBT001
) -> None:
    """Make a two-tier CA: an offline root, an issuing CA, a database and the first operator.

    \b
    Examples:
      certmint-server init --trust-domain example.org
      certmint-server init --trust-domain example.org --dir /var/lib/certmint \\
          --server-name ca.example.org --grpc-listen 0.0.0.0:8443 \\
          --http-listen 0.0.0.0:80 --http-url http://pki.example.org
      certmint-server init --trust-domain example.org \\
          --database-url postgresql://certmint@db.example.org/certmint
    """
    root_passphrase, passphrase = _passphrases(passphrase_file, root_passphrase_file, prompt=prompt_passphrase)
    options = InitOptions(
        folder=folder,
        trust_domain=trust_domain,
        name=name,
        database_url=database_url,
        grpc_listen=grpc_listen,
        http_listen=http_listen,
        names=names,
        distribution_url=(http_url or f"http://{http_listen}").rstrip("/"),
        root_key=KeyChoice(IssuerKeyType(root_key), SignatureScheme(root_signature)),
        issuing_key=KeyChoice(IssuerKeyType(issuing_key), SignatureScheme(issuing_signature)),
        root_passphrase=root_passphrase,
        passphrase=passphrase,
        passphrase_file=passphrase_file.resolve() if passphrase_file else None,
    )
    made = initialise(options, SystemClock())
    _report(options, made)
    if json_output:
        _report_json(options, made)


def _passphrases(
    passphrase_file: Path | None, root_passphrase_file: Path | None, *, prompt: bool
) -> tuple[bytes | None, bytes | None]:
    """The root's and the issuing CA's; None for one that is to be made."""
    if prompt:
        root = click.prompt("Passphrase of the root's key", hide_input=True, confirmation_prompt=True, err=True)
        issuing = click.prompt(
            "Passphrase of the issuing CA's key", hide_input=True, confirmation_prompt=True, err=True
        )
        return str(root).encode(), str(issuing).encode()
    passphrase = read_passphrase(passphrase_file) if passphrase_file else environment_passphrase()
    return read_passphrase(root_passphrase_file) if root_passphrase_file else None, passphrase


def _report(options: InitOptions, made: Initialised) -> None:
    folder = shown(options.folder)
    heading(f"A certificate authority for {options.trust_domain} is in {folder}")
    for title, certificate in (("root", made.root), ("issuing CA", made.issuing)):
        fact(title, f"{certificate.subject.rfc4514_string()}, until {certificate.not_valid_after_utc:%Y-%m-%d}")
    fact("root SHA-256", made.root.fingerprint(hashes.SHA256()).hex())
    operator = made.operator.issued.certificate
    fact("operator", f"{operator.identity}, until {operator.not_after:%Y-%m-%d %H:%M} UTC")
    fact("its identity", f"{folder}/{OPERATOR_FOLDER}  (serial {serial_hex(operator.serial)})")
    if options.passphrase is None:
        fact("passphrase", f"made for you, in {folder}/keys/passphrase (0600)")
    say()
    heading("Move the root away")
    say(
        f"  {folder}/{ROOT_FOLDER} holds the root's key. Serving never opens it: put the folder on a medium of its own,"
    )
    say("  and bring it back for ceremonies only (certmint-server issuer --help).")
    say()
    heading("Next")
    command(f"{program('certmint-server')} serve --config {folder}")
    command(f"{program('certmint')} --identity {folder}/{OPERATOR_FOLDER} configuration")


def _report_json(options: InitOptions, made: Initialised) -> None:
    as_json(
        {
            "folder": options.folder,
            "trust_domain": options.trust_domain,
            "root_sha256": made.root.fingerprint(hashes.SHA256()).hex(),
            "issuing_sha256": made.issuing.fingerprint(hashes.SHA256()).hex(),
            "operator": made.operator.issued.certificate.identity,
            "operator_identity_folder": options.folder / OPERATOR_FOLDER,
            "operator_name": FIRST_OPERATOR,
        }
    )
