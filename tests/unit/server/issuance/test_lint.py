import ipaddress
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import AuthorityInformationAccessOID, ExtendedKeyUsageOID, NameOID
from tests.unit.server.authority import ISSUING, NOW, ROOT
from tests.unit.server.issuance.leaf import SERIAL, SERVICE, tbs, wanted

from certmint_server.issuance.certificate import prepare
from certmint_server.issuance.decision import CertificateToIssue
from certmint_server.issuance.lint import RULES, LintError, lint
from certmint_server.issuers.ceremony import make_issuing, make_root

ONE_SECOND = timedelta(seconds=1)
ROOT_OF_30_YEARS = make_root("Demo", "http://pki.demo.test", NOW, lifetime=timedelta(days=366 * 30))
Extensions = Mapping[type[x509.ExtensionType], tuple[x509.ExtensionType, bool] | None]


def usage(**changes: bool) -> x509.KeyUsage:
    names = (
        "content_commitment", "key_encipherment", "data_encipherment", "key_agreement", "key_cert_sign", "crl_sign",
        "encipher_only", "decipher_only",
    )  # fmt: skip
    return x509.KeyUsage(**{"digital_signature": True, **dict.fromkeys(names, False), **changes})


def crl_point(url: str) -> x509.CRLDistributionPoints:
    name = x509.UniformResourceIdentifier(url)
    return x509.CRLDistributionPoints([x509.DistributionPoint([name], None, None, None)])


def ca_issuers(url: str) -> x509.AuthorityInformationAccess:
    method = AuthorityInformationAccessOID.CA_ISSUERS
    return x509.AuthorityInformationAccess([x509.AccessDescription(method, x509.UniformResourceIdentifier(url))])


def san(*names: x509.GeneralName) -> x509.SubjectAlternativeName:
    return x509.SubjectAlternativeName(names)


GOOD_SAN = (
    x509.DNSName("payments.demo.test"),
    x509.IPAddress(ipaddress.ip_address("127.0.0.1")),
    x509.UniformResourceIdentifier("spiffe://demo.test/payments"),
)

FAILING: list[tuple[str, dict[str, Any], Extensions]] = [
    ("serial", {"serial_number": SERIAL + 1}, {}),
    ("issuer_name", {"issuer_name": ROOT.issuer.certificate.subject}, {}),
    ("validity", {"not_valid_after": wanted().not_after + ONE_SECOND}, {}),
    ("validity", {"not_valid_before": wanted().not_before - ONE_SECOND}, {}),
    ("subject", {"subject_name": x509.Name([])}, {}),
    ("subject", {"subject_name": x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "evil.demo.test")])}, {}),
    ("public_key", {"public_key": ec.generate_private_key(ec.SECP256R1()).public_key()}, {}),
    ("known_extensions", {}, {x509.OCSPNoCheck: (x509.OCSPNoCheck(), False)}),
    ("known_extensions", {}, {x509.AuthorityKeyIdentifier: None}),
    ("basic_constraints", {}, {x509.BasicConstraints: (x509.BasicConstraints(ca=True, path_length=None), True)}),
    ("basic_constraints", {}, {x509.BasicConstraints: (x509.BasicConstraints(ca=False, path_length=None), False)}),
    ("key_usage", {}, {x509.KeyUsage: (usage(key_encipherment=True), True)}),
    ("key_usage", {}, {x509.KeyUsage: (usage(key_cert_sign=True), True)}),
    ("key_usage", {}, {x509.KeyUsage: (usage(), False)}),
    ("extended_key_usage", {}, {
        x509.ExtendedKeyUsage: (x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CODE_SIGNING]), False)}),
    ("extended_key_usage", {}, {x509.ExtendedKeyUsage: (SERVICE.extended_key_usage, True)}),
    ("san", {}, {x509.SubjectAlternativeName: (san(*GOOD_SAN, x509.DNSName("evil.demo.test")), False)}),
    ("san", {}, {x509.SubjectAlternativeName: (san(*GOOD_SAN, x509.RFC822Name("a@demo.test")), False)}),
    ("san", {}, {x509.SubjectAlternativeName: (san(*GOOD_SAN[:2]), False)}),
    ("san", {}, {x509.SubjectAlternativeName: (san(*GOOD_SAN), True)}),
    ("subject_key_id", {}, {x509.SubjectKeyIdentifier: (x509.SubjectKeyIdentifier(b"\0" * 20), False)}),
    ("authority_key_id", {}, {
        x509.AuthorityKeyIdentifier: (x509.AuthorityKeyIdentifier(b"\0" * 20, None, None), False)}),
    ("crl_distribution_point", {}, {
        x509.CRLDistributionPoints: (crl_point(ISSUING.issuer.crl_url(2)), False)}),
    ("crl_distribution_point", {}, {
        x509.CRLDistributionPoints: (crl_point(ISSUING.issuer.crl_url(1)), True)}),
    ("authority_information_access", {}, {
        x509.AuthorityInformationAccess: (ca_issuers(ROOT.issuer.certificate_url), False)}),
]  # fmt: skip


