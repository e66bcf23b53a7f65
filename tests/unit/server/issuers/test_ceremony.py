from dataclasses import replace
from datetime import timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.x509.oid import AuthorityInformationAccessOID, ExtendedKeyUsageOID, NameOID
from tests.unit.server.authority import ISSUING, NOW, ROOT, URL

from certmint_server.errors import ConfigError
from certmint_server.issuers.ceremony import (
    ISSUING_LIFETIME,
    ROOT_LIFETIME,
    CeremonyError,
    KeyChoice,
    make_issuing,
    make_root,
    verify_issuer_certificate,
)
from certmint_server.issuers.issuer import Issuer, IssuerState
from certmint_server.signers.keys import IssuerKeyType
from certmint_server.signers.signer import SignatureScheme, Signer

CHOICES = [
    KeyChoice(key_type, scheme)
    for key_type in IssuerKeyType
    for scheme in SignatureScheme
    if key_type.split("-")[0] == scheme.split("-")[0]
    # Large RSA keys are slow to make, and a scheme is the same for every size.
    and (key_type not in {IssuerKeyType.RSA_3072, IssuerKeyType.RSA_4096} or scheme.endswith("pss-sha256"))
]


def common_name(issuer: Issuer) -> str | bytes:
    return issuer.certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value


def extensions(issuer: Issuer) -> list[tuple[type[x509.ExtensionType], bool]]:
    return [(type(extension.value), extension.critical) for extension in issuer.certificate.extensions]


def resigned(issuer: Issuer, signer: Signer, *, without: type[x509.ExtensionType] | None = None) -> Issuer:
    """The issuer with its certificate signed anew by `signer`, maybe with an extension left out."""
    old = issuer.certificate
    builder = x509.CertificateBuilder(
        old.issuer, old.subject, old.public_key(), 7, old.not_valid_before_utc, old.not_valid_after_utc
    )
    for extension in old.extensions:
        if not (without and isinstance(extension.value, without)):
            builder = builder.add_extension(extension.value, extension.critical)
    new = builder.sign(signer.private_key, signer.scheme.hash_algorithm, rsa_padding=signer.scheme.rsa_padding)
    return replace(issuer, certificate_der=new.public_bytes(serialization.Encoding.DER))


@pytest.mark.parametrize("choice", CHOICES, ids=lambda choice: f"{choice.key_type}+{choice.scheme}")
def test_every_kind_of_root_certifies_an_issuing_ca(choice: KeyChoice) -> None:
    root = make_root("Demo", URL, NOW, key=choice)
    issuing = make_issuing("Demo", root.issuer, root.signer, NOW)
    issuing.issuer.certificate.verify_directly_issued_by(root.issuer.certificate)
    root.issuer.certificate.verify_directly_issued_by(root.issuer.certificate)


@pytest.mark.parametrize("choice", CHOICES, ids=lambda choice: f"{choice.key_type}+{choice.scheme}")
def test_an_issuing_ca_may_have_every_kind_of_key(choice: KeyChoice) -> None:
    issuing = make_issuing("Demo", ROOT.issuer, ROOT.signer, NOW, key=choice)
    assert issuing.issuer.scheme is issuing.signer.scheme is choice.scheme
    assert issuing.issuer.certificate.public_key() == issuing.signer.public_key


def test_a_root_is_its_own_parent_offline_and_lives_ten_years() -> None:
    root = ROOT.issuer
    assert root.is_root
    assert root.state is IssuerState.OFFLINE
    assert root.certificate.subject == root.certificate.issuer
    assert common_name(root) == "Demo Root CA 1"
    assert root.not_after == NOW + ROOT_LIFETIME
    assert extensions(root) == [
        (x509.BasicConstraints, True),
        (x509.KeyUsage, True),
        (x509.SubjectKeyIdentifier, False),
    ]


def test_an_issuing_ca_is_active_and_signs_leaves_only() -> None:
    issuing = ISSUING.issuer
    assert (issuing.parent_id, issuing.state) == (ROOT.issuer.issuer_id, IssuerState.ACTIVE)
    assert common_name(issuing) == "Demo Issuing CA 1"
    assert issuing.not_after == NOW + ISSUING_LIFETIME
    assert extensions(issuing) == [
        (x509.BasicConstraints, True),
        (x509.KeyUsage, True),
        (x509.ExtendedKeyUsage, False),
        (x509.SubjectKeyIdentifier, False),
        (x509.AuthorityKeyIdentifier, False),
        (x509.CRLDistributionPoints, False),
        (x509.AuthorityInformationAccess, False),
    ]
    found = issuing.certificate.extensions
    assert found.get_extension_for_class(x509.BasicConstraints).value == x509.BasicConstraints(ca=True, path_length=0)
    usages = found.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert set(usages) == {ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH}


def test_a_ca_certificate_may_sign_certificates_and_crls_and_nothing_else() -> None:
    for issuer in (ROOT.issuer, ISSUING.issuer):
        usage = issuer.certificate.extensions.get_extension_for_class(x509.KeyUsage).value
        assert (usage.key_cert_sign, usage.crl_sign, usage.digital_signature) == (True, True, False)


def test_the_urls_in_an_issuing_certificate_are_those_that_its_root_serves() -> None:
    found = ISSUING.issuer.certificate.extensions
    (point,) = found.get_extension_for_class(x509.CRLDistributionPoints).value
    assert point.full_name == [x509.UniformResourceIdentifier(ROOT.issuer.crl_url(1))]
    (access,) = found.get_extension_for_class(x509.AuthorityInformationAccess).value
    assert access.access_method == AuthorityInformationAccessOID.CA_ISSUERS
    assert access.access_location.value == ROOT.issuer.certificate_url == f"{URL}/aia/{ROOT.issuer.issuer_id}.cer"


