"""Paths through certificates in any order, with issuers of every kind of key, so that both engines are held alike."""

import ipaddress
import random
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID
from tests.unit.client.verification.hierarchy import (
    LEAF_DNS,
    LEAF_IP,
    LEAF_URI,
    NOT_BEFORE,
    NOW,
    Authority,
    Hierarchy,
    KeyKind,
    authority,
    leaf,
    make_key,
    purposes,
)
from tests.unit.client.verification.judge import found, judge

from certmint.verification import DnsName, ExpectedName, FailureReason, IpAddress, Purpose, UriName

SECOND = timedelta(seconds=1)


@pytest.mark.parametrize("purpose", list(Purpose))
@pytest.mark.parametrize(
    "expected", [None, DnsName(LEAF_DNS), IpAddress(ipaddress.ip_address(LEAF_IP)), UriName(LEAF_URI)], ids=str
)
def test_a_good_chain_is_valid_for_each_purpose_and_kind_of_name(
    good: Hierarchy, purpose: Purpose, expected: ExpectedName | None
) -> None:
    result = judge(good.chain, good.anchors, purpose=purpose, expected=expected)
    assert not result.failures
    assert [(member.certificate, member.index) for member in result.certificates] == [
        (good.leaf, 0),
        (good.issuing.certificate, 1),
    ]
    assert result.trust_anchor
    assert (result.trust_anchor.certificate, result.trust_anchor.index) == (good.root.certificate, None)
    assert [member.index for member in result.anchored] == [0, 1, None]


@pytest.mark.parametrize("root_kind", list(KeyKind))
def test_kinds_of_keys_may_be_mixed(kind: KeyKind, root_kind: KeyKind) -> None:
    root = authority("mixed root", root_kind)
    issuing = authority("mixed issuing", kind, root)
    assert not judge([leaf(issuing), issuing.certificate], [root.certificate]).failures


def test_an_intermediate_may_be_the_trust_anchor(good: Hierarchy) -> None:
    result = judge([good.leaf], [good.issuing.certificate])
    assert not result.failures
    assert len(result.certificates) == 1


def test_cross_signed_issuers_in_any_order_with_duplicates_and_strangers_do_no_harm(kind: KeyKind) -> None:
    old_root, new_root = authority("old root", kind), authority("new root", kind)
    cross = authority("new root", kind, old_root)
    issuing = authority("issuing", kind, new_root)
    stranger, namesake = authority("stranger", kind), authority("issuing", kind, key_owner="namesake")
    end = leaf(issuing)
    pile = [
        stranger.certificate, namesake.certificate, cross.certificate, end, cross.certificate, issuing.certificate,
        issuing.certificate, old_root.certificate,
    ]  # fmt: skip
    for seed in range(4):
        shuffled = random.Random(seed).sample(pile, len(pile))
        result = judge([end, *shuffled], [old_root.certificate])
        assert not result.failures
        path = [member.certificate for member in result.anchored]
        assert path == [end, issuing.certificate, cross.certificate, old_root.certificate]
        assert [member.index for member in result.anchored] == [
            0, *(1 + shuffled.index(certificate) for certificate in path[1:])
        ]  # fmt: skip


def test_another_way_is_taken_where_one_has_expired(kind: KeyKind) -> None:
    old_root, new_root = authority("old root", kind), authority("new root", kind)
    expired = authority("issuing", kind, old_root, dates=(NOT_BEFORE, NOW - SECOND))
    issuing = authority("issuing", kind, new_root)
    anchors = [old_root.certificate, new_root.certificate]
    result = judge([leaf(issuing), expired.certificate, issuing.certificate], anchors)
    assert not result.failures
    assert [member.index for member in result.certificates] == [0, 2]


def test_a_chain_with_no_way_to_an_anchor_is_untrusted(good: Hierarchy, kind: KeyKind) -> None:
    other = authority("other root", kind)
    result = judge(good.chain, [other.certificate])
    assert found(result) == {(1, FailureReason.UNTRUSTED)}
    assert (result.certificates, result.trust_anchor, result.anchored) == ((), None, ())


