"""sign-csr, revoke, certificate."""

import json
import stat
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import grpc
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from tests.unit.client.cli.conftest import Certmint
from tests.unit.client.peer import CA, Peer, refuse

from certmint import keys, pem
from certmint.ca.v1 import certificate_authority_service_pb2 as authority
from certmint.ca.v1 import registry_service_pb2 as registry
from certmint.ca.v1 import resources_pb2 as resources
from certmint.ca.v1.trust_service_pb2 import GetTrustBundleResponse
from certmint.identity import Identity

CHAIN = authority.SignCSRResponse(
    certificate=resources.Certificate(serial_hex="01977c01", profile="service", profile_version=2),
    chain_der=[b"leaf", b"issuer"],
)
CHAIN_PEM = pem.encode(pem.CERTIFICATE, b"leaf") + pem.encode(pem.CERTIFICATE, b"issuer")


@pytest.fixture
def csr_der() -> bytes:
    return keys.csr_der(keys.generate(), dns_names=["pay.example"])


@pytest.mark.parametrize("encode", [bytes, lambda der: pem.encode(pem.CERTIFICATE_REQUEST, der)], ids=["DER", "PEM"])
def test_a_csr_file_is_sent_as_der_and_the_chain_comes_out_as_pem(
    certmint: Certmint,
    peer: Peer,
    csr_der: bytes,
    tmp_path: Path,
    encode: Callable[[bytes], bytes],
    capsysbinary: pytest.CaptureFixture[bytes],
) -> None:
    peer.answers("SignCSR", CHAIN)
    (tmp_path / "request").write_bytes(encode(csr_der))
    options = ["--profile", "server", "--lifetime", "12h", "--label", "team=a=b", "--request-id", "an-id"]
    assert certmint("sign-csr", "--csr", tmp_path / "request", *options) == 0
    assert capsysbinary.readouterr().out == CHAIN_PEM
    (request,) = peer.requests("SignCSR")
    assert request.csr_der == csr_der
    assert (request.profile, request.request_id, request.labels) == ("server", "an-id", {"team": "a=b"})
    assert request.lifetime.ToTimedelta() == timedelta(hours=12)


