"""CAs and certificates that the registry never saw."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ed25519
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from certmint import keys
from certmint_server.signers.envelope import open_envelope

BOTH_USAGES = (ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH)


@dataclass(frozen=True, slots=True)
class CA:
    """A CA of a test: a certificate and the key that belongs to it."""

    certificate: x509.Certificate
    key: keys.PrivateKey

    @property
    def der(self) -> bytes:
        return self.certificate.public_bytes(Encoding.DER)

    def certify(
        self,
        key: keys.PrivateKey,
        *names: x509.GeneralName,
        usages: Sequence[x509.ObjectIdentifier] = BOTH_USAGES,
        serial_number: int = 0,
    ) -> bytes:
        """A leaf with these names, valid for an hour, DER."""
        not_before = self._just_now()
        builder = (
            x509.CertificateBuilder()
            .issuer_name(self.certificate.subject)
            .subject_name(x509.Name([]))
            .public_key(key.public_key())
            .serial_number(serial_number or x509.random_serial_number())
            .not_valid_before(not_before)
            .not_valid_after(not_before + timedelta(hours=1))
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(key_usage(digital_signature=True), critical=True)
            .add_extension(x509.ExtendedKeyUsage(usages), critical=False)
            .add_extension(x509.SubjectAlternativeName(names), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .add_extension(self._authority_key_id(), critical=False)
        )
        return builder.sign(self.key, _hash_of(self.key)).public_bytes(Encoding.DER)

    def subordinate(self, name: str, key: keys.PrivateKey) -> "CA":
        """A CA below this one."""
        builder = _ca_builder(name, key, self.certificate.subject, self._just_now())
        builder = builder.add_extension(self._authority_key_id(), critical=False)
        return CA(builder.sign(self.key, _hash_of(self.key)), key)

    def _authority_key_id(self) -> x509.AuthorityKeyIdentifier:
        skid = self.certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
        return x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(skid)

    def _just_now(self) -> datetime:
        return max(self.certificate.not_valid_before_utc, datetime.now(UTC) - timedelta(minutes=1))


def foreign_root(name: str = "Foreign Root", key_type: keys.KeyType = keys.KeyType.ECDSA_P256) -> CA:
    """A root that nobody here trusts."""
    key = keys.generate(key_type)
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    builder = _ca_builder(name, key, subject, datetime.now(UTC) - timedelta(minutes=2))
    return CA(builder.sign(key, _hash_of(key)), key)


def stolen_issuer(data: Path, certificate: x509.Certificate) -> CA:
    """The issuing CA of an authority's folder, in the hands of somebody who does not ask the registry."""
    passphrase = (data / "keys" / "passphrase").read_bytes().strip()
    return CA(certificate, open_envelope((data / "keys" / "issuing-ca-1.key.json").read_bytes(), passphrase))


def key_usage(*, digital_signature: bool = False, ca: bool = False) -> x509.KeyUsage:
    """digitalSignature, or keyCertSign and cRLSign."""
    return x509.KeyUsage(
        digital_signature=digital_signature,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=ca,
        crl_sign=ca,
        encipher_only=False,
        decipher_only=False,
    )


def _ca_builder(name: str, key: keys.PrivateKey, issuer: x509.Name, not_before: datetime) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .issuer_name(issuer)
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(not_before)
        .not_valid_after(not_before + timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(key_usage(ca=True), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )


def _hash_of(key: keys.PrivateKey) -> hashes.SHA256 | None:
    return None if isinstance(key, ed25519.Ed25519PrivateKey) else hashes.SHA256()
