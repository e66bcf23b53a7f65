import json
import re
import shutil
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from cryptography import x509
from tests.integration.authority import BIN, TRUST_DOMAIN, Authority, Server, make_authority, serving

from certmint import Client, Identity, Purpose, Role, keys
from certmint.ca.v1.certificate_authority_service_pb2 import VERIFICATION_FAILURE_REASON_REVOKED
from certmint.ca.v1.resources_pb2 import ISSUER_STATE_OFFLINE
from certmint_server.cli import main

Run = Callable[..., str]


@pytest.fixture
def certmint_server(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs `certmint-server`, and gives its words. In this process: starting one takes longer."""

    def certmint_server(*arguments: str | Path, status: int = 0, passphrase: str = "") -> str:
        capsys.readouterr()
        monkeypatch.setattr(sys, "argv", ["certmint-server", *map(str, arguments)])
        monkeypatch.setenv("CERTMINT_PASSPHRASE", passphrase)
        with pytest.raises(SystemExit) as ended:
            main()
        written = "".join(capsys.readouterr())
        assert (ended.value.code or 0) == status, written
        return " ".join(written.split())

    return certmint_server


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """An authority on SQLite that nothing serves."""
    return make_authority(tmp_path_factory.mktemp("server-cli") / "ca")


@pytest.fixture
def copy(authority: Authority, tmp_path: Path) -> Path:
    """The folder of an authority, for a test that changes it."""
    return Path(shutil.copytree(authority.data, tmp_path / "copy", symlinks=True))


@pytest.fixture
def own(authority: Authority) -> Iterator[tuple[Authority, Server]]:
    with serving(authority.data) as server:
        yield authority, server


def test_the_command_is_installed_and_exits_with_its_status(tmp_path: Path) -> None:
    command: list[str | Path] = [BIN / "certmint-server", "check-config", "--config", tmp_path]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, stdin=subprocess.DEVNULL)
    assert (done.returncode, done.stdout) == (1, "")
    assert "Make one with: certmint-server init" in " ".join(done.stderr.split())
    assert "Traceback" not in done.stderr


def test_init_refuses_a_folder_that_is_not_empty_and_leaves_it_alone(
    authority: Authority, certmint_server: Run
) -> None:
    before = sorted(path.name for path in authority.data.iterdir())
    done = certmint_server("init", "--dir", authority.data, "--trust-domain", TRUST_DOMAIN, status=1)
    assert "is not empty. Name a new folder with --dir." in done
    assert sorted(path.name for path in authority.data.iterdir()) == before


@pytest.mark.parametrize("trust_domain", ["Demo.test", "spiffe://demo.test", "demo.test/x", "dem\u00f6.test", ""])
def test_init_refuses_what_is_no_trust_domain_and_leaves_nothing(
    tmp_path: Path, trust_domain: str, certmint_server: Run
) -> None:
    done = certmint_server("init", "--dir", tmp_path / "ca", "--trust-domain", trust_domain, status=1)
    assert "A trust domain has" in done
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("--database-url", "mysql://host/db"),
        ("--grpc-listen", "nowhere"),
        ("--http-url", "https://pki.demo.test"),
        ("--http-url", "ftp://pki.demo.test"),
        ("--passphrase-file", "/no/such/file"),
        ("--root-signature", "rsa-pss-sha256"),
        ("--name", "x" * 100),
    ],
)
def test_init_refuses_an_option_that_cannot_be_used_and_leaves_nothing(
    tmp_path: Path, option: str, value: str, certmint_server: Run
) -> None:
    certmint_server("init", "--dir", tmp_path / "ca", "--trust-domain", TRUST_DOMAIN, option, value, status=1)
    assert list(tmp_path.iterdir()) == []


def test_init_says_what_it_made_and_how_to_go_on(tmp_path: Path, certmint_server: Run) -> None:
    data = tmp_path / "ca"
    written = certmint_server("init", "--dir", data, "--trust-domain", TRUST_DOMAIN, "--json")
    made = json.loads(written[written.index("{") : written.index("}") + 1])
    assert made["operator"] == "spiffe://demo.test/certmint/operator/admin"
    assert Path(made["operator_identity_folder"]) == data / "operator"
    assert Identity.load(data / "operator").spiffe_id == made["operator"]
    assert "Move the root away" in written
    assert "made for you" in written


def test_everything_in_the_folder_is_closed_to_others(authority: Authority) -> None:
    for path in (authority.data, *authority.data.rglob("*")):
        mode = path.lstat().st_mode
        if not stat.S_ISLNK(mode) and not path.name.startswith(("ready-", "server.log")):
            assert mode & 0o077 == 0, f"{path} {stat.filemode(mode)}"


def test_no_key_is_on_the_disk_in_the_clear_but_the_operators(authority: Authority) -> None:
    clear = [path for path in authority.data.rglob("*") if path.is_file() and b"PRIVATE KEY" in path.read_bytes()]
    assert [path.name for path in clear if not path.is_symlink()] == ["key.pem"] * len(clear)
    assert {path.relative_to(authority.data).parts[0] for path in clear} == {"operator"}
    envelopes = list(authority.data.rglob("*.key.json"))
    assert sorted(path.parent.name for path in envelopes) == ["keys", "root"]


def test_check_config_says_what_is_in_order_and_what_is_not(
    authority: Authority, copy: Path, certmint_server: Run
) -> None:
    done = certmint_server("check-config", "--config", authority.data)
    assert "is in order" in done
    assert "CN=Certmint Issuing CA 1" in done
    config = copy / "certmint.toml"
    text = config.read_text()
    for broken, said in (
        (text.replace("[crl]", "[crl]\nlifetim = 1"), "crl.lifetim is not a key"),
        (text.replace('"24h"', '"24"'), "crl.lifetime"),
        (text.replace("[http]\nlisten", "[http]\nlistens"), "http.listen"),
        (text + "[", "is not TOML"),
    ):
        config.write_text(broken)
        assert said in certmint_server("check-config", "--config", copy, status=1)
    certmint_server("check-config", "--config", copy / "nowhere", status=1)


def test_the_passphrase_comes_from_the_file_or_the_environment_and_must_be_right(
    copy: Path, certmint_server: Run
) -> None:
    config, file = copy / "certmint.toml", copy / "keys" / "passphrase"
    passphrase = file.read_text().strip()
    without = "\n".join(line for line in config.read_text().splitlines() if "passphrase_file" not in line)
    certmint_server("check-config", "--config", copy)
    file.write_text("wrong\n")
    wrong = certmint_server("check-config", "--config", copy, status=1)
    assert "passphrase" in wrong
    assert passphrase not in wrong
    file.unlink()
    certmint_server("check-config", "--config", copy, status=1)
    config.write_text(without)
    assert "No passphrase" in certmint_server("check-config", "--config", copy, status=1)
    certmint_server("check-config", "--config", copy, passphrase=passphrase)
    certmint_server("check-config", "--config", copy, passphrase="wrong", status=1)


def test_init_takes_the_passphrases_from_files_and_keeps_none(tmp_path: Path, certmint_server: Run) -> None:
    issuing, root, data = tmp_path / "issuing", tmp_path / "root", tmp_path / "ca"
    issuing.write_text("of the issuing CA\n")
    root.write_text("of the root\n")
    certmint_server(
        *("init", "--dir", data, "--trust-domain", TRUST_DOMAIN),
        *("--passphrase-file", issuing, "--root-passphrase-file", root),
    )
    assert not list(data.rglob("passphrase"))
    certmint_server("check-config", "--config", data)
    certmint_server("issuer", "root-crl", "--config", data, "--root-passphrase-file", root)
    certmint_server("issuer", "root-crl", "--config", data, "--root-passphrase-file", issuing, status=1)


def test_init_takes_the_passphrase_of_the_issuing_ca_from_the_environment(tmp_path: Path, certmint_server: Run) -> None:
    data = tmp_path / "ca"
    certmint_server("init", "--dir", data, "--trust-domain", TRUST_DOMAIN, passphrase="from the environment")
    assert [path.parent.name for path in data.rglob("passphrase")] == ["root"]
    certmint_server("check-config", "--config", data, passphrase="from the environment")


def test_a_key_file_that_others_may_read_is_refused(copy: Path, certmint_server: Run) -> None:
    (copy / "keys" / "issuing-ca-1.key.json").chmod(0o640)
    done = certmint_server("check-config", "--config", copy, status=1)
    assert "Others may read" in done
    assert "chmod 600" in done


def test_an_operator_is_issued_on_the_host_and_a_disabled_one_is_let_in_again(
    own: tuple[Authority, Server], tmp_path: Path, certmint_server: Run
) -> None:
    authority, server = own
    folder = tmp_path / "alice"
    certmint_server("operator", "issue", "--config", authority.data, "--name", "alice", "--out", folder)
    with Client.from_directory(folder) as alice:
        assert Role.ROLE_OPERATOR in alice.get_configuration().roles
        registration = alice.get_registration("spiffe://demo.test/certmint/operator/alice").registration
        registration.disabled = True
        alice.update_registration(registration)
    certmint_server("operator", "issue", "--config", authority.data, "--name", "alice", "--out", folder)
    assert sorted(path.name for path in folder.iterdir()) == ["current", "generation-000001", "generation-000002"]
    with authority.operator(server) as operator:
        assert not operator.get_registration(registration.identity).registration.disabled


def test_the_root_may_be_away_while_serving_and_come_back_for_a_ceremony(
    authority: Authority, tmp_path: Path, certmint_server: Run
) -> None:
    shutil.move(authority.data / "root", tmp_path / "medium")
    with serving(authority.data) as server, authority.operator(server) as operator:
        operator.sign_csr(keys.csr_der(keys.generate()), profile="client")
        root_id = next(i.issuer_id for i in operator.get_configuration().issuers if i.state == ISSUER_STATE_OFFLINE)
        before = operator.get_crl(issuer_id=root_id).crl
        away = certmint_server("issuer", "root-crl", "--config", authority.data, status=1)
        assert "Name its folder with --root-dir." in away
        out = tmp_path / "root.crl"
        command = ("issuer", "root-crl", "--config", authority.data, "--root-dir", tmp_path / "medium")
        certmint_server(*command, "--lifetime", "90d", "--out", out)
        after = operator.get_crl(issuer_id=root_id).crl
    shutil.move(tmp_path / "medium", authority.data / "root")
    assert after.crl_number > before.crl_number
    assert out.read_bytes() == after.crl_der
    assert after.next_update.seconds - after.this_update.seconds == 90 * 86400


def test_an_issuing_ca_that_the_root_revoked_makes_every_chain_below_it_not_valid(
    copy: Path, certmint_server: Run
) -> None:
    authority = Authority(copy)
    with serving(copy) as server, authority.operator(server) as operator:
        chain = operator.sign_csr(keys.csr_der(keys.generate()), profile="client").chain_der
        assert operator.verify_chain(chain, purpose=Purpose.PURPOSE_ANY).valid
        issuer_id = operator.get_configuration().issuers[0].issuer_id
        certmint_server("issuer", "root-crl", "--config", copy, "--revoke", issuer_id)
        verdict = operator.verify_chain(chain, purpose=Purpose.PURPOSE_ANY)
        assert [(f.certificate_index, f.reason) for f in verdict.failures] == [(1, VERIFICATION_FAILURE_REASON_REVOKED)]
        certmint_server("issuer", "root-crl", "--config", copy)
        assert not operator.verify_chain(chain, purpose=Purpose.PURPOSE_ANY).valid


def test_a_root_and_an_unknown_issuer_are_not_revoked_by_the_roots_crl(copy: Path, certmint_server: Run) -> None:
    (root_id,) = re.findall(r"([0-9a-f]{16}) offline", certmint_server("issuer", "list", "--config", copy))
    refused = certmint_server("issuer", "root-crl", "--config", copy, "--revoke", root_id, status=1)
    assert "A root is not revoked by its own CRL" in refused
    certmint_server("issuer", "root-crl", "--config", copy, "--revoke", "0" * 16, status=1)
    certmint_server("issuer", "root-crl", "--config", copy, "--lifetime", "soon", status=1)


@pytest.mark.parametrize(
    "issuing", [("ed25519", "ed25519"), ("rsa-3072", "rsa-pss-sha256"), ("ecdsa-p384", "ecdsa-sha384")], ids="/".join
)
def test_an_authority_works_with_any_kind_of_issuer(data: Path, issuing: tuple[str, str]) -> None:
    key_type, scheme = issuing
    authority = make_authority(data, options=["--issuing-key", key_type, "--issuing-signature", scheme])
    with serving(data) as server, authority.operator(server) as operator:
        chain = operator.sign_csr(keys.csr_der(keys.generate()), profile="client").chain_der
        leaf, issuer = map(x509.load_der_x509_certificate, chain)
        leaf.verify_directly_issued_by(issuer)
        assert operator.verify_chain(chain, purpose=Purpose.PURPOSE_CLIENT_AUTH).valid
