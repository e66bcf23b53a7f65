"""Signing and reading CRLs (RFC 5280 section 5)."""

from collections.abc import Sequence
from datetime import datetime

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization

from certmint_server.errors import ConfigError
from certmint_server.issuers.issuer import Issuer
from certmint_server.registry.certificate import RevocationReason
from certmint_server.revocation.crls import Claim, CRLEntry, PublishedCRL
from certmint_server.signers.algorithm import verify_signed_with
from certmint_server.signers.signer import PublicKey, Signer

ROOT_SHARD = 1
MAXIMUM_ROOT_CRL_BYTES = 1024 * 1024

_REASON_FLAGS = {
    RevocationReason.UNSPECIFIED: x509.ReasonFlags.unspecified,
    RevocationReason.KEY_COMPROMISE: x509.ReasonFlags.key_compromise,
    RevocationReason.CA_COMPROMISE: x509.ReasonFlags.ca_compromise,
    RevocationReason.AFFILIATION_CHANGED: x509.ReasonFlags.affiliation_changed,
    RevocationReason.SUPERSEDED: x509.ReasonFlags.superseded,
    RevocationReason.CESSATION_OF_OPERATION: x509.ReasonFlags.cessation_of_operation,
    RevocationReason.CERTIFICATE_HOLD: x509.ReasonFlags.certificate_hold,
    RevocationReason.REMOVE_FROM_CRL: x509.ReasonFlags.remove_from_crl,
    RevocationReason.PRIVILEGE_WITHDRAWN: x509.ReasonFlags.privilege_withdrawn,
    RevocationReason.AA_COMPROMISE: x509.ReasonFlags.aa_compromise,
}
_REASONS = {flag: reason for reason, flag in _REASON_FLAGS.items()}


class CRLError(Exception):
    """A CRL is not what was decided. Of one that we signed, an error of ours; it is never published."""


def build_crl(issuer: Issuer, signer: Signer, shard: int, claim: Claim, next_update: datetime) -> PublishedCRL:
    """Signs a CRL, reads it anew and compares it with what was decided.

    An issuing CA's shard holds the certificates of end entities that name this shard's URL; a root's only one is
    complete.

    Raises:
        CRLError: what was signed is not what was decided.
    """
    # The documented way, `add_revoked_certificate`, copies the list at every call: a CRL of 100,000 entries takes
    # 24 s. This argument of the public class is not in its documentation; the comparison below would show that it
    # stopped working.
    builder = (
        x509.CertificateRevocationListBuilder(revoked_certificates=[_revoked(entry) for entry in claim.entries])
        .issuer_name(issuer.certificate.subject)
        .last_update(claim.this_update)
        .next_update(next_update)
    )
    for extension in _extensions(issuer, shard, claim.crl_number):
        builder = builder.add_extension(extension.value, critical=extension.critical)
    scheme = signer.scheme
    signed = builder.sign(signer.private_key, scheme.hash_algorithm, rsa_padding=scheme.rsa_padding)
    published, entries = _read(signed.public_bytes(serialization.Encoding.DER), issuer, shard)
    decided = (claim.crl_number, claim.this_update, next_update)
    if (published.crl_number, published.this_update, published.next_update) != decided:
        raise CRLError("The CRL does not have the number and the times that were decided.")
    if entries != list(claim.entries):
        raise CRLError("The CRL does not have the entries that were decided.")
    return published


def parse_root_crl(crl_der: bytes, root: Issuer) -> PublishedCRL:
    """The CRL that a ceremony made for a root.

    Raises:
        ConfigError: it is not a CRL, or not this root's.
    """
    if len(crl_der) > MAXIMUM_ROOT_CRL_BYTES:
        raise ConfigError(f"A root's CRL has at most {MAXIMUM_ROOT_CRL_BYTES} bytes.")
    try:
        return _read(crl_der, root, ROOT_SHARD)[0]
    except CRLError as error:
        raise ConfigError(f"This is not a CRL of the root {root.issuer_id}. {error}") from error


def read_entries(crl: x509.CertificateRevocationList) -> list[CRLEntry]:
    """What a CRL of ours revokes, in its order."""
    return [read_entry(revoked) for revoked in crl]


