import secrets
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.x509.name import _ASN1Type
from tests.unit.server.authority import ISSUING, NOW, ROOT, URL

from certmint_server.errors import CertmintError, ConfigError
from certmint_server.issuers.ceremony import KeyChoice, make_issuing, make_root
from certmint_server.issuers.issuer import Issuer
from certmint_server.registry.certificate import RevocationReason
from certmint_server.revocation.crl import MAXIMUM_ROOT_CRL_BYTES, CRLError, build_crl, parse_root_crl
from certmint_server.revocation.crls import Claim, CRLEntry, PublishedCRL
from certmint_server.signers.keys import IssuerKeyType
from certmint_server.signers.signer import SignatureScheme, Signer

NEXT_UPDATE = NOW + timedelta(days=1)
KEY_TYPES = {
    "ecdsa": IssuerKeyType.ECDSA_P256,
    "rsa": IssuerKeyType.RSA_2048,
    "ed25519": IssuerKeyType.ED25519,
}
every_scheme = pytest.mark.parametrize("scheme", list(SignatureScheme))


def entry(serial: int, reason: RevocationReason = RevocationReason.UNSPECIFIED) -> CRLEntry:
    return CRLEntry(serial, NOW - timedelta(hours=1), reason)


def leaf_crl(entries: Sequence[CRLEntry] = (), *, number: int = 7, shard: int = 1) -> PublishedCRL:
    return build_crl(ISSUING.issuer, ISSUING.signer, shard, Claim(number, NOW, entries), NEXT_UPDATE)


def root_crl(issuer: Issuer = ROOT.issuer, signer: Signer = ROOT.signer, *, number: int = 7) -> PublishedCRL:
    return build_crl(issuer, signer, 1, Claim(number, NOW, [entry(5)]), NEXT_UPDATE)


def signed_by_root(
    *extensions: tuple[x509.ExtensionType, bool],
    issuer_name: x509.Name = ROOT.issuer.certificate.subject,
    serials: Sequence[int] = (),
    signer: Signer = ROOT.signer,
) -> bytes:
    """A CRL that somebody else's tool made with the root's key."""
    builder = x509.CertificateRevocationListBuilder(issuer_name, NOW, NEXT_UPDATE)
    for value, critical in extensions:
        builder = builder.add_extension(value, critical)
    for serial in serials:
        revoked = x509.RevokedCertificateBuilder(serial, NOW).build()
        builder = builder.add_revoked_certificate(revoked)
    crl = builder.sign(signer.private_key, signer.scheme.hash_algorithm)
    return crl.public_bytes(serialization.Encoding.DER)


GOOD = tuple(
    (extension.value, extension.critical) for extension in x509.load_der_x509_crl(root_crl().crl_der).extensions
)


def test_a_crl_carries_what_was_claimed() -> None:
    entries = [entry(serial, reason) for serial, reason in enumerate(RevocationReason, start=1)]
    published = leaf_crl(entries, number=1_900_000_000_000)
    crl = x509.load_der_x509_crl(published.crl_der)
    assert (published.issuer_id, published.shard) == (ISSUING.issuer.issuer_id, 1)
    assert (published.crl_number, published.entry_count) == (1_900_000_000_000, len(RevocationReason))
    assert (published.this_update, published.next_update) == (NOW, NEXT_UPDATE)
    assert crl.issuer.public_bytes() == ISSUING.issuer.certificate.subject.public_bytes()
    assert crl.is_signature_valid(ISSUING.issuer.certificate.public_key())  # type: ignore[arg-type]  # a P-256 key
    assert [revoked.serial_number for revoked in crl] == list(range(1, len(RevocationReason) + 1))


def test_an_unspecified_reason_puts_no_reason_code_in_the_crl() -> None:
    first, second = x509.load_der_x509_crl(leaf_crl([entry(1), entry(2, RevocationReason.KEY_COMPROMISE)]).crl_der)
    assert not list(first.extensions)
    (reason,) = second.extensions
    assert reason.value == x509.CRLReason(x509.ReasonFlags.key_compromise)
    assert not reason.critical


