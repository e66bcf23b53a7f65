import base64
import json
import time
from typing import Any

import grpc
import pytest
import structlog
from tests.integration.conftest import Running
from tests.integration.outsiders import CA
from tests.integration.raw import channel_of, send

from certmint import Identity, errors, keys
from certmint_server.logs import configure_logging

AUTHORITY = "/certmint.ca.v1.CertificateAuthorityService/"
REGISTRY = "/certmint.ca.v1.RegistryService/"


def our_lines(running: Running) -> list[dict[str, Any]]:
    """The log without what gRPC's core writes by itself: a line for each handshake that fails."""
    return [json.loads(line) for line in running.server.log().splitlines() if "Handshake failed" not in line]


def rpc_lines(running: Running, **wanted: str) -> list[dict[str, Any]]:
    """What was logged of calls with these values."""
    calls = [line for line in our_lines(running) if line["event"] == "rpc"]
    return [line for line in calls if all(line[name] == value for name, value in wanted.items())]


def test_each_call_is_one_line_with_caller_method_outcome_reason_serial_and_duration(running: Running) -> None:
    identity = running.enroll()
    with running.client(identity) as client:
        issued = client.sign_csr(keys.csr_der(keys.generate())).certificate
        client.sign_csr(keys.csr_der(keys.generate()), validate_only=True)
        client.get_certificate("00" + issued.serial_hex.upper())
        client.revoke(certificate_der=issued.certificate_der)
        client.get_configuration()
        with pytest.raises(errors.CSRMalformedError):
            client.sign_csr(b"x")
        with pytest.raises(errors.MethodNotAllowedError):
            client.list_profiles()
    lines = rpc_lines(running, caller=identity.spiffe_id)
    assert [(line["method"], line["outcome"], line.get("reason"), line.get("serial")) for line in lines] == [
        (AUTHORITY + "SignCSR", "OK", None, issued.serial_hex),
        (AUTHORITY + "SignCSR", "OK", None, None),
        (REGISTRY + "GetCertificate", "OK", None, issued.serial_hex),
        (AUTHORITY + "Revoke", "OK", None, issued.serial_hex),
        (AUTHORITY + "GetConfiguration", "OK", None, None),
        (AUTHORITY + "SignCSR", "INVALID_ARGUMENT", "CSR_MALFORMED", None),
        ("/certmint.ca.v1.AdminService/ListProfiles", "PERMISSION_DENIED", "METHOD_NOT_ALLOWED", None),
    ]
    assert all(0 < line["duration_ms"] < 10_000 for line in lines)
    assert all(line["time"].endswith("Z") for line in lines)


def test_a_call_of_nobody_we_know_is_one_line_without_a_caller(running: Running, thief: CA) -> None:
    key = keys.generate()
    before = len(rpc_lines(running, caller=""))
    identity = running.identity_of(key, [thief.certify(key), thief.der])
    with running.client(identity) as client, pytest.raises(errors.CallerUnknownError):
        client.get_configuration()
    (line,) = rpc_lines(running, caller="")[before:]
    assert (line["outcome"], line["reason"]) == ("UNAUTHENTICATED", "CALLER_UNKNOWN")
    assert line["method"] == AUTHORITY + "GetConfiguration"


def test_what_a_servicer_of_the_library_refuses_is_logged_with_its_status(running: Running) -> None:
    identity = running.enroll()
    with channel_of(running.server.address, identity) as channel:
        with pytest.raises(grpc.RpcError):
            send(channel, "/grpc.health.v1.Health/Check", b"\x0a\x01x")
        ends = time.monotonic() + 5  # the library answers first, and the line is written then
        while not rpc_lines(running, caller=identity.spiffe_id) and time.monotonic() < ends:
            time.sleep(0.01)
    (line,) = rpc_lines(running, caller=identity.spiffe_id)
    assert (line["method"], line["outcome"]) == ("/grpc.health.v1.Health/Check", "NOT_FOUND")


def test_no_certificate_csr_key_or_label_is_ever_in_the_log(running: Running) -> None:
    identity: Identity = running.enroll()
    key = keys.generate()
    csr_der = keys.csr_der(key)
    broken = csr_der[:-1] + bytes([csr_der[-1] ^ 1])
    with running.client(identity) as client:
        answer = client.sign_csr(csr_der, labels={"label-key": "label-value"})
        for refused in (broken, b"a certificate signing request", csr_der[:-1]):
            with pytest.raises(errors.InvalidRequestError):
                client.sign_csr(refused)
        with pytest.raises(errors.RequestIdInvalidError):
            client.sign_csr(csr_der, request_id="what-is-no-uuid")
    log = running.server.log()
    for secret in (csr_der, broken, answer.chain_der[0], answer.chain_der[1], keys.to_der(key)):
        body = secret[40:100]  # beyond what all of them begin with
        for written in (body.hex(), base64.b64encode(body).decode()[:60], repr(body)[2:-1]):
            assert written not in log
    for text in ("BEGIN ", "label-value", "label-key", "what-is-no-uuid", "a certificate signing request"):
        assert text not in log


@pytest.mark.parametrize("as_json", [True, False], ids=["json", "console"])
def test_the_traceback_of_an_error_of_ours_shows_no_values(as_json: bool, capsys: pytest.CaptureFixture[str]) -> None:
    def fail(csr_der: bytes, labels: dict[str, str]) -> None:
        raise RuntimeError(f"{len(csr_der)} bytes, {len(labels)} label")

    csr_der = keys.csr_der(keys.generate())
    configure_logging(as_json=as_json)
    try:
        fail(csr_der, {"label-key": "label-value"})
    except RuntimeError:
        structlog.get_logger("certmint.test").exception("failed")
    finally:
        structlog.reset_defaults()
    log = capsys.readouterr().err
    assert "RuntimeError: " in log
    assert "in fail" in log
    for written in ("label-key': ", "'label-value", repr(csr_der)[2:20]):
        assert written not in log


def test_every_line_of_the_log_is_json_with_an_event_a_level_and_a_time(running: Running) -> None:
    for line in our_lines(running):
        assert {"event", "level", "time"} <= line.keys()
