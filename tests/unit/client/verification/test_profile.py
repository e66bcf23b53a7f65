"""The rules for one certificate of a path, held against both engines."""

from datetime import timedelta, timezone

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed25519, rsa
from cryptography.hazmat.primitives.asymmetric.types import CertificateIssuerPrivateKeyTypes
from cryptography.x509.oid import ExtendedKeyUsageOID, ExtensionOID
from tests.unit.client.verification.hierarchy import (
    LEAF_DNS,
    NOT_AFTER,
    NOT_BEFORE,
    NOW,
    Authority,
    Extensions,
    Hierarchy,
    KeyKind,
    authority,
    crl_distribution_points,
    dns_san,
    hierarchy,
    key_usage,
    leaf,
    make_key,
    purposes,
    with_generalized_dates,
    without_algorithm_parameters,
)
from tests.unit.client.verification.judge import found, judge

from certmint.verification import DnsName, ExpectedName, FailureReason, Purpose, build_path

SECOND = timedelta(seconds=1)
UNKNOWN = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.3.6.1.4.1.55555.1"), b"\x05\x00")


def test_both_ends_of_validity_are_inclusive(good: Hierarchy) -> None:
    for at_time in (NOT_BEFORE, NOT_AFTER, NOT_AFTER + SECOND * 0.9):
        assert not judge(good.chain, good.anchors, at_time=at_time).failures
    elsewhere = NOT_AFTER.astimezone(timezone(timedelta(hours=5)))
    assert not judge(good.chain, good.anchors, at_time=elsewhere).failures


@pytest.mark.parametrize("expired", [0, 1, None], ids=["leaf", "issuing", "root"])
def test_the_expired_certificate_is_named_with_its_date(kind: KeyKind, expired: int | None) -> None:
    dates = (NOT_BEFORE, NOW - SECOND)
    whole = (NOT_BEFORE, NOT_AFTER)
    root = authority("root", kind, dates=dates if expired is None else whole)
    issuing = authority("issuing", kind, root, dates=dates if expired == 1 else whole)
    end = leaf(issuing, dates=dates if expired == 0 else whole)
    result = judge([end, issuing.certificate], [root.certificate])
    assert found(result) == {(expired, FailureReason.EXPIRED)}
    assert "2030-06-01 11:59:59 UTC" in result.failures[0].detail


@pytest.mark.parametrize("early", [0, 1, None], ids=["leaf", "issuing", "root"])
def test_the_certificate_that_is_not_yet_valid_is_named(kind: KeyKind, early: int | None) -> None:
    dates, whole = (NOW + SECOND, NOT_AFTER), (NOT_BEFORE, NOT_AFTER)
    root = authority("root", kind, dates=dates if early is None else whole)
    issuing = authority("issuing", kind, root, dates=dates if early == 1 else whole)
    end = leaf(issuing, dates=dates if early == 0 else whole)
    assert found(judge([end, issuing.certificate], [root.certificate])) == {(early, FailureReason.NOT_YET_VALID)}


@pytest.mark.parametrize("purpose", [Purpose.SERVER_AUTH, Purpose.CLIENT_AUTH])
@pytest.mark.parametrize("expected", [None, DnsName(LEAF_DNS)], ids=str)
def test_a_leaf_for_another_purpose_is_refused_except_for_any(
    good: Hierarchy, purpose: Purpose, expected: ExpectedName | None
) -> None:
    other = {
        Purpose.SERVER_AUTH: ExtendedKeyUsageOID.CLIENT_AUTH,
        Purpose.CLIENT_AUTH: ExtendedKeyUsageOID.SERVER_AUTH,
    }[purpose]
    for allowed in ([other], [ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE]):
        chain = [leaf(good.issuing, extensions=purposes(*allowed)), good.issuing.certificate]
        refused = judge(chain, good.anchors, purpose=purpose, expected=expected)
        assert found(refused) == {(0, FailureReason.PURPOSE)}
        assert not judge(chain, good.anchors, purpose=Purpose.ANY, expected=expected).failures


@pytest.mark.parametrize("purpose", [Purpose.SERVER_AUTH, Purpose.CLIENT_AUTH])
def test_purposes_nest_in_those_of_the_issuers(good: Hierarchy, kind: KeyKind, purpose: Purpose) -> None:
    needed, other = ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH
    if purpose is Purpose.CLIENT_AUTH:
        needed, other = other, needed
    for allowed, failures in (
        ([other], {(1, FailureReason.PURPOSE)}),
        ([needed], set()),
        ([ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE], set()),
    ):
        issuing = authority("issuing", kind, good.root, extensions=purposes(*allowed))
        chain = [leaf(issuing), issuing.certificate]
        assert found(judge(chain, good.anchors, purpose=purpose)) == failures
        assert not judge(chain, good.anchors, purpose=Purpose.ANY).failures


def test_a_leaf_without_extended_key_usage_serves_every_purpose(good: Hierarchy) -> None:
    end = leaf(good.issuing, extensions={x509.ExtendedKeyUsage: None})
    for purpose in Purpose:
        assert not judge([end, good.issuing.certificate], good.anchors, purpose=purpose).failures


