import ipaddress

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import NameOID
from tests.unit.server.issuance.csrs import EXTENSION_REQUEST, Key, csr, csr_with_attributes, extension_request, tlv

from certmint_server import errors
from certmint_server.issuance.csr import MAXIMUM_BYTES, MAXIMUM_NAMES, parse_csr
from certmint_server.issuance.keys import KeyType

MICROSOFT_OID = bytes.fromhex("060a2b0601040182370201 0e")
P256 = ec.generate_private_key(ec.SECP256R1())


def test_names_are_read_in_their_own_kinds_each_once() -> None:
    parsed = parse_csr(
        csr(
            x509.DNSName("A.example"),
            x509.DNSName("a.example"),
            x509.IPAddress(ipaddress.ip_address("2001:db8::1")),
            x509.UniformResourceIdentifier("spiffe://demo.test/a"),
        )
    )
    assert parsed.dns_names == ("a.example",)
    assert parsed.ip_addresses == ("2001:db8::1",)
    assert parsed.uris == ("spiffe://demo.test/a",)


def test_a_csr_without_a_san_asks_for_no_names() -> None:
    assert not parse_csr(csr()).asks_for_names


def test_the_subject_and_other_extensions_are_not_taken() -> None:
    parsed = parse_csr(
        csr(
            x509.DNSName("a.example"),
            subject=[x509.NameAttribute(NameOID.COMMON_NAME, "evil.example")],
            extensions=[x509.BasicConstraints(ca=True, path_length=None)],
        )
    )
    assert parsed.dns_names == ("a.example",)


@pytest.mark.parametrize(
    ("key", "key_type"),
    [
        (P256, KeyType.ECDSA_P256),
        (ec.generate_private_key(ec.SECP384R1()), KeyType.ECDSA_P384),
        (ec.generate_private_key(ec.SECP521R1()), KeyType.ECDSA_P521),
        (rsa.generate_private_key(65537, 2048), KeyType.RSA_2048),
        (rsa.generate_private_key(65537, 3072), KeyType.RSA_3072),
        (ed25519.Ed25519PrivateKey.generate(), KeyType.ED25519),
    ],
    ids=lambda value: value.name if isinstance(value, KeyType) else "",
)
def test_the_kind_of_key_is_told(key: Key, key_type: KeyType) -> None:
    assert parse_csr(csr(key=key, hashed=key_type is not KeyType.ED25519)).key_type is key_type


@pytest.mark.parametrize(
    "key",
    [
        rsa.generate_private_key(65537, 1024),
        rsa.generate_private_key(65537, 2056),
        ec.generate_private_key(ec.SECP256K1()),
    ],
    ids=["rsa-1024", "rsa-2056", "secp256k1"],
)
def test_a_key_that_no_profile_takes_is_refused(key: Key) -> None:
    with pytest.raises(errors.KeyTypeNotAllowedError):
        parse_csr(csr(key=key))


def test_an_rsa_exponent_other_than_65537_is_refused() -> None:
    with pytest.raises(errors.KeyWeakError):
        parse_csr(csr(key=rsa.generate_private_key(3, 2048)))


def test_a_csr_signed_by_another_key_is_refused() -> None:
    der = csr(x509.DNSName("a.example"), key=P256)
    other = ec.generate_private_key(ec.SECP256R1()).public_key()
    ours, theirs = (
        key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
        for key in (P256.public_key(), other)
    )
    with pytest.raises(errors.CSRSignatureInvalidError):
        parse_csr(der.replace(ours, theirs))


def test_a_csr_signed_with_sha1_is_refused() -> None:
    der = csr(key=rsa.generate_private_key(65537, 2048))
    sha256, sha1 = (bytes.fromhex(f"06092a864886f70d0101{arc}") for arc in ("0b", "05"))
    with pytest.raises(errors.CSRSignatureInvalidError):
        parse_csr(der.replace(sha256, sha1))


@pytest.mark.parametrize("damage", [b"\x00", b"\x30\x00"], ids=["trailing zero", "trailing element"])
def test_trailing_bytes_are_refused(damage: bytes) -> None:
    with pytest.raises(errors.CSRMalformedError):
        parse_csr(csr() + damage)


@pytest.mark.parametrize("der", [b"", b"\x30", b"\x00" * 100, b"-----BEGIN CERTIFICATE REQUEST-----"])
def test_what_is_not_der_of_a_csr_is_refused(der: bytes) -> None:
    with pytest.raises(errors.CSRMalformedError):
        parse_csr(der)


def test_a_csr_above_the_cap_is_refused_before_it_is_parsed() -> None:
    with pytest.raises(errors.CSRTooLargeError):
        parse_csr(b"\x30" * (MAXIMUM_BYTES + 1))


