from ipaddress import ip_address

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import dsa, ec, rsa, x25519
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from hypothesis import given
from hypothesis import strategies as st

from certmint import keys, pem
from certmint.ca.v1.resources_pb2 import KeyType as WireKeyType


@pytest.mark.parametrize("key_type", keys.KeyType)
def test_a_key_of_each_type_survives_pem_and_der_and_signs_a_csr(key_type: keys.KeyType) -> None:
    key = keys.generate(key_type)
    der = keys.to_der(key)
    assert keys.to_der(keys.from_pem(keys.to_pem(key))) == der
    assert keys.to_der(keys.from_der(der)) == der
    csr = x509.load_der_x509_csr(keys.csr_der(key, dns_names=["pay.example"]))
    assert csr.is_signature_valid
    assert csr.public_key() == key.public_key()


def test_key_types_have_the_names_of_the_wire() -> None:
    wire = {name.removeprefix("KEY_TYPE_") for name in WireKeyType.keys()[1:]}
    assert {key_type.name for key_type in keys.KeyType} == wire
    assert all(key_type.value == key_type.name.lower().replace("_", "-") for key_type in keys.KeyType)


def test_keys_are_of_the_type_that_was_asked_for() -> None:
    rsa_key, ec_key = keys.generate(keys.KeyType.RSA_3072), keys.generate()
    assert isinstance(rsa_key, rsa.RSAPrivateKey)
    assert rsa_key.key_size == 3072
    assert isinstance(ec_key, ec.EllipticCurvePrivateKey)
    assert ec_key.curve.name == "secp256r1"


def test_a_password_is_needed_exactly_where_one_was_set() -> None:
    key = keys.generate()
    for written, read in (
        (keys.to_pem(key, b"secret"), keys.from_pem),
        (keys.to_der(key, b"secret"), keys.from_der),
    ):
        assert keys.to_der(read(written, b"secret")) == keys.to_der(key)
        for wrong in (None, b"guess"):
            with pytest.raises(ValueError, match=r".+"):
                read(written, wrong)
    with pytest.raises(ValueError, match=r".+"):
        keys.from_pem(keys.to_pem(key), b"secret")


@pytest.mark.parametrize("key", [x25519.X25519PrivateKey.generate(), dsa.generate_private_key(2048)], ids=["x", "dsa"])
def test_other_kinds_of_key_are_refused(key: x25519.X25519PrivateKey | dsa.DSAPrivateKey) -> None:
    with pytest.raises(ValueError, match="not RSA, ECDSA or Ed25519"):
        keys.from_der(key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption()))


@given(st.binary(max_size=200))
def test_bytes_that_are_no_key_are_a_value_error(data: bytes) -> None:
    for read in (keys.from_pem, keys.from_der):
        with pytest.raises(ValueError, match=r".*"):
            read(data)


def test_a_csr_has_an_empty_subject_and_the_names_in_its_san() -> None:
    der = keys.csr_der(
        keys.generate(), dns_names=["a.example", "b.example"], ip_addresses=["192.0.2.1", "2001:db8::1"], uris=["x://y"]
    )
    csr = x509.load_der_x509_csr(der)
    assert not list(csr.subject)
    san = csr.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    assert san.critical  # RFC 5280 section 4.2.1.6: the subject is empty
    assert san.value.get_values_for_type(x509.DNSName) == ["a.example", "b.example"]
    addresses = [ip_address("192.0.2.1"), ip_address("2001:db8::1")]
    assert san.value.get_values_for_type(x509.IPAddress) == addresses
    assert san.value.get_values_for_type(x509.UniformResourceIdentifier) == ["x://y"]


def test_a_csr_without_names_has_no_extensions() -> None:
    assert not list(x509.load_der_x509_csr(keys.csr_der(keys.generate())).extensions)


@pytest.mark.parametrize("names", [{"dns_names": ["ä.example"]}, {"ip_addresses": ["192.0.2.300"]}])
def test_names_that_no_san_can_hold_are_refused(names: dict[str, list[str]]) -> None:
    with pytest.raises(ValueError, match=r".+"):
        keys.csr_der(keys.generate(), **names)


@given(st.lists(st.binary(max_size=300), min_size=1, max_size=3))
def test_pem_gives_back_the_der_of_every_block(ders: list[bytes]) -> None:
    text = b"# a comment\n".join(pem.encode(pem.CERTIFICATE, der) for der in ders)
    assert pem.decode(pem.CERTIFICATE, text) == tuple(ders)


def test_pem_is_what_the_library_writes() -> None:
    csr_der = keys.csr_der(keys.generate(), dns_names=["pay.example"])
    expected = x509.load_der_x509_csr(csr_der).public_bytes(Encoding.PEM)
    assert pem.encode(pem.CERTIFICATE_REQUEST, csr_der) == expected


@pytest.mark.parametrize(
    "text",
    [
        b"",
        pem.encode(pem.X509_CRL, b"crl"),
        b"-----BEGIN CERTIFICATE-----\n!!!!\n-----END CERTIFICATE-----\n",
        b"-----BEGIN CERTIFICATE-----\nAAAA\n",
    ],
    ids=["nothing", "another label", "not base64", "no end"],
)
def test_pem_without_the_block_asked_for_is_refused(text: bytes) -> None:
    with pytest.raises(ValueError, match=r".+"):
        pem.decode(pem.CERTIFICATE, text)
