"""Making an authority: a two-tier CA, its database, its configuration and its first operator."""

import asyncio
import json
import os
import secrets
import shutil
import tempfile
import tomllib
from dataclasses import dataclass, replace
from datetime import timedelta
from importlib.resources import files
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from certmint.identity import Identity, save_identity
from certmint_server.clock import Clock, whole_seconds
from certmint_server.config import FILE_NAME, load_config, parse_duration
from certmint_server.errors import ConfigError
from certmint_server.host import KeyPair, host_identity, issue_operator_certificate, split_names
from certmint_server.issuance.keys import KeyType
from certmint_server.issuance.profile import ProfileConfig
from certmint_server.issuers.ceremony import KeyChoice, NewIssuer, make_issuing, make_root
from certmint_server.issuers.issuer import Authority, Issuers
from certmint_server.registry.identity import parse_trust_domain
from certmint_server.revocation.crl import ROOT_SHARD, build_crl
from certmint_server.revocation.crls import Claim
from certmint_server.signers.envelope import seal
from certmint_server.signers.file import write_key
from certmint_server.store.migrate import migrate
from certmint_server.store.store import Store
from certmint_server.wiring import Services, wire

ROOT_FOLDER = "root"
KEYS_FOLDER = "keys"
OPERATOR_FOLDER = "operator"
PASSPHRASE_FILE = "passphrase"  # noqa: S105  the name of a file
ROOT_KEY_FILE = "root-ca.key.json"
ROOT_CERTIFICATE_FILE = "root-ca.pem"
ISSUING_KEY_FILE = "issuing-ca-1.key.json"
ROOT_CRL_LIFETIME = timedelta(days=180)
FIRST_OPERATOR = "admin"
_PASSPHRASE_BYTES = 32


@dataclass(frozen=True, slots=True)
class InitOptions:
    """What a new authority is to be. A passphrase that is None is made, and kept in a file beside its key."""

    folder: Path
    trust_domain: str
    name: str
    database_url: str
    grpc_listen: str
    http_listen: str
    names: tuple[str, ...]
    distribution_url: str
    root_key: KeyChoice
    issuing_key: KeyChoice
    root_passphrase: bytes | None
    passphrase: bytes | None
    passphrase_file: Path | None


@dataclass(frozen=True, slots=True)
class Initialised:
    """What was made."""

    root: x509.Certificate
    issuing: x509.Certificate
    operator: KeyPair


def initialise(options: InitOptions, clock: Clock) -> Initialised:
    """Makes an authority in a new folder; a folder that could not be finished is removed again.

    Raises:
        ConfigError: the folder or the authority exists, or an option is not usable.
        CertmintError: the trust domain or a name is not one.
    """
    parse_trust_domain(options.trust_domain)
    split_names(options.names)
    if options.folder.exists() and any(options.folder.iterdir()):
        raise ConfigError(f"{options.folder} is not empty. Name a new folder with --dir.")
    options.folder.parent.mkdir(parents=True, exist_ok=True)
    work = Path(tempfile.mkdtemp(prefix=f".{options.folder.name}-", dir=options.folder.parent))
    try:
        made = asyncio.run(_make(options, work, clock))
        if options.folder.exists():
            options.folder.rmdir()
        work.rename(options.folder)
    except BaseException:  # whatever stopped it, half an authority must not look like one
        shutil.rmtree(work)
        raise
    return made


async def _make(options: InitOptions, folder: Path, clock: Clock) -> Initialised:
    now = clock.now()
    root = make_root(options.name, options.distribution_url, now, key=options.root_key)
    issuing = make_issuing(options.name, root.issuer, root.signer, now, key=options.issuing_key)
    _write_keys(options, folder, root, issuing)
    _write_new(folder / FILE_NAME, _config_text(options).encode())
    config = load_config(folder / FILE_NAME)
    migrate(config.database_url)
    issuing_issuer = replace(issuing.issuer, key_uri=f"file:{KEYS_FOLDER}/{ISSUING_KEY_FILE}")
    async with await Store.open(config.database_url, clock=clock) as store:
        authority = Authority(options.trust_domain, trust_bundle_sequence=1)
        issuers = Issuers(authority, [root.issuer, issuing_issuer], {issuing_issuer.issuer_id: issuing.signer})
        await store.issuers.initialise(authority, list(issuers), at=whole_seconds(now), by=host_identity(authority))
        await _publish_root_crl(store, root, clock)
        operator = await _first_operator(wire(config, clock, store, issuers), folder)
    return Initialised(root.issuer.certificate, issuing.issuer.certificate, operator)


