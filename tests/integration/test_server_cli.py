import json
import re
import shutil
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
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
        ("--http-url", "http://pki.demo.test/below"),
        ("--passphrase-file", "/no/such/file"),
        ("--root-signature", "rsa-pss-sha256"),
        ("--name", "x" * 100),
        ("--name", "\u00e9" * 40),
        ("--grpc-listen", "\udcff:8443"),
    ],
)
def test_init_refuses_an_option_that_cannot_be_used_and_leaves_nothing(
    tmp_path: Path, option: str, value: str, certmint_server: Run
) -> None:
    certmint_server("init", "--dir", tmp_path / "ca", "--trust-domain", TRUST_DOMAIN, option, value, status=1)
    assert list(tmp_path.iterdir()) == []


def test_init_uses_an_empty_folder_where_a_link_leads_to_it(tmp_path: Path, certmint_server: Run) -> None:
    link, volume = tmp_path / "ca", tmp_path / "volume"
    volume.mkdir(mode=0o755)
    link.symlink_to(volume)
    certmint_server("init", "--dir", link, "--trust-domain", TRUST_DOMAIN, "--grpc-listen", "nowhere", status=1)
    assert list(volume.iterdir()) == []
    certmint_server("init", "--dir", link, "--trust-domain", TRUST_DOMAIN)
    assert link.is_symlink()
    certmint_server("check-config", "--config", volume)


def test_init_refuses_a_folder_that_everybody_may_write_into(tmp_path: Path, certmint_server: Run) -> None:
    tmp_path.chmod(0o777)
    refused = certmint_server("init", "--dir", tmp_path, "--trust-domain", TRUST_DOMAIN, status=1)
    assert f"chmod 700 {tmp_path}" in refused
    assert list(tmp_path.iterdir()) == []


def test_init_on_the_database_of_another_authority_leaves_that_one_as_it_is(
    copy: Path, tmp_path: Path, certmint_server: Run
) -> None:
    command = ("init", "--dir", tmp_path / "a" / "second", "--trust-domain", TRUST_DOMAIN)
    url = f"sqlite:///{copy / 'certmint.db'}"
    assert "holds a certificate authority already" in certmint_server(*command, "--database-url", url, status=1)
    assert not (tmp_path / "a").exists()
    certmint_server("check-config", "--config", copy)


def test_what_the_disk_refuses_is_one_sentence(copy: Path, certmint_server: Run) -> None:
    file = copy / "certmint.toml"
    for command in (
        ["init", "--dir", file / "ca", "--trust-domain", TRUST_DOMAIN],
        ["operator", "issue", "--config", copy, "--out", file / "alice"],
    ):
        assert "Not a directory" in certmint_server(*command, status=1)


def test_a_database_of_a_newer_version_is_left_alone(copy: Path, certmint_server: Run) -> None:
    with closing(sqlite3.connect(copy / "certmint.db")) as connection, connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    for command in ("migrate", "check-config"):
        assert "of a newer version than this program" in certmint_server(command, "--config", copy, status=1)
    serve: list[str | Path] = [BIN / "certmint-server", "serve", "--config", copy]
    done = subprocess.run(serve, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1
    assert "of a newer version than this program" in done.stderr
    assert "Traceback" not in done.stderr


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
    for file, passphrase in ((issuing, "of the issuing CA\n"), (root, "of the root\n")):
        file.touch(0o600)
        file.write_text(passphrase)
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


def test_a_passphrase_file_that_everybody_may_read_is_refused(copy: Path, certmint_server: Run) -> None:
    for folder, command in (("keys", ["check-config"]), ("root", ["issuer", "root-crl"])):
        file = copy / folder / "passphrase"
        file.chmod(0o644)
        assert f"chmod 600 {file}" in certmint_server(*command, "--config", copy, status=1)
        file.chmod(0o640)
        certmint_server(*command, "--config", copy)


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


def test_a_crl_that_root_crl_wrote_elsewhere_is_imported(copy: Path, tmp_path: Path, certmint_server: Run) -> None:
    elsewhere, out = Path(shutil.copytree(copy, tmp_path / "elsewhere", symlinks=True)), tmp_path / "root.crl"
    certmint_server("issuer", "root-crl", "--config", elsewhere, "--out", out)
    assert "is published" in certmint_server("issuer", "import-crl", out, "--config", copy)
    out.write_bytes(out.read_bytes()[:-1])
    assert "not a CRL of the root" in certmint_server("issuer", "import-crl", out, "--config", copy, status=1)


def test_the_passphrase_in_the_environment_is_never_tried_on_the_root(copy: Path, certmint_server: Run) -> None:
    passphrase = (copy / "root" / "passphrase").read_text().strip()
    (copy / "root" / "passphrase").unlink()
    refused = certmint_server("issuer", "root-crl", "--config", copy, status=1, passphrase=passphrase)
    assert "Name its file with --root-passphrase-file." in refused


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
