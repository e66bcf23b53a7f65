"""Making issuers: a root and the issuing CAs below it.

Nothing here reads a clock or a file: what a ceremony makes depends on its arguments and on the random numbers of the
keys and serials.
"""

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from cryptography.x509.oid import AuthorityInformationAccessOID, ExtendedKeyUsageOID, NameOID

from certmint_server.clock import whole_seconds
from certmint_server.errors import ConfigError
from certmint_server.issuers.issuer import Issuer, IssuerState, issuer_id_of
from certmint_server.signers.algorithm import verify_signed_with
from certmint_server.signers.keys import IssuerKeyType, generate_key, verify_scheme_fits
from certmint_server.signers.signer import PublicKey, SignatureScheme, Signer

ROOT_LIFETIME = timedelta(days=10 * 365)
ISSUING_LIFETIME = timedelta(days=3 * 365)

# The longest backdate of a profile, so that no certificate begins before its issuer's.
_BACKDATE = timedelta(hours=1)
_SUBJECT_KEY_ID_BYTES = 20
_MAXIMUM_NAME = 48
_DISTRIBUTION_URL = re.compile(r"http://([a-z0-9.-]{1,253}|\[[0-9a-f:.]{2,45}\])(:[0-9]{1,5})?")

_KEY_USAGE = x509.KeyUsage(
    digital_signature=False,
    content_commitment=False,
    key_encipherment=False,
    data_encipherment=False,
    key_agreement=False,
    key_cert_sign=True,
    crl_sign=True,
    encipher_only=False,
    decipher_only=False,
)
# Verifiers nest extended key usages, so these bound what a stolen issuing key is good for: TLS, never code signing or
# smart card logon. A profile with another usage needs an issuer of its own.
_EXTENDED_KEY_USAGE = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH])


class CeremonyError(Exception):
    """A certificate is not what the ceremony decided: an error of ours, never of a caller."""


@dataclass(frozen=True, slots=True)
class KeyChoice:
    """The kind of key that an issuer gets, and how it signs.

    P-256 with SHA-256 is the default for the root too. Its 128 bits outlast a root's ten years (NIST SP 800-57 part 1,
    table 4), a chain is as strong as its weakest key, and each side of every TLS handshake verifies the root's
    signature: with P-384 that takes seven times as long.
    """

    key_type: IssuerKeyType = IssuerKeyType.ECDSA_P256
    scheme: SignatureScheme = SignatureScheme.ECDSA_SHA256


@dataclass(frozen=True, slots=True)
class NewIssuer:
    """An issuer with the key that was made for it. `key_uri` of the issuer is empty until the key is written."""

    issuer: Issuer
    signer: Signer


def make_root(
    name: str,
    distribution_url: str,
    now: datetime,
    *,
    key: KeyChoice = KeyChoice(),
    lifetime: timedelta = ROOT_LIFETIME,
) -> NewIssuer:
    """A root: a new key and a certificate that it signed itself, "{name} Root CA 1".

    Raises:
        ConfigError: the name cannot be part of a distinguished name, the URL is not one for CRLs, or the scheme is not
            one for the key.
    """
    _verify_distribution_url(distribution_url)
    signer = _make_signer(key)
    subject = _subject(name, "Root CA")
    builder = _builder(subject, subject, signer, now, now + lifetime)
    issuer = Issuer(
        certificate_der=_sign(builder, _root_extensions(signer.public_key), signer),
        parent_id=issuer_id_of(signer.public_key),
        state=IssuerState.OFFLINE,
        scheme=key.scheme,
        distribution_url=distribution_url,
    )
    verify_issuer_certificate(issuer, issuer)
    return NewIssuer(issuer, signer)


def make_issuing(
    name: str,
    root: Issuer,
    root_signer: Signer,
    now: datetime,
    *,
    key: KeyChoice = KeyChoice(),
    lifetime: timedelta = ISSUING_LIFETIME,
) -> NewIssuer:
    """An issuing CA, "{name} Issuing CA 1": a new key, certified by the root, never for longer than the root itself.

    It serves its CRLs below the same URL as the root.

    Raises:
        ConfigError: the root is expired, the name cannot be in a distinguished name, or the scheme is not the key's.
    """
    if now >= root.not_after:
        raise ConfigError("The root is expired. Make a new one.")
    signer = _make_signer(key)
    not_after = min(now + lifetime, root.not_after)
    builder = _builder(_subject(name, "Issuing CA"), root.certificate.subject, signer, now, not_after)
    issuer = Issuer(
        certificate_der=_sign(builder, _issuing_extensions(signer.public_key, root), root_signer),
        parent_id=root.issuer_id,
        state=IssuerState.ACTIVE,
        scheme=key.scheme,
        distribution_url=root.distribution_url,
    )
    verify_issuer_certificate(issuer, root)
    return NewIssuer(issuer, signer)