async def _publish_root_crl(store: Store, root: NewIssuer, clock: Clock) -> None:
    now = whole_seconds(clock.now())
    claim = Claim(crl_number=int(now.timestamp() * 1000), this_update=now, entries=())
    await store.crls.publish_crl(build_crl(root.issuer, root.signer, ROOT_SHARD, claim, now + ROOT_CRL_LIFETIME))


async def _first_operator(services: Services, folder: Path) -> KeyPair:
    by = host_identity(services.issuers.authority)
    for profile in default_profiles():
        await services.registry.profiles.apply(profile, by=by, dry_run=False)
    pair = await issue_operator_certificate(services, FIRST_OPERATOR)
    save_key_pair(folder / OPERATOR_FOLDER, pair, services)
    return pair


def save_key_pair(folder: Path, pair: KeyPair, services: Services) -> None:
    """Writes an identity folder that `certmint --identity` takes."""
    identity = Identity.from_der(
        key=pair.key,
        chain_der=pair.issued.chain_der,
        trust_bundle_der=[root.certificate_der for root in services.issuers.roots()],
        server=services.config.grpc_listen,
    )
    save_identity(folder, identity)


def default_profiles() -> tuple[ProfileConfig, ...]:
    """The profiles of a new authority."""
    text = files("certmint_server.issuance").joinpath("default_profiles.toml").read_text(encoding="utf-8")
    return tuple(
        ProfileConfig(
            name=table["name"],
            maximum_lifetime=parse_duration(table["maximum_lifetime"]),
            default_lifetime=parse_duration(table["default_lifetime"]),
            backdate=parse_duration(table["backdate"]),
            key_types=tuple(KeyType[name.upper().replace("-", "_")] for name in table["key_types"]),
            extended_key_usages=tuple(table["extended_key_usages"]),
            include_identity=table["include_identity"],
            renew_after_percent=table["renew_after_percent"],
            renew_before_percent=table["renew_before_percent"],
        )
        for table in tomllib.loads(text)["profile"]
    )


def _write_keys(options: InitOptions, folder: Path, root: NewIssuer, issuing: NewIssuer) -> None:
    for new, subfolder, file_name, passphrase in (
        (root, ROOT_FOLDER, ROOT_KEY_FILE, options.root_passphrase),
        (issuing, KEYS_FOLDER, ISSUING_KEY_FILE, options.passphrase),
    ):
        (folder / subfolder).mkdir(mode=0o700)
        secret = passphrase or _made_passphrase(folder / subfolder / PASSPHRASE_FILE)
        write_key(folder / subfolder / file_name, seal(new.signer.private_key, secret, new.issuer.issuer_id))
    _write_new(folder / ROOT_FOLDER / ROOT_CERTIFICATE_FILE, root.issuer.certificate.public_bytes(Encoding.PEM))


def _made_passphrase(path: Path) -> bytes:
    passphrase = secrets.token_urlsafe(_PASSPHRASE_BYTES).encode()
    _write_new(path, passphrase + b"\n")
    return passphrase


def _write_new(path: Path, data: bytes) -> None:
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(data)


def _config_text(options: InitOptions) -> str:
    names = ", ".join(map(_quoted, options.names))
    made_file = f"{KEYS_FOLDER}/{PASSPHRASE_FILE}" if options.passphrase is None else ""
    passphrase_file = str(options.passphrase_file or made_file)
    keys = f"passphrase_file = {_quoted(passphrase_file)}" if passphrase_file else "# from CERTMINT_PASSPHRASE"
    return f"""\
# Certmint, the server process. What is issued to whom lives in the database.

[grpc]
listen = {_quoted(options.grpc_listen)}
names = [{names}]          # in the server's own certificate: what clients call it

[http]
listen = {_quoted(options.http_listen)}          # CRLs and issuer certificates, at {options.distribution_url}

[database]
url = {_quoted(options.database_url)}

[keys]
{keys}

[crl]
lifetime = "24h"
"""


def _quoted(text: str) -> str:
    """A TOML basic string: JSON's escapes are among its own."""
    return json.dumps(text, ensure_ascii=False)
