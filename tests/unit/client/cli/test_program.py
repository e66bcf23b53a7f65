"""Options, exit statuses and errors of the whole command."""

import json
import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import grpc
import pytest
from tests.unit.client.cli.conftest import Certmint
from tests.unit.client.peer import CA, Peer, refuse

from certmint.ca.v1.certificate_authority_service_pb2 import GetConfigurationResponse
from certmint.ca.v1.trust_service_pb2 import GetTrustBundleResponse
from certmint.cli.program import run
from certmint.identity import Identity, save_identity

COMMANDS = [
    "sign-csr",
    "revoke",
    "get-crl",
    "verify-chain",
    "configuration",
    "trust-bundle",
    "certificate",
    "certificate list",
    "certificate get",
    "registration",
    "registration create",
    "registration get",
    "registration list",
    "registration update",
    "registration delete",
    "profile",
    "profile get",
    "profile list",
    "profile apply",
]


@pytest.mark.parametrize("command", ["", *COMMANDS])
def test_the_help_of_every_command_has_an_example(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        run([*command.split(), "--help"])
    assert stopped.value.code == 0
    assert f"Examples:\n  certmint {command}" in capsys.readouterr().out or command == "sign-csr"


@pytest.mark.parametrize("arguments", [["--json", "configuration"], ["configuration", "--json"]])
def test_global_options_stand_before_or_after_the_command(
    certmint: Certmint, peer: Peer, arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    peer.answers("GetConfiguration", GetConfigurationResponse(identity="spiffe://example.org/payments"))
    assert certmint(*arguments) == 0
    assert json.loads(capsys.readouterr().out)["identity"] == "spiffe://example.org/payments"


def test_options_win_over_the_environment_which_wins_over_the_folder(
    certmint: Certmint, peer: Peer, monkeypatch: pytest.MonkeyPatch
) -> None:
    peer.answers("GetConfiguration", GetConfigurationResponse())
    monkeypatch.setenv("CERTMINT_SERVER", "127.0.0.1:1")
    assert certmint("configuration", "--timeout", "0.3") == 3
    assert certmint("configuration", "--server", peer.address) == 0
    monkeypatch.delenv("CERTMINT_SERVER")
    assert certmint("configuration") == 0


def test_without_an_identity_the_command_says_how_to_name_one(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("CERTMINT_IDENTITY", raising=False)
    assert run(["configuration"]) == 2
    assert capsys.readouterr().err == (
        "error: Name the folder of your identity with --identity DIR or in CERTMINT_IDENTITY.\n"
    )


def test_a_refusal_is_one_sentence_with_its_reason_and_the_fields_at_fault(
    certmint: Certmint, peer: Peer, capsys: pytest.CaptureFixture[str]
) -> None:
    outcome = refuse(
        grpc.StatusCode.INVALID_ARGUMENT, "Two \x1b[31mbad.", reason="FIELD_INVALID", fields={"shard": "Not \rthere."}
    )
    peer.answers("GetCRL", outcome)
    assert certmint("get-crl") == 3
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.splitlines() == [
        "error: Two \N{REPLACEMENT CHARACTER}[31mbad. (FIELD_INVALID)",
        "  shard: Not \N{REPLACEMENT CHARACTER}there.",
    ]


def test_a_field_whose_sentence_is_the_refusal_itself_is_only_named(
    certmint: Certmint, peer: Peer, capsys: pytest.CaptureFixture[str]
) -> None:
    fields = {"csr_der": "Too weak.", "profile": "Takes P-256."}
    peer.answers("GetCRL", refuse(grpc.StatusCode.INVALID_ARGUMENT, "Too weak.", reason="KEY_WEAK", fields=fields))
    assert certmint("get-crl") == 3
    assert capsys.readouterr().err.splitlines() == [
        "error: Too weak. (KEY_WEAK, csr_der)",
        "  profile: Takes P-256.",
    ]


def test_a_server_that_nobody_runs_is_named_with_the_cause(
    certmint: Certmint, capsys: pytest.CaptureFixture[str]
) -> None:
    assert certmint("configuration", "--server", "127.0.0.1:1", "--timeout", "2") == 3
    sentence = "The server at 127.0.0.1:1 cannot be reached (connection refused): is certmint-server running there?"
    assert capsys.readouterr().err == f"error: {sentence} (UNAVAILABLE)\n"


@pytest.mark.parametrize(
    ("details", "cause"),
    [
        ("[field:hostname lookup error:address lookup failed for x:1: Domain name not found]", "its name is not known"),
        ("upstream connect error", ""),
    ],
)
def test_the_raw_text_of_a_failed_connection_is_not_shown(
    certmint: Certmint, peer: Peer, details: str, cause: str, capsys: pytest.CaptureFixture[str]
) -> None:
    peer.answers("GetConfiguration", refuse(grpc.StatusCode.UNAVAILABLE, details))
    assert certmint("configuration", "--timeout", "2") == 3
    shown = capsys.readouterr().err
    assert shown.startswith(f"error: The server at {peer.address} cannot be reached")
    assert cause in shown
    assert details not in shown


def test_a_server_that_does_not_answer_in_time_is_named(
    certmint: Certmint, peer: Peer, capsys: pytest.CaptureFixture[str]
) -> None:
    peer.answers("GetConfiguration", refuse(grpc.StatusCode.DEADLINE_EXCEEDED, "Deadline Exceeded"))
    assert certmint("configuration") == 3
    sentence = f"The deadline ended before the server at {peer.address} answered."
    assert capsys.readouterr().err == f"error: {sentence} (DEADLINE_EXCEEDED)\n"


@pytest.mark.parametrize(
    ("command", "options", "note"),
    [
        ("sign-csr", ["--dns", "--ip", "--label"], "may be repeated"),
        ("sign-csr", ["--key-type"], "(default ecdsa-p256)"),
        ("revoke", ["--reason"], "(default unspecified)"),
        ("registration create", ["--dns", "--ip", "--profile", "--role"], "may be repeated"),
        ("registration update", ["--clear"], "may be repeated"),
    ],
)
def test_help_says_what_may_be_repeated_and_what_is_the_default(
    command: str, options: list[str], note: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        run([*command.split(), "--help"])
    entries = {entry.split()[0]: " ".join(entry.split()) for entry in capsys.readouterr().out.split("\n  --")}
    assert all(note in entries[option.removeprefix("--")] for option in options)


def test_a_file_that_is_not_there_is_named(certmint: Certmint, capsys: pytest.CaptureFixture[str]) -> None:
    assert certmint("sign-csr", "--csr", "/nowhere/request.pem") == 2
    assert capsys.readouterr().err == "error: /nowhere/request.pem: No such file or directory.\n"


@pytest.mark.parametrize(
    "arguments",
    [
        ["configuration", "--timeout", "0"],
        ["configuration", "--timeout", "inf"],
        ["get-crl", "--shard", "0"],
        ["get-crl", "--shard", "4294967296"],
        ["sign-csr", "--csr", "a", "--new-key", "b"],
        ["sign-csr"],
        ["sign-csr", "--csr", "a", "--lifetime", "1w"],
        ["sign-csr", "--csr", "a", "--label", "=x"],
        ["certificate", "list", "--expires-after", "2027-01-31T12:00:00"],
        ["certificate", "list", "--expires-after", "soon"],
        ["revoke", "--serial", "01", "--issuer", "ab", "--reason", "whim"],
        ["verify-chain", "chain.pem"],
        ["certificate"],
    ],
    ids=" ".join,
)
def test_a_command_line_that_makes_no_sense_is_status_2(arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        run(arguments)
    assert stopped.value.code == 2


def certmint_process(*arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
    environment = {"PATH": os.environ["PATH"], "CERTMINT_IDENTITY": str(folder)}
    command = [sys.executable, "-m", "certmint.cli", *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)


def test_the_program_itself_says_one_line_where_the_server_is_not_trusted(peer: Peer, tmp_path: Path) -> None:
    save_identity(tmp_path, CA().identity(server=peer.address))
    ran = certmint_process("configuration", "--timeout", "3", folder=tmp_path)
    assert ran.returncode == 3
    assert ran.stdout == ""
    assert ran.stderr.startswith(f"error: The server at {peer.address} cannot be reached (the TLS handshake failed): ")
    assert ran.stderr.count("\n") == 1


def test_the_program_itself_says_what_to_do_about_an_expired_identity(ca: CA, peer: Peer, tmp_path: Path) -> None:
    day, next_day = datetime(2020, 1, 1, tzinfo=UTC), datetime(2020, 1, 2, tzinfo=UTC)
    save_identity(tmp_path, ca.identity(server=peer.address, not_before=day, not_after=next_day))
    ran = certmint_process("configuration", folder=tmp_path)
    assert ran.returncode == 3
    assert "ended at 2020-01-02T00:00:00Z" in ran.stderr
    assert "`certmint-server operator issue`" in ran.stderr
    assert "registration authority" in ran.stderr
    assert ran.stderr.endswith("(IDENTITY_EXPIRED)\n")
    assert ran.stderr.count("\n") == 1


def test_a_reader_that_leaves_early_causes_no_traceback(identity: Identity, peer: Peer, tmp_path: Path) -> None:
    save_identity(tmp_path, identity)
    bundle = GetTrustBundleResponse()
    bundle.trust_bundle.roots_der.extend([bytes(1 << 16)] * 16)
    peer.answers("GetTrustBundle", bundle)
    environment = {"PATH": os.environ["PATH"], "CERTMINT_IDENTITY": str(tmp_path)}
    command = [sys.executable, "-m", "certmint.cli", "trust-bundle"]
    process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    with process:
        assert process.stdout
        assert process.stderr
        process.stdout.read(10)
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 2