def test_a_ca_as_leaf_is_refused(good: Hierarchy, kind: KeyKind) -> None:
    name = {x509.SubjectAlternativeName: (dns_san(LEAF_DNS), False)}
    below = authority("below", kind, good.root, extensions=name)
    reasons = found(judge([below.certificate], good.anchors, expected=DnsName(LEAF_DNS)))
    assert (0, FailureReason.BASIC_CONSTRAINTS) in reasons


def test_an_issuer_that_is_no_ca_is_refused(good: Hierarchy, kind: KeyKind) -> None:
    for constraints in (None, (x509.BasicConstraints(ca=False, path_length=None), True)):
        issuing = authority("issuing", kind, good.root, extensions={x509.BasicConstraints: constraints})
        result = judge([leaf(issuing), issuing.certificate], good.anchors)
        assert found(result) == {(1, FailureReason.BASIC_CONSTRAINTS)}


def test_a_leaf_that_issues_is_refused(good: Hierarchy, kind: KeyKind) -> None:
    holder = Authority(leaf(good.issuing, subject="holder"), make_key(KeyKind.P256, "leaf"), KeyKind.P256)
    result = judge([leaf(holder), holder.certificate, good.issuing.certificate], good.anchors)
    assert {(1, FailureReason.BASIC_CONSTRAINTS), (1, FailureReason.KEY_USAGE)} <= found(result)


def test_a_path_length_is_enforced_on_intermediates_and_roots(kind: KeyKind) -> None:
    root = authority("short root", kind, path_length=0)
    issuing = authority("issuing", kind, root)
    assert found(judge([leaf(issuing), issuing.certificate], [root.certificate])) == {
        (None, FailureReason.BASIC_CONSTRAINTS)
    }
    root = authority("root", kind)
    upper = authority("upper", kind, root, path_length=0)
    lower = authority("lower", kind, upper)
    result = judge([leaf(lower), lower.certificate, upper.certificate], [root.certificate])
    assert found(result) == {(2, FailureReason.BASIC_CONSTRAINTS)}


def test_an_issuer_needs_key_cert_sign_and_a_leaf_may_not_have_it(good: Hierarchy, kind: KeyKind) -> None:
    for usages in (None, (key_usage(certificate_sign=False), True)):
        issuing = authority("issuing", kind, good.root, extensions={x509.KeyUsage: usages})
        result = judge([leaf(issuing), issuing.certificate], good.anchors)
        assert found(result) == {(1, FailureReason.KEY_USAGE)}
    end = leaf(good.issuing, extensions={x509.KeyUsage: (key_usage(certificate_sign=True), True)})
    assert found(judge([end, good.issuing.certificate], good.anchors)) == {(0, FailureReason.KEY_USAGE)}


@pytest.mark.parametrize("place", [0, 1, None], ids=["leaf", "issuing", "root"])
def test_an_unknown_critical_extension_is_refused_and_another_is_not(kind: KeyKind, place: int | None) -> None:
    for critical in (True, False):
        marked = {x509.UnrecognizedExtension: (UNKNOWN, critical)}
        root = authority("root", kind, extensions=marked if place is None else None)
        issuing = authority("issuing", kind, root, extensions=marked if place == 1 else None)
        end = leaf(issuing, extensions=marked if place == 0 else None)
        result = judge([end, issuing.certificate], [root.certificate])
        assert found(result) == ({(place, FailureReason.EXTENSION)} if critical else set())


def authority_key_identifier(*, critical: bool) -> tuple[x509.ExtensionType, bool]:
    return x509.AuthorityKeyIdentifier(b"k" * 20, None, None), critical


@pytest.mark.parametrize(
    "extensions",
    [
        {x509.AuthorityKeyIdentifier: None},
        {x509.AuthorityKeyIdentifier: authority_key_identifier(critical=True)},
        {x509.CRLDistributionPoints: (crl_distribution_points(), True)},
        {x509.SubjectAlternativeName: None},
        {x509.SubjectAlternativeName: (dns_san(LEAF_DNS), True)},
        {x509.NameConstraints: (x509.NameConstraints([x509.DNSName("demo.test")], None), True)},
        purposes(ExtendedKeyUsageOID.SERVER_AUTH, critical=True),
    ],
    ids=["no AKI", "critical AKI", "critical CRLDP", "no SAN", "critical SAN", "name constraints", "critical EKU"],
)
def test_a_leaf_that_breaks_rfc_5280_is_refused(good: Hierarchy, extensions: Extensions) -> None:
    end = leaf(good.issuing, extensions=extensions)
    assert found(judge([end, good.issuing.certificate], good.anchors)) == {(0, FailureReason.EXTENSION)}