def read_entry(revoked: x509.RevokedCertificate) -> CRLEntry:
    """One entry of a CRL of ours."""
    try:
        reason = _REASONS[revoked.extensions.get_extension_for_class(x509.CRLReason).value.reason]
    except x509.ExtensionNotFound:
        reason = RevocationReason.UNSPECIFIED
    return CRLEntry(revoked.serial_number, revoked.revocation_date_utc, reason)


def _read(crl_der: bytes, issuer: Issuer, shard: int) -> tuple[PublishedCRL, list[CRLEntry]]:
    """The CRL and its entries, if the issuer signed it for this shard."""
    try:
        crl = x509.load_der_x509_crl(crl_der)
        _verify_signature(crl, issuer)
        crl_number = _verify_extensions(crl, issuer, shard)
        entries = read_entries(crl)
        this_update, next_update = crl.last_update_utc, crl.next_update_utc
    except (ValueError, TypeError, UnsupportedAlgorithm, x509.DuplicateExtension) as error:
        raise CRLError("It does not parse.") from error
    if next_update is None or next_update <= this_update:
        raise CRLError("Its next update is not after this one.")
    if len({entry.serial for entry in entries}) != len(entries):
        raise CRLError("It names a serial twice.")
    published = PublishedCRL(
        issuer_id=issuer.issuer_id,
        shard=shard,
        crl_number=crl_number,
        this_update=this_update,
        next_update=next_update,
        entry_count=len(entries),
        crl_der=crl_der,
    )
    return published, entries


def _verify_signature(crl: x509.CertificateRevocationList, issuer: Issuer) -> None:
    # Byte for byte: not every verifier compares names as loosely as RFC 5280 section 7.1 wants.
    if crl.issuer.public_bytes() != issuer.certificate.subject.public_bytes():
        raise CRLError("Its issuer has another name.")
    verify_signed_with(crl, issuer.scheme)
    public_key = issuer.certificate.public_key()
    if not isinstance(public_key, PublicKey) or not crl.is_signature_valid(public_key):
        raise CRLError("It is not signed with the issuer's key.")


def _verify_extensions(crl: x509.CertificateRevocationList, issuer: Issuer, shard: int) -> int:
    try:
        crl_number = crl.extensions.get_extension_for_class(x509.CRLNumber).value.crl_number
    except x509.ExtensionNotFound:
        raise CRLError("It has no number.") from None
    if list(crl.extensions) != list(_extensions(issuer, shard, crl_number)):
        raise CRLError("Its AKI or its distribution point is another one, or it has extensions that we do not set.")
    return crl_number


def _extensions(issuer: Issuer, shard: int, crl_number: int) -> Sequence[x509.Extension[x509.ExtensionType]]:
    extensions = [
        _extension(x509.AuthorityKeyIdentifier(issuer.subject_key_id, None, None)),
        _extension(x509.CRLNumber(crl_number)),
    ]
    # A root's CRL is complete, and covers the root as well: OpenSSL looks a root up when it checks the whole chain, and
    # with a distribution point, which no root certificate has, it would find the CRL's scope to be another.
    if not issuer.is_root:
        extensions.append(_extension(_distribution_point(issuer, shard), critical=True))
    return extensions


def _distribution_point(issuer: Issuer, shard: int) -> x509.IssuingDistributionPoint:
    return x509.IssuingDistributionPoint(
        # Equal to the CRLDP of the certificates in this shard (RFC 5280 section 6.3.3 step b.2.i): without it, the CRL
        # of one shard could be passed off as that of another.
        full_name=[x509.UniformResourceIdentifier(issuer.crl_url(shard))],
        relative_name=None,
        only_contains_user_certs=True,
        only_contains_ca_certs=False,
        only_some_reasons=None,
        indirect_crl=False,
        only_contains_attribute_certs=False,
    )


def _extension(value: x509.ExtensionType, *, critical: bool = False) -> x509.Extension[x509.ExtensionType]:
    return x509.Extension(value.oid, critical, value)


def _revoked(entry: CRLEntry) -> x509.RevokedCertificate:
    builder = x509.RevokedCertificateBuilder().serial_number(entry.serial).revocation_date(entry.revoked_at)
    # RFC 5280 section 5.3.1: unspecified is said by saying nothing.
    if entry.reason is not RevocationReason.UNSPECIFIED:
        builder = builder.add_extension(x509.CRLReason(_REASON_FLAGS[entry.reason]), critical=False)
    return builder.build()
