import ipaddress
import time

import pytest
from cryptography import x509
from tests.unit.client.verification.hierarchy import KeyKind, authority, dns_san, leaf, name, san
from tests.unit.client.verification.judge import found, judge

from certmint.verification import FailureReason, PathResult, Purpose

FORBIDDEN = {(0, FailureReason.NAME_CONSTRAINT)}


def dns(text: str) -> x509.GeneralName:
    return x509.DNSName(text)


def mail(text: str) -> x509.GeneralName:
    return x509.RFC822Name(text)


def uri(text: str) -> x509.GeneralName:
    return x509.UniformResourceIdentifier(text)


def address(text: str) -> x509.GeneralName:
    return x509.IPAddress(ipaddress.ip_address(text))


def network(text: str) -> x509.GeneralName:
    return x509.IPAddress(ipaddress.ip_network(text))


def constrained(
    kind: KeyKind,
    carried: x509.GeneralName,
    *,
    permitted: x509.GeneralName | None = None,
    excluded: x509.GeneralName | None = None,
    critical: bool = True,
) -> PathResult:
    constraints = x509.NameConstraints([permitted] if permitted else None, [excluded] if excluded else None)
    root = authority("root", kind)
    issuing = authority("issuing", kind, root, extensions={x509.NameConstraints: (constraints, critical)})
    end = leaf(issuing, names=san(carried))
    return judge([end, issuing.certificate], [root.certificate], purpose=Purpose.ANY)


@pytest.mark.parametrize(
    ("base", "carried"),
    [
        (dns("demo.test"), dns("demo.test")),
        (dns("demo.test"), dns("a.b.DEMO.test")),
        (dns("demo.test"), dns("*.demo.test")),
        (network("192.0.2.0/24"), address("192.0.2.7")),
        (network("2001:db8::/32"), address("2001:db8::1")),
        (mail("demo.test"), mail("a@demo.test")),
        (mail(".demo.test"), mail("a@b.demo.test")),
        (mail("a@demo.test"), mail("a@Demo.test")),
    ],
)
def test_a_name_in_a_subtree_is_permitted_by_it_and_excluded_by_it(
    kind: KeyKind, base: x509.GeneralName, carried: x509.GeneralName
) -> None:
    assert not constrained(kind, carried, permitted=base).failures
    assert found(constrained(kind, carried, excluded=base)) == FORBIDDEN
    assert found(constrained(kind, carried, excluded=base, critical=False)) == FORBIDDEN


@pytest.mark.parametrize(
    ("base", "carried"),
    [
        (dns("demo.test"), dns("notdemo.test")),
        (dns("demo.test"), dns("test")),
        (dns("a.demo.test"), dns("*.b.demo.test")),
        (network("192.0.2.0/24"), address("192.0.3.7")),
        (network("192.0.2.0/24"), address("2001:db8::1")),
        (mail("demo.test"), mail("a@b.demo.test")),
        (mail(".demo.test"), mail("a@demo.test")),
        (mail("a@demo.test"), mail("b@demo.test")),
        (mail("a@demo.test"), mail("A@demo.test")),
    ],
)
def test_a_name_outside_a_subtree_is_neither_permitted_nor_excluded_by_it(
    kind: KeyKind, base: x509.GeneralName, carried: x509.GeneralName
) -> None:
    assert found(constrained(kind, carried, permitted=base)) == FORBIDDEN
    assert not constrained(kind, carried, excluded=base).failures


def test_a_wildcard_that_may_become_an_excluded_name_is_refused(kind: KeyKind) -> None:
    carried, base = dns("*.demo.test"), dns("a.demo.test")
    assert found(constrained(kind, carried, excluded=base)) == FORBIDDEN
    assert found(constrained(kind, carried, permitted=base)) == FORBIDDEN


def test_names_of_another_kind_are_not_constrained(kind: KeyKind) -> None:
    assert not constrained(kind, dns("a.test"), permitted=network("192.0.2.0/24")).failures
    assert not constrained(kind, dns("a.test"), permitted=uri("demo.test")).failures


@pytest.mark.parametrize("base", [dns(""), dns(".demo.test")], ids=lambda base: base.value)
def test_a_malformed_constraint_refuses_the_chain(kind: KeyKind, base: x509.GeneralName) -> None:
    assert found(constrained(kind, dns("a.demo.test"), permitted=base)) == FORBIDDEN


def test_a_constraint_on_uris_refuses_a_chain_with_a_uri(kind: KeyKind) -> None:
    assert found(constrained(kind, uri("spiffe://demo.test/a"), permitted=uri("demo.test"))) == FORBIDDEN


@pytest.mark.parametrize("critical", [True, False])
def test_a_constraint_on_directory_names_refuses_every_chain(kind: KeyKind, critical: bool) -> None:
    result = constrained(kind, dns("a.test"), excluded=x509.DirectoryName(name("anyone")), critical=critical)
    assert found(result) == {(1, FailureReason.NAME_CONSTRAINT)}


def test_constraints_of_the_root_hold_for_intermediates_that_are_not_self_issued(kind: KeyKind) -> None:
    constraints = x509.NameConstraints([dns("demo.test")], None)
    root = authority("root", kind, extensions={x509.NameConstraints: (constraints, True)})
    elsewhere = {x509.SubjectAlternativeName: (dns_san("elsewhere.test"), False)}
    issuing = authority("issuing", kind, root, extensions=elsewhere)
    end = leaf(issuing, names=dns_san("a.demo.test"))
    assert found(judge([end, issuing.certificate], [root.certificate])) == {(1, FailureReason.NAME_CONSTRAINT)}
    rekeyed = authority("root", kind, root, key_owner="rekeyed", extensions=elsewhere)
    end = leaf(rekeyed, names=dns_san("a.demo.test"))
    assert not judge([end, rekeyed.certificate], [root.certificate]).failures


def test_more_comparisons_than_honest_chains_need_are_refused_within_bounds() -> None:
    bases, names = [dns(f"n{i}.test") for i in range(1200)], dns_san(*(f"n{i}.demo.test" for i in range(1200)))
    constraints = x509.NameConstraints(None, bases)
    root = authority("root", KeyKind.ED25519)
    issuing = authority("issuing", KeyKind.P256, root, extensions={x509.NameConstraints: (constraints, True)})
    chain = [leaf(issuing, names=names), issuing.certificate]
    started = time.process_time()
    result = judge(chain, [root.certificate])
    assert time.process_time() - started < 1
    assert found(result) == {(1, FailureReason.NAME_CONSTRAINT)}
