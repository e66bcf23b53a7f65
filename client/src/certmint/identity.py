"""What a service is: its private key, its certificate chain and the roots it trusts, in memory and on disk.

On disk an identity is a folder:

    current -> generation-000002     swapped in one rename, so that key and chain always belong together
    generation-000001/               the one before, for a reader that is just reading it
    generation-000002/
        key.pem                      PKCS #8, 0600
        chain.pem                    leaf first, without the root
        trust-bundle.pem             the roots
        server                       host:port of the server, if it is known
"""

import os
import re
import shutil
import stat
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Final, Self, TypeVar

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.types import CertificatePublicKeyTypes
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from certmint import keys, pem

KEY_FILE: Final = "key.pem"
CHAIN_FILE: Final = "chain.pem"
TRUST_BUNDLE_FILE: Final = "trust-bundle.pem"
SERVER_FILE: Final = "server"
CURRENT_LINK: Final = "current"

_MAXIMUM_FILE_BYTES: Final = 1 << 20
T = TypeVar("T")

_GENERATION: Final = re.compile(r"generation-(\d{6,})")


class IdentityError(Exception):
    """An identity on disk or in memory cannot be used. The message says what to do."""


@dataclass(frozen=True, slots=True)
class Identity:
    """A private key with its certificate chain, and the roots to trust.

    Attributes:
        key_pem: the private key, PKCS #8, not encrypted. Not shown by repr.
        chain_pem: the chain, leaf first, without the root.
        trust_bundle_pem: the roots.
        server: `host:port` of the server that this identity is known to, or empty.
        certificate: the leaf, parsed from `chain_pem`.

    Raises:
        IdentityError: a part does not parse, or the key is not the certificate's.
    """

    key_pem: bytes = field(repr=False)
    chain_pem: bytes = field(repr=False)
    trust_bundle_pem: bytes = field(repr=False)
    server: str = ""
    certificate: x509.Certificate = field(init=False)

    def __post_init__(self) -> None:
        key = _parsed("private key", lambda: keys.from_pem(self.key_pem))
        chain = _parsed("certificate chain", lambda: x509.load_pem_x509_certificates(self.chain_pem))
        _parsed("trust bundle", lambda: x509.load_pem_x509_certificates(self.trust_bundle_pem))
        if _spki(key.public_key()) != _spki(chain[0].public_key()):
            raise IdentityError("The private key does not belong to the first certificate of the chain.")
        object.__setattr__(self, "certificate", chain[0])

    @classmethod
    def from_der(
        cls, *, key: keys.PrivateKey, chain_der: Iterable[bytes], trust_bundle_der: Iterable[bytes], server: str = ""
    ) -> Self:
        """An identity from a key and DER certificates: the chain leaf first, and the roots."""
        return cls(keys.to_pem(key), _certificates_pem(chain_der), _certificates_pem(trust_bundle_der), server)

    @classmethod
    def from_files(cls, *, key: Path, chain: Path, trust_bundle: Path, server: str = "") -> Self:
        """An identity from PEM files of any name, such as a secret mounted by Kubernetes.

        Raises:
            IdentityError: a file cannot be read or used, or the key file is readable by others.
        """
        return cls(_read(key, private=True), _read(chain), _read(trust_bundle), server)

    @classmethod
    def load(cls, directory: Path | str) -> Self:
        """The current identity of a folder that `save_identity` wrote.

        Raises:
            IdentityError: there is none, it cannot be read or used, or its key file is readable by others.
        """
        link = Path(directory) / CURRENT_LINK
        try:
            generation = link.resolve(strict=True)  # once, so that all files are of one generation
        except OSError as error:
            raise IdentityError(f"{directory} holds no identity: {link} is missing.") from error
        server = generation / SERVER_FILE
        return cls.from_files(
            key=generation / KEY_FILE,
            chain=generation / CHAIN_FILE,
            trust_bundle=generation / TRUST_BUNDLE_FILE,
            server=_read(server).decode(errors="replace").strip() if server.exists() else "",
        )

    @property
    def spiffe_id(self) -> str:
        """The first URI of the certificate's SAN, or empty."""
        try:
            san = self.certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        except x509.ExtensionNotFound:
            return ""
        return next(iter(san.get_values_for_type(x509.UniformResourceIdentifier)), "")

    @property
    def not_after(self) -> datetime:
        """End of the certificate's validity, inclusive, UTC."""
        return self.certificate.not_valid_after_utc


def save_identity(directory: Path | str, identity: Identity) -> None:
    """Makes `identity` the current one of a folder, which is made (0700) if it is missing.

    A crash at any instant leaves the old identity or the new one. The generation before is kept, older ones go.
    Two processes must not save into one folder at the same time.

    Raises:
        OSError: the folder cannot be written.
    """
    directory = Path(directory)
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    previous = _current_name(directory)
    generation = directory / f"generation-{max(_numbers(directory), default=0) + 1:06d}"
    generation.mkdir(mode=0o700)
    _write(generation / KEY_FILE, identity.key_pem)
    _write(generation / CHAIN_FILE, identity.chain_pem)
    _write(generation / TRUST_BUNDLE_FILE, identity.trust_bundle_pem)
    if identity.server:
        _write(generation / SERVER_FILE, f"{identity.server}\n".encode())
    _sync(generation)
    _point_current_at(generation)
    for number in _numbers(directory):
        if (name := f"generation-{number:06d}") not in (generation.name, previous):
            shutil.rmtree(directory / name)


def _point_current_at(generation: Path) -> None:
    link = generation.parent / f".{CURRENT_LINK}.new"
    link.unlink(missing_ok=True)  # a crash may have left it
    link.symlink_to(generation.name)
    _sync(generation.parent)
    link.replace(generation.parent / CURRENT_LINK)
    _sync(generation.parent)


def _current_name(directory: Path) -> str:
    link = directory / CURRENT_LINK
    return link.readlink().name if link.is_symlink() else ""


def _numbers(directory: Path) -> list[int]:
    matches = (_GENERATION.fullmatch(path.name) for path in directory.iterdir())
    return [int(match[1]) for match in matches if match]


def _write(path: Path, data: bytes) -> None:
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _sync(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _read(path: Path, *, private: bool = False) -> bytes:
    try:
        with path.open("rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            data = file.read(_MAXIMUM_FILE_BYTES + 1)
    except OSError as error:
        raise IdentityError(f"{path} cannot be read: {error.strerror}.") from error
    if private and mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise IdentityError(f"{path} is open to other users. Run: chmod 600 {path}")
    if len(data) > _MAXIMUM_FILE_BYTES:
        raise IdentityError(f"{path} is larger than {_MAXIMUM_FILE_BYTES} bytes.")
    return data


def _parsed(what: str, parse: Callable[[], T]) -> T:
    try:
        return parse()
    except ValueError as error:
        raise IdentityError(f"The {what} is not PEM that can be used.") from error


def _spki(public_key: CertificatePublicKeyTypes) -> bytes:
    return public_key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def _certificates_pem(certificates_der: Iterable[bytes]) -> bytes:
    return b"".join(pem.encode(pem.CERTIFICATE, der) for der in certificates_der)
