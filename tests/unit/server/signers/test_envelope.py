import json
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from certmint_server.errors import ConfigError
from certmint_server.signers.envelope import MAXIMUM_ENVELOPE_BYTES, open_envelope, seal
from certmint_server.signers.keys import IssuerKeyType, generate_key

PASSPHRASE = b"correct horse battery staple"
KEY = generate_key(IssuerKeyType.ECDSA_P256)
SEALED = seal(KEY, PASSPHRASE, "0123456789abcdef")


def changed(*path: str, to: object) -> bytes:
    envelope: dict[str, Any] = json.loads(SEALED)
    part = envelope
    for name in path[:-1]:
        part = part[name]
    assert part[path[-1]] != to
    part[path[-1]] = to
    return json.dumps(envelope).encode()


@pytest.mark.parametrize("key_type", list(IssuerKeyType))
def test_a_sealed_key_opens_with_its_passphrase(key_type: IssuerKeyType) -> None:
    key = generate_key(key_type)
    sealed = seal(key, PASSPHRASE, "0123456789abcdef")
    assert len(sealed) < MAXIMUM_ENVELOPE_BYTES
    assert open_envelope(sealed, PASSPHRASE).public_key() == key.public_key()


def test_an_envelope_says_how_it_is_sealed_and_whose_key_it_is() -> None:
    envelope = json.loads(SEALED)
    kdf, cipher = envelope["kdf"], envelope["cipher"]
    assert (envelope["format"], envelope["version"], envelope["key_id"]) == ("certmint-key", 1, "0123456789abcdef")
    assert (kdf["name"], kdf["memory_kib"], kdf["iterations"], kdf["lanes"]) == ("argon2id", 65536, 3, 4)
    assert cipher["name"] == "aes-256-gcm"


def test_two_envelopes_of_one_key_share_neither_salt_nor_nonce() -> None:
    first, second = json.loads(SEALED), json.loads(seal(KEY, PASSPHRASE, "0123456789abcdef"))
    assert first["kdf"]["salt"] != second["kdf"]["salt"]
    assert first["cipher"]["nonce"] != second["cipher"]["nonce"]


def test_a_wrong_passphrase_opens_nothing_and_is_not_repeated_in_the_error() -> None:
    with pytest.raises(ConfigError, match="passphrase is wrong, or the key file was changed") as refusal:
        open_envelope(SEALED, b"a wrong passphrase")
    assert "a wrong passphrase" not in str(refusal.value)
    assert refusal.value.__cause__ is None


@pytest.mark.parametrize(
    "data",
    [
        changed("key_id", to="fedcba9876543210"),
        changed("kdf", "memory_kib", to=32 * 1024),
        changed("kdf", "iterations", to=1),
        changed("kdf", "lanes", to=1),
        changed("kdf", "salt", to="AAAAAAAAAAAAAAAAAAAAAA=="),
        changed("cipher", "nonce", to="AAAAAAAAAAAAAAAA"),
        changed("ciphertext", to="AAAA"),
        json.dumps({**json.loads(SEALED), "added": 1}).encode(),
    ],
)
def test_nothing_in_an_envelope_can_be_changed_without_the_passphrase(data: bytes) -> None:
    with pytest.raises(ConfigError, match="or the key file was changed"):
        open_envelope(data, PASSPHRASE)


@pytest.mark.parametrize(
    ("parameter", "value"),
    [
        ("memory_kib", 64 * 1024 * 1024),
        ("memory_kib", 1024),
        ("memory_kib", -1),
        ("memory_kib", "65536"),
        ("memory_kib", None),
        ("memory_kib", 65536.5),
        ("iterations", 17),
        ("iterations", 0),
        ("iterations", True),
        ("lanes", 17),
        ("lanes", 0),
    ],
)
def test_a_file_cannot_make_us_spend_more_than_a_bound(parameter: str, value: object) -> None:
    with pytest.raises(ConfigError, match=f"{parameter} is not between"):
        open_envelope(changed("kdf", parameter, to=value), PASSPHRASE)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"not json",
        b"\xff\xfe",
        b"[" * MAXIMUM_ENVELOPE_BYTES,
        b"[]",
        b"{}",
        b"1" * 5000,
        SEALED[: len(SEALED) // 2],
        changed("format", to="another"),
        changed("kdf", to=None),
        changed("cipher", to="aes-256-gcm"),
        changed("kdf", "salt", to="not base64!"),
        changed("kdf", "salt", to="AAAA"),
        changed("kdf", "salt", to=7),
        changed("kdf", "salt", to="é"),
        changed("cipher", "nonce", to=""),
    ],
)
def test_what_is_not_an_envelope_is_refused_as_damaged(data: bytes) -> None:
    with pytest.raises(ConfigError, match="damaged or is not one of ours"):
        open_envelope(data, PASSPHRASE)


@pytest.mark.parametrize("version", [0, 2, "1", None])
def test_another_version_is_refused_with_what_to_do(version: object) -> None:
    with pytest.raises(ConfigError, match="Use the Certmint that made it"):
        open_envelope(changed("version", to=version), PASSPHRASE)


@pytest.mark.parametrize(("part", "name"), [("kdf", "scrypt"), ("cipher", "aes-128-cbc")])
def test_another_way_of_sealing_is_refused(part: str, name: str) -> None:
    with pytest.raises(ConfigError, match="no other way is read"):
        open_envelope(changed(part, "name", to=name), PASSPHRASE)


def test_a_file_above_the_cap_is_refused_before_it_is_parsed() -> None:
    with pytest.raises(ConfigError, match="too large"):
        open_envelope(b" " * (MAXIMUM_ENVELOPE_BYTES + 1), PASSPHRASE)


def test_an_empty_passphrase_is_refused_both_ways() -> None:
    with pytest.raises(ConfigError, match="empty"):
        seal(KEY, b"", "0123456789abcdef")
    with pytest.raises(ConfigError, match="empty"):
        open_envelope(SEALED, b"")


def test_an_opened_key_signs_like_the_one_that_was_sealed() -> None:
    opened = open_envelope(SEALED, PASSPHRASE)
    assert isinstance(opened, ec.EllipticCurvePrivateKey)
    assert isinstance(KEY, ec.EllipticCurvePrivateKey)
    assert opened.private_numbers() == KEY.private_numbers()
