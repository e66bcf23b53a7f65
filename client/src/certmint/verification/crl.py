"""CRLs as evidence, with no server to ask (RFC 5280 sections 5 and 6.3)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from typing import Final

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm

from certmint.verification.failure import describe
from certmint.verification.path import PathResult
from certmint.verification.profile import UNREADABLE, find, read_extensions
from certmint.verification.revocation import Revocation, RevocationEvidence, RevocationReason, RevocationSource
from certmint.verification.signature import ACCEPTED_SIGNATURES

MAXIMUM_CRLS: Final = 16
# About 800,000 entries.
MAXIMUM_CRL_BYTES: Final = 32 * 1024 * 1024

_REASONS = {
    x509.ReasonFlags.key_compromise: RevocationReason.KEY_COMPROMISE,
    x509.ReasonFlags.ca_compromise: RevocationReason.CA_COMPROMISE,
    x509.ReasonFlags.affiliation_changed: RevocationReason.AFFILIATION_CHANGED,
    x509.ReasonFlags.superseded: RevocationReason.SUPERSEDED,
    x509.ReasonFlags.cessation_of_operation: RevocationReason.CESSATION_OF_OPERATION,
    x509.ReasonFlags.certificate_hold: RevocationReason.CERTIFICATE_HOLD,
    x509.ReasonFlags.remove_from_crl: RevocationReason.REMOVE_FROM_CRL,
    x509.ReasonFlags.privilege_withdrawn: RevocationReason.PRIVILEGE_WITHDRAWN,
    x509.ReasonFlags.aa_compromise: RevocationReason.AA_COMPROMISE,
}


@dataclass(frozen=True, slots=True)
class CrlRefusal:
    """A CRL that says nothing about the path, by its position among those given, and a sentence that says why."""

    index: int
    detail: str


@dataclass(frozen=True, slots=True)
class CrlEvidence:
    """Evidence by position in the path, as `conclude` takes it, and the CRLs that gave none."""

    evidence: Mapping[int, RevocationEvidence]
    refusals: tuple[CrlRefusal, ...]


def evidence_from_crls(result: PathResult, crls: Sequence[bytes], *, now: datetime) -> CrlEvidence:
    """What complete CRLs say about the certificates of a path.

    A CRL counts for a certificate when the certificate's issuer signed it, its scope covers the certificate, and
    nothing in it is critical and not understood. Of several, the one with the highest CRL number counts. Delta CRLs,
    indirect ones and those for some reasons only are refused. Whether it is fresh is left to `conclude`.

    Args:
        result: From `build_path`.
        crls: At most 16, DER, of at most 32 MiB each, in any order; strangers do no harm.
        now: The present, aware: a CRL made after it is refused. The time judged by may lie before.

    Raises:
        ValueError: there are too many CRLs.
    """
    if len(crls) > MAXIMUM_CRLS:
        raise ValueError(f"At most {MAXIMUM_CRLS} CRLs are taken; these are {len(crls)}.")
    best: dict[int, RevocationEvidence] = {}
    refusals = []
    for index, der in enumerate(crls):
        try:
            found = _Crl.parse(der, now=now).evidence(result)
        except _RefusedError as error:
            refusals.append(CrlRefusal(index, str(error)))
            continue
        for position, evidence in found.items():
            if position not in best or _age(evidence) > _age(best[position]):
                best[position] = evidence
    return CrlEvidence(best, tuple(refusals))


def _age(evidence: RevocationEvidence) -> tuple[int, datetime]:
    return evidence.crl_number, evidence.this_update


class _RefusedError(ValueError):
    """A CRL, or a CRL for one certificate, is no evidence."""


@dataclass(frozen=True, slots=True)
class _Crl:
    crl: x509.CertificateRevocationList
    number: int
    this_update: datetime
    next_update: datetime
    scope: x509.IssuingDistributionPoint | None

    @classmethod
    def parse(cls, der: bytes, *, now: datetime) -> "_Crl":
        if len(der) > MAXIMUM_CRL_BYTES:
            raise _RefusedError("It is larger than 32 MiB.")
        try:
            crl = x509.load_der_x509_crl(der)
            extensions = crl.extensions
            this_update, next_update = crl.last_update_utc, crl.next_update_utc
        except (*UNREADABLE, x509.InvalidVersion) as error:
            raise _RefusedError("It is not a CRL in DER.") from error
        if this_update > now:
            raise _RefusedError(f"It was made in the future, at {this_update:%Y-%m-%d %H:%M:%S} UTC.")
        if next_update is None:
            raise _RefusedError("It has no nextUpdate.")
        if crl.signature_algorithm_oid not in ACCEPTED_SIGNATURES:
            raise _RefusedError("It is signed with an algorithm that is not accepted.")
        return cls(crl, _number(extensions), this_update, next_update, _scope(extensions))

    def evidence(self, result: PathResult) -> dict[int, RevocationEvidence]:
        found: dict[int, RevocationEvidence] = {}
        refusal = _RefusedError("Its issuer issued no certificate of the path.")
        path = [member.certificate for member in result.anchored]
        for position, (certificate, issuer) in enumerate(pairwise(path)):
            if self.crl.issuer.public_bytes() != issuer.subject.public_bytes():
                continue
            try:
                self._verify_signature(issuer)
                self._verify_scope(certificate)
            except _RefusedError as error:
                refusal = error
                continue
            found[position] = self._about(certificate)
        if not found:
            raise refusal
        return found

    def _verify_signature(self, issuer: x509.Certificate) -> None:
        extensions = read_extensions(issuer)
        usage = find(extensions, x509.KeyUsage) if extensions else None
        if usage and not usage.value.crl_sign:
            raise _RefusedError(f"The key usage of {describe(issuer.subject)} does not have cRLSign.")
        try:
            is_valid = self.crl.is_signature_valid(issuer.public_key())  # type: ignore[arg-type]  # a TypeError answers
        except (ValueError, TypeError, UnsupportedAlgorithm):
            is_valid = False
        if not is_valid:
            raise _RefusedError(f"Its signature does not verify under the key of {describe(issuer.subject)}.")

    def _verify_scope(self, certificate: x509.Certificate) -> None:
        if self.scope is None:
            return
        is_ca = _is_ca(certificate)
        if (self.scope.only_contains_user_certs and is_ca) or (self.scope.only_contains_ca_certs and not is_ca):
            raise _RefusedError("Its scope leaves out the certificates of the path.")
        points = _distribution_points(certificate)
        if self.scope.full_name and points and not points & set(self.scope.full_name):
            raise _RefusedError("Its distribution point is none that the certificate names.")

    def _about(self, certificate: x509.Certificate) -> RevocationEvidence:
        entry = self.crl.get_revoked_certificate_by_serial_number(certificate.serial_number)
        revocation = Revocation(_reason(entry), entry.revocation_date_utc, self.number) if entry else None
        return RevocationEvidence(
            RevocationSource.CRL, self.number, self.this_update, self.next_update, revocation=revocation
        )


def _number(extensions: x509.Extensions) -> int:
    number = find(extensions, x509.CRLNumber)
    if number is None:
        raise _RefusedError("It has no CRL number.")
    return number.value.crl_number


def _scope(extensions: x509.Extensions) -> x509.IssuingDistributionPoint | None:
    for extension in extensions:
        if extension.critical and not isinstance(extension.value, x509.IssuingDistributionPoint):
            raise _RefusedError(f"Its extension {extension.oid.dotted_string} is critical and not understood here.")
    if find(extensions, x509.DeltaCRLIndicator):
        raise _RefusedError("It is a delta CRL.")
    found = find(extensions, x509.IssuingDistributionPoint)
    if found is None:
        return None
    scope = found.value
    if scope.indirect_crl or scope.only_some_reasons or scope.only_contains_attribute_certs or scope.relative_name:
        raise _RefusedError("It is indirect, for some reasons only, for attribute certificates or named relatively.")
    return scope


def _is_ca(certificate: x509.Certificate) -> bool:
    extensions = read_extensions(certificate)
    constraints = find(extensions, x509.BasicConstraints) if extensions else None
    return bool(constraints and constraints.value.ca)


def _distribution_points(certificate: x509.Certificate) -> set[x509.GeneralName]:
    extensions = read_extensions(certificate)
    points = find(extensions, x509.CRLDistributionPoints) if extensions else None
    return {name for point in points.value for name in point.full_name or ()} if points else set()


def _reason(entry: x509.RevokedCertificate) -> RevocationReason:
    """Whatever else its extensions say, a serial in its issuer's own CRL is revoked."""
    try:
        reason = entry.extensions.get_extension_for_class(x509.CRLReason).value.reason
    except (*UNREADABLE, x509.ExtensionNotFound):
        return RevocationReason.UNSPECIFIED
    return _REASONS.get(reason, RevocationReason.UNSPECIFIED)
