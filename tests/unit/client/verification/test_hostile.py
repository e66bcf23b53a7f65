"""Input made to break, exhaust or fool the engine."""

import time
from datetime import timedelta
from itertools import pairwise

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.client.verification.hierarchy import (
    LEAF_DNS,
    NOT_BEFORE,
    NOW,
    Authority,
    KeyKind,
    authority,
    hierarchy,
    leaf,
    make_key,
)
from tests.unit.client.verification.judge import found, judge

from certmint.verification import (
    MAXIMUM_CERTIFICATE_BYTES,
    MAXIMUM_CERTIFICATES,
    ChainError,
    DnsName,
    FailureReason,
    Purpose,
    build_path,
    parse_chain,
)

GOOD = {kind: hierarchy(kind) for kind in (KeyKind.P256, KeyKind.ED25519)}


def der(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(Encoding.DER)


def test_a_chain_is_parsed_in_order() -> None:
    good = GOOD[KeyKind.P256]
    assert list(parse_chain([der(certificate) for certificate in good.chain])) == good.chain


@pytest.mark.parametrize("count", [0, MAXIMUM_CERTIFICATES + 1])
def test_no_certificates_and_too_many_are_refused(count: int) -> None:
    with pytest.raises(ChainError) as refused:
        parse_chain([b"never parsed"] * count)
    assert refused.value.position is None


def test_a_certificate_that_is_too_large_or_none_at_all_is_named() -> None:
    good = der(GOOD[KeyKind.P256].leaf)
    for bad in (b"", b"not DER", good[:-1], good + b"\0", bytes(MAXIMUM_CERTIFICATE_BYTES + 1)):
        with pytest.raises(ChainError) as refused:
            parse_chain([good, bad])
        assert refused.value.position == 1


@pytest.mark.filterwarnings("ignore::cryptography.utils.CryptographyDeprecationWarning")  # a serial below 1 warns
@given(
    st.sampled_from(list(GOOD)), st.integers(0, 1), st.integers(0, 5000), st.integers(1, 255), st.sampled_from(Purpose)
)
@settings(max_examples=400, deadline=None, database=None)
def test_a_certificate_with_one_changed_byte_is_never_valid_and_never_a_crash(
    kind: KeyKind, position: int, offset: int, change: int, purpose: Purpose
) -> None:
    good = GOOD[kind]
    ders = [bytearray(der(certificate)) for certificate in good.chain]
    changed = ders[position]
    changed[offset % len(changed)] ^= change
    try:
        chain = parse_chain([bytes(each) for each in ders])
    except ChainError:
        return
    for expected in (None, DnsName(LEAF_DNS)):
        result = build_path(chain, trust_anchors=good.anchors, purpose=purpose, expected_name=expected, at_time=NOW)
        # The one byte that may change counts the unused bits of the signature's BIT STRING, which nobody reads.
        assert result.failures or all(
            (given.tbs_certificate_bytes, given.signature) == (made.tbs_certificate_bytes, made.signature)
            for given, made in zip(chain, good.chain, strict=True)
        )


def test_issuers_in_a_ring_lead_nowhere(kind: KeyKind) -> None:
    first, second = (Authority(authority(each, kind).certificate, make_key(kind, each), kind) for each in "ab")
    first_by_second, second_by_first = authority("a", kind, second), authority("b", kind, first)
    chain = [leaf(first), first_by_second.certificate, second_by_first.certificate]
    assert found(judge(chain, [authority("root", kind).certificate])) == {(2, FailureReason.UNTRUSTED)}


@pytest.mark.parametrize("kind", [KeyKind.P256, KeyKind.ED25519])
@pytest.mark.parametrize("keys", [1, 3, 15])
def test_namesakes_that_sign_each_other_end_within_bounds(kind: KeyKind, keys: int) -> None:
    namesakes = [authority("same", kind, key_owner=f"namesake {i % keys}") for i in range(keys)]
    ring = [
        authority(
            "same",
            kind,
            issuer,
            key_owner=f"namesake {i % keys}",
            extensions={x509.AuthorityKeyIdentifier: None, x509.SubjectKeyIdentifier: None},
        )
        for i, (_, issuer) in enumerate(pairwise([namesakes[(j * 2) % keys] for j in range(16)]))
    ]
    chain = [leaf(namesakes[0], extensions={}), *(each.certificate for each in ring[:15])]
    started = time.process_time()
    result = judge(chain, [authority("root", kind).certificate])
    assert time.process_time() - started < 1
    assert {reason for _, reason in found(result)} & {FailureReason.UNTRUSTED, FailureReason.SIGNATURE_INVALID}


def test_a_good_way_is_found_among_many_expired_ones(kind: KeyKind) -> None:
    expired = (NOT_BEFORE, NOW - timedelta(seconds=1))
    root = authority("root", kind)
    issuing = authority("issuing", kind, root)
    old = [authority("issuing", kind, root, dates=expired).certificate for _ in range(14)]
    assert not judge([leaf(issuing), *old, issuing.certificate], [root.certificate]).failures
