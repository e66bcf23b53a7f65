from collections.abc import Mapping
from datetime import datetime, timedelta

import pytest
from tests.unit.client.verification.hierarchy import NOT_AFTER, NOW, KeyKind, hierarchy
from tests.unit.client.verification.judge import judge

from certmint.verification import (
    FailureReason,
    Revocation,
    RevocationEvidence,
    RevocationPolicy,
    RevocationReason,
    RevocationSource,
    Verdict,
    conclude,
)

GOOD = hierarchy(KeyKind.P256)
HOUR = timedelta(hours=1)
COMPROMISES = {RevocationReason.KEY_COMPROMISE, RevocationReason.CA_COMPROMISE, RevocationReason.AA_COMPROMISE}


def evidence(
    *,
    next_update: datetime | None = None,
    revocation: Revocation | None = None,
    is_never_issued: bool = False,
) -> RevocationEvidence:
    return RevocationEvidence(RevocationSource.REGISTRY, 7, NOW, next_update, revocation, is_never_issued)


def revoked(reason: RevocationReason, at: datetime) -> RevocationEvidence:
    return evidence(revocation=Revocation(reason, at, 7))


def verdict(found: Mapping[int, RevocationEvidence], policy: RevocationPolicy, *, at_time: datetime = NOW) -> Verdict:
    return conclude(judge(GOOD.chain, GOOD.anchors, at_time=at_time), found, policy)


def reasons(answer: Verdict) -> list[tuple[int | None, FailureReason]]:
    assert answer.valid == (not answer.failures)
    return [(failure.certificate_index, failure.reason) for failure in answer.failures]


@pytest.mark.parametrize("policy", list(RevocationPolicy))
def test_fresh_evidence_of_no_revocation_makes_a_good_path_valid(policy: RevocationPolicy) -> None:
    answer = verdict({0: evidence(), 1: evidence(next_update=NOW)}, policy)
    assert reasons(answer) == []
    assert (answer.policy, answer.evaluated_at) == (policy, NOW)
    assert [member.index for member in answer.path] == [0, 1]
    assert answer.trust_anchor
    if policy is RevocationPolicy.NONE:
        assert answer.revocation == ()
    else:
        assert [(status.certificate.index, status.is_fresh) for status in answer.revocation] == [(0, True), (1, True)]


def test_missing_evidence_is_refused_only_where_fresh_evidence_is_required() -> None:
    assert reasons(verdict({0: evidence()}, RevocationPolicy.REQUIRE_FRESH)) == [(1, FailureReason.REVOCATION_UNKNOWN)]
    assert reasons(verdict({}, RevocationPolicy.SOFT_STALE)) == []
    assert reasons(verdict({}, RevocationPolicy.NONE)) == []


def test_stale_evidence_is_refused_only_where_fresh_evidence_is_required() -> None:
    found = {0: evidence(next_update=NOW - timedelta(seconds=1)), 1: evidence()}
    answer = verdict(found, RevocationPolicy.REQUIRE_FRESH)
    assert reasons(answer) == [(0, FailureReason.REVOCATION_STALE)]
    assert not answer.revocation[0].is_fresh
    assert reasons(verdict(found, RevocationPolicy.SOFT_STALE)) == []


@pytest.mark.parametrize("reason", list(RevocationReason))
def test_a_revocation_counts_from_its_time_on_and_a_compromise_before_it_too(reason: RevocationReason) -> None:
    for at, counts in ((NOW - HOUR, True), (NOW, True), (NOW + HOUR, reason in COMPROMISES)):
        for policy in (RevocationPolicy.REQUIRE_FRESH, RevocationPolicy.SOFT_STALE):
            answer = verdict({0: evidence(), 1: revoked(reason, at)}, policy)
            assert reasons(answer) == ([(1, FailureReason.REVOKED)] if counts else [])


def test_a_known_revocation_is_refused_with_stale_evidence_too() -> None:
    revocation = Revocation(RevocationReason.SUPERSEDED, NOW - HOUR, 7)
    found = {0: evidence(next_update=NOW - HOUR, revocation=revocation), 1: evidence()}
    assert reasons(verdict(found, RevocationPolicy.SOFT_STALE)) == [(0, FailureReason.REVOKED)]
    assert reasons(verdict(found, RevocationPolicy.REQUIRE_FRESH)) == [
        (0, FailureReason.REVOKED),
        (0, FailureReason.REVOCATION_STALE),
    ]


def test_a_certificate_that_was_never_issued_is_refused_under_every_policy() -> None:
    found = {0: evidence(is_never_issued=True), 1: revoked(RevocationReason.KEY_COMPROMISE, NOW)}
    refusals = [(0, FailureReason.NOT_IN_REGISTRY), (1, FailureReason.REVOKED)]
    assert reasons(verdict(found, RevocationPolicy.REQUIRE_FRESH)) == refusals
    assert reasons(verdict(found, RevocationPolicy.SOFT_STALE)) == refusals
    assert reasons(verdict(found, RevocationPolicy.NONE)) == refusals[:1]


def test_failures_of_the_path_and_of_revocation_stand_together() -> None:
    at_time = NOT_AFTER + HOUR
    answer = verdict({0: revoked(RevocationReason.SUPERSEDED, NOW)}, RevocationPolicy.SOFT_STALE, at_time=at_time)
    assert {reason for _, reason in reasons(answer)} == {FailureReason.EXPIRED, FailureReason.REVOKED}


def test_where_there_is_no_path_revocation_is_not_asked_for() -> None:
    answer = conclude(judge([GOOD.leaf], GOOD.anchors), {}, RevocationPolicy.REQUIRE_FRESH)
    assert reasons(answer) == [(0, FailureReason.UNTRUSTED)]
    assert (answer.path, answer.trust_anchor, answer.revocation) == ((), None, ())


def test_as_of_now_a_revocation_counts_though_its_date_lies_ahead_of_a_clock_that_lags() -> None:
    path = judge(GOOD.chain, GOOD.anchors, at_time=NOW)
    found = {0: revoked(RevocationReason.SUPERSEDED, NOW + HOUR), 1: evidence()}
    assert conclude(path, found, RevocationPolicy.REQUIRE_FRESH).valid
    assert not conclude(path, found, RevocationPolicy.REQUIRE_FRESH, as_of_now=True).valid
