import uuid
from collections.abc import Iterator
from ipaddress import IPv4Network, IPv6Address

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from tests.integration.conftest import Running, fresh_name
from tests.integration.outsiders import key_usage

from certmint import Client, Identity, Profile, errors, keys

DNS_NAMES = ("a.names.test", "b.names.test", "c.names.test")
IP_ADDRESSES = ("192.0.2.7", "2001:db8::7")
LONGEST_COMMON_NAME = f"{'a' * 53}.names.test"


@pytest.fixture(scope="session")
def identity(running: Running) -> Identity:
    return running.enroll(
        dns_names=[*DNS_NAMES, LONGEST_COMMON_NAME, f"a{LONGEST_COMMON_NAME}"], ip_addresses=IP_ADDRESSES
    )


@pytest.fixture(scope="session")
def service(running: Running, identity: Identity) -> Iterator[Client]:
    with running.client(identity) as client:
        yield client


def csr(*names: x509.GeneralName, subject: str = "", extensions: tuple[x509.ExtensionType, ...] = ()) -> bytes:
    attributes = [x509.NameAttribute(NameOID.COMMON_NAME, subject)] if subject else []
    builder = x509.CertificateSigningRequestBuilder().subject_name(x509.Name(attributes))
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    for extension in extensions:
        builder = builder.add_extension(extension, critical=True)
    return builder.sign(keys.generate(), hashes.SHA256()).public_bytes(Encoding.DER)


def signed(client: Client, csr_der: bytes, profile: str = "") -> x509.Certificate:
    return x509.load_der_x509_certificate(client.sign_csr(csr_der, profile=profile).certificate.certificate_der)


def san(certificate: x509.Certificate) -> x509.Extension[x509.SubjectAlternativeName]:
    return certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)


def names(certificate: x509.Certificate) -> list[str]:
    return [str(name.value) for name in san(certificate).value]


def test_a_csr_without_names_gets_the_dns_names_of_its_registration_in_their_order(running: Running) -> None:
    identity = running.enroll(dns_names=["z.names.test", "a.names.test"], ip_addresses=IP_ADDRESSES)
    with running.client(identity) as client:
        certificate = signed(client, csr())
    assert names(certificate) == ["z.names.test", "a.names.test", identity.spiffe_id]


def test_a_csr_with_names_gets_these_and_no_other(service: Client, identity: Identity) -> None:
    certificate = signed(service, csr(x509.DNSName("b.names.test")))
    assert names(certificate) == ["b.names.test", identity.spiffe_id]


@pytest.mark.parametrize("position", [0, 1, 2])
def test_one_name_that_is_not_granted_refuses_the_whole_csr(service: Client, position: int) -> None:
    asked = list(DNS_NAMES)
    asked[position] = "d.names.test"
    with pytest.raises(errors.NameNotGrantedError) as caught:
        service.sign_csr(keys.csr_der(keys.generate(), dns_names=asked))
    assert list(caught.value.fields) == ["csr_der"]
    assert "d.names.test" in caught.value.message


@pytest.mark.parametrize("name", ["names.test", "x.a.names.test", "a.names.tes", "aa.names.test"])
def test_a_name_near_a_granted_one_is_not_granted(service: Client, name: str) -> None:
    with pytest.raises(errors.NameNotGrantedError):
        service.sign_csr(keys.csr_der(keys.generate(), dns_names=[name]))


def test_a_dns_name_is_granted_in_any_case_and_certified_in_lower_case(service: Client, identity: Identity) -> None:
    assert names(signed(service, csr(x509.DNSName("A.Names.TEST")))) == ["a.names.test", identity.spiffe_id]


def test_a_name_asked_for_twice_stands_in_the_certificate_once(service: Client, identity: Identity) -> None:
    certificate = signed(service, csr(x509.DNSName("a.names.test"), x509.DNSName("A.names.test")))
    assert names(certificate) == ["a.names.test", identity.spiffe_id]


def test_granted_ip_addresses_are_certified(service: Client, identity: Identity) -> None:
    certificate = signed(service, keys.csr_der(keys.generate(), ip_addresses=IP_ADDRESSES))
    assert names(certificate) == [*IP_ADDRESSES, identity.spiffe_id]


@pytest.mark.parametrize("address", ["192.0.2.8", "2001:db8::8"])
def test_an_ip_address_that_is_not_granted_is_refused(service: Client, address: str) -> None:
    with pytest.raises(errors.NameNotGrantedError):
        service.sign_csr(keys.csr_der(keys.generate(), ip_addresses=[IP_ADDRESSES[0], address]))


def test_the_uri_of_a_csr_may_be_its_own_identity(service: Client, identity: Identity) -> None:
    certificate = signed(service, csr(x509.UniformResourceIdentifier(identity.spiffe_id)))
    assert names(certificate) == [identity.spiffe_id]


