import os
import stat
from pathlib import Path

import pytest

from certmint_server.errors import ConfigError
from certmint_server.signers.envelope import seal
from certmint_server.signers.file import load_signer, write_key
from certmint_server.signers.keys import IssuerKeyType, generate_key
from certmint_server.signers.signer import SignatureScheme, Signer

PASSPHRASE = b"correct horse battery staple"
KEY = generate_key(IssuerKeyType.ECDSA_P256)
ENVELOPE = seal(KEY, PASSPHRASE, "0123456789abcdef")
SCHEME = SignatureScheme.ECDSA_SHA256


def load(uri: str, base_dir: Path) -> Signer:
    return load_signer(uri, SCHEME, PASSPHRASE, base_dir, public_key=KEY.public_key())


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_written_key_is_loaded_by_a_relative_and_by_an_absolute_uri(tmp_path: Path) -> None:
    path = tmp_path / "keys" / "issuing.json"
    write_key(path, ENVELOPE)
    for uri in ("file:keys/issuing.json", f"file:{path}", f"file://{path}"):
        signer = load(uri, tmp_path)
        assert signer.public_key == KEY.public_key()
        assert signer.scheme is SCHEME


def test_a_key_is_written_for_its_owner_only_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        write_key(tmp_path / "keys" / "issuing.json", ENVELOPE)
    finally:
        os.umask(before)
    assert mode(tmp_path / "keys") == 0o700
    assert mode(tmp_path / "keys" / "issuing.json") == 0o600


def test_a_key_is_never_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "keys" / "issuing.json"
    write_key(path, ENVELOPE)
    with pytest.raises(ConfigError, match="never overwritten"):
        write_key(path, b"another")
    assert path.read_bytes() == ENVELOPE


def test_a_key_is_not_written_through_a_link(tmp_path: Path) -> None:
    folder = tmp_path / "keys"
    folder.mkdir(mode=0o700)
    (folder / "issuing.json").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(ConfigError, match="exists"):
        write_key(folder / "issuing.json", ENVELOPE)
    assert not (tmp_path / "elsewhere").exists()


def test_a_key_is_not_written_into_a_folder_that_is_open_to_others(tmp_path: Path) -> None:
    folder = tmp_path / "keys"
    folder.mkdir()
    folder.chmod(0o750)
    with pytest.raises(ConfigError, match=f"chmod 700 {folder}"):
        write_key(folder / "issuing.json", ENVELOPE)
    assert not list(folder.iterdir())


@pytest.mark.parametrize("bits", [0o640, 0o604, 0o620, 0o601])
def test_a_key_that_others_may_touch_is_refused_with_the_command_that_helps(tmp_path: Path, bits: int) -> None:
    path = tmp_path / "keys" / "issuing.json"
    write_key(path, ENVELOPE)
    path.chmod(bits)
    with pytest.raises(ConfigError, match=f"chmod 600 {path}"):
        load("file:keys/issuing.json", tmp_path)


def test_a_relative_uri_does_not_lead_out_of_the_folder(tmp_path: Path) -> None:
    base_dir = tmp_path / "data"
    base_dir.mkdir()
    write_key(tmp_path / "keys" / "issuing.json", ENVELOPE)
    (base_dir / "link.json").symlink_to(tmp_path / "keys" / "issuing.json")
    for uri in ("file:../keys/issuing.json", "file:link.json"):
        with pytest.raises(ConfigError, match="leads out"):
            load(uri, base_dir)


def test_a_link_within_the_folder_is_followed(tmp_path: Path) -> None:
    write_key(tmp_path / "keys" / "2030" / "issuing.json", ENVELOPE)
    (tmp_path / "keys" / "current").symlink_to("2030")
    assert load("file:keys/current/issuing.json", tmp_path).public_key == KEY.public_key()


@pytest.mark.parametrize("uri", ["", "file:", "keys/issuing.json", "http://host/key", "pkcs11:token"])
def test_what_is_not_a_file_uri_is_refused(tmp_path: Path, uri: str) -> None:
    with pytest.raises(ConfigError, match="URI begins with file:"):
        load(uri, tmp_path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"issuing\.json cannot be opened: No such file"):
        load("file:keys/issuing.json", tmp_path)


def test_a_folder_or_a_pipe_in_place_of_a_key_is_refused_without_waiting(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe", 0o600)
    (tmp_path / "folder").mkdir(mode=0o700)
    for name in ("pipe", "folder"):
        with pytest.raises(ConfigError, match="is not a file"):
            load(f"file:{name}", tmp_path)


def test_a_huge_file_is_refused_without_being_read(tmp_path: Path) -> None:
    path = tmp_path / "huge.json"
    path.touch(0o600)
    os.truncate(path, 1 << 40)
    with pytest.raises(ConfigError, match="too large"):
        load("file:huge.json", tmp_path)


def test_another_issuers_key_is_refused(tmp_path: Path) -> None:
    write_key(tmp_path / "keys" / "issuing.json", ENVELOPE)
    other = generate_key(IssuerKeyType.ECDSA_P256).public_key()
    with pytest.raises(ConfigError, match="another key than that of the issuer's certificate"):
        load_signer("file:keys/issuing.json", SCHEME, PASSPHRASE, tmp_path, public_key=other)


def test_a_scheme_of_another_kind_of_key_is_refused(tmp_path: Path) -> None:
    write_key(tmp_path / "keys" / "issuing.json", ENVELOPE)
    with pytest.raises(ConfigError, match="not one for rsa-pss-sha256"):
        load_signer(
            "file:keys/issuing.json", SignatureScheme.RSA_PSS_SHA256, PASSPHRASE, tmp_path, public_key=KEY.public_key()
        )
