"""With the `openssl` command: it accepts every kind of root, what the root certifies, and the root's CRL."""

import subprocess
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding
from tests.unit.server.authority import NOW, URL

from certmint_server.issuers.ceremony import ROOT_LIFETIME, KeyChoice, make_issuing, make_root
from certmint_server.revocation.crl import ROOT_SHARD, build_crl
from certmint_server.revocation.crls import Claim
from certmint_server.signers.keys import IssuerKeyType
from certmint_server.signers.signer import SignatureScheme

KEYS = {"ecdsa": IssuerKeyType.ECDSA_P256, "rsa": IssuerKeyType.RSA_2048, "ed25519": IssuerKeyType.ED25519}


@pytest.mark.parametrize("scheme", list(SignatureScheme))
def test_openssl_accepts_every_kind_of_root(scheme: SignatureScheme, tmp_path: Path) -> None:
    root = make_root("Demo", URL, NOW, key=KeyChoice(KEYS[scheme.partition("-")[0]], scheme))
    issuing = make_issuing("Demo", root.issuer, root.signer, NOW)
    crl = build_crl(root.issuer, root.signer, ROOT_SHARD, Claim(1, NOW, ()), NOW + ROOT_LIFETIME / 2)
    for name, issuer in (("root", root.issuer), ("issuing", issuing.issuer)):
        (tmp_path / name).write_bytes(issuer.certificate.public_bytes(Encoding.PEM))
    (tmp_path / "crl").write_bytes(crl.crl_der)
    verify = ["openssl", "verify", "-x509_strict", "-check_ss_sig", "-attime", str(int(NOW.timestamp()))]
    for command in (
        [*verify, "-CAfile", "root", "root"],
        [*verify, "-CAfile", "root", "issuing"],
        ["openssl", "crl", "-inform", "DER", "-in", "crl", "-CAfile", "root", "-noout"],
    ):
        done = subprocess.run(command, cwd=tmp_path, check=True, capture_output=True, text=True, timeout=60)
        assert "OK" in done.stdout + done.stderr