@pytest.mark.parametrize("shard", [1, 2, 128])
def test_a_shards_crl_says_which_certificates_it_is_for(shard: int) -> None:
    extensions = x509.load_der_x509_crl(leaf_crl(shard=shard).crl_der).extensions
    point = extensions.get_extension_for_class(x509.IssuingDistributionPoint)
    assert point.critical
    assert point.value.full_name == [
        x509.UniformResourceIdentifier(f"{URL}/crl/{ISSUING.issuer.issuer_id}/{shard}.crl")
    ]
    assert (point.value.only_contains_user_certs, point.value.only_contains_ca_certs) == (True, False)
    authority_key = extensions.get_extension_for_class(x509.AuthorityKeyIdentifier).value
    assert authority_key.key_identifier == ISSUING.issuer.subject_key_id


def test_a_roots_crl_is_complete_so_that_openssl_takes_it_for_the_root_as_well() -> None:
    extensions = x509.load_der_x509_crl(root_crl().crl_der).extensions
    assert [type(extension.value) for extension in extensions] == [x509.AuthorityKeyIdentifier, x509.CRLNumber]


@every_scheme
def test_every_scheme_signs_crls_that_verify(scheme: SignatureScheme) -> None:
    choice = KeyChoice(KEY_TYPES[scheme.split("-", maxsplit=1)[0]], scheme)
    root = make_root("Demo", URL, NOW, key=choice)
    published = root_crl(root.issuer, root.signer)
    assert parse_root_crl(published.crl_der, root.issuer) == published


@pytest.mark.parametrize("count", [0, 1, 10_000])
def test_a_crl_has_every_entry_however_many_there_are(count: int) -> None:
    # Shows, too, if an upgrade of the library no longer takes all entries at once.
    serials = [secrets.randbits(158) | 1 for _ in range(count)]
    published = leaf_crl([entry(serial) for serial in serials])
    assert [revoked.serial_number for revoked in x509.load_der_x509_crl(published.crl_der)] == serials


def test_a_signer_with_another_key_than_the_issuers_publishes_nothing() -> None:
    with pytest.raises(CRLError, match="not signed with the issuer's key"):
        build_crl(ISSUING.issuer, ROOT.signer, 1, Claim(1, NOW, []), NEXT_UPDATE)


def test_a_signer_with_another_scheme_than_the_issuers_publishes_nothing() -> None:
    signer = Signer(SignatureScheme.ECDSA_SHA512, ISSUING.signer.private_key)
    with pytest.raises(CRLError):
        build_crl(ISSUING.issuer, signer, 1, Claim(1, NOW, []), NEXT_UPDATE)


def test_a_serial_that_is_claimed_twice_is_not_published() -> None:
    with pytest.raises(CRLError, match="serial twice"):
        leaf_crl([entry(1), entry(1)])


def test_a_time_that_a_crl_cannot_carry_is_not_published() -> None:
    fraction = NOW + timedelta(microseconds=1)
    with pytest.raises(CRLError, match="number and the times"):
        build_crl(ISSUING.issuer, ISSUING.signer, 1, Claim(1, fraction, []), NEXT_UPDATE)
    with pytest.raises(CRLError, match="entries"):
        leaf_crl([replace(entry(1), revoked_at=fraction)])


def test_a_crl_error_is_ours_and_no_refusal_of_a_caller() -> None:
    assert not issubclass(CRLError, CertmintError)


def test_a_crl_of_the_ceremony_is_read_back() -> None:
    published = root_crl(number=9)
    assert parse_root_crl(published.crl_der, ROOT.issuer) == published
    assert (published.crl_number, published.entry_count) == (9, 1)


def test_a_crl_of_another_root_of_the_same_name_is_refused() -> None:
    other = make_root("Demo", URL, NOW)
    with pytest.raises(ConfigError, match="not signed with the issuer's key"):
        parse_root_crl(root_crl(other.issuer, other.signer).crl_der, ROOT.issuer)


