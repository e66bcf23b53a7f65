import pytest
from cryptography import x509
from tests.unit.server.authority import ISSUING, NOW, ROOT
from tests.unit.server.issuance.leaf import SERIAL, wanted

from certmint_server.issuance.certificate import prepare
from certmint_server.issuance.lint import LintError
from certmint_server.issuers.ceremony import KeyChoice, make_issuing
from certmint_server.signers.keys import IssuerKeyType
from certmint_server.signers.signer import SignatureScheme

KEYS = {"ecdsa": IssuerKeyType.ECDSA_P256, "rsa": IssuerKeyType.RSA_2048, "ed25519": IssuerKeyType.ED25519}
CHOICES = [KeyChoice(KEYS[scheme.partition("-")[0]], scheme) for scheme in SignatureScheme]
CHOICES += [
    KeyChoice(IssuerKeyType.ECDSA_P384, SignatureScheme.ECDSA_SHA384),
    KeyChoice(IssuerKeyType.ECDSA_P521, SignatureScheme.ECDSA_SHA512),
]


@pytest.mark.parametrize("choice", CHOICES, ids=lambda choice: f"{choice.key_type}-{choice.scheme}")
def test_every_kind_of_issuer_signs_a_certificate_that_verifies(choice: KeyChoice) -> None:
    issuing = make_issuing("Demo", ROOT.issuer, ROOT.signer, NOW, key=choice)
    signed = prepare(wanted(issuer=issuing.issuer), SERIAL, issuing.signer).sign()
    certificate = x509.load_der_x509_certificate(signed.certificate_der)
    certificate.verify_directly_issued_by(issuing.issuer.certificate)
    assert certificate.serial_number == SERIAL


def test_a_prepared_certificate_is_signed_once() -> None:
    prepared = prepare(wanted(), SERIAL, ISSUING.signer)
    prepared.sign()
    with pytest.raises(RuntimeError):
        prepared.sign()


def test_a_key_that_is_not_the_issuers_signs_nothing_that_leaves() -> None:
    other = make_issuing("Demo", ROOT.issuer, ROOT.signer, NOW)
    with pytest.raises(LintError) as found:
        prepare(wanted(), SERIAL, other.signer).sign()
    assert found.value.rule == "signature"


def test_the_first_name_of_64_characters_is_the_common_name_and_of_65_is_not() -> None:
    for length in (64, 65):
        first = "a" * 53 + "." + "b" * (length - 54)
        decided = wanted(dns_names=(first,))
        signed = prepare(decided, SERIAL, ISSUING.signer).sign()
        certificate = x509.load_der_x509_certificate(signed.certificate_der)
        san = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
        assert [attribute.value for attribute in certificate.subject] == ([first] if length == 64 else [])
        assert san.critical == (length == 65)
