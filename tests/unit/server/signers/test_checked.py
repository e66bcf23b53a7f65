import copy
import pickle
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa, utils
from cryptography.x509.oid import NameOID

from certmint_server.signers.checked import CheckedECKey, CheckedEd25519Key, CheckedRSAKey, checked_key
from certmint_server.signers.keys import IssuerKeyType, generate_key
from certmint_server.signers.signer import PrivateKey, SignatureScheme

NOW = datetime(2030, 1, 1, tzinfo=UTC)
KEYS = {
    "ecdsa": generate_key(IssuerKeyType.ECDSA_P256),
    "rsa": generate_key(IssuerKeyType.RSA_2048),
    "ed25519": generate_key(IssuerKeyType.ED25519),
}
NAME = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Demo Issuing CA 1")])

every_scheme = pytest.mark.parametrize("scheme", list(SignatureScheme))
every_key = pytest.mark.parametrize("key", list(KEYS.values()), ids=list(KEYS))


class RefusedError(Exception):
    pass


def refuse(to_be_signed: bytes) -> None:
    raise RefusedError


def accept(to_be_signed: bytes) -> None:
    pass


def key_for(scheme: SignatureScheme) -> PrivateKey:
    return KEYS[scheme.split("-", maxsplit=1)[0]]


def certificate(key: PrivateKey, scheme: SignatureScheme) -> x509.Certificate:
    return (
        x509.CertificateBuilder()
        .subject_name(NAME)
        .issuer_name(NAME)
        .public_key(key.public_key())
        .serial_number(7)
        .not_valid_before(NOW)
        .not_valid_after(NOW + timedelta(days=1))
        .sign(key, scheme.hash_algorithm, rsa_padding=scheme.rsa_padding)
    )


def crl(key: PrivateKey, scheme: SignatureScheme) -> x509.CertificateRevocationList:
    return (
        x509.CertificateRevocationListBuilder()
        .issuer_name(NAME)
        .last_update(NOW)
        .next_update(NOW + timedelta(days=1))
        .sign(key, scheme.hash_algorithm, rsa_padding=scheme.rsa_padding)
    )


@every_scheme
def test_a_certificate_is_checked_in_the_very_bytes_that_are_signed(scheme: SignatureScheme) -> None:
    seen: list[bytes] = []
    key = key_for(scheme)
    signed = certificate(checked_key(key, seen.append), scheme)
    assert seen == [signed.tbs_certificate_bytes]
    signed.verify_directly_issued_by(certificate(key, scheme))
    assert signed.signature_hash_algorithm == scheme.hash_algorithm


@every_scheme
def test_a_crl_is_checked_in_the_very_bytes_that_are_signed(scheme: SignatureScheme) -> None:
    seen: list[bytes] = []
    key = key_for(scheme)
    signed = crl(checked_key(key, seen.append), scheme)
    assert seen == [signed.tbs_certlist_bytes]
    assert signed.is_signature_valid(key.public_key())


@every_scheme
@pytest.mark.parametrize("build", [certificate, crl])
def test_what_the_check_raises_comes_through_and_nothing_is_signed(
    build: Callable[[PrivateKey, SignatureScheme], object], scheme: SignatureScheme
) -> None:
    with pytest.raises(RefusedError):
        build(checked_key(key_for(scheme), refuse), scheme)


def test_the_check_comes_before_the_key_is_asked_to_sign() -> None:
    checked = checked_key(KEYS["rsa"], refuse)
    assert isinstance(checked, rsa.RSAPrivateKey)
    impossible = padding.PSS(padding.MGF1(hashes.SHA256()), 10_000)
    with pytest.raises(RefusedError):
        checked.sign(b"data", impossible, hashes.SHA256())


def test_a_wrapper_of_each_class_can_be_made_so_no_abstract_method_is_missing() -> None:
    assert isinstance(checked_key(KEYS["ecdsa"], accept), CheckedECKey)
    assert isinstance(checked_key(KEYS["rsa"], accept), CheckedRSAKey)
    assert isinstance(checked_key(KEYS["ed25519"], accept), CheckedEd25519Key)


@every_key
def test_a_wrapper_tells_what_the_public_key_tells(key: PrivateKey) -> None:
    checked = checked_key(key, accept)
    assert checked.public_key() == key.public_key()
    for attribute in ("key_size", "curve"):
        assert getattr(checked, attribute, None) == getattr(key, attribute, None)


@every_key
def test_a_wrapper_gives_the_private_key_to_nobody(key: PrivateKey) -> None:
    checked = checked_key(key, accept)
    der, pkcs8 = serialization.Encoding.DER, serialization.PrivateFormat.PKCS8
    with pytest.raises(TypeError):
        checked.private_bytes(der, pkcs8, serialization.NoEncryption())
    for use in (copy.copy, copy.deepcopy, pickle.dumps):
        with pytest.raises(TypeError):
            use(checked)
    if isinstance(checked, rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey):
        with pytest.raises(TypeError):
            checked.private_numbers()


def test_a_wrapper_does_nothing_but_sign() -> None:
    ecdsa, rsa_key, eddsa = (checked_key(KEYS[name], accept) for name in ("ecdsa", "rsa", "ed25519"))
    assert isinstance(ecdsa, ec.EllipticCurvePrivateKey)
    assert isinstance(rsa_key, rsa.RSAPrivateKey)
    assert isinstance(eddsa, ed25519.Ed25519PrivateKey)
    with pytest.raises(TypeError):
        ecdsa.exchange(ec.ECDH(), ecdsa.public_key())
    with pytest.raises(TypeError):
        rsa_key.decrypt(b"", padding.PKCS1v15())
    with pytest.raises(TypeError):
        eddsa.private_bytes_raw()


def test_a_digest_is_not_signed_since_it_tells_nothing_of_what_is_signed() -> None:
    ecdsa, rsa_key = checked_key(KEYS["ecdsa"], accept), checked_key(KEYS["rsa"], accept)
    assert isinstance(ecdsa, ec.EllipticCurvePrivateKey)
    assert isinstance(rsa_key, rsa.RSAPrivateKey)
    prehashed = utils.Prehashed(hashes.SHA256())
    with pytest.raises(TypeError):
        ecdsa.sign(bytes(32), ec.ECDSA(prehashed))
    with pytest.raises(TypeError):
        rsa_key.sign(bytes(32), padding.PKCS1v15(), prehashed)
    with pytest.raises(TypeError):
        rsa_key.sign(bytes(32), padding.PKCS1v15(), utils.NoDigestInfo())


def test_what_is_checked_cannot_change_before_it_is_signed() -> None:
    data = bytearray(b"what was checked")
    checked = checked_key(KEYS["ed25519"], lambda _: data.__setitem__(0, 0))
    assert isinstance(checked, ed25519.Ed25519PrivateKey)
    signature = checked.sign(data)
    checked.public_key().verify(signature, b"what was checked")
