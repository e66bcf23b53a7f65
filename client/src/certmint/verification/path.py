"""From certificates in any order to a path, or to what is wrong with them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from cryptography import x509

from certmint.verification.builder import Candidate, find_best_path
from certmint.verification.criteria import Criteria, Purpose
from certmint.verification.explain import faults_beyond_library
from certmint.verification.failure import Failure, FailureReason, Fault, PlacedFault, describe
from certmint.verification.library import verify_by_library
from certmint.verification.name import ExpectedName
from certmint.verification.profile import leaf_faults
from certmint.verification.signature import EDWARDS_KEYS


@dataclass(frozen=True, slots=True)
class PathCertificate:
    """A certificate of a path. `index` is its position in the request, leaf 0; None: not one of them."""

    certificate: x509.Certificate
    index: int | None

    def failure(self, reason: FailureReason, detail: str) -> Failure:
        """The failure of this certificate; `detail` is a sentence of which it is the "it"."""
        return Failure(self.index, reason, f"{describe(self.certificate.subject)}: {detail}")


@dataclass(frozen=True, slots=True)
class PathResult:
    """The path from the leaf to a trust anchor and what is against it, revocation apart.

    Attributes:
        certificates: Leaf first, without the anchor. Empty when no path reaches one.
        trust_anchor: None when no path reaches one.
        failures: Empty exactly when the path is good.
        at_time: The time judged by.
    """

    certificates: tuple[PathCertificate, ...]
    trust_anchor: PathCertificate | None
    failures: tuple[Failure, ...]
    at_time: datetime

    @property
    def anchored(self) -> tuple[PathCertificate, ...]:
        """Leaf first, the anchor last. Empty when no path reaches one."""
        return (*self.certificates, self.trust_anchor) if self.trust_anchor else ()


def build_path(
    chain: Sequence[x509.Certificate],
    *,
    trust_anchors: Sequence[x509.Certificate],
    purpose: Purpose,
    expected_name: ExpectedName | None,
    at_time: datetime,
) -> PathResult:
    """The path from the leaf to one of the anchors, by RFC 5280 section 6.

    One engine decides: the library or, where an issuer has an Ed25519 or Ed448 key, our own builder.

    Args:
        chain: The leaf, then untrusted intermediates in any order; duplicates and strangers do no harm. At least one.
        trust_anchors: What is trusted; an intermediate may be. The leaf may not.
        purpose: What the leaf is to be used for.
        expected_name: The name it must carry; None: any.
        at_time: The time to judge by, aware; fractions of a second are cut off.

    Raises:
        ValueError: `chain` is empty, or `at_time` has no time zone.
    """
    if not chain:
        raise ValueError("A chain has at least its leaf.")
    criteria = Criteria(purpose, expected_name, at_time)
    leaf, intermediates = chain[0], chain[1:]
    if leaf in trust_anchors:
        return _result(_trusted_leaf(leaf, criteria), chain, criteria)
    if _has_edwards_issuer(leaf, (*intermediates, *trust_anchors)):
        return _result(find_best_path(leaf, intermediates, trust_anchors, criteria), chain, criteria)
    accepted = verify_by_library(leaf, intermediates, trust_anchors, criteria)
    if accepted:
        good = Candidate(accepted, is_anchored=True, faults=faults_beyond_library(accepted, criteria))
        return _result(good, chain, criteria)
    refused = find_best_path(leaf, intermediates, trust_anchors, criteria)
    return _result(refused, chain, criteria, is_refused=True)


def _trusted_leaf(leaf: x509.Certificate, criteria: Criteria) -> Candidate:
    detail = "It is itself a trust anchor, and stands where a leaf belongs."
    own = PlacedFault(0, Fault(FailureReason.BASIC_CONSTRAINTS, detail))
    others = (PlacedFault(0, fault) for fault in leaf_faults(leaf, criteria))
    return Candidate((leaf,), is_anchored=False, faults=(own, *others))


def _has_edwards_issuer(leaf: x509.Certificate, others: Sequence[x509.Certificate]) -> bool:
    """Whether a certificate that by name may be above the leaf has such a key; a stranger does not count."""
    edwards = [certificate for certificate in others if certificate.public_key_algorithm_oid in EDWARDS_KEYS]
    if not edwards:
        return False
    above: set[bytes] = set()
    wanted = {leaf.issuer.public_bytes()}
    while wanted:
        above |= wanted
        issuers = (certificate for certificate in others if certificate.subject.public_bytes() in wanted)
        wanted = {certificate.issuer.public_bytes() for certificate in issuers} - above
    return any(certificate.subject.public_bytes() in above for certificate in edwards)


def _result(
    found: Candidate, chain: Sequence[x509.Certificate], criteria: Criteria, *, is_refused: bool = False
) -> PathResult:
    # Backwards, so that of duplicates the first gives the index.
    indexes = {certificate: index for index, certificate in reversed(list(enumerate(chain)))}
    placed = [PathCertificate(certificate, indexes.get(certificate)) for certificate in found.certificates]
    failures = [placed[position].failure(fault.reason, fault.detail) for position, fault in found.faults]
    if is_refused and not failures:
        detail = "The chain breaks a rule of RFC 5280 for which there is no clearer reason here."
        failures = [Failure(None, FailureReason.EXTENSION, detail)]
    return PathResult(
        certificates=tuple(placed[:-1]) if found.is_anchored else (),
        trust_anchor=placed[-1] if found.is_anchored else None,
        failures=tuple(dict.fromkeys(failures)),
        at_time=criteria.at_time,
    )
