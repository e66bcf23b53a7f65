"""CSRs, good and hostile, as the tests need them."""

from collections.abc import Sequence

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

Key = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey
EXTENSION_REQUEST = bytes.fromhex("06092a864886f70d01090e")


def csr(
    *names: x509.GeneralName,
    key: Key | None = None,
    subject: Sequence[x509.NameAttribute[str]] = (),
    extensions: Sequence[x509.ExtensionType] = (),
    hashed: bool = True,
) -> bytes:
    builder = x509.CertificateSigningRequestBuilder().subject_name(x509.Name(subject))
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    for extension in extensions:
        builder = builder.add_extension(extension, critical=True)
    key = key or ec.generate_private_key(ec.SECP256R1())
    return builder.sign(key, hashes.SHA256() if hashed else None).public_bytes(serialization.Encoding.DER)


def tlv(tag: int, *contents: bytes) -> bytes:
    """One DER element."""
    value = b"".join(contents)
    length = len(value)
    if length < 0x80:
        return bytes([tag, length]) + value
    octets = length.to_bytes((length.bit_length() + 7) // 8, "big")
    return bytes([tag, 0x80 | len(octets)]) + octets + value


def csr_with_attributes(*attributes: bytes) -> bytes:
    """A CSR whose attributes are these DER elements, signed as it stands."""
    key = ec.generate_private_key(ec.SECP256R1())
    spki = key.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    info = tlv(0x30, b"\x02\x01\x00", tlv(0x30), spki, tlv(0xA0, *sorted(attributes)))
    signature = key.sign(info, ec.ECDSA(hashes.SHA256()))
    algorithm = bytes.fromhex("300a06082a8648ce3d040302")
    return tlv(0x30, info, algorithm, tlv(0x03, b"\x00", signature))


def extension_request(*dns_names: bytes, oid: bytes = EXTENSION_REQUEST) -> bytes:
    """An attribute that asks for a SAN with these dNSNames, whatever bytes they are."""
    names = tlv(0x30, *(tlv(0x82, name) for name in dns_names))
    extension = tlv(0x30, bytes.fromhex("0603551d11"), tlv(0x04, names))
    return tlv(0x30, oid, tlv(0x31, tlv(0x30, extension)))
