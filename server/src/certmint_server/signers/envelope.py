"""Keys at rest: Argon2id (RFC 9106) makes a key of a passphrase, AES-256-GCM seals the PKCS #8 DER with it.

The envelope is JSON with a version. Everything in it but the ciphertext is the header, and the header is the
associated data: nothing in it can be changed without the passphrase. `key_id` says to people whose key it is.
"""

import base64
import binascii
import json
import os
from collections.abc import Mapping
from typing import Any

from cryptography.exceptions import InvalidTag, UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

from certmint_server.errors import ConfigError
from certmint_server.signers.signer import PrivateKey

MAXIMUM_ENVELOPE_BYTES = 16 * 1024
_FORMAT = "certmint-key"
_VERSION = 1
_CIPHER = "aes-256-gcm"
_KDF = "argon2id"
_SALT_BYTES = 16
_NONCE_BYTES = 12
_KEY_BYTES = 32

# About 0.15 s and 64 MiB a guess: RFC 9106 section 4, the second recommended choice.
_DEFAULT_COST = {"memory_kib": 64 * 1024, "iterations": 3, "lanes": 4}
# A file names its own cost, and whoever can write the file must not be able to exhaust the machine that opens it.
_COST_BOUNDS = {"memory_kib": (8 * 1024, 1024 * 1024), "iterations": (1, 16), "lanes": (1, 16)}


def seal(private_key: PrivateKey, passphrase: bytes, key_id: str) -> bytes:
    """The envelope with this key.

    Raises:
        ConfigError: the passphrase is empty.
    """
    _verify_passphrase(passphrase)
    header = {
        "format": _FORMAT,
        "version": _VERSION,
        "key_id": key_id,
        "kdf": {"name": _KDF, **_DEFAULT_COST, "salt": _to_text(os.urandom(_SALT_BYTES))},
        "cipher": {"name": _CIPHER, "nonce": _to_text(os.urandom(_NONCE_BYTES))},
    }
    pkcs8_der = private_key.private_bytes(
        serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    cipher, nonce = _cipher(header, passphrase)
    ciphertext = cipher.encrypt(nonce, pkcs8_der, _associated_data(header))
    return json.dumps({**header, "ciphertext": _to_text(ciphertext)}, indent=2).encode() + b"\n"


def open_envelope(data: bytes, passphrase: bytes) -> PrivateKey:
    """The key in an envelope.

    Raises:
        ConfigError: it is not an envelope of ours, its cost is out of bounds, it was changed, or the passphrase is
            wrong.
    """
    _verify_passphrase(passphrase)
    header = _parse(data)
    ciphertext = _to_bytes(header.pop("ciphertext", None))
    cipher, nonce = _cipher(header, passphrase)
    try:
        pkcs8_der = cipher.decrypt(nonce, ciphertext, _associated_data(header))
    except InvalidTag:
        # From None: which of the two it is cannot be told, and the inner error says nothing more.
        raise ConfigError("The passphrase is wrong, or the key file was changed. Restore it from a backup.") from None
    return _load(pkcs8_der)


def _load(pkcs8_der: bytes) -> PrivateKey:
    try:
        key = serialization.load_der_private_key(pkcs8_der, None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise ConfigError("The key file holds something that is not a PKCS #8 key.") from error
    if not isinstance(key, PrivateKey):
        raise ConfigError("The key file holds a kind of key that no issuer signs with.")
    return key


def _parse(data: bytes) -> dict[str, Any]:
    if len(data) > MAXIMUM_ENVELOPE_BYTES:
        raise ConfigError("The key file is too large to be one of ours.")
    try:
        envelope = json.loads(data)
    except (ValueError, RecursionError):
        raise _malformed() from None
    if not isinstance(envelope, dict) or envelope.get("format") != _FORMAT:
        raise _malformed()
    if envelope.get("version") != _VERSION:
        raise ConfigError(f"The key file is not of version {_VERSION}. Use the Certmint that made it, or a newer one.")
    return envelope


def _cipher(header: Mapping[str, Any], passphrase: bytes) -> tuple[AESGCM, bytes]:
    kdf, cipher = header.get("kdf"), header.get("cipher")
    if not isinstance(kdf, dict) or not isinstance(cipher, dict):
        raise _malformed()
    if kdf.get("name") != _KDF or cipher.get("name") != _CIPHER:
        raise ConfigError(f"The key file is not sealed with {_KDF} and {_CIPHER}: no other way is read.")
    salt, nonce = _to_bytes(kdf.get("salt")), _to_bytes(cipher.get("nonce"))
    if len(salt) != _SALT_BYTES or len(nonce) != _NONCE_BYTES:
        raise _malformed()
    for parameter, (least, most) in _COST_BOUNDS.items():
        cost = kdf.get(parameter)
        if type(cost) is not int or not least <= cost <= most:
            raise ConfigError(f"The key file's {parameter} is not between {least} and {most}.")
    derivation = Argon2id(
        salt=salt,
        length=_KEY_BYTES,
        iterations=kdf["iterations"],
        lanes=kdf["lanes"],
        memory_cost=kdf["memory_kib"],
    )
    return AESGCM(derivation.derive(passphrase)), nonce


def _associated_data(header: Mapping[str, Any]) -> bytes:
    return json.dumps(header, sort_keys=True, separators=(",", ":")).encode()


def _verify_passphrase(passphrase: bytes) -> None:
    if not passphrase:
        raise ConfigError("The passphrase is empty.")


def _to_text(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


def _to_bytes(text: object) -> bytes:
    try:
        return base64.b64decode(text, validate=True) if isinstance(text, str) else b""
    except (binascii.Error, ValueError):
        raise _malformed() from None


def _malformed() -> ConfigError:
    return ConfigError("The key file is damaged or is not one of ours. Restore it from a backup.")
