"""Making an authority: a two-tier CA, its database, its configuration and its first operator."""

import asyncio
import json
import os
import secrets
import shutil
import stat
import tomllib
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import timedelta
from importlib.resources import files
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from certmint.identity import Identity, save_identity
from certmint_server.clock import Clock, whole_seconds
from certmint_server.config import FILE_NAME, Config, load_config, parse_duration
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
from certmint_server.signers.file import sync_folder, write_key
from certmint_server.store.engine import sqlite_path
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
    """Makes an authority in a folder that is new or empty.

    What was made is removed if something fails before the database is told of the authority. From then on nothing is:
    its keys are the only ones there are.

    Raises:
        ConfigError: the folder is not empty, the database holds an authority, or an option is not usable.
        CertmintError: the trust domain or a name is not one, or the database cannot be reached.
        OSError: the folder cannot be written.
    """
    parse_trust_domain(options.trust_domain)
    split_names(options.names)
    now = clock.now()
    root = make_root(options.name, options.distribution_url, now, key=options.root_key)
    issuing = make_issuing(options.name, root.issuer, root.signer, now, key=options.issuing_key)
    issuer = replace(issuing.issuer, key_uri=f"file:{KEYS_FOLDER}/{ISSUING_KEY_FILE}")
    authority = Authority(options.trust_domain, trust_bundle_sequence=1)
    issuers = Issuers(authority, [root.issuer, issuer], {issuer.issuer_id: issuing.signer})
    with ExitStack() as undo:
        _take_folder(options.folder, undo)
        _write_keys(options, root, issuing, undo)
        config = _write_config(options, undo)
        _make_database(config.database_url, undo)
        sync_folder(options.folder)
        operator = asyncio.run(_commit(config, issuers, root, clock, undo))
    return Initialised(root.issuer.certificate, issuer.certificate, operator)


async def _commit(config: Config, issuers: Issuers, root: NewIssuer, clock: Clock, undo: ExitStack) -> KeyPair:
    """Makes the authority in the database, then its first operator."""
    by = host_identity(issuers.authority)
    async with await Store.open(config.database_url, clock=clock) as store:
        if await store.issuers.authority() is not None:
            raise ConfigError("This database holds a certificate authority already. Name another: --database-url.")
        # Also if the commit fails: whether a database that broke off has committed is not known.
        undo.pop_all()
        try:
            await store.issuers.initialise(issuers.authority, list(issuers), at=whole_seconds(clock.now()), by=by)
            await _publish_root_crl(store, root, clock)
            return await _first_operator(wire(config, clock, store, issuers), config.folder)
        except BaseException as error:  # an interrupt too: whoever is there must know what is left to do
            raise ConfigError(_what_is_left(config.folder, error)) from error


def _what_is_left(folder: Path, error: BaseException) -> str:
    return (
        f"{str(error) or 'It was interrupted.'} Nothing in {folder} was removed: the database may hold this authority. "
        f"See whether it does: certmint-server check-config --config {folder}. If so, finish it: certmint-server "
        f"issuer root-crl --config {folder}, then certmint-server operator issue --config {folder} "
        f"--out {folder / OPERATOR_FOLDER}. If not, remove the folder and begin again."
    )


def _take_folder(folder: Path, undo: ExitStack) -> None:
    """Makes the folder, or takes an empty one as it is: it may be a mount point or a link."""
    for path in reversed([path for path in (folder, *folder.parents) if not path.exists()]):
        path.mkdir(mode=0o700)
        undo.callback(path.rmdir)
        sync_folder(path.parent)
    if any(folder.iterdir()):
        raise ConfigError(f"{folder} is not empty. Name a new folder with --dir.")
    if folder.stat().st_mode & stat.S_IWOTH:
        raise ConfigError(f"Others may write into {folder}. Run: chmod 700 {folder}")


def _make_database(url: str, undo: ExitStack) -> None:
    path = sqlite_path(url)
    if path and not path.exists():
        for suffix in ("", "-wal", "-shm"):
            undo.callback(Path(f"{path}{suffix}").unlink, missing_ok=True)
    migrate(url)


async def _publish_root_crl(store: Store, root: NewIssuer, clock: Clock) -> None:
    now = whole_seconds(clock.now())
    claim = Claim(crl_number=int(now.timestamp() * 1000), this_update=now, entries=())
    await store.crls.publish_crl(build_crl(root.issuer, root.signer, ROOT_SHARD, claim, now + ROOT_CRL_LIFETIME))


async def _first_operator(services: Services, folder: Path) -> KeyPair:
    await add_default_profiles(services)
    pair = await issue_operator_certificate(services, FIRST_OPERATOR)
    save_key_pair(folder / OPERATOR_FOLDER, pair, services)
    return pair


async def add_default_profiles(services: Services) -> None:
    """Applies the default profiles that are missing: all of a new authority, some if its making was broken off."""
    by = host_identity(services.issuers.authority)
    present = {profile.config.name for profile in await services.registry.profiles.list()}
    for profile in default_profiles():
        if profile.name not in present:
            await services.registry.profiles.apply(profile, by=by, dry_run=False)


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


def _write_keys(options: InitOptions, root: NewIssuer, issuing: NewIssuer, undo: ExitStack) -> None:
    for new, name, file_name, passphrase in (
        (root, ROOT_FOLDER, ROOT_KEY_FILE, options.root_passphrase),
        (issuing, KEYS_FOLDER, ISSUING_KEY_FILE, options.passphrase),
    ):
        subfolder = options.folder / name
        subfolder.mkdir(mode=0o700)
        undo.callback(shutil.rmtree, subfolder)
        secret = passphrase or _made_passphrase(subfolder / PASSPHRASE_FILE)
        write_key(subfolder / file_name, seal(new.signer.private_key, secret, new.issuer.issuer_id))
    root_folder = options.folder / ROOT_FOLDER
    _write_new(root_folder / ROOT_CERTIFICATE_FILE, root.issuer.certificate.public_bytes(Encoding.PEM))
    sync_folder(root_folder)


def _write_config(options: InitOptions, undo: ExitStack) -> Config:
    path = options.folder / FILE_NAME
    try:
        text = _config_text(options).encode()
    except UnicodeEncodeError as error:
        raise ConfigError("An option is not text in UTF-8.") from error
    undo.callback(path.unlink, missing_ok=True)
    _write_new(path, text)
    return load_config(path)


def _made_passphrase(path: Path) -> bytes:
    passphrase = secrets.token_urlsafe(_PASSPHRASE_BYTES).encode()
    _write_new(path, passphrase + b"\n")
    return passphrase


def _write_new(path: Path, data: bytes) -> None:
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


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
