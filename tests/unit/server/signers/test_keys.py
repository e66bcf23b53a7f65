import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from tests.unit.server.authority import NOW, URL

from certmint_server.errors import ConfigError
from certmint_server.issuers.ceremony import KeyChoice, make_root
from certmint_server.signers.algorithm import verify_signed_with
from certmint_server.signers.keys import IssuerKeyType, generate_key, verify_scheme_fits
from certmint_server.signers.signer import PublicKey, SignatureScheme


@pytest.mark.parametrize("key_type", list(IssuerKeyType))
def test_a_key_fits_the_schemes_of_its_kind_and_no_other(key_type: IssuerKeyType) -> None:
    public_key = generate_key(key_type).public_key()
    for scheme in SignatureScheme:
        if scheme.split("-")[0] == key_type.split("-")[0]:
            verify_scheme_fits(public_key, scheme)
        else:
            with pytest.raises(ConfigError, match=f"not one for {scheme.value}"):
                verify_scheme_fits(public_key, scheme)


@pytest.mark.parametrize(
    ("public_key", "scheme"),
    [
        (rsa.generate_private_key(65537, 1024).public_key(), SignatureScheme.RSA_PKCS1_SHA256),
        (ec.generate_private_key(ec.SECP256K1()).public_key(), SignatureScheme.ECDSA_SHA256),
        (ec.generate_private_key(ec.SECP224R1()).public_key(), SignatureScheme.ECDSA_SHA256),
    ],
)
def test_a_weak_or_unusual_issuer_key_is_refused(public_key: PublicKey, scheme: SignatureScheme) -> None:
    with pytest.raises(ConfigError, match="at least 2048 bits"):
        verify_scheme_fits(public_key, scheme)


@pytest.mark.parametrize("signed_with", [scheme for scheme in SignatureScheme if scheme.startswith("rsa-")])
def test_the_hash_and_the_padding_of_a_signature_are_told_apart(signed_with: SignatureScheme) -> None:
    root = make_root("Demo", URL, NOW, key=KeyChoice(IssuerKeyType.RSA_2048, signed_with)).issuer
    certificate = x509.load_der_x509_certificate(root.certificate_der)
    verify_signed_with(certificate, signed_with)
    for scheme in SignatureScheme:
        if scheme is not signed_with:
            with pytest.raises(ValueError, match="not signed with"):
                verify_signed_with(certificate, scheme)