@pytest.mark.parametrize(
    "extensions",
    [
        {x509.AuthorityKeyIdentifier: authority_key_identifier(critical=True)},
        {x509.AuthorityKeyIdentifier: (x509.AuthorityKeyIdentifier(None, [x509.DNSName("a")], 4), False)},
        {x509.BasicConstraints: (x509.BasicConstraints(ca=True, path_length=None), False)},
        {x509.SubjectKeyIdentifier: (x509.SubjectKeyIdentifier(b"k" * 20), True)},
        purposes(ExtendedKeyUsageOID.SERVER_AUTH, critical=True),
    ],
    ids=["critical AKI", "AKI with no key identifier", "lax basic constraints", "critical SKI", "critical EKU"],
)
def test_an_issuer_that_breaks_rfc_5280_is_refused(good: Hierarchy, kind: KeyKind, extensions: Extensions) -> None:
    issuing = authority("issuing", kind, good.root, extensions=extensions)
    end = leaf(issuing, extensions={x509.AuthorityKeyIdentifier: authority_key_identifier(critical=False)})
    assert found(judge([end, issuing.certificate], good.anchors)) == {(1, FailureReason.EXTENSION)}


def test_a_leaf_with_an_empty_subject_needs_a_critical_san(good: Hierarchy) -> None:
    assert not judge([leaf(good.issuing, subject=""), good.issuing.certificate], good.anchors).failures
    lax = leaf(good.issuing, subject="", extensions={x509.SubjectAlternativeName: (dns_san(LEAF_DNS), False)})
    assert found(judge([lax, good.issuing.certificate], good.anchors)) == {(0, FailureReason.EXTENSION)}


@pytest.mark.parametrize(
    "key",
    [
        ec.generate_private_key(ec.SECP384R1()),
        ec.generate_private_key(ec.SECP521R1()),
        rsa.generate_private_key(65537, 2048),
        ed25519.Ed25519PrivateKey.generate(),
    ],
    ids=["P-384", "P-521", "RSA 2048", "Ed25519"],
)
def test_a_strong_leaf_key_passes(good: Hierarchy, key: CertificateIssuerPrivateKeyTypes) -> None:
    end = leaf(good.issuing, public_key=key.public_key())
    assert not judge([end, good.issuing.certificate], good.anchors).failures


@pytest.mark.parametrize(
    "key",
    [
        ec.generate_private_key(ec.SECP224R1()),
        ec.generate_private_key(ec.SECP256K1()),
        rsa.generate_private_key(65537, 1024),
        rsa.generate_private_key(65537, 2052),
        dsa.generate_private_key(1024),
    ],
    ids=["P-224", "secp256k1", "RSA 1024", "RSA 2052", "DSA"],
)
def test_a_weak_leaf_key_is_refused(good: Hierarchy, key: CertificateIssuerPrivateKeyTypes) -> None:
    end = leaf(good.issuing, public_key=key.public_key())
    result = judge([end, good.issuing.certificate], good.anchors)
    assert found(result) == {(0, FailureReason.ALGORITHM)}
    assert result.trust_anchor


@pytest.mark.parametrize("root_kind", [KeyKind.P256, KeyKind.ED25519])
def test_a_pss_salt_of_another_length_is_refused(root_kind: KeyKind) -> None:
    root = authority("root", root_kind)
    issuing = authority("pss issuing", KeyKind.RSA_PSS, root)
    result = judge([leaf(issuing, salt=20), issuing.certificate], [root.certificate])
    assert found(result) == {(0, FailureReason.ALGORITHM)}


@pytest.mark.parametrize("place", [0, 1, None], ids=["leaf", "issuing", "root"])
def test_an_extension_that_cannot_be_read_is_refused(kind: KeyKind, place: int | None) -> None:
    malformed = x509.UnrecognizedExtension(ExtensionOID.CERTIFICATE_POLICIES, b"\x30\x03\x02\x01\x00")
    marked: Extensions = {x509.UnrecognizedExtension: (malformed, False)}
    root = authority("root", kind, extensions=marked if place is None else None)
    issuing = authority("issuing", kind, root, extensions=marked if place == 1 else None)
    end = leaf(issuing, extensions=marked if place == 0 else None)
    result = judge([end, issuing.certificate], [root.certificate], expected=DnsName(LEAF_DNS))
    assert found(result) == {(place, FailureReason.EXTENSION)}


def test_dates_in_the_wrong_encoding_are_refused(good: Hierarchy) -> None:
    end = with_generalized_dates(good.leaf, good.issuing)
    assert end.not_valid_after_utc == NOT_AFTER
    assert found(judge([end, good.issuing.certificate], good.anchors)) == {(0, FailureReason.EXTENSION)}


def test_dates_after_2049_are_not(kind: KeyKind) -> None:
    dates = (NOT_BEFORE, NOT_AFTER.replace(year=2055))
    root = authority("root", kind, dates=dates)
    assert not judge([leaf(root, dates=dates)], [root.certificate], at_time=NOW.replace(year=2054)).failures


def test_a_refusal_that_nothing_explains_still_has_a_failure() -> None:
    good = hierarchy(KeyKind.RSA_PKCS1)
    end = without_algorithm_parameters(good.leaf, good.issuing)
    chain = [end, good.issuing.certificate]
    result = build_path(chain, trust_anchors=good.anchors, purpose=Purpose.ANY, expected_name=None, at_time=NOW)
    assert found(result) == {(None, FailureReason.EXTENSION)}
