import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding
from tests.unit.client.peer import CA, SPIFFE_ID

from certmint import keys
from certmint.identity import Identity, IdentityError, save_identity

KEY = Path("current") / "key.pem"

# Saves the second identity over the first, and ends the process at its n-th event that touches the file system;
# for n = 1, 2, ... until a save gets through. Prints how many there were.
CRASHER = """
import os, sys
from pathlib import Path
from certmint.identity import Identity, save_identity
work, first, second = (Path(argument) for argument in sys.argv[1:])
old, new = Identity.load(first), Identity.load(second)
touching = {"open", "os.mkdir", "os.symlink", "os.rename", "os.remove", "os.rmdir", "shutil.rmtree"}
crash = 0
while True:
    crash += 1
    folder = work / str(crash)
    save_identity(folder, old)
    save_identity(folder, old)
    child = os.fork()
    if child == 0:
        seen = 0
        def count(event, arguments):
            global seen
            if event in touching:
                seen += 1
                if seen == crash:
                    os._exit(9)
        sys.addaudithook(count)
        save_identity(folder, new)
        os._exit(0)
    if os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0:
        break
print(crash)
"""


@pytest.fixture
def identity(ca: CA) -> Identity:
    return ca.identity(server="ca.example:8443")


def generations(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if path.name.startswith("generation-"))


def test_an_identity_survives_its_folder(identity: Identity, tmp_path: Path) -> None:
    folder = tmp_path / "deep" / "payments"
    save_identity(folder, identity)
    loaded = Identity.load(folder)
    assert loaded == identity
    assert loaded.key_pem == identity.key_pem
    assert loaded.server == "ca.example:8443"
    assert loaded.spiffe_id == SPIFFE_ID
    assert loaded.not_after == identity.certificate.not_valid_after_utc


def test_the_folder_is_0700_and_every_file_0600_whatever_the_umask(identity: Identity, tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        save_identity(tmp_path / "payments", identity)
    finally:
        os.umask(before)
    for path in [tmp_path / "payments", *(tmp_path / "payments").rglob("*")]:
        if not path.is_symlink():
            assert stat.S_IMODE(path.stat().st_mode) == (0o700 if path.is_dir() else 0o600), path


def test_the_current_generation_and_the_one_before_are_kept(identity: Identity, tmp_path: Path, ca: CA) -> None:
    for _ in range(3):
        save_identity(tmp_path, identity)
    newest = ca.identity()
    save_identity(tmp_path, newest)
    assert generations(tmp_path) == ["generation-000003", "generation-000004"]
    assert (tmp_path / "current").readlink() == Path("generation-000004")
    assert Identity.load(tmp_path) == newest


def test_a_crash_at_any_instant_leaves_a_usable_identity_and_the_next_save_mends_the_rest(
    identity: Identity, tmp_path: Path, ca: CA
) -> None:
    newer, newest = ca.identity(), ca.identity()
    save_identity(tmp_path / "first", identity)
    save_identity(tmp_path / "second", newer)
    arguments = [str(tmp_path / name) for name in ("work", "first", "second")]
    ran = subprocess.run(
        [sys.executable, "-c", CRASHER, *arguments], check=True, capture_output=True, text=True, timeout=60
    )
    folders = sorted((tmp_path / "work").iterdir(), key=lambda path: int(path.name))
    assert len(folders) == int(ran.stdout) > 10
    found = [Identity.load(folder) for folder in folders]
    switched = found.index(newer)
    assert 0 < switched < len(folders) - 1
    assert found == [identity] * switched + [newer] * (len(folders) - switched)
    for folder in folders:
        save_identity(folder, newest)
        assert Identity.load(folder) == newest
        assert len(generations(folder)) == 2


def test_the_private_key_is_not_in_the_repr(identity: Identity) -> None:
    assert "PRIVATE" not in repr(identity)
    assert identity.key_pem.splitlines()[1].decode() not in repr(identity)


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o601])
def test_a_key_file_open_to_others_is_refused_with_the_command_that_mends_it(
    identity: Identity, tmp_path: Path, mode: int
) -> None:
    save_identity(tmp_path, identity)
    (tmp_path / KEY).chmod(mode)
    with pytest.raises(IdentityError, match=r"Run: chmod 600 .*/key\.pem$"):
        Identity.load(tmp_path)


def test_a_folder_without_an_identity_is_refused(tmp_path: Path) -> None:
    with pytest.raises(IdentityError, match="holds no identity"):
        Identity.load(tmp_path)
    (tmp_path / "current").symlink_to("generation-000001")
    with pytest.raises(IdentityError, match="holds no identity"):
        Identity.load(tmp_path)


@pytest.mark.parametrize("name", ["key.pem", "chain.pem", "trust-bundle.pem"])
def test_a_file_that_is_missing_broken_or_huge_is_refused(identity: Identity, tmp_path: Path, name: str) -> None:
    save_identity(tmp_path, identity)
    path = tmp_path / "current" / name
    path.write_bytes(b"x" * (1 << 20) + b"x")
    with pytest.raises(IdentityError, match="larger than"):
        Identity.load(tmp_path)
    path.write_bytes(b"-----BEGIN NONSENSE-----\n")
    with pytest.raises(IdentityError, match="not PEM that can be used"):
        Identity.load(tmp_path)
    path.unlink()
    with pytest.raises(IdentityError, match="cannot be read"):
        Identity.load(tmp_path)


def test_a_key_of_another_certificate_is_refused(identity: Identity) -> None:
    other = keys.to_pem(keys.generate())
    with pytest.raises(IdentityError, match="does not belong"):
        Identity(other, identity.chain_pem, identity.trust_bundle_pem)


def test_an_encrypted_key_is_refused(ca: CA) -> None:
    key = keys.generate()
    identity = ca.identity(key=key)
    with pytest.raises(IdentityError, match="private key"):
        Identity(keys.to_pem(key, b"secret"), identity.chain_pem, identity.trust_bundle_pem)


def test_an_identity_is_made_of_der_and_of_files_of_any_name(ca: CA, tmp_path: Path) -> None:
    key = keys.generate()
    whole = ca.identity(key=key)
    made = Identity.from_der(
        key=key, chain_der=[whole.certificate.public_bytes(Encoding.DER)], trust_bundle_der=[ca.der]
    )
    assert made == whole
    (tmp_path / "tls.key").write_bytes(whole.key_pem)
    (tmp_path / "tls.key").chmod(0o400)
    (tmp_path / "tls.crt").write_bytes(whole.chain_pem)
    (tmp_path / "ca.crt").write_bytes(whole.trust_bundle_pem)
    key_file, chain_file, roots_file = (tmp_path / name for name in ("tls.key", "tls.crt", "ca.crt"))
    assert Identity.from_files(key=key_file, chain=chain_file, trust_bundle=roots_file) == whole
