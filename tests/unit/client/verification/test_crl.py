import random
from collections.abc import Sequence
from datetime import datetime, timedelta

import pytest
from cryptography import x509
from tests.unit.client.verification.hierarchy import (
    CRL_URL,
    NOT_AFTER,
    NOW,
    Hierarchy,
    KeyKind,
    authority,
    crl,
    hierarchy,
    key_usage,
    leaf,
    make_key,
)
from tests.unit.client.verification.judge import judge

from certmint.verification import (
    CrlEvidence,
    FailureReason,
    RevocationPolicy,
    RevocationReason,
    RevocationSource,
    conclude,
    evidence_from_crls,
)
from certmint.verification.crl import MAXIMUM_CRL_BYTES, MAXIMUM_CRLS

HOUR = timedelta(hours=1)
URL = [x509.UniformResourceIdentifier(CRL_URL)]


def read(good: Hierarchy, crls: Sequence[bytes], *, at_time: datetime = NOW, now: datetime = NOW) -> CrlEvidence:
    return evidence_from_crls(judge(good.chain, good.anchors, at_time=at_time), crls, now=now)


def refusal(good: Hierarchy, der: bytes) -> str:
    """Why the CRL is no evidence about any certificate of the path."""
    answer = read(good, [der])
    assert answer.evidence == {}
    assert [each.index for each in answer.refusals] == [0]
    return answer.refusals[0].detail


def scope(
    full_name: list[x509.UniformResourceIdentifier] | None = None,
    *,
    user: bool = False,
    ca: bool = False,
    attribute: bool = False,
    indirect: bool = False,
    reasons: frozenset[x509.ReasonFlags] | None = None,
) -> list[tuple[x509.ExtensionType, bool]]:
    point = x509.IssuingDistributionPoint(full_name, None, user, ca, reasons, indirect, attribute)
    return [(point, True)]


def test_crls_without_the_serials_are_evidence_that_nothing_is_revoked(good: Hierarchy) -> None:
    answer = read(good, [crl(good.root, number=3), crl(good.issuing, number=9)])
    assert answer.refusals == ()
    assert {position: each.crl_number for position, each in answer.evidence.items()} == {0: 9, 1: 3}
    for each in answer.evidence.values():
        assert (each.source, each.revocation, each.is_never_issued) == (RevocationSource.CRL, None, False)
        assert (each.this_update, each.next_update) == (NOW - HOUR, NOW + HOUR)
    result = judge(good.chain, good.anchors)
    assert conclude(result, answer.evidence, RevocationPolicy.REQUIRE_FRESH).valid


def test_a_revoked_leaf_and_a_revoked_issuer_are_found(good: Hierarchy) -> None:
    crls = [
        crl(good.issuing, [good.leaf], reason=x509.ReasonFlags.superseded),
        crl(good.root, [good.issuing.certificate], revoked_at=NOW - HOUR),
    ]
    answer = read(good, crls)
    leaf_revocation, issuer_revocation = answer.evidence[0].revocation, answer.evidence[1].revocation
    assert leaf_revocation
    assert (leaf_revocation.reason, leaf_revocation.crl_number) == (RevocationReason.SUPERSEDED, 7)
    assert issuer_revocation
    assert (issuer_revocation.reason, issuer_revocation.revoked_at) == (RevocationReason.UNSPECIFIED, NOW - HOUR)
    verdict = conclude(judge(good.chain, good.anchors), answer.evidence, RevocationPolicy.SOFT_STALE)
    assert [(failure.certificate_index, failure.reason) for failure in verdict.failures] == [
        (0, FailureReason.REVOKED),
        (1, FailureReason.REVOKED),
    ]


@pytest.mark.parametrize("reason", [reason for reason in x509.ReasonFlags if reason.value != "unspecified"])
def test_every_reason_of_a_crl_is_understood(reason: x509.ReasonFlags) -> None:
    good = hierarchy(KeyKind.P256)
    revocation = read(good, [crl(good.issuing, [good.leaf], reason=reason)]).evidence[0].revocation
    assert revocation
    assert revocation.reason.name.lower().replace("_", "") == reason.value.lower()


def test_a_stale_crl_is_evidence_that_is_not_fresh(good: Hierarchy) -> None:
    stale = (NOW - 2 * HOUR, NOW - HOUR)
    answer = read(good, [crl(good.issuing, updates=stale), crl(good.root)])
    verdict = conclude(judge(good.chain, good.anchors), answer.evidence, RevocationPolicy.REQUIRE_FRESH)
    assert [(failure.certificate_index, failure.reason) for failure in verdict.failures] == [
        (0, FailureReason.REVOCATION_STALE)
    ]


def test_a_crl_made_in_the_future_is_refused(good: Hierarchy) -> None:
    future = crl(good.issuing, updates=(NOW + timedelta(seconds=1), NOW + HOUR))
    assert "future" in refusal(good, future)


