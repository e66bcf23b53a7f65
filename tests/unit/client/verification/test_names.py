import ipaddress

import pytest
from cryptography import x509
from tests.unit.client.verification.hierarchy import KeyKind, authority, dns_san, leaf, san
from tests.unit.client.verification.judge import found, judge

from certmint.verification import DnsName, ExpectedName, ExpectedNameError, FailureReason, IpAddress, Purpose, UriName


def carries(kind: KeyKind, names: x509.SubjectAlternativeName, expected: ExpectedName) -> bool:
    """For every purpose alike, so that the library's matcher and ours are compared."""
    root = authority("root", kind)
    end = leaf(root, names=names)
    answers = [found(judge([end], [root.certificate], purpose=purpose, expected=expected)) for purpose in Purpose]
    assert all(answer in (set(), {(0, FailureReason.NAME_MISMATCH)}) for answer in answers)
    assert answers.count(answers[0]) == len(answers)
    return not answers[0]


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("a.demo.test", "a.demo.test"),
        ("A.Demo.Test", "a.dEMO.test"),
        ("*.demo.test", "a.demo.test"),
        ("*.demo.test", "A.DEMO.TEST"),
        ("*.xn--n3h.test", "xn--628h.xn--n3h.test"),
        ("localhost", "localhost"),
    ],
)
def test_a_dns_name_matches(kind: KeyKind, pattern: str, expected: str) -> None:
    assert carries(kind, dns_san("elsewhere.test", pattern), DnsName(expected))


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("a.demo.test", "b.demo.test"),
        ("demo.test", "a.demo.test"),
        ("a.demo.test", "demo.test"),
        ("*.demo.test", "demo.test"),
        ("*.demo.test", "a.b.demo.test"),
        ("a*.demo.test", "ab.demo.test"),
        ("*a.demo.test", "ba.demo.test"),
        ("a.*.test", "a.demo.test"),
        ("*.*.test", "a.demo.test"),
        ("*", "localhost"),
        ("a.demo.test.", "a.demo.test"),
        (".demo.test", "a.demo.test"),
        ("192.0.2.7", "a.demo.test"),
    ],
)
def test_a_dns_name_does_not_match(kind: KeyKind, pattern: str, expected: str) -> None:
    assert not carries(kind, dns_san(pattern), DnsName(expected))


def test_ip_addresses_match_octet_by_octet(kind: KeyKind) -> None:
    addresses = [ipaddress.ip_address(text) for text in ("192.0.2.7", "2001:db8::1")]
    names = san(*(x509.IPAddress(address) for address in addresses))
    for address in addresses:
        assert carries(kind, names, IpAddress(address))
    for other in ("192.0.2.8", "::ffff:192.0.2.7"):
        assert not carries(kind, names, IpAddress(ipaddress.ip_address(other)))
    assert not carries(kind, dns_san("192.0.2.7"), IpAddress(addresses[0]))


def test_uris_match_character_by_character(kind: KeyKind) -> None:
    names = san(x509.UniformResourceIdentifier("spiffe://demo.test/a"))
    assert carries(kind, names, UriName("spiffe://demo.test/a"))
    for other in ("spiffe://Demo.test/a", "spiffe://demo.test/a/", "spiffe://demo.test/A", "spiffe://demo.test"):
        assert not carries(kind, names, UriName(other))


def test_the_common_name_is_not_looked_at(kind: KeyKind) -> None:
    root = authority("root", kind)
    end = leaf(root, subject="a.demo.test", extensions={x509.SubjectAlternativeName: None})
    result = judge([end], [root.certificate], expected=DnsName("a.demo.test"))
    assert found(result) == {(0, FailureReason.NAME_MISMATCH)}


@pytest.mark.parametrize(
    "text", ["", ".", "a.", ".a", "a..b", "-a.test", "a-.test", "a_b.test", "*.a", "é.test", "a" * 64, "a." * 127 + "a"]
)
def test_what_is_not_a_host_name_cannot_be_expected(text: str) -> None:
    with pytest.raises(ExpectedNameError):
        DnsName(text)


def test_an_empty_uri_and_an_address_with_a_zone_cannot_be_expected() -> None:
    with pytest.raises(ExpectedNameError):
        UriName("")
    with pytest.raises(ExpectedNameError):
        IpAddress(ipaddress.ip_address("fe80::1%eth0"))