def test_a_crl_of_an_issuing_ca_is_not_taken_for_the_roots() -> None:
    with pytest.raises(ConfigError, match="another name"):
        parse_root_crl(leaf_crl().crl_der, ROOT.issuer)


def test_an_issuer_name_in_other_bytes_is_refused() -> None:
    subject = ROOT.issuer.certificate.subject
    other = x509.Name([x509.NameAttribute(a.oid, a.value, _ASN1Type.PrintableString) for a in subject])
    with pytest.raises(ConfigError, match="another name"):
        parse_root_crl(signed_by_root(*GOOD, issuer_name=other), ROOT.issuer)


def test_a_crl_that_another_tool_made_for_the_root_is_taken() -> None:
    assert parse_root_crl(signed_by_root(*GOOD, serials=[5]), ROOT.issuer).entry_count == 1


@pytest.mark.parametrize("left_out", range(len(GOOD)))
def test_a_crl_without_one_of_its_extensions_is_refused(left_out: int) -> None:
    extensions = [extension for position, extension in enumerate(GOOD) if position != left_out]
    with pytest.raises(ConfigError):
        parse_root_crl(signed_by_root(*extensions), ROOT.issuer)


def test_a_delta_crl_or_one_with_a_distribution_point_is_refused() -> None:
    of_an_issuing_ca = x509.load_der_x509_crl(leaf_crl().crl_der).extensions
    point = of_an_issuing_ca.get_extension_for_class(x509.IssuingDistributionPoint).value
    for extension in ((x509.DeltaCRLIndicator(1), True), (point, True), (point, False)):
        with pytest.raises(ConfigError, match="distribution point"):
            parse_root_crl(signed_by_root(*GOOD, extension), ROOT.issuer)


def test_a_crl_with_another_hash_than_the_roots_is_refused() -> None:
    signer = Signer(SignatureScheme.ECDSA_SHA384, ROOT.signer.private_key)
    with pytest.raises(ConfigError):
        parse_root_crl(signed_by_root(*GOOD, signer=signer), ROOT.issuer)


def test_a_crl_that_names_a_serial_twice_is_refused() -> None:
    with pytest.raises(ConfigError, match="serial twice"):
        parse_root_crl(signed_by_root(*GOOD, serials=[5, 5]), ROOT.issuer)


@pytest.mark.parametrize(
    "crl_der",
    [
        b"",
        b"not a CRL",
        root_crl().crl_der[:-1],
        root_crl().crl_der + b"\0",
        ROOT.issuer.certificate_der,
    ],
)
def test_what_is_not_a_crl_is_refused(crl_der: bytes) -> None:
    with pytest.raises(ConfigError, match="does not parse"):
        parse_root_crl(crl_der, ROOT.issuer)


def test_a_flipped_bit_is_refused() -> None:
    crl_der = bytearray(root_crl().crl_der)
    crl_der[-1] ^= 1
    with pytest.raises(ConfigError):
        parse_root_crl(bytes(crl_der), ROOT.issuer)


def test_a_crl_above_the_cap_is_refused_before_it_is_parsed() -> None:
    with pytest.raises(ConfigError, match="at most"):
        parse_root_crl(bytes(MAXIMUM_ROOT_CRL_BYTES + 1), ROOT.issuer)


def test_a_second_issuing_ca_of_the_same_name_is_told_apart_by_its_key() -> None:
    successor = make_issuing("Demo", ROOT.issuer, ROOT.signer, NOW)
    first = leaf_crl()
    second = build_crl(successor.issuer, successor.signer, 1, Claim(7, NOW, []), NEXT_UPDATE)
    identifiers = [
        x509.load_der_x509_crl(crl.crl_der)
        .extensions.get_extension_for_class(x509.AuthorityKeyIdentifier)
        .value.key_identifier
        for crl in (first, second)
    ]
    assert identifiers == [ISSUING.issuer.subject_key_id, successor.issuer.subject_key_id]