def test_a_missing_intermediate_is_untrusted(good: Hierarchy) -> None:
    assert found(judge([good.leaf], good.anchors)) == {(0, FailureReason.UNTRUSTED)}


def test_without_anchors_nothing_is_trusted(good: Hierarchy) -> None:
    assert found(judge(good.chain, [])) == {(1, FailureReason.UNTRUSTED)}


def test_a_namesake_of_the_issuer_is_no_issuer(good: Hierarchy, kind: KeyKind) -> None:
    namesake = authority("issuing", kind, good.root, key_owner="namesake")
    assert found(judge([good.leaf, namesake.certificate], good.anchors)) == {(0, FailureReason.UNTRUSTED)}


def test_a_forged_signature_is_invalid(good: Hierarchy, kind: KeyKind) -> None:
    forged = leaf(good.issuing, issuer_key=make_key(kind, "forger"))
    result = judge([forged, good.issuing.certificate], good.anchors)
    assert found(result) == {(0, FailureReason.SIGNATURE_INVALID)}
    assert "CN=issuing" in result.failures[0].detail


def test_a_forged_intermediate_is_invalid(good: Hierarchy, kind: KeyKind) -> None:
    forger = Authority(good.root.certificate, make_key(kind, "forger"), kind)
    matching = {x509.AuthorityKeyIdentifier: None}
    forged = authority("issuing", kind, forger, extensions=matching)
    assert found(judge([good.leaf, forged.certificate], good.anchors)) == {(1, FailureReason.SIGNATURE_INVALID)}


def test_several_failures_are_reported_together(good: Hierarchy) -> None:
    old = leaf(good.issuing, dates=(NOT_BEFORE, NOW - SECOND), extensions=purposes(ExtendedKeyUsageOID.CLIENT_AUTH))
    result = judge([old, good.issuing.certificate], good.anchors, expected=DnsName("other.demo.test"))
    assert found(result) == {
        (0, FailureReason.EXPIRED),
        (0, FailureReason.PURPOSE),
        (0, FailureReason.NAME_MISMATCH),
    }


def test_a_trust_anchor_as_leaf_is_refused(good: Hierarchy) -> None:
    result = judge([good.leaf], [good.leaf, *good.anchors])
    assert found(result) == {(0, FailureReason.BASIC_CONSTRAINTS)}


@pytest.mark.parametrize("root_kind", [KeyKind.P256, KeyKind.ED25519])
def test_eight_intermediates_pass_and_nine_are_too_long(root_kind: KeyKind) -> None:
    above = root = authority("root", root_kind)
    chain: list[x509.Certificate] = []
    for depth in range(9):
        above = authority(f"level {depth}", KeyKind.P256, above)
        chain.insert(0, above.certificate)
        reasons = found(judge([leaf(above), *chain], [root.certificate]))
        assert reasons == (set() if depth < 8 else {(9, FailureReason.TOO_LONG)})


def test_a_stranger_with_an_edwards_key_does_not_change_the_engine(good: Hierarchy) -> None:
    stranger = authority("stranger", KeyKind.ED25519)
    result = judge([*good.chain, stranger.certificate], [*good.anchors, stranger.certificate])
    assert not result.failures


def test_a_failure_names_the_subject_for_people(good: Hierarchy) -> None:
    result = judge(good.chain, good.anchors, expected=DnsName("other.demo.test"))
    assert result.failures[0].detail == (
        "CN=payments.demo.test: It is expected to carry DNS other.demo.test, and carries "
        "DNS payments.demo.test, URI spiffe://demo.test/payments, IP 192.0.2.7."
    )


def test_the_time_to_judge_by_needs_a_time_zone_and_loses_its_fraction(good: Hierarchy) -> None:
    assert judge(good.chain, good.anchors, at_time=NOW.replace(microsecond=999_999)).at_time == NOW
    with pytest.raises(ValueError, match="time zone"):
        judge(good.chain, good.anchors, at_time=datetime(2030, 6, 1))  # noqa: DTZ001  the fault under test
    assert judge(good.chain, good.anchors, at_time=NOW).at_time.tzinfo is UTC


def test_an_empty_chain_is_refused(good: Hierarchy) -> None:
    with pytest.raises(ValueError, match="at least its leaf"):
        judge([], good.anchors)