def test_the_chain_is_written_where_it_is_wanted(
    certmint: Certmint, peer: Peer, csr_der: bytes, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    peer.answers("SignCSR", CHAIN)
    (tmp_path / "request").write_bytes(csr_der)
    assert certmint("sign-csr", "--csr", tmp_path / "request", "--out", tmp_path / "chain.pem") == 0
    assert (tmp_path / "chain.pem").read_bytes() == CHAIN_PEM
    out = capsys.readouterr().out
    assert "01977c01" in out
    assert "service (version 2)" in out


def test_json_has_the_chain_as_pem(
    certmint: Certmint, peer: Peer, csr_der: bytes, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    peer.answers("SignCSR", CHAIN)
    (tmp_path / "request").write_bytes(csr_der)
    assert certmint("sign-csr", "--csr", tmp_path / "request", "--json") == 0
    answer = json.loads(capsys.readouterr().out)
    assert "".join(answer["chain_pem"]).encode() == CHAIN_PEM
    assert answer["certificate"]["serial_hex"] == "01977c01"


def test_validate_only_says_that_nothing_was_issued(
    certmint: Certmint, peer: Peer, csr_der: bytes, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    peer.answers("SignCSR", authority.SignCSRResponse())
    (tmp_path / "request").write_bytes(csr_der)
    assert certmint("sign-csr", "--csr", tmp_path / "request", "--validate-only") == 0
    assert certmint("sign-csr", "--new-key", tmp_path / "new", "--validate-only") == 0
    assert all(request.validate_only for request in peer.requests("SignCSR"))
    assert capsys.readouterr().out.count("Nothing was issued") == 2
    assert not (tmp_path / "new").exists()


def issue_from(ca: CA) -> Callable[[Any, object], authority.SignCSRResponse]:
    """Answers SignCSR with a certificate of `ca` for the CSR's key."""

    def issue(request: authority.SignCSRRequest, _: object) -> authority.SignCSRResponse:
        csr = x509.load_der_x509_csr(request.csr_der)
        leaf = ca.certify(csr.public_key()).public_bytes(Encoding.DER)
        return authority.SignCSRResponse(chain_der=[leaf])

    return issue


def test_a_new_key_stays_in_its_identity_folder_ready_to_connect(
    certmint: Certmint, ca: CA, peer: Peer, tmp_path: Path
) -> None:
    bundle = GetTrustBundleResponse()
    bundle.trust_bundle.roots_der.append(ca.der)
    peer.answers("GetTrustBundle", bundle)
    peer.answers("SignCSR", issue_from(ca))
    peer.answers("GetConfiguration", authority.GetConfigurationResponse())
    folder = tmp_path / "orders"
    names = ["--dns", "a.example", "--dns", "b.example", "--ip", "192.0.2.1"]
    options = ["--for-identity", "spiffe://example.org/orders", "--key-type", "ecdsa-p384"]
    assert certmint("sign-csr", "--new-key", folder, *names, *options) == 0
    made = Identity.load(folder)
    assert made.server == peer.address
    assert stat.S_IMODE((folder / "current" / "key.pem").stat().st_mode) == 0o600
    request = peer.requests("SignCSR")[0]
    san = x509.load_der_x509_csr(request.csr_der).extensions.get_extension_for_class(x509.SubjectAlternativeName)
    assert san.value.get_values_for_type(x509.DNSName) == ["a.example", "b.example"]
    assert request.identity == "spiffe://example.org/orders"
    assert made.key_pem not in request.SerializeToString()
    assert certmint("configuration", "--identity", folder) == 0


def test_a_refused_new_key_leaves_no_folder_that_was_not_there(certmint: Certmint, peer: Peer, tmp_path: Path) -> None:
    peer.answers("GetTrustBundle", GetTrustBundleResponse())
    peer.answers("SignCSR", refuse(grpc.StatusCode.PERMISSION_DENIED, "No.", reason="NAME_NOT_GRANTED"))
    (tmp_path / "mine").mkdir()
    assert certmint("sign-csr", "--new-key", tmp_path / "services" / "orders") == 3
    assert certmint("sign-csr", "--new-key", tmp_path / "mine") == 3
    assert not (tmp_path / "services").exists()
    assert (tmp_path / "mine").exists()


@pytest.mark.parametrize(
    "arguments",
    [
        ["--csr", "{csr}", "--dns", "a.example"],
        ["--csr", "{csr}", "--key-type", "ed25519"],
        ["--new-key", "{new}", "--request-id", "an-id"],
        ["--new-key", "{new}", "--out", "chain.pem"],
        ["--new-key", "{new}", "--ip", "192.0.2.300"],
        ["--csr", "{crl}"],
        ["--csr", "{huge}"],
    ],
    ids=" ".join,
)
def test_what_cannot_be_asked_for_is_refused_before_anything_is_sent(
    certmint: Certmint, peer: Peer, csr_der: bytes, tmp_path: Path, arguments: list[str]
) -> None:
    files = {name: tmp_path / name for name in ("csr", "new", "crl", "huge")}
    files["csr"].write_bytes(csr_der)
    files["crl"].write_bytes(pem.encode(pem.X509_CRL, b"crl"))
    files["huge"].write_bytes(bytes((2 << 20) + 1))
    assert certmint("sign-csr", *[argument.format(**files) for argument in arguments]) == 2
    assert not peer.asked
    assert not files["new"].exists()


def test_a_certificate_is_revoked_by_its_file_or_by_issuer_and_serial(
    certmint: Certmint, peer: Peer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    answer = authority.RevokeResponse(key_blocked=True)
    answer.certificate.revocation.reason = resources.REVOCATION_REASON_KEY_COMPROMISE
    answer.certificate.revocation.crl_number = 1234
    answer.certificate.status = resources.CERTIFICATE_STATUS_REVOKED
    peer.answers("Revoke", answer)
    (tmp_path / "chain.pem").write_bytes(CHAIN_PEM)
    assert certmint("revoke", "--certificate", tmp_path / "chain.pem", "--reason", "keyCompromise") == 0
    assert certmint("revoke", "--serial", "01977c01", "--issuer", "ab12") == 0
    by_file, by_serial = peer.requests("Revoke")
    assert by_file.certificate_der == b"leaf"
    assert by_file.reason == resources.REVOCATION_REASON_KEY_COMPROMISE
    assert by_serial.issuer_and_serial == authority.IssuerAndSerial(issuer_id="ab12", serial_hex="01977c01")
    assert by_serial.reason == resources.REVOCATION_REASON_UNSPECIFIED
    out = capsys.readouterr().out
    assert "keyCompromise" in out
    assert "blocked for ever" in out
    assert "1234" in out


def test_an_issuer_beside_a_certificate_is_refused(certmint: Certmint, peer: Peer) -> None:
    assert certmint("revoke", "--certificate", "chain.pem", "--issuer", "ab") == 2
    assert not peer.asked


def test_a_serial_may_have_colons_and_is_the_active_issuers_unless_it_is_said(certmint: Certmint, peer: Peer) -> None:
    peer.answers("Revoke", authority.RevokeResponse())
    peer.answers("GetCertificate", registry.GetCertificateResponse())
    assert certmint("revoke", "--serial", "D1:06:4F") == 0
    assert certmint("certificate", "get", "D1:06:4F") == 0
    assert peer.requests("Revoke")[0].issuer_and_serial == authority.IssuerAndSerial(serial_hex="D1064F")
    assert peer.requests("GetCertificate")[0].serial_hex == "D1064F"


def test_a_list_takes_every_filter_and_says_where_it_was_cut(
    certmint: Certmint, peer: Peer, capsys: pytest.CaptureFixture[str]
) -> None:
    certificates = [
        resources.Certificate(serial_hex=f"0{number}", status=resources.CERTIFICATE_STATUS_VALID)
        for number in range(1, 4)
    ]
    peer.answers("ListCertificates", registry.ListCertificatesResponse(certificates=certificates))
    filters = ["--for-identity", "spiffe://a/b", "--dns-below", "svc.example", "--status", "revoked"]
    times = ["--expires-after", "2027-01-01T00:00:00Z", "--expires-before", "2027-02-01T01:00:00+01:00"]
    assert certmint("certificate", "list", *filters, *times, "--profile", "server", "--limit", "2") == 0
    (request,) = peer.requests("ListCertificates")
    assert (request.identity, request.dns_name_suffix, request.profile) == ("spiffe://a/b", "svc.example", "server")
    assert request.status == resources.CERTIFICATE_STATUS_REVOKED
    assert request.not_after_from.ToDatetime(UTC) == datetime(2027, 1, 1, tzinfo=UTC)
    assert request.not_after_until.ToDatetime(UTC) == datetime(2027, 2, 1, tzinfo=UTC)
    out = capsys.readouterr().out
    assert "\n02" in out
    assert "\n03" not in out
    assert "There are more than 2" in out


def test_one_certificate_is_shown_with_its_chain_or_written(
    certmint: Certmint, peer: Peer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    certificate = resources.Certificate(serial_hex="01977c01", labels={"team": "payments"}, requested_by="spiffe://a/r")
    peer.answers(
        "GetCertificate", registry.GetCertificateResponse(certificate=certificate, chain_der=[b"leaf", b"issuer"])
    )
    assert certmint("certificate", "get", "01977c01") == 0
    out = capsys.readouterr().out
    assert CHAIN_PEM.decode() in out
    assert "team=payments" in out
    assert certmint("certificate", "get", "01977c01", "--issuer", "ab12", "--out", tmp_path / "chain.pem") == 0
    assert (tmp_path / "chain.pem").read_bytes() == CHAIN_PEM
    assert peer.requests("GetCertificate")[1].issuer_id == "ab12"
