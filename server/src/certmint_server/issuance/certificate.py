"""Writing a certificate: decided first, then prepared, then signed once.

The order cannot be written wrongly: only `prepare` makes a `Prepared`, whose `sign` can be redeemed once and lints
the very bytes that it signs; only `sign` makes a `SignedCertificate`, which is all that can be recorded.
"""

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from cryptography.x509.oid import AuthorityInformationAccessOID, NameOID

from certmint_server.issuance.decision import CertificateToIssue
from certmint_server.issuance.lint import LintError, lint
from certmint_server.issuance.profile import Profile
from certmint_server.issuers.issuer import Issuer
from certmint_server.signers.algorithm import verify_signature, verify_signed_with
from certmint_server.signers.checked import checked_key
from certmint_server.signers.signer import Signer


@dataclass(frozen=True, slots=True)
class SignedCertificate:
    """A certificate that was signed, re-read and found to be what was decided. Nobody has it yet."""

    wanted: CertificateToIssue
    serial: int
    certificate_der: bytes


class Prepared:
    """A certificate about to be signed, once."""

    def __init__(self, wanted: CertificateToIssue, serial: int, signer: Signer) -> None:
        self._wanted = wanted
        self._serial = serial
        self._signer: Signer | None = signer

    def sign(self) -> SignedCertificate:
        """Signs what was decided, and reads it again.

        Raises:
            LintError: the bytes to be signed, or those that were, break a rule: a bug of ours, never the caller's.
        """
        signer, self._signer = self._signer, None
        if signer is None:
            raise RuntimeError("a prepared certificate is signed once")
        wanted, serial = self._wanted, self._serial
        linted: list[bytes] = []

        def check(tbs_der: bytes) -> None:
            lint(tbs_der, wanted, serial)
            linted.append(tbs_der)

        certificate = _builder(wanted, serial).sign(
            checked_key(signer.private_key, check), signer.scheme.hash_algorithm, rsa_padding=signer.scheme.rsa_padding
        )
        _verify_signed(certificate, linted, wanted.issuer)
        return SignedCertificate(wanted, serial, certificate.public_bytes(serialization.Encoding.DER))


def prepare(wanted: CertificateToIssue, serial: int, signer: Signer) -> Prepared:
    """The only way to a signature."""
    return Prepared(wanted, serial, signer)


def _builder(wanted: CertificateToIssue, serial: int) -> x509.CertificateBuilder:
    # These arguments of the public class are not in its documentation; its chain of calls copies everything at each,
    # for 15 µs in all. The lint would show that they stopped working.
    return x509.CertificateBuilder(
        issuer_name=wanted.issuer.certificate.subject,
        subject_name=_subject(wanted.common_name),
        public_key=wanted.public_key,
        serial_number=serial,
        not_valid_before=wanted.not_before.replace(tzinfo=None),
        not_valid_after=wanted.not_after.replace(tzinfo=None),
        extensions=[
            *_constant_extensions(wanted.issuer, wanted.profile, wanted.crl_shard),
            _extension(x509.SubjectKeyIdentifier(wanted.subject_key_id)),
            _extension(_san(wanted), critical=not wanted.common_name),
        ],
    )


@lru_cache(maxsize=1024)
def _subject(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)] if common_name else [])


def _san(wanted: CertificateToIssue) -> x509.SubjectAlternativeName:
    names: list[x509.GeneralName] = [x509.DNSName(name) for name in wanted.dns_names]
    names += [x509.IPAddress(ipaddress.ip_address(address)) for address in wanted.ip_addresses]
    names += [x509.UniformResourceIdentifier(uri) for uri in wanted.uris]
    return x509.SubjectAlternativeName(names)


@lru_cache(maxsize=256)
def _constant_extensions(
    issuer: Issuer, profile: Profile, crl_shard: int
) -> Sequence[x509.Extension[x509.ExtensionType]]:
    """The extensions that are the same in every certificate of an issuer, profile and shard, encoded once.

    Encoding them anew costs about 30 µs a certificate.
    """
    crl_url = x509.UniformResourceIdentifier(issuer.crl_url(crl_shard))
    certificate_url = x509.UniformResourceIdentifier(issuer.certificate_url)
    extensions: list[tuple[x509.ExtensionType, bool]] = [
        (x509.BasicConstraints(ca=False, path_length=None), True),
        (_DIGITAL_SIGNATURE, True),
        (profile.extended_key_usage, False),
        (x509.AuthorityKeyIdentifier(issuer.subject_key_id, None, None), False),
        (x509.CRLDistributionPoints([x509.DistributionPoint([crl_url], None, None, None)]), False),
        (
            x509.AuthorityInformationAccess(
                [x509.AccessDescription(AuthorityInformationAccessOID.CA_ISSUERS, certificate_url)]
            ),
            False,
        ),
    ]
    return [
        _extension(x509.UnrecognizedExtension(value.oid, value.public_bytes()), critical=critical)
        for value, critical in extensions
    ]


def _extension(value: x509.ExtensionType, *, critical: bool = False) -> x509.Extension[x509.ExtensionType]:
    return x509.Extension(value.oid, critical, value)


# Enough for TLS 1.3 and for signing; right for every type of leaf key, which keyEncipherment is not.
_DIGITAL_SIGNATURE = x509.KeyUsage(
    digital_signature=True,
    content_commitment=False,
    key_encipherment=False,
    data_encipherment=False,
    key_agreement=False,
    key_cert_sign=False,
    crl_sign=False,
    encipher_only=False,
    decipher_only=False,
)


def _verify_signed(certificate: x509.Certificate, linted: Sequence[bytes], issuer: Issuer) -> None:
    """Step 6: what was signed is what was linted, byte for byte, and it verifies under the issuer's key."""
    tbs_der = certificate.tbs_certificate_bytes
    if list(linted) != [tbs_der]:
        raise LintError("signed_bytes", "the signed bytes are not those that were linted")
    try:
        verify_signed_with(certificate, issuer.scheme)
        verify_signature(issuer.public_key, issuer.scheme, certificate.signature, tbs_der)
    except (InvalidSignature, TypeError, ValueError) as error:
        raise LintError("signature", "the signed certificate does not verify under its issuer's key") from error
