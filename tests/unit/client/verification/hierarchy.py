"""Certificates made to measure: each fault of a chain is one changed argument."""

import functools
import ipaddress
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import Enum
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.types import CertificateIssuerPrivateKeyTypes
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

NOT_BEFORE = datetime(2030, 1, 1, tzinfo=UTC)
NOT_AFTER = datetime(2031, 1, 1, tzinfo=UTC)
NOW = datetime(2030, 6, 1, 12, tzinfo=UTC)

LEAF_DNS = "payments.demo.test"
LEAF_URI = "spiffe://demo.test/payments"
LEAF_IP = "192.0.2.7"
CRL_URL = "http://pki.demo.test/crl/1.crl"

# By type: the value and whether it is critical. None leaves the extension out.
Extensions = Mapping[type[Any], tuple[x509.ExtensionType, bool] | None]


class KeyKind(Enum):
    """How an issuer signs."""

    P256 = "P-256"
    P384 = "P-384"
    RSA_PKCS1 = "RSA PKCS #1"
    RSA_PSS = "RSA PSS"
    ED25519 = "Ed25519"
    ED448 = "Ed448"


@dataclass(frozen=True)
class Authority:
    """A certificate with its key, as something that signs."""

    certificate: x509.Certificate
    key: CertificateIssuerPrivateKeyTypes
    kind: KeyKind


@functools.cache
def make_key(kind: KeyKind, owner: str) -> CertificateIssuerPrivateKeyTypes:
    """The key of `owner`; made once, since RSA keys are slow to make."""
    match kind:
        case KeyKind.P256:
            return ec.generate_private_key(ec.SECP256R1())
        case KeyKind.P384:
            return ec.generate_private_key(ec.SECP384R1())
        case KeyKind.RSA_PKCS1 | KeyKind.RSA_PSS:
            return rsa.generate_private_key(65537, 2048)
        case KeyKind.ED25519:
            return ed25519.Ed25519PrivateKey.generate()
        case KeyKind.ED448:
            return ed448.Ed448PrivateKey.generate()


@dataclass(frozen=True)
class Hierarchy:
    """A root, an issuing CA below it, and a service's certificate."""

    root: Authority
    issuing: Authority
    leaf: x509.Certificate

    @property
    def chain(self) -> list[x509.Certificate]:
        return [self.leaf, self.issuing.certificate]

    @property
    def anchors(self) -> list[x509.Certificate]:
        return [self.root.certificate]


def hierarchy(kind: KeyKind) -> Hierarchy:
    root = authority("root", kind)
    issuing = authority("issuing", kind, root, path_length=0)
    return Hierarchy(root, issuing, leaf(issuing))


def name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)] if common_name else [])


def key_usage(*, certificate_sign: bool, crl_sign: bool = True) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not certificate_sign,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=certificate_sign,
        crl_sign=certificate_sign and crl_sign,
        encipher_only=False,
        decipher_only=False,
    )


def signature_hash(key: CertificateIssuerPrivateKeyTypes) -> hashes.SHA256 | hashes.SHA384 | None:
    if isinstance(key, ed25519.Ed25519PrivateKey | ed448.Ed448PrivateKey):
        return None
    is_p384 = isinstance(key, ec.EllipticCurvePrivateKey) and key.curve.name == "secp384r1"
    return hashes.SHA384() if is_p384 else hashes.SHA256()


def rsa_padding(kind: KeyKind, *, salt: int = 32) -> padding.PSS | None:
    return padding.PSS(padding.MGF1(hashes.SHA256()), salt) if kind is KeyKind.RSA_PSS else None


def _signed(
    extensions: Extensions,
    *,
    subject: x509.Name,
    public_key: object,
    issuer_name: x509.Name,
    issuer_key: CertificateIssuerPrivateKeyTypes,
    issuer_kind: KeyKind,
    dates: tuple[datetime, datetime],
    salt: int,
) -> x509.Certificate:
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer_name)
        .public_key(public_key)  # type: ignore[arg-type]  # weak keys, which the tests need, are typed as object
        .serial_number(x509.random_serial_number())
        .not_valid_before(dates[0])
        .not_valid_after(dates[1])
    )
    for extension in extensions.values():
        if extension:
            builder = builder.add_extension(extension[0], critical=extension[1])
    return builder.sign(issuer_key, signature_hash(issuer_key), rsa_padding=rsa_padding(issuer_kind, salt=salt))


