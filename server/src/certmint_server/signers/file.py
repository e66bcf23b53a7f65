"""Keys in files, named by `file:` URIs."""

import os
import stat
from contextlib import suppress
from pathlib import Path

from certmint_server.errors import ConfigError
from certmint_server.signers.envelope import MAXIMUM_ENVELOPE_BYTES, open_envelope
from certmint_server.signers.keys import verify_scheme_fits
from certmint_server.signers.signer import PublicKey, SignatureScheme, Signer

_SCHEME = "file:"
_OTHERS = stat.S_IRWXG | stat.S_IRWXO


def load_signer(
    uri: str, scheme: SignatureScheme, passphrase: bytes, base_dir: Path, *, public_key: PublicKey
) -> Signer:
    """The signer whose key a `file:` URI names; a relative path is below `base_dir`.

    `public_key` is the issuer's, from its certificate.

    Raises:
        ConfigError: there is no such file, others may read it, it cannot be opened, or it holds another key.
    """
    path = _resolve(uri, base_dir)
    private_key = open_envelope(_read_private(path), passphrase)
    if private_key.public_key() != public_key:
        raise ConfigError(f"{path} holds another key than that of the issuer's certificate.")
    verify_scheme_fits(public_key, scheme)
    return Signer(scheme, private_key)


def write_key(path: Path, envelope: bytes) -> None:
    """Writes a sealed key to a new file that only its owner may read, and waits until it is on the disk.

    A missing folder is made, open to its owner only.

    Raises:
        ConfigError: the file exists, or its folder is open to others.
    """
    with suppress(FileExistsError):
        path.parent.mkdir(mode=0o700, parents=True)
    if path.parent.stat().st_mode & _OTHERS:
        raise ConfigError(f"Others may look into {path.parent}. Run: chmod 700 {path.parent}")
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    except FileExistsError:
        raise ConfigError(f"{path} exists. A key is never overwritten: move it away first.") from None
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(envelope)
            file.flush()
            os.fsync(file.fileno())
    except BaseException:  # Whatever it was, half a key file must not stay in the way of the next attempt.
        path.unlink()
        raise
    sync_folder(path.parent)


def _resolve(uri: str, base_dir: Path) -> Path:
    if not uri.startswith(_SCHEME) or uri == _SCHEME:
        raise ConfigError(f"A key's URI begins with {_SCHEME} and a path.")
    written = Path(uri.removeprefix(_SCHEME).removeprefix("//"))
    path = (base_dir / written).resolve()
    # An absolute path is an operator's choice; a relative one must not lead out, be it by dots or by a link.
    if not written.is_absolute() and not path.is_relative_to(base_dir.resolve()):
        raise ConfigError(f"{uri} leads out of {base_dir}. Write an absolute path if that is meant.")
    return path


def _read_private(path: Path) -> bytes:
    try:
        # Not blocking: a pipe in the place of the file must not hold up the start.
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError as error:
        raise ConfigError(f"The key file {path} cannot be opened: {error.strerror}.") from error
    try:
        mode = os.fstat(descriptor).st_mode
        if not stat.S_ISREG(mode):
            raise ConfigError(f"{path} is not a file.")
        if mode & _OTHERS:
            raise ConfigError(f"Others may read {path}. Run: chmod 600 {path}")
        return os.read(descriptor, MAXIMUM_ENVELOPE_BYTES + 1)
    finally:
        os.close(descriptor)


def sync_folder(folder: Path) -> None:
    """Waits until what was made in a folder is on the disk."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
