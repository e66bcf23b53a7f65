"""With the `openssl` command: its CSRs are signed, and it accepts our chains until a certificate is revoked."""

import subprocess
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from tests.integration.authority import make_authority, serving

from certmint import Client, Registration, RevocationReason

IDENTITY = "spiffe://demo.test/openssl"
ISSUERS = {
    "ecdsa-p256": (),
    "ecdsa-p384": ("--issuing-key", "ecdsa-p384", "--issuing-signature", "ecdsa-sha384"),
    "rsa-pss": ("--issuing-key", "rsa-2048", "--issuing-signature", "rsa-pss-sha256"),
    "rsa-pkcs1": ("--issuing-key", "rsa-3072", "--issuing-signature", "rsa-pkcs1-sha256"),
    "ed25519": ("--issuing-key", "ed25519", "--issuing-signature", "ed25519"),
}
LEAVES = {
    "p256": ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"),
    "p384": ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-384"),
    "p521": ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-521"),
    "rsa2048": ("-newkey", "rsa:2048"),
    "rsa4096": ("-newkey", "rsa:4096"),
    "ed25519": ("-newkey", "ed25519"),
}


def openssl(folder: Path, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["openssl", *arguments], cwd=folder, check=False, capture_output=True, text=True, timeout=60)


@pytest.fixture(scope="module", params=list(ISSUERS))
def operator(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    authority = make_authority(tmp_path_factory.mktemp("openssl") / "ca", options=ISSUERS[request.param])
    with serving(authority.data) as server, authority.operator(server) as client:
        client.create_registration(
            Registration(identity=IDENTITY, dns_names=["openssl.demo.test"], profiles=["service", "server", "client"])
        )
        yield client


@pytest.mark.parametrize("leaf", LEAVES)
def test_a_csr_of_openssl_is_signed_and_openssl_follows_its_life(operator: Client, tmp_path: Path, leaf: str) -> None:
    made = openssl(
        tmp_path, "req", "-new", "-nodes", "-subj", "/CN=whatever it says", "-addext",
        "subjectAltName=DNS:openssl.demo.test", "-keyout", "key.pem", "-out", "csr.der", "-outform", "DER",
        *LEAVES[leaf],
    )  # fmt: skip
    assert made.returncode == 0, made.stderr
    answer = operator.sign_csr((tmp_path / "csr.der").read_bytes(), identity=IDENTITY)
    (root_der,) = operator.get_trust_bundle().trust_bundle.roots_der
    _write_pem(tmp_path / "leaf.pem", answer.chain_der[:1])
    _write_pem(tmp_path / "issuing.pem", answer.chain_der[1:])
    _write_pem(tmp_path / "root.pem", [root_der])

    (tmp_path / "crl.pem").write_bytes(_crls_pem(operator, 0))
    accepted = _verify(tmp_path)
    assert accepted.returncode == 0, accepted.stderr

    revoked = operator.revoke(
        certificate_der=answer.chain_der[0], reason=RevocationReason.REVOCATION_REASON_SUPERSEDED
    ).certificate.revocation
    (tmp_path / "crl.pem").write_bytes(_crls_pem(operator, revoked.crl_number))
    refused = _verify(tmp_path)
    assert refused.returncode != 0
    assert "certificate revoked" in refused.stderr


def test_openssl_reads_both_crls(operator: Client, tmp_path: Path) -> None:
    root = next(issuer for issuer in operator.get_configuration().issuers if "Root" in issuer.subject)
    crls = [operator.get_crl().crl.crl_der, operator.get_crl(issuer_id=root.issuer_id).crl.crl_der]
    for crl_der in crls:
        (tmp_path / "crl.der").write_bytes(crl_der)
        _write_pem(
            tmp_path / "issuers.pem", [issuer.certificate_der for issuer in operator.get_configuration().issuers]
        )
        read = openssl(tmp_path, "crl", "-inform", "DER", "-in", "crl.der", "-noout", "-CAfile", "issuers.pem")
        assert "verify OK" in read.stderr, read.stderr


def _verify(folder: Path) -> subprocess.CompletedProcess[str]:
    """The whole chain, each certificate of it against the CRL of its issuer."""
    return openssl(
        folder, "verify", "-x509_strict", "-purpose", "sslserver", "-verify_hostname", "openssl.demo.test",
        "-crl_check", "-crl_check_all", "-CRLfile", "crl.pem", "-CAfile", "root.pem", "-untrusted", "issuing.pem",
        "leaf.pem",
    )  # fmt: skip


def _crls_pem(operator: Client, at_least: int) -> bytes:
    """The issuing CA's CRL, of this number or a later one, and the root's."""
    root = next(issuer for issuer in operator.get_configuration().issuers if "Root" in issuer.subject)
    ends = time.monotonic() + 10
    while (crl := operator.get_crl().crl).crl_number < at_least:
        assert time.monotonic() < ends, "the CRL was not published in time"
        time.sleep(0.1)
    ders = (crl.crl_der, operator.get_crl(issuer_id=root.issuer_id).crl.crl_der)
    return b"".join(x509.load_der_x509_crl(crl_der).public_bytes(Encoding.PEM) for crl_der in ders)


def _write_pem(path: Path, certificates_der: Sequence[bytes]) -> None:
    certificates = map(x509.load_der_x509_certificate, certificates_der)
    path.write_bytes(b"".join(certificate.public_bytes(Encoding.PEM) for certificate in certificates))
