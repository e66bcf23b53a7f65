import json
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from tests.integration.authority import BIN
from tests.integration.conftest import Running, fresh_identity, fresh_name

from certmint import Client, Identity, keys, save_identity
from certmint.cli.program import run


class Done(NamedTuple):
    """What a run of the command wrote."""

    stdout: str
    stderr: str


Run = Callable[..., Done]


@pytest.fixture
def certmint(running: Running, capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs `certmint` as the operator, or as the identity of a folder. In this process: starting one takes longer."""
    operator_folder = running.authority.data / "operator"

    def certmint(*arguments: str | Path, folder: Path = operator_folder, status: int = 0) -> Done:
        capsys.readouterr()
        command = ["--identity", folder, "--server", running.server.address, *arguments]
        assert run([str(argument) for argument in command]) == status
        return Done(*capsys.readouterr())

    return certmint


@pytest.fixture
def registered(certmint: Run) -> str:
    """An identity that was registered by the command."""
    identity = fresh_identity()
    certmint("registration", "create", identity, "--dns", "a.cli.test", "--profile", "service", "--profile", "client")
    return identity


def as_json(done: Done) -> Any:
    return json.loads(done.stdout)


def sign_new_key(certmint: Run, identity: str, folder: Path, *options: str) -> Identity:
    certmint("sign-csr", "--new-key", folder, "--for-identity", identity, *options)
    return Identity.load(folder)


def test_the_command_is_installed_and_exits_with_its_status(running: Running, tmp_path: Path) -> None:
    folder = running.authority.data / "operator"
    done = subprocess.run(
        [BIN / "certmint", "--identity", folder, "configuration", "--json"], capture_output=True, timeout=30, check=True
    )
    assert json.loads(done.stdout)["identity"] == running.authority.operator_identity.spiffe_id
    refused = subprocess.run([BIN / "certmint", "configuration"], capture_output=True, timeout=30, check=False, env={})
    assert (refused.returncode, refused.stdout) == (2, b"")
    assert refused.stderr.startswith(b"error: Name the folder of your identity")


def test_a_new_key_becomes_an_identity_that_calls(
    running: Running, certmint: Run, registered: str, tmp_path: Path
) -> None:
    folder = tmp_path / "identity"
    identity = sign_new_key(certmint, registered, folder, "--lifetime", "2h", "--label", "team=cli")
    assert identity.spiffe_id == registered
    assert (folder / "current" / "key.pem").stat().st_mode & 0o777 == 0o600
    assert folder.stat().st_mode & 0o777 == 0o700
    with Client.from_directory(folder, server=running.server.address) as client:
        assert client.get_configuration().identity == registered
    shown = certmint("configuration", folder=folder).stdout
    assert registered in shown
    assert "a.cli.test" in shown


def test_a_csr_in_a_pem_file_is_signed_and_the_chain_verified(
    running: Running, certmint: Run, registered: str, tmp_path: Path
) -> None:
    csr, chain, roots = tmp_path / "request.pem", tmp_path / "chain.pem", tmp_path / "roots.pem"
    request = x509.load_der_x509_csr(keys.csr_der(keys.generate()))
    csr.write_bytes(request.public_bytes(Encoding.PEM))
    certmint("sign-csr", "--csr", csr, "--for-identity", registered, "--out", chain)
    certmint("trust-bundle", "--out", roots)
    done = certmint("verify-chain", chain, "--purpose", "server", "--dns", "a.cli.test")
    assert done.stdout.startswith("valid\n")
    assert x509.load_pem_x509_certificates(roots.read_bytes()) == [running.certificates()[1]]
    assert len(x509.load_pem_x509_certificates(chain.read_bytes())) == 2


def test_verify_chain_exits_with_the_verdict(certmint: Run, registered: str, tmp_path: Path) -> None:
    chain = tmp_path / "identity" / "current" / "chain.pem"
    sign_new_key(certmint, registered, tmp_path / "identity")
    assert certmint("verify-chain", chain, "--purpose", "any").stdout.startswith("valid\n")
    wrong_name = certmint("verify-chain", chain, "--purpose", "any", "--dns", "b.cli.test", status=1).stdout
    assert wrong_name.startswith("not valid\n")
    assert "NAME_MISMATCH" in wrong_name
    assert not as_json(certmint("verify-chain", chain, "--purpose", "any", "--uri", "x:y", "--json", status=1))["valid"]
    certmint("verify-chain", tmp_path / "no-such-file", "--purpose", "any", status=2)
    not_der = tmp_path / "x"
    not_der.write_bytes(b"x")
    assert "CERTIFICATE_MALFORMED" in certmint("verify-chain", not_der, "--purpose", "any", status=3).stderr


def test_revoke_get_crl_and_verify_chain_agree(certmint: Run, registered: str, tmp_path: Path) -> None:
    identity = sign_new_key(certmint, registered, tmp_path / "identity")
    chain = tmp_path / "identity" / "current" / "chain.pem"
    revoked = as_json(certmint("revoke", "--certificate", chain, "--reason", "keyCompromise", "--json"))
    assert revoked["key_blocked"]
    number = int(revoked["certificate"]["revocation"]["crl_number"])
    crl = tmp_path / "crl.der"
    ends = time.monotonic() + 6
    while int(as_json(certmint("get-crl", "--json"))["crl"]["crl_number"]) < number and time.monotonic() < ends:
        time.sleep(0.05)
    certmint("get-crl", "--format", "der", "--out", crl)
    listed = x509.load_der_x509_crl(crl.read_bytes())
    assert listed.get_revoked_certificate_by_serial_number(identity.certificate.serial_number)
    assert "REVOKED" in certmint("verify-chain", chain, "--purpose", "any", status=1).stdout
    assert "CALLER_REVOKED" in certmint("configuration", folder=tmp_path / "identity", status=3).stderr


def test_certificates_are_listed_and_got(certmint: Run, registered: str, tmp_path: Path) -> None:
    serial = f"{sign_new_key(certmint, registered, tmp_path / 'identity').certificate.serial_number:x}"
    listed = as_json(certmint("certificate", "list", "--for-identity", registered, "--status", "valid", "--json"))
    assert serial in {certificate["serial_hex"].lstrip("0") for certificate in listed["certificates"]}
    assert registered in certmint("certificate", "list", "--dns", "a.cli.test").stdout
    got = as_json(certmint("certificate", "get", serial, "--json"))
    assert got["certificate"]["identity"] == registered
    assert got["certificate"]["certificate_pem"].startswith("-----BEGIN CERTIFICATE-----")
    assert "-----BEGIN CERTIFICATE-----" in certmint("certificate", "get", serial).stdout
    assert "CERTIFICATE_NOT_FOUND" in certmint("certificate", "get", "01", status=3).stderr


def test_a_registration_lives_from_create_to_delete(certmint: Run) -> None:
    identity = fresh_identity()
    created = as_json(certmint("registration", "create", identity, "--ip", "192.0.2.1", "--role", "auditor", "--json"))
    assert created["registration"]["roles"] == ["ROLE_SERVICE", "ROLE_AUDITOR"]
    certmint("registration", "update", identity, "--dns", "b.cli.test", "--clear", "ip", "--disable")
    got = certmint("registration", "get", identity).stdout
    assert "b.cli.test" in got
    assert "disabled" in got
    assert "192.0.2.1" not in got
    assert identity in certmint("registration", "list").stdout
    assert "VERSION_MISMATCH" in certmint("registration", "delete", identity, "--version", "1", status=3).stderr
    certmint("registration", "delete", identity)
    assert "REGISTRATION_NOT_FOUND" in certmint("registration", "get", identity, status=3).stderr


def test_a_profile_is_written_changed_shown_dry_and_applied(certmint: Run, tmp_path: Path) -> None:
    name = fresh_name()
    text = certmint("profile", "get", "service").stdout.replace('name = "service"', f'name = "{name}"')
    file = tmp_path / "profile.toml"
    file.write_text(text)
    assert f"{name} would become version 1." in certmint("profile", "apply", file, "--dry-run").stdout
    assert "PROFILE_NOT_FOUND" in certmint("profile", "get", name, status=3).stderr
    certmint("profile", "apply", file)
    file.write_text(text.replace('maximum_lifetime = "7d"', 'maximum_lifetime = "8d"'))
    changes = as_json(certmint("profile", "apply", file, "--dry-run", "--json"))["changes"]
    assert [(change["field"], change["weaker"]) for change in changes] == [("maximum_lifetime", True)]
    assert "weaker" in certmint("profile", "apply", file).stdout
    assert f"{name} is like that already, in version 2." in certmint("profile", "apply", file).stdout
    assert name in certmint("profile", "list").stdout
    file.write_text(text.replace('backdate = "5m"', 'backdate = "2h"'))
    assert "profile.backdate" in certmint("profile", "apply", file, status=3).stderr


@pytest.mark.parametrize(
    "command",
    [
        ["configuration"],
        ["trust-bundle"],
        ["get-crl"],
        ["certificate", "list"],
        ["registration", "list"],
        ["profile", "list"],
    ],
    ids=" ".join,
)
def test_json_parses(certmint: Run, command: list[str]) -> None:
    assert as_json(certmint(*command, "--json"))


def test_a_service_may_not_administer(running: Running, certmint: Run, tmp_path: Path) -> None:
    save_identity(tmp_path / "identity", running.enroll())
    done = certmint("registration", "list", folder=tmp_path / "identity", status=3)
    assert done.stderr.startswith("error: This method is for ")
    assert "(METHOD_NOT_ALLOWED)" in done.stderr
    assert done.stdout == ""


def test_without_an_identity_or_a_server_it_says_what_to_do(certmint: Run, tmp_path: Path) -> None:
    assert "holds no identity" in certmint("configuration", folder=tmp_path, status=2).stderr
    certmint("configuration", "--server", "127.0.0.1:1", "--timeout", "2", status=3)