def test_an_issuer_id_is_the_beginning_of_its_key_identifier() -> None:
    for issuer in (ROOT.issuer, ISSUING.issuer):
        assert len(issuer.subject_key_id) == 20
        assert issuer.subject_key_id.hex().startswith(issuer.issuer_id)
    authority_key = ISSUING.issuer.certificate.extensions.get_extension_for_class(x509.AuthorityKeyIdentifier).value
    assert authority_key.key_identifier == ROOT.issuer.subject_key_id


def test_serials_are_positive_and_unpredictable() -> None:
    serials = {make_issuing("Demo", ROOT.issuer, ROOT.signer, NOW).issuer.certificate.serial_number for _ in range(8)}
    assert len(serials) == 8
    assert all(0 < serial < 1 << 159 for serial in serials)
    assert max(serials) > 1 << 128


def test_certificates_begin_an_hour_early_and_count_in_whole_seconds() -> None:
    root = make_root("Demo", URL, NOW + timedelta(microseconds=999_999)).issuer
    assert root.certificate.not_valid_before_utc == NOW - timedelta(hours=1)
    assert root.not_after == NOW + ROOT_LIFETIME


def test_an_issuing_ca_never_outlives_its_root() -> None:
    root = make_root("Demo", URL, NOW, lifetime=timedelta(days=365))
    issuing = make_issuing("Demo", root.issuer, root.signer, NOW, lifetime=timedelta(days=3650))
    assert issuing.issuer.not_after == root.issuer.not_after


def test_an_expired_root_certifies_nothing() -> None:
    with pytest.raises(ConfigError, match="expired"):
        make_issuing("Demo", ROOT.issuer, ROOT.signer, ROOT.issuer.not_after)


@pytest.mark.parametrize("name", ["", " ", "Demo ", "a" * 49, "\u00e9" * 25, "\udcff", "new\nline", "nul\0"])
def test_a_name_that_cannot_be_part_of_a_distinguished_name_is_refused(name: str) -> None:
    with pytest.raises(ConfigError, match="name of a CA"):
        make_root(name, URL, NOW)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "https://pki.demo.test",
        "ldap://pki.demo.test",
        "http://",
        "http://pki.demo.test/",
        "http://pki.demo.test/a/b",
        "http://user@pki.demo.test",
        "http://pki.demo.test?x",
        "http://pki.demo.test\n",
        "http://pki.démo.test",
        "pki.demo.test",
    ],
)
def test_a_url_that_certificates_must_not_carry_is_refused(url: str) -> None:
    with pytest.raises(ConfigError, match="distribution URL"):
        make_root("Demo", url, NOW)


@pytest.mark.parametrize("url", ["http://127.0.0.1:8080", "http://[::1]:80", "http://pki.demo.test"])
def test_a_distribution_url_has_a_host_and_maybe_a_port(url: str) -> None:
    assert make_root("Demo", url, NOW).issuer.crl_url(1).startswith(url + "/crl/")


def test_a_scheme_that_is_not_for_the_key_is_refused() -> None:
    with pytest.raises(ConfigError, match="not one for ed25519"):
        make_root("Demo", URL, NOW, key=KeyChoice(IssuerKeyType.ECDSA_P256, SignatureScheme.ED25519))


def test_another_roots_key_does_not_certify_in_its_name() -> None:
    other = make_root("Demo", URL, NOW)
    with pytest.raises(CeremonyError, match="not signed by its parent"):
        make_issuing("Demo", ROOT.issuer, other.signer, NOW)


def test_a_certificate_of_another_parent_of_the_same_name_is_refused() -> None:
    other = make_root("Demo", URL, NOW)
    with pytest.raises(CeremonyError, match="names another parent"):
        verify_issuer_certificate(ISSUING.issuer, other.issuer)
    with pytest.raises(CeremonyError, match="not signed by its parent"):
        verify_issuer_certificate(replace(ISSUING.issuer, parent_id=other.issuer.issuer_id), other.issuer)


def test_a_certificate_signed_in_another_way_than_the_root_signs_is_refused() -> None:
    stronger = Signer(SignatureScheme.ECDSA_SHA512, ROOT.signer.private_key)
    with pytest.raises(CeremonyError, match="not signed by its parent"):
        verify_issuer_certificate(resigned(ISSUING.issuer, stronger), ROOT.issuer)


@pytest.mark.parametrize("kind", [kind for kind, _ in extensions(ISSUING.issuer)])
def test_an_issuing_certificate_without_one_of_its_extensions_is_refused(kind: type[x509.ExtensionType]) -> None:
    verify_issuer_certificate(resigned(ISSUING.issuer, ROOT.signer), ROOT.issuer)
    with pytest.raises(CeremonyError, match="extensions"):
        verify_issuer_certificate(resigned(ISSUING.issuer, ROOT.signer, without=kind), ROOT.issuer)


def test_a_certificate_that_outlives_its_parent_is_refused() -> None:
    short = make_root("Demo", URL, NOW, lifetime=timedelta(days=1))
    older = replace(ROOT.issuer, certificate_der=short.issuer.certificate_der)
    with pytest.raises(CeremonyError):
        verify_issuer_certificate(replace(ISSUING.issuer, parent_id=older.issuer_id), older)