def test_what_was_decided_passes_every_rule() -> None:
    lint(tbs(), wanted(), SERIAL)


@pytest.mark.parametrize(("rule", "fields", "extensions"), FAILING, ids=[case[0] for case in FAILING])
def test_bytes_that_differ_from_what_was_decided_are_found(
    rule: str, fields: dict[str, Any], extensions: Extensions
) -> None:
    with pytest.raises(LintError) as found:
        lint(tbs(fields=fields, extensions=extensions), wanted(), SERIAL)
    assert found.value.rule == rule


@pytest.mark.parametrize(
    ("rule", "decided"),
    [
        ("validity", wanted(not_after=NOW + SERVICE.config.maximum_lifetime + SERVICE.config.backdate)),
        ("validity", wanted(not_before=NOW, not_after=NOW - ONE_SECOND)),
        ("validity", wanted(not_before=ISSUING.issuer.certificate.not_valid_before_utc - ONE_SECOND)),
    ],
    ids=["longer than the profile", "ends before it begins", "before the issuer"],
)
def test_a_decision_that_breaks_a_rule_is_found_even_if_the_bytes_follow_it(
    rule: str, decided: CertificateToIssue
) -> None:
    good = wanted()
    fields = {"not_valid_before": decided.not_before, "not_valid_after": decided.not_after}
    if decided.not_after < decided.not_before:
        # The library refuses to write such a certificate, so what follows the decision cannot be had.
        fields = {"not_valid_before": good.not_before, "not_valid_after": good.not_after}
    with pytest.raises(LintError) as found:
        lint(tbs(fields=fields), decided, SERIAL)
    assert found.value.rule == rule


@pytest.mark.parametrize("serial", [1 << 159, 1 << 160], ids=["negative in 20 octets", "21 octets"])
def test_a_serial_that_does_not_fit_is_found(serial: int) -> None:
    if serial.bit_length() > 159:
        with pytest.raises(ValueError, match="159"):
            tbs(fields={"serial_number": serial})  # the library refuses it before the lint could
    else:
        with pytest.raises(LintError):
            lint(tbs(fields={"serial_number": serial}), wanted(), serial)


def test_the_longest_lifetime_passes_and_a_second_more_does_not() -> None:
    longest = wanted(not_after=NOW + SERVICE.config.maximum_lifetime + SERVICE.config.backdate - ONE_SECOND)
    lint(tbs(longest), longest, SERIAL)


def test_a_critical_san_with_an_empty_subject_passes() -> None:
    nameless = wanted(dns_names=(), ip_addresses=())
    lint(tbs(nameless), nameless, SERIAL)


@pytest.mark.parametrize("damage", [b"", b"\x30\x00", b"\x30\x03\x02\x01"], ids=repr)
def test_bytes_that_are_no_certificate_are_found(damage: bytes) -> None:
    with pytest.raises(LintError) as found:
        lint(damage, wanted(), SERIAL)
    assert found.value.rule == "der"


# What the library cannot be made to write: the rule, bytes of good TBS, and what stands there instead.
DAMAGE = [
    ("version", "a003020102", "a003020101"),
    ("signature", "300a06082a8648ce3d040302", "300a06082a8648ce3d040303"),
    ("key_usage", "0403020780", "0403020080"),
    ("validity", b"Z\x17\x0d3006".hex(), b"Z\x17\x0d3106".hex()),
    ("der", "3082024b", "308300024b"),
]


@pytest.mark.parametrize(("rule", "good", "bad"), DAMAGE, ids=[case[0] for case in DAMAGE])
def test_bytes_that_the_library_would_not_write_are_found(rule: str, good: str, bad: str) -> None:
    damaged = tbs().hex().replace(good, bad, 1)
    assert damaged != tbs().hex()
    with pytest.raises(LintError) as found:
        lint(bytes.fromhex(damaged), wanted(), SERIAL)
    assert found.value.rule == rule


@pytest.mark.parametrize("year", [2049, 2050])
def test_both_ways_to_write_a_time_pass(year: int) -> None:
    end = NOW.replace(year=year)
    profile = replace(SERVICE, config=replace(SERVICE.config, maximum_lifetime=timedelta(days=366 * 30)))
    issuer = make_issuing(
        "Demo", ROOT_OF_30_YEARS.issuer, ROOT_OF_30_YEARS.signer, NOW, lifetime=timedelta(days=366 * 25)
    )
    decided = wanted(not_after=end, profile=profile, issuer=issuer.issuer)
    assert prepare(decided, SERIAL, issuer.signer).sign().certificate_der


def test_every_rule_has_a_failing_example() -> None:
    failing = {rule for rule, _, _ in FAILING} | {rule for rule, _, _ in DAMAGE} - {"der"}
    assert {rule.__name__.removeprefix("lint_") for rule in RULES} == failing
