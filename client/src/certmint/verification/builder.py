"""Our own path builder: it searches the issuers by name and signature, and keeps the path with the least against it.

It decides where an issuer has an Ed25519 or Ed448 key, which `cryptography.x509.verification` refuses. Elsewhere its
result is not an opinion: it only names what is wrong with a chain that the library has refused.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from certmint.verification.criteria import Criteria
from certmint.verification.explain import path_faults
from certmint.verification.failure import FailureReason, Fault, PlacedFault, describe
from certmint.verification.profile import find, read_extensions
from certmint.verification.signature import signature_fault

# Certificates of one name that sign each other in a ring make paths without end, each step a signature to check.
# Honest chains need fewer than ten checks; Go's verifier stops at a hundred too.
_MAXIMUM_SIGNATURE_CHECKS: Final = 100
_MAXIMUM_STEPS: Final = 200
_MAXIMUM_JUDGED_PATHS: Final = 8


@dataclass(frozen=True, slots=True)
class Candidate:
    """A path, leaf first. Without `is_anchored` it ends where nothing led on, and one of `faults` says so."""

    certificates: tuple[x509.Certificate, ...]
    is_anchored: bool
    faults: tuple[PlacedFault, ...]

    def is_better_than(self, other: "Candidate | None") -> bool:
        """Whether it reaches an anchor with less against it or, where neither does, comes farther."""
        if other is None or self.is_anchored != other.is_anchored:
            return self.is_anchored or other is None
        if not self.is_anchored and len(self.certificates) != len(other.certificates):
            return len(self.certificates) > len(other.certificates)
        return len(self.faults) < len(other.faults)


def find_best_path(
    leaf: x509.Certificate,
    intermediates: Sequence[x509.Certificate],
    trust_anchors: Sequence[x509.Certificate],
    criteria: Criteria,
) -> Candidate:
    """The path from `leaf` to an anchor with the least against it; where none leads there, the farthest one."""
    search = _Search(frozenset(trust_anchors), _by_subject((*trust_anchors, *intermediates)), criteria)
    search.explore((leaf,))
    return search.best or search.judge((leaf,), is_anchored=False, end=_dead_end(leaf))


@dataclass(slots=True)
class _Search:
    anchors: frozenset[x509.Certificate]
    by_subject: Mapping[bytes, Sequence[x509.Certificate]]
    criteria: Criteria
    best: Candidate | None = None
    signatures: dict[tuple[x509.Certificate, x509.Certificate], Fault | None] = field(default_factory=dict)
    steps: int = 0
    judged: int = 0

    def explore(self, path: tuple[x509.Certificate, ...]) -> None:
        """Follow every issuer of the path's end, the likeliest first, until a path has nothing against it."""
        self.steps += 1
        leads_on, forged = False, None
        for issuer in self._issuers(path):
            if self._is_finished():
                return
            fault = self._signature_fault(path[-1], issuer)
            if fault:
                forged = forged or (fault if _key_identifiers_agree(path[-1], issuer) else None)
                continue
            leads_on = True
            if issuer in self.anchors:
                self._offer((*path, issuer), is_anchored=True, end=None)
            else:
                self.explore((*path, issuer))
        if not leads_on:
            self._offer(path, is_anchored=False, end=forged or _dead_end(path[-1]))

    def judge(self, path: tuple[x509.Certificate, ...], *, is_anchored: bool, end: Fault | None) -> Candidate:
        """The path with what is against it; `end` says why it goes no farther."""
        self.judged += 1
        placed_end = (PlacedFault(len(path) - 1, end),) if end else ()
        return Candidate(path, is_anchored, (*path_faults(path, self.criteria), *placed_end))

    def _offer(self, path: tuple[x509.Certificate, ...], *, is_anchored: bool, end: Fault | None) -> None:
        if not is_anchored and self.best and (self.best.is_anchored or len(path) < len(self.best.certificates)):
            return
        candidate = self.judge(path, is_anchored=is_anchored, end=end)
        if candidate.is_better_than(self.best):
            self.best = candidate

    def _issuers(self, path: tuple[x509.Certificate, ...]) -> list[x509.Certificate]:
        """By name, first those whose key identifiers agree and that are in date. None twice, by name and key."""
        seen = {_identity(certificate) for certificate in path}
        named = self.by_subject.get(path[-1].issuer.public_bytes(), ())
        fresh = [certificate for certificate in named if _identity(certificate) not in seen]
        return sorted(
            fresh, key=lambda issuer: (not _key_identifiers_agree(path[-1], issuer), not self._in_date(issuer))
        )

    def _in_date(self, certificate: x509.Certificate) -> bool:
        return certificate.not_valid_before_utc <= self.criteria.at_time <= certificate.not_valid_after_utc

    def _signature_fault(self, certificate: x509.Certificate, issuer: x509.Certificate) -> Fault | None:
        pair = (certificate, issuer)
        if pair not in self.signatures:
            self.signatures[pair] = signature_fault(certificate, issuer)
        return self.signatures[pair]

    def _is_finished(self) -> bool:
        return (
            (self.best is not None and self.best.is_anchored and not self.best.faults)
            or len(self.signatures) >= _MAXIMUM_SIGNATURE_CHECKS
            or self.steps >= _MAXIMUM_STEPS
            or self.judged >= _MAXIMUM_JUDGED_PATHS
        )


def _by_subject(certificates: Sequence[x509.Certificate]) -> Mapping[bytes, Sequence[x509.Certificate]]:
    named: dict[bytes, list[x509.Certificate]] = {}
    for certificate in dict.fromkeys(certificates):
        named.setdefault(certificate.subject.public_bytes(), []).append(certificate)
    return named


def _identity(certificate: x509.Certificate) -> tuple[bytes, bytes]:
    try:
        key = certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    except (ValueError, UnsupportedAlgorithm):
        key = certificate.public_bytes(Encoding.DER)
    return certificate.subject.public_bytes(), key


def _key_identifiers_agree(certificate: x509.Certificate, issuer: x509.Certificate) -> bool:
    """Whether both are there and equal, or one is missing. Where they differ, the issuer is a namesake."""
    authority, subject = read_extensions(certificate), read_extensions(issuer)
    wanted = find(authority, x509.AuthorityKeyIdentifier) if authority else None
    offered = find(subject, x509.SubjectKeyIdentifier) if subject else None
    if wanted is None or wanted.value.key_identifier is None or offered is None:
        return True
    return wanted.value.key_identifier == offered.value.digest


def _dead_end(certificate: x509.Certificate) -> Fault:
    issuer = describe(certificate.issuer)
    return Fault(FailureReason.UNTRUSTED, f"No way leads from it to a trust anchor; its issuer is {issuer}.")
