"""How the tests ask: with defaults, and both engines asked where both can answer."""

from collections.abc import Sequence
from datetime import datetime

from cryptography import x509
from cryptography.x509.oid import PublicKeyAlgorithmOID
from tests.unit.client.verification.hierarchy import NOW

from certmint.verification import ExpectedName, FailureReason, PathResult, Purpose, build_path
from certmint.verification.builder import find_best_path
from certmint.verification.criteria import Criteria

EDWARDS = (PublicKeyAlgorithmOID.ED25519, PublicKeyAlgorithmOID.ED448)


def judge(
    chain: Sequence[x509.Certificate],
    anchors: Sequence[x509.Certificate],
    *,
    purpose: Purpose = Purpose.SERVER_AUTH,
    expected: ExpectedName | None = None,
    at_time: datetime = NOW,
) -> PathResult:
    """The result of `build_path`; where the library decided, our builder must come to the same end."""
    result = build_path(chain, trust_anchors=anchors, purpose=purpose, expected_name=expected, at_time=at_time)
    assert bool(result.failures) or result.trust_anchor
    if chain[0] not in anchors and not any(c.public_key_algorithm_oid in EDWARDS for c in (*chain[1:], *anchors)):
        own = find_best_path(chain[0], chain[1:], anchors, Criteria(purpose, expected, at_time))
        assert (own.is_anchored and not own.faults) == (not result.failures)
    return result


def found(result: PathResult) -> set[tuple[int | None, FailureReason]]:
    """The failures, without their sentences."""
    return {(failure.certificate_index, failure.reason) for failure in result.failures}
