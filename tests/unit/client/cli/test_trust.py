"""get-crl, verify-chain, configuration, trust-bundle."""

import io
import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from tests.unit.client.cli.conftest import Certmint
from tests.unit.client.peer import CA, Peer

from certmint import pem
from certmint.ca.v1 import certificate_authority_service_pb2 as authority
from certmint.ca.v1 import resources_pb2 as resources
from certmint.ca.v1.trust_service_pb2 import GetTrustBundleResponse

CHAIN_PEM = pem.encode(pem.CERTIFICATE, b"leaf") + b"subject=x\n" + pem.encode(pem.CERTIFICATE, b"issuer")


@pytest.fixture
def crl(ca: CA, peer: Peer) -> resources.CertificateRevocationList:
    crl = resources.CertificateRevocationList(issuer_id="ab12", shard=1, crl_number=77, crl_der=ca.crl_der())
    peer.answers("GetCRL", authority.GetCRLResponse(crl=crl))
    return crl


def test_a_crl_comes_out_as_pem(
    certmint: Certmint, crl: resources.CertificateRevocationList, capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    assert certmint("get-crl") == 0
    assert capsysbinary.readouterr().out == pem.encode(pem.X509_CRL, crl.crl_der)
    assert certmint("get-crl", "--format", "der") == 0
    assert capsysbinary.readouterr().out == crl.crl_der


@pytest.mark.parametrize("form", ["pem", "der"])
def test_a_crl_is_written_as_pem_or_der(
    certmint: Certmint,
    peer: Peer,
    crl: resources.CertificateRevocationList,
    tmp_path: Path,
    form: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert certmint("get-crl", "--issuer", "ab12", "--shard", "3", "--out", tmp_path / "crl", "--format", form) == 0
    expected = crl.crl_der if form == "der" else pem.encode(pem.X509_CRL, crl.crl_der)
    assert (tmp_path / "crl").read_bytes() == expected
    assert "77" in capsys.readouterr().out
    assert peer.requests("GetCRL")[0] == authority.GetCRLRequest(issuer_id="ab12", shard=3)


def test_json_has_the_crl_as_pem(
    certmint: Certmint, crl: resources.CertificateRevocationList, capsys: pytest.CaptureFixture[str]
) -> None:
    assert certmint("get-crl", "--json") == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["crl"]["crl_pem"].encode() == pem.encode(pem.X509_CRL, crl.crl_der)
    assert answer["crl"]["crl_number"] == "77"  # proto JSON writes 64 bits as text


def verdict() -> authority.VerifyChainResponse:
    answer = authority.VerifyChainResponse(valid=False)
    answer.failures.add(
        certificate_index=0, reason=authority.VERIFICATION_FAILURE_REASON_REVOKED, detail="Revoked yesterday."
    )
    answer.failures.add(reason=authority.VERIFICATION_FAILURE_REASON_UNTRUSTED, detail="No path.")
    evidence = answer.revocation.add(certificate_index=1, serial_hex="0a", source=authority.REVOCATION_SOURCE_CRL)
    evidence.this_update.FromDatetime(datetime(2027, 1, 31, tzinfo=UTC))
    evidence.revocation.reason = resources.REVOCATION_REASON_SUPERSEDED
    return answer


def test_a_chain_that_is_not_valid_is_status_1_with_every_reason(
    certmint: Certmint, peer: Peer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    peer.answers("VerifyChain", verdict())
    (tmp_path / "chain.pem").write_bytes(CHAIN_PEM)
    assert certmint("verify-chain", tmp_path / "chain.pem", "--purpose", "any") == 1
    out = capsys.readouterr().out
    assert out.startswith("not valid\n")
    assert "0            REVOKED    Revoked yesterday." in out
    assert "-            UNTRUSTED  No path." in out
    assert "superseded" in out
    assert "crl" in out


def test_a_valid_chain_is_status_0_and_every_option_is_sent(
    certmint: Certmint, peer: Peer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    peer.answers("VerifyChain", authority.VerifyChainResponse(valid=True))
    (tmp_path / "chain.pem").write_bytes(CHAIN_PEM)
    options = ["--purpose", "server", "--dns", "a.example", "--at", "2027-01-31T12:00:00Z", "--revocation", "none"]
    assert certmint("verify-chain", tmp_path / "chain.pem", *options) == 0
    assert capsys.readouterr().out.startswith("valid\n")
    (request,) = peer.requests("VerifyChain")
    assert list(request.chain_der) == [b"leaf", b"issuer"]
    assert request.purpose == authority.PURPOSE_SERVER_AUTH
    assert request.dns_name == "a.example"
    assert request.at_time.ToDatetime(UTC) == datetime(2027, 1, 31, 12, tzinfo=UTC)
    assert request.revocation_policy == authority.REVOCATION_POLICY_NONE


def test_a_chain_is_read_from_standard_input(certmint: Certmint, peer: Peer, monkeypatch: pytest.MonkeyPatch) -> None:
    peer.answers("VerifyChain", authority.VerifyChainResponse(valid=True))
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(CHAIN_PEM)))
    assert certmint("verify-chain", "-", "--purpose", "client", "--ip", "192.0.2.1", "--json") == 0
    (request,) = peer.requests("VerifyChain")
    assert request.ip_address == "192.0.2.1"
    assert len(request.chain_der) == 2


def test_a_file_without_a_certificate_is_status_2(certmint: Certmint, tmp_path: Path) -> None:
    (tmp_path / "chain.pem").write_bytes(pem.encode(pem.X509_CRL, b"crl"))
    assert certmint("verify-chain", tmp_path / "chain.pem", "--purpose", "any") == 2


def test_the_configuration_shows_who_one_is_and_what_one_may_ask_for(
    certmint: Certmint, peer: Peer, capsys: pytest.CaptureFixture[str]
) -> None:
    answer = authority.GetConfigurationResponse(
        identity="spiffe://example.org/payments",
        roles=[resources.ROLE_SERVICE, resources.ROLE_REGISTRATION_AUTHORITY],
        dns_names=["pay.example"],
    )
    profile = answer.profiles.add(name="server")
    profile.maximum_lifetime.seconds = 30 * 86_400
    profile.default_lifetime.seconds = 90 * 60
    answer.issuers.add(issuer_id="ab12", subject="CN=Issuing CA 1", state=resources.ISSUER_STATE_ACTIVE)
    peer.answers("GetConfiguration", answer)
    assert certmint("configuration") == 0
    out = capsys.readouterr().out
    assert "service, registration-authority" in out
    assert "server   90m               30d" in out
    assert "ab12    active  CN=Issuing CA 1" in out


def test_the_trust_bundle_comes_out_as_pem_or_is_written(
    certmint: Certmint, ca: CA, peer: Peer, tmp_path: Path, capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    answer = GetTrustBundleResponse()
    answer.trust_bundle.roots_der.append(ca.der)
    peer.answers("GetTrustBundle", answer)
    assert certmint("trust-bundle") == 0
    assert capsysbinary.readouterr().out == ca.pem
    assert certmint("trust-bundle", "--out", tmp_path / "roots.pem") == 0
    assert (tmp_path / "roots.pem").read_bytes() == ca.pem
    assert b"CN=Test Root" in capsysbinary.readouterr().out