def test_two_extension_requests_are_refused() -> None:
    der = csr_with_attributes(extension_request(b"a.example"), extension_request(b"b.example"))
    with pytest.raises(errors.CSRAttributeInvalidError):
        parse_csr(der)


def test_microsofts_extension_request_is_refused() -> None:
    with pytest.raises(errors.CSRAttributeInvalidError):
        parse_csr(csr_with_attributes(extension_request(b"a.example", oid=MICROSOFT_OID)))


def test_an_attribute_without_exactly_one_value_is_refused() -> None:
    attribute = tlv(0x30, bytes.fromhex("06092a864886f70d010907"), tlv(0x31))
    with pytest.raises(errors.CSRAttributeInvalidError):
        parse_csr(csr_with_attributes(attribute))


@pytest.mark.parametrize(
    "name",
    [
        b"", b".", b"a..b", b"a.", b".a", b"*", b"*.example", b"a.*.example", b"f*o.example", b"a_b.example",
        b"a b.example", b"-a.example", b"a-.example", b"a\x00.example", b"xn--.example", b"ab--c.example",
        b"a" * 64 + b".example", b"a." * 126 + b"ab", b"10.0.0.1", b"host.1", b"https://a.example", b"a@b.example",
    ],
    ids=repr,
)  # fmt: skip
def test_a_dns_name_that_no_certificate_may_carry_is_refused(name: bytes) -> None:
    with pytest.raises(errors.NameInvalidError):
        parse_csr(csr_with_attributes(extension_request(b"good.example", name)))


def test_a_dns_name_beyond_ascii_is_refused() -> None:
    with pytest.raises((errors.NameInvalidError, errors.CSRMalformedError)):
        parse_csr(csr_with_attributes(extension_request("bücher.example".encode())))


@pytest.mark.parametrize(
    "name",
    [
        x509.RFC822Name("a@example.org"),
        x509.RegisteredID(x509.ObjectIdentifier("1.2.3")),
        x509.DirectoryName(x509.Name([])),
        x509.OtherName(x509.ObjectIdentifier("1.3.6.1.4.1.311.20.2.3"), b"\x0c\x01a"),
        x509.IPAddress(ipaddress.ip_network("10.0.0.0/8")),
    ],
    ids=lambda name: type(name).__name__,
)
def test_a_name_of_another_kind_is_refused(name: x509.GeneralName) -> None:
    with pytest.raises(errors.NameInvalidError):
        parse_csr(csr(x509.DNSName("a.example"), name))


def test_two_uris_are_refused() -> None:
    uris = (x509.UniformResourceIdentifier(f"spiffe://demo.test/{path}") for path in "ab")
    with pytest.raises(errors.NameInvalidError):
        parse_csr(csr(*uris))


def test_more_names_than_the_cap_are_refused() -> None:
    with pytest.raises(errors.NameInvalidError):
        parse_csr(csr(*(x509.DNSName(f"a{number}.example") for number in range(MAXIMUM_NAMES + 1))))


def test_an_empty_san_is_refused() -> None:
    with pytest.raises(errors.NameInvalidError):
        parse_csr(csr_with_attributes(extension_request()))


def test_a_csr_of_another_version_is_refused() -> None:
    der = csr().replace(b"\x02\x01\x00", b"\x02\x01\x01", 1)
    with pytest.raises(errors.CSRMalformedError):
        parse_csr(der)


@pytest.mark.parametrize("tag", [0xA3, 0xA5], ids=["x400Address", "ediPartyName"])
def test_a_name_of_a_kind_that_the_library_cannot_read_is_refused(tag: int) -> None:
    extension = tlv(0x30, bytes.fromhex("0603551d11"), tlv(0x04, tlv(0x30, tlv(tag, tlv(0x30)))))
    attribute = tlv(0x30, EXTENSION_REQUEST, tlv(0x31, tlv(0x30, extension)))
    with pytest.raises(errors.CSRMalformedError):
        parse_csr(csr_with_attributes(attribute))


@pytest.mark.parametrize("algorithm", [hashes.SHA224(), hashes.SHA3_256()], ids=lambda hashed: hashed.name)
def test_a_csr_signed_with_another_hash_is_refused(algorithm: hashes.SHA224 | hashes.SHA3_256) -> None:
    builder = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([]))
    with pytest.raises(errors.CSRSignatureInvalidError):
        parse_csr(builder.sign(P256, algorithm).public_bytes(serialization.Encoding.DER))


@pytest.mark.parametrize(
    "uri",
    ["https://demo.test/a", "spiffe://demo.test", "spiffe://demo.test/a\r\nb", "spiffe://demo.test/" + "a" * 3000],
)
def test_a_uri_that_is_no_spiffe_id_is_refused(uri: str) -> None:
    with pytest.raises(errors.NameInvalidError):
        parse_csr(csr(x509.UniformResourceIdentifier(uri)))
