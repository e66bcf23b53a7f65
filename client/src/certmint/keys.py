"""Key pairs of leaf certificates: made here, kept as PKCS #8, never sent.

key = keys.generate()
csr_der = keys.csr_der(key, dns_names=["pay.example"])
"""

import ipaddress
from collections.abc import Callable, Iterable, Mapping
from enum import StrEnum
from typing import Final

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.hashes import SHA256, SHA384, SHA512
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_der_private_key,
    load_pem_private_key,
)

PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey


class KeyType(StrEnum):
    """The keys that a leaf certificate may hold. gRPC's TLS can use neither P-521 nor Ed25519."""

    ECDSA_P256 = "ecdsa-p256"
    ECDSA_P384 = "ecdsa-p384"
    ECDSA_P521 = "ecdsa-p521"
    RSA_2048 = "rsa-2048"
    RSA_3072 = "rsa-3072"
    RSA_4096 = "rsa-4096"
    ED25519 = "ed25519"


_GENERATORS: Final[Mapping[KeyType, Callable[[], PrivateKey]]] = {
    KeyType.ECDSA_P256: lambda: ec.generate_private_key(ec.SECP256R1()),
    KeyType.ECDSA_P384: lambda: ec.generate_private_key(ec.SECP384R1()),
    KeyType.ECDSA_P521: lambda: ec.generate_private_key(ec.SECP521R1()),
    KeyType.RSA_2048: lambda: rsa.generate_private_key(65537, 2048),
    KeyType.RSA_3072: lambda: rsa.generate_private_key(65537, 3072),
    KeyType.RSA_4096: lambda: rsa.generate_private_key(65537, 4096),
    KeyType.ED25519: ed25519.Ed25519PrivateKey.generate,
}


def generate(key_type: KeyType = KeyType.ECDSA_P256) -> PrivateKey:
    """A new private key."""
    return _GENERATORS[key_type]()


def to_pem(key: PrivateKey, password: bytes | None = None) -> bytes:
    """PKCS #8 (RFC 5958) as PEM, encrypted if a password is given."""
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, _encryption(password))


def to_der(key: PrivateKey, password: bytes | None = None) -> bytes:
    """PKCS #8 (RFC 5958) as DER, encrypted if a password is given."""
    return key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, _encryption(password))


def from_pem(key_pem: bytes, password: bytes | None = None) -> PrivateKey:
    """The private key of a PEM file.

    Raises:
        ValueError: it is not a private key of a `KeyType`, or the password is wrong, missing or not needed.
    """
    return _load(load_pem_private_key, key_pem, password)


def from_der(key_der: bytes, password: bytes | None = None) -> PrivateKey:
    """The private key of DER bytes.

    Raises:
        ValueError: it is not a private key of a `KeyType`, or the password is wrong, missing or not needed.
    """
    return _load(load_der_private_key, key_der, password)


def csr_der(
    key: PrivateKey, *, dns_names: Iterable[str] = (), ip_addresses: Iterable[str] = (), uris: Iterable[str] = ()
) -> bytes:
    """A CSR (RFC 2986) with these names in its SAN and an empty subject, DER.

    Raises:
        ValueError: a name is not ASCII, or an address is not an IP address.
    """
    names: list[x509.GeneralName] = [x509.DNSName(name) for name in dns_names]
    names += [x509.IPAddress(ipaddress.ip_address(address)) for address in ip_addresses]
    names += [x509.UniformResourceIdentifier(uri) for uri in uris]
    builder = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([]))
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=True)
    return builder.sign(key, _signature_hash(key)).public_bytes(Encoding.DER)


def _signature_hash(key: PrivateKey) -> SHA256 | SHA384 | SHA512 | None:
    if isinstance(key, ed25519.Ed25519PrivateKey):
        return None
    if isinstance(key, rsa.RSAPrivateKey) or key.curve.key_size == 256:  # noqa: PLR2004 - P-256
        return SHA256()
    return SHA384() if key.curve.key_size == 384 else SHA512()  # noqa: PLR2004 - P-384


def _encryption(password: bytes | None) -> BestAvailableEncryption | NoEncryption:
    return NoEncryption() if password is None else BestAvailableEncryption(password)


def _load(load: Callable[[bytes, bytes | None], object], data: bytes, password: bytes | None) -> PrivateKey:
    try:
        key = load(data, password)
    except (TypeError, UnsupportedAlgorithm) as error:
        # The library's TypeError tells a password that is missing from one that is not needed.
        raise ValueError(str(error)) from error
    if not isinstance(key, PrivateKey):
        raise ValueError("The key is not RSA, ECDSA or Ed25519.")  # noqa: TRY004 - the bytes are at fault
    return key