def authority(
    common_name: str,
    kind: KeyKind,
    issuer: Authority | None = None,
    *,
    path_length: int | None = None,
    key_owner: str | None = None,
    dates: tuple[datetime, datetime] = (NOT_BEFORE, NOT_AFTER),
    extensions: Extensions | None = None,
) -> Authority:
    """A CA certificate: a root without `issuer`. In `extensions`, None leaves one out."""
    key = make_key(kind, key_owner or common_name)
    signer = issuer.key if issuer else key
    public = key.public_key()
    merged: dict[type[Any], tuple[x509.ExtensionType, bool] | None] = {
        x509.BasicConstraints: (x509.BasicConstraints(ca=True, path_length=path_length), True),
        x509.KeyUsage: (key_usage(certificate_sign=True), True),
        x509.SubjectKeyIdentifier: (x509.SubjectKeyIdentifier.from_public_key(public), False),
        x509.AuthorityKeyIdentifier: (
            x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()),
            False,
        ),
        **(extensions or {}),
    }
    certificate = _signed(
        merged,
        subject=name(common_name),
        public_key=public,
        issuer_name=issuer.certificate.subject if issuer else name(common_name),
        issuer_key=signer,
        issuer_kind=issuer.kind if issuer else kind,
        dates=dates,
        salt=32,
    )
    return Authority(certificate, key, kind)


def purposes(*allowed: x509.ObjectIdentifier, critical: bool = False) -> Extensions:
    """Extended key usage."""
    return {x509.ExtendedKeyUsage: (x509.ExtendedKeyUsage(allowed), critical)}


def san(*names: x509.GeneralName) -> x509.SubjectAlternativeName:
    return x509.SubjectAlternativeName(names)


def dns_san(*names: str) -> x509.SubjectAlternativeName:
    return san(*(x509.DNSName(value) for value in names))


def leaf(
    issuer: Authority,
    *,
    subject: str = LEAF_DNS,
    names: x509.SubjectAlternativeName | None = None,
    public_key: object = None,
    issuer_key: CertificateIssuerPrivateKeyTypes | None = None,
    dates: tuple[datetime, datetime] = (NOT_BEFORE, NOT_AFTER),
    salt: int = 32,
    extensions: Extensions | None = None,
) -> x509.Certificate:
    """A service's certificate. `issuer_key` signs in the issuer's name with another key."""
    everything = san(
        x509.DNSName(LEAF_DNS),
        x509.UniformResourceIdentifier(LEAF_URI),
        x509.IPAddress(ipaddress.ip_address(LEAF_IP)),
    )
    merged: dict[type[Any], tuple[x509.ExtensionType, bool] | None] = {
        x509.BasicConstraints: (x509.BasicConstraints(ca=False, path_length=None), True),
        x509.KeyUsage: (key_usage(certificate_sign=False), True),
        **purposes(ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH),
        x509.SubjectAlternativeName: (names or everything, not subject),
        x509.AuthorityKeyIdentifier: (
            x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer.key.public_key()),
            False,
        ),
        x509.CRLDistributionPoints: (crl_distribution_points(), False),
        **(extensions or {}),
    }
    return _signed(
        merged,
        subject=name(subject),
        public_key=public_key or make_key(KeyKind.P256, "leaf").public_key(),
        issuer_name=issuer.certificate.subject,
        issuer_key=issuer_key or issuer.key,
        issuer_kind=issuer.kind,
        dates=dates,
        salt=salt,
    )


def crl_distribution_points(url: str = CRL_URL) -> x509.CRLDistributionPoints:
    return x509.CRLDistributionPoints([x509.DistributionPoint([x509.UniformResourceIdentifier(url)], None, None, None)])