def test_the_present_crl_counts_when_the_past_is_judged(good: Hierarchy) -> None:
    der = crl(good.issuing, [good.leaf], reason=x509.ReasonFlags.key_compromise)
    past = NOW - timedelta(days=30)
    answer = read(good, [der], at_time=past)
    verdict = conclude(judge(good.chain, good.anchors, at_time=past), answer.evidence, RevocationPolicy.SOFT_STALE)
    assert [failure.reason for failure in verdict.failures] == [FailureReason.REVOKED]


def test_a_crl_with_another_key_s_signature_is_refused(good: Hierarchy, kind: KeyKind) -> None:
    assert "signature" in refusal(good, crl(good.issuing, [good.leaf], key=make_key(kind, "forger")))


def test_a_crl_of_a_stranger_is_refused(good: Hierarchy, kind: KeyKind) -> None:
    assert "issued no certificate" in refusal(good, crl(authority("stranger", kind)))


def test_an_issuer_without_crl_sign_signs_no_crl(kind: KeyKind) -> None:
    root = authority("root", kind)
    usage = {x509.KeyUsage: (key_usage(certificate_sign=True, crl_sign=False), True)}
    issuing = authority("issuing", kind, root, extensions=usage)
    assert "cRLSign" in refusal(Hierarchy(root, issuing, leaf(issuing)), crl(issuing))


def test_the_highest_crl_number_counts_in_any_order(good: Hierarchy) -> None:
    crls = [crl(good.issuing, number=1), crl(good.issuing, [good.leaf], number=3), crl(good.issuing, number=2)]
    for seed in range(4):
        evidence = read(good, random.Random(seed).sample(crls, 3)).evidence[0]
        assert evidence.crl_number == 3
        assert evidence.revocation


@pytest.mark.parametrize(
    ("extensions", "covered"),
    [
        (scope(URL), {0, 1}),
        (scope([x509.UniformResourceIdentifier("http://elsewhere.test/1.crl")]), {1}),
        (scope([x509.UniformResourceIdentifier("http://elsewhere.test/1.crl"), *URL]), {0, 1}),
        (scope(user=True), {0}),
        (scope(ca=True), {1}),
    ],
    ids=["same URL", "other URL", "one of two URLs", "leaves only", "CAs only"],
)
def test_the_scope_of_a_crl_is_respected(
    good: Hierarchy, extensions: list[tuple[x509.ExtensionType, bool]], covered: set[int]
) -> None:
    crls = [crl(issuer, extensions=extensions) for issuer in (good.issuing, good.root)]
    answer = read(good, crls)
    # The issuing CA's certificate names no distribution point, so its issuer's CRL is taken wherever it comes from.
    assert set(answer.evidence) == covered
    assert {each.index for each in answer.refusals} == {0, 1} - covered


@pytest.mark.parametrize(
    "extensions",
    [
        scope(indirect=True),
        scope(attribute=True),
        scope(reasons=frozenset({x509.ReasonFlags.key_compromise})),
        [(x509.DeltaCRLIndicator(1), True)],
        [(x509.DeltaCRLIndicator(1), False)],
        [(x509.UnrecognizedExtension(x509.ObjectIdentifier("1.3.6.1.4.1.55555.1"), b"\x05\x00"), True)],
    ],
    ids=["indirect", "attribute certificates", "some reasons", "delta", "lax delta", "unknown critical"],
)
def test_a_crl_that_is_not_complete_or_not_understood_is_refused(
    good: Hierarchy, extensions: list[tuple[x509.ExtensionType, bool]]
) -> None:
    assert refusal(good, crl(good.issuing, [good.leaf], extensions=extensions))


def test_an_unknown_extension_that_is_not_critical_does_no_harm(good: Hierarchy) -> None:
    unknown = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.3.6.1.4.1.55555.1"), b"\x05\x00")
    assert read(good, [crl(good.issuing, extensions=[(unknown, False)])]).evidence


def test_a_crl_without_a_number_is_refused(good: Hierarchy) -> None:
    assert "number" in refusal(good, crl(good.issuing, number=None))


def test_what_is_no_crl_or_too_large_is_refused_and_the_others_are_read() -> None:
    good = hierarchy(KeyKind.P256)
    crls = [b"", b"no CRL", bytes(MAXIMUM_CRL_BYTES + 1), crl(good.issuing)]
    answer = read(good, crls)
    assert [each.index for each in answer.refusals] == [0, 1, 2]
    assert set(answer.evidence) == {0}


def test_too_many_crls_are_refused_at_once() -> None:
    with pytest.raises(ValueError, match="At most 16"):
        read(hierarchy(KeyKind.P256), [b""] * (MAXIMUM_CRLS + 1))


def test_without_a_path_no_crl_says_anything() -> None:
    good = hierarchy(KeyKind.P256)
    result = judge([good.leaf], good.anchors, at_time=NOT_AFTER)
    answer = evidence_from_crls(result, [crl(good.issuing)], now=NOW)
    assert answer.evidence == {}
    assert len(answer.refusals) == 1
