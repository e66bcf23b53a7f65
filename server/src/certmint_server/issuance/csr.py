"""Reading a CSR (PKCS #10, RFC 2986), and refusing what would never be signed.

Only the key and the subject alternative name are looked at. The subject and every other extension are dropped: they
never reach a certificate.
"""

import hashlib
import re
from dataclasses import dataclass

from cryptography import x509
from cryptography.hazmat.primitives import serialization

from certmint_server.errors import (
    CSRAttributeInvalidError,
    CSRMalformedError,
    CSRSignatureInvalidError,
    CSRTooLargeError,
    KeyTypeNotAllowedError,
    NameInvalidError,
)
from certmint_server.issuance.keys import KeyType, LeafPublicKey, classify_key, verify_key_quality
from certmint_server.registry.identity import MAXIMUM_BYTES as MAXIMUM_IDENTITY_BYTES
from certmint_server.registry.names import parse_dns_name, parse_ip_address
from certmint_server.unreadable import UNREADABLE

MAXIMUM_BYTES = 16 * 1024
MAXIMUM_NAMES = 100
_FIELD = "csr_der"
# None is Ed25519's, which has its own.
_SIGNATURE_HASHES = frozenset({"sha256", "sha384", "sha512", None})
_SPIFFE_ID = re.compile(r"spiffe://[a-z0-9._-]{1,255}(/[A-Za-z0-9._-]+)+")
_EXTENSION_REQUEST = x509.ObjectIdentifier("1.2.840.113549.1.9.14")
_MICROSOFT_EXTENSION_REQUEST = x509.ObjectIdentifier("1.3.6.1.4.1.311.2.1.14")


@dataclass(frozen=True, slots=True)
class ParsedCSR:
    """What is taken from a CSR: a key whose possession was proved, and the names asked for."""

    public_key: LeafPublicKey
    key_type: KeyType
    spki_der: bytes
    spki_sha256: bytes
    dns_names: tuple[str, ...]
    ip_addresses: tuple[str, ...]
    uris: tuple[str, ...]

    @property
    def asks_for_names(self) -> bool:
        """Whether it names anything."""
        return bool(self.dns_names or self.ip_addresses or self.uris)


def parse_csr(csr_der: bytes) -> ParsedCSR:
    """Parses and verifies a CSR.

    Raises:
        CSRTooLargeError: it is above 16 KiB; it was not parsed.
        CSRMalformedError: it is not DER of PKCS #10.
        CSRAttributeInvalidError: it asks for extensions twice, or not the way RFC 2985 section 5.4.2 has it.
        KeyTypeNotAllowedError, KeyWeakError: its key could not be certified.
        CSRSignatureInvalidError: it is not signed by that key with SHA-2 or Ed25519.
        NameInvalidError: a name in it is not one that a certificate may carry.
    """
    if len(csr_der) > MAXIMUM_BYTES:
        raise CSRTooLargeError(f"A CSR here has at most {MAXIMUM_BYTES} bytes.", field=_FIELD)
    try:
        csr = x509.load_der_x509_csr(csr_der)
    except UNREADABLE as error:
        raise CSRMalformedError("Not a DER certificate signing request (PKCS #10).", field=_FIELD) from error
    _verify_attributes(csr)
    public_key, key_type = _public_key(csr)
    verify_key_quality(public_key)
    _verify_possession(csr)
    dns_names, ip_addresses, uris = _names(csr)
    spki = public_key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    return ParsedCSR(public_key, key_type, spki, hashlib.sha256(spki).digest(), dns_names, ip_addresses, uris)


def _verify_attributes(csr: x509.CertificateSigningRequest) -> None:
    """Of two extensionRequest attributes the library reads the first and ignores the second: neither is taken."""
    try:
        oids = [attribute.oid for attribute in csr.attributes]
    except UNREADABLE as error:
        raise CSRAttributeInvalidError("An attribute of the CSR has not exactly one value.", field=_FIELD) from error
    if oids.count(_EXTENSION_REQUEST) > 1:
        raise CSRAttributeInvalidError("The CSR has two extensionRequest attributes.", field=_FIELD)
    if _MICROSOFT_EXTENSION_REQUEST in oids:
        raise CSRAttributeInvalidError(
            "The CSR asks for extensions by Microsoft's attribute; use extensionRequest (RFC 2985 section 5.4.2).",
            field=_FIELD,
        )


def _public_key(csr: x509.CertificateSigningRequest) -> tuple[LeafPublicKey, KeyType]:
    try:
        key = csr.public_key()
    except UNREADABLE as error:
        raise KeyTypeNotAllowedError("The key of the CSR cannot be read.", field=_FIELD) from error
    return classify_key(key)


def _verify_possession(csr: x509.CertificateSigningRequest) -> None:
    try:
        hash_name = csr.signature_hash_algorithm.name if csr.signature_hash_algorithm else None
        proved = hash_name in _SIGNATURE_HASHES and csr.is_signature_valid
    except UNREADABLE as error:
        raise CSRSignatureInvalidError("The CSR's signature cannot be read.", field=_FIELD) from error
    if not proved:
        raise CSRSignatureInvalidError(
            "The CSR is not signed by its own key with SHA-256, SHA-384, SHA-512 or Ed25519.", field=_FIELD
        )


def _names(csr: x509.CertificateSigningRequest) -> tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]:
    """The DNS names, IP addresses and URIs of its SAN, each once."""
    try:
        san = csr.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return (), (), ()
    except x509.DuplicateExtension as error:
        raise CSRAttributeInvalidError("The CSR asks for the same extension twice.", field=_FIELD) from error
    except UNREADABLE as error:
        raise CSRMalformedError("The extensions that the CSR asks for cannot be read.", field=_FIELD) from error
    if not 0 < len(san) <= MAXIMUM_NAMES:
        raise NameInvalidError(f"The SAN of a CSR has 1 to {MAXIMUM_NAMES} names, or is left out.", field=_FIELD)
    names: dict[type[x509.GeneralName], dict[str, None]] = {
        x509.DNSName: {},
        x509.IPAddress: {},
        x509.UniformResourceIdentifier: {},
    }
    for name in san:
        kept = names.get(type(name))
        if kept is None:
            raise NameInvalidError("The SAN of a CSR holds DNS names, IP addresses and one SPIFFE ID.", field=_FIELD)
        kept[_checked(name)] = None
    if len(names[x509.UniformResourceIdentifier]) > 1:
        raise NameInvalidError("A certificate carries one SPIFFE ID (X509-SVID section 2).", field=_FIELD)
    return tuple(names[x509.DNSName]), tuple(names[x509.IPAddress]), tuple(names[x509.UniformResourceIdentifier])


def _checked(name: x509.GeneralName) -> str:
    if isinstance(name, x509.DNSName):
        return parse_dns_name(name.value, field=_FIELD)
    if isinstance(name, x509.UniformResourceIdentifier):
        if len(name.value) > MAXIMUM_IDENTITY_BYTES or not _SPIFFE_ID.fullmatch(name.value):
            raise NameInvalidError("A URI in a CSR is the SPIFFE ID of its identity.", field=_FIELD)
        return name.value
    # A network instead of an address keeps its prefix length in the text, and is refused for it.
    return parse_ip_address(str(name.value), field=_FIELD)