@pytest.mark.parametrize("suffix", ["x", "/x", "/", "?x", "#x"])
def test_the_uri_of_a_csr_may_be_no_other(service: Client, identity: Identity, suffix: str) -> None:
    refusal = errors.NameNotGrantedError if suffix.endswith("x") and suffix[0] in "x/" else errors.NameInvalidError
    with pytest.raises(refusal):
        service.sign_csr(csr(x509.UniformResourceIdentifier(identity.spiffe_id + suffix)))


def test_a_csr_with_two_uris_is_refused(service: Client, identity: Identity) -> None:
    uris = [identity.spiffe_id, "spiffe://demo.test/other"]
    with pytest.raises(errors.NameInvalidError):
        service.sign_csr(keys.csr_der(keys.generate(), uris=uris))


@pytest.mark.parametrize(
    "name",
    [
        x509.RFC822Name("root@names.test"),
        x509.DNSName("*.names.test"),
        x509.DNSName("a.names.test."),
        x509.DNSName("a_b.names.test"),
        x509.DNSName("192.0.2.7"),
        x509.IPAddress(IPv6Address("::ffff:192.0.2.7")),
        x509.IPAddress(IPv4Network("192.0.2.0/24")),
        x509.DirectoryName(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "a.names.test")])),
        x509.RegisteredID(x509.ObjectIdentifier("1.2.3.4")),
    ],
    ids=str,
)
def test_a_kind_of_name_that_is_never_certified_is_refused(service: Client, name: x509.GeneralName) -> None:
    with pytest.raises(errors.NameInvalidError):
        service.sign_csr(csr(x509.DNSName("a.names.test"), name))


def test_neither_the_subject_nor_another_extension_of_a_csr_is_copied(service: Client, identity: Identity) -> None:
    wanted = (
        x509.BasicConstraints(ca=True, path_length=5),
        key_usage(ca=True),
        x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CODE_SIGNING]),
        x509.NameConstraints([x509.DNSName("evil.test")], None),
    )
    certificate = signed(service, csr(x509.DNSName("a.names.test"), subject="evil.test", extensions=wanted))
    assert certificate.subject.rfc4514_string() == "CN=a.names.test"
    assert names(certificate) == ["a.names.test", identity.spiffe_id]
    assert not certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    assert certificate.extensions.get_extension_for_class(x509.KeyUsage).value == key_usage(digital_signature=True)
    usages = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert ExtendedKeyUsageOID.CODE_SIGNING not in usages
    with pytest.raises(x509.ExtensionNotFound):
        certificate.extensions.get_extension_for_class(x509.NameConstraints)


def test_a_first_dns_name_of_64_characters_is_the_common_name(service: Client) -> None:
    certificate = signed(service, csr(x509.DNSName(LONGEST_COMMON_NAME)))
    assert certificate.subject.rfc4514_string() == f"CN={LONGEST_COMMON_NAME}"
    assert not san(certificate).critical


def test_a_first_dns_name_of_65_characters_leaves_the_subject_empty_and_the_san_critical(service: Client) -> None:
    certificate = signed(service, csr(x509.DNSName(f"a{LONGEST_COMMON_NAME}"), x509.DNSName("a.names.test")))
    assert list(certificate.subject) == []
    assert san(certificate).critical


def test_a_certificate_without_dns_names_has_an_empty_subject_and_a_critical_san(running: Running) -> None:
    identity = running.enroll()
    assert list(identity.certificate.subject) == []
    assert san(identity.certificate).critical
    assert names(identity.certificate) == [identity.spiffe_id]


@pytest.fixture(scope="session")
def nameless(running: Running) -> str:
    """A profile that leaves the identity out."""
    profile: Profile = running.operator.get_profile("service").profile
    profile.name = f"nameless-{uuid.uuid4().hex[:8]}"
    profile.include_identity = False
    running.operator.apply_profile(profile)
    return profile.name


def test_a_profile_that_leaves_the_identity_out_certifies_dns_names_alone(running: Running, nameless: str) -> None:
    registration = running.register(dns_names=["web.names.test"], profiles=[nameless])
    answer = running.operator.sign_csr(keys.csr_der(keys.generate()), identity=registration.identity, profile=nameless)
    certificate = x509.load_der_x509_certificate(answer.certificate.certificate_der)
    assert names(certificate) == ["web.names.test"]
    assert answer.certificate.identity == registration.identity


def test_a_certificate_that_would_carry_no_name_at_all_is_refused(running: Running, nameless: str) -> None:
    registration = running.register(profiles=[nameless])
    with pytest.raises(errors.NameInvalidError):
        running.operator.sign_csr(keys.csr_der(keys.generate()), identity=registration.identity, profile=nameless)


def test_the_names_are_those_of_the_registration_of_today(running: Running) -> None:
    registration = running.register(dns_names=["old.names.test"], identity=f"spiffe://demo.test/{fresh_name()}")
    registration.dns_names[:] = ["new.names.test"]
    running.operator.update_registration(registration)
    certificate = running.operator.sign_csr(keys.csr_der(keys.generate()), identity=registration.identity).certificate
    assert list(certificate.dns_names) == ["new.names.test"]