def verify_issuer_certificate(issuer: Issuer, parent: Issuer) -> None:
    """Reads the certificate of an issuer anew and compares it with what a ceremony puts there.

    Raises:
        CeremonyError: it differs, or `parent` did not sign it.
        ConfigError: the issuer's scheme is not one for its key.
    """
    certificate = x509.load_der_x509_certificate(issuer.certificate_der)
    _verify_signature(certificate, issuer, parent)
    _verify_validity(certificate, parent)
    public_key = certificate.public_key()
    if not isinstance(public_key, PublicKey):
        raise CeremonyError("The issuer has a kind of key that no issuer signs with.")
    verify_scheme_fits(public_key, issuer.scheme)
    expected = _root_extensions(public_key) if issuer.is_root else _issuing_extensions(public_key, parent)
    if list(certificate.extensions) != list(expected):
        raise CeremonyError("The issuer's certificate does not have the extensions that were decided.")


def _verify_signature(certificate: x509.Certificate, issuer: Issuer, parent: Issuer) -> None:
    if issuer.parent_id != parent.issuer_id:
        raise CeremonyError("The issuer names another parent.")
    try:
        verify_signed_with(certificate, parent.scheme)
        certificate.verify_directly_issued_by(parent.certificate)
    except (ValueError, TypeError, InvalidSignature) as error:
        raise CeremonyError("The issuer's certificate is not signed by its parent.") from error


def _verify_validity(certificate: x509.Certificate, parent: Issuer) -> None:
    begins, ends = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    if not parent.certificate.not_valid_before_utc <= begins < ends <= parent.not_after:
        raise CeremonyError("The issuer's certificate is not valid within the time of its parent's.")


def _verify_distribution_url(url: str) -> None:
    # http: fetching a CRL over https would need a CRL first (RFC 5280 section 8).
    if not _DISTRIBUTION_URL.fullmatch(url):
        raise ConfigError("The distribution URL is http://, a host and maybe a port; no path, no slash at the end.")


def _make_signer(key: KeyChoice) -> Signer:
    signer = Signer(key.scheme, generate_key(key.key_type))
    verify_scheme_fits(signer.public_key, key.scheme)
    return signer


def _subject(name: str, role: str) -> x509.Name:
    if not 0 < len(name.encode(errors="replace")) <= _MAXIMUM_NAME or not name.isprintable() or name != name.strip():
        raise ConfigError(
            f"The name of a CA has 1 to {_MAXIMUM_NAME} bytes of printable characters, no space at its ends."
        )
    return x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, name),
            # The generation: a successor with another key gets another name, so no two issuers share one.
            x509.NameAttribute(NameOID.COMMON_NAME, f"{name} {role} 1"),
        ]
    )


def _builder(
    subject: x509.Name, issuer_name: x509.Name, signer: Signer, now: datetime, not_after: datetime
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .issuer_name(issuer_name)
        .subject_name(subject)
        .public_key(signer.public_key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(whole_seconds(now) - _BACKDATE)
        .not_valid_after(whole_seconds(not_after))
    )


def _sign(
    builder: x509.CertificateBuilder, extensions: Sequence[x509.Extension[x509.ExtensionType]], signer: Signer
) -> bytes:
    for extension in extensions:
        builder = builder.add_extension(extension.value, critical=extension.critical)
    scheme = signer.scheme
    certificate = builder.sign(signer.private_key, scheme.hash_algorithm, rsa_padding=scheme.rsa_padding)
    return certificate.public_bytes(serialization.Encoding.DER)


def _root_extensions(public_key: PublicKey) -> Sequence[x509.Extension[x509.ExtensionType]]:
    return (
        _extension(x509.BasicConstraints(ca=True, path_length=None), critical=True),
        _extension(_KEY_USAGE, critical=True),
        _extension(x509.SubjectKeyIdentifier(_subject_key_id(public_key))),
    )


def _issuing_extensions(public_key: PublicKey, parent: Issuer) -> Sequence[x509.Extension[x509.ExtensionType]]:
    crl_uri = x509.UniformResourceIdentifier(parent.crl_url(1))
    certificate_uri = x509.UniformResourceIdentifier(parent.certificate_url)
    return (
        _extension(x509.BasicConstraints(ca=True, path_length=0), critical=True),
        _extension(_KEY_USAGE, critical=True),
        _extension(_EXTENDED_KEY_USAGE),
        _extension(x509.SubjectKeyIdentifier(_subject_key_id(public_key))),
        _extension(x509.AuthorityKeyIdentifier(parent.subject_key_id, None, None)),
        _extension(x509.CRLDistributionPoints([x509.DistributionPoint([crl_uri], None, None, None)])),
        _extension(
            x509.AuthorityInformationAccess(
                [x509.AccessDescription(AuthorityInformationAccessOID.CA_ISSUERS, certificate_uri)]
            )
        ),
    )


def _extension(value: x509.ExtensionType, *, critical: bool = False) -> x509.Extension[x509.ExtensionType]:
    return x509.Extension(value.oid, critical, value)


def _subject_key_id(public_key: PublicKey) -> bytes:
    spki = public_key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    # RFC 7093 section 2 method 4, cut to the length that RFC 5280 made usual: the issuer id is its beginning.
    return hashlib.sha256(spki).digest()[:_SUBJECT_KEY_ID_BYTES]