def crl(
    issuer: Authority,
    revoked: Sequence[x509.Certificate] = (),
    *,
    number: int | None = 7,
    reason: x509.ReasonFlags | None = None,
    revoked_at: datetime = NOW - timedelta(days=1),
    updates: tuple[datetime, datetime] = (NOW - timedelta(hours=1), NOW + timedelta(hours=1)),
    key: CertificateIssuerPrivateKeyTypes | None = None,
    extensions: Sequence[tuple[x509.ExtensionType, bool]] = (),
) -> bytes:
    """A CRL of `issuer`, DER. `key` signs it in the issuer's name with another key."""
    signer = key or issuer.key
    builder = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(issuer.certificate.subject)
        .last_update(updates[0])
        .next_update(updates[1])
    )
    if number is not None:
        builder = builder.add_extension(x509.CRLNumber(number), critical=False)
    for extension, critical in extensions:
        builder = builder.add_extension(extension, critical=critical)
    for certificate in revoked:
        entry = x509.RevokedCertificateBuilder().serial_number(certificate.serial_number).revocation_date(revoked_at)
        if reason:
            entry = entry.add_extension(x509.CRLReason(reason), critical=False)
        builder = builder.add_revoked_certificate(entry.build())
    signed = builder.sign(signer, signature_hash(signer), rsa_padding=rsa_padding(issuer.kind))
    return signed.public_bytes(Encoding.DER)


def with_generalized_dates(certificate: x509.Certificate, issuer: Authority) -> x509.Certificate:
    """The certificate with GeneralizedTime where RFC 5280 asks for UTCTime, signed anew."""
    short = b"".join(b"\x17\x0d" + f"{date:%y%m%d%H%M%SZ}".encode() for date in (NOT_BEFORE, NOT_AFTER))
    long = b"".join(b"\x18\x0f" + f"{date:%Y%m%d%H%M%SZ}".encode() for date in (NOT_BEFORE, NOT_AFTER))
    return _resigned(certificate, issuer, b"\x30\x1e" + short, b"\x30\x22" + long)


def without_algorithm_parameters(certificate: x509.Certificate, issuer: Authority) -> x509.Certificate:
    """The certificate, signed with SHA-256 and RSA, without the NULL that RFC 4055 section 5 asks for."""
    oid = bytes.fromhex("06092a864886f70d01010b")
    return _resigned(certificate, issuer, b"\x30\x0d" + oid + b"\x05\x00", b"\x30\x0b" + oid)


def _resigned(certificate: x509.Certificate, issuer: Authority, old: bytes, new: bytes) -> x509.Certificate:
    whole, tbs = certificate.public_bytes(Encoding.DER), certificate.tbs_certificate_bytes
    assert old in tbs
    algorithm = whole[4 + len(tbs) :][: 2 + whole[4 + len(tbs) + 1]].replace(old, new)
    tbs = _sequence(tbs[4:].replace(old, new))
    signature = b"\0" + sign(issuer, tbs)
    length = len(signature).to_bytes(2, "big")
    bit_string = b"\x03\x82" + length if len(signature) > 255 else b"\x03" + _short_length(len(signature))
    return x509.load_der_x509_certificate(_sequence(tbs + algorithm + bit_string + signature))


def _sequence(content: bytes) -> bytes:
    assert len(content) > 255
    return b"\x30\x82" + len(content).to_bytes(2, "big") + content


def _short_length(length: int) -> bytes:
    return bytes([length]) if length < 128 else bytes([0x81, length])


def sign(issuer: Authority, message: bytes) -> bytes:
    digest = signature_hash(issuer.key)
    match issuer.key:
        case ec.EllipticCurvePrivateKey() as key:
            assert digest
            return key.sign(message, ec.ECDSA(digest))
        case rsa.RSAPrivateKey() as key:
            assert digest
            return key.sign(message, rsa_padding(issuer.kind) or padding.PKCS1v15(), digest)
        case ed25519.Ed25519PrivateKey() | ed448.Ed448PrivateKey() as edwards:
            return edwards.sign(message)
        case _:
            raise TypeError(issuer.kind)
