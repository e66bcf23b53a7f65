import hashlib
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import cache
from ipaddress import IPv4Address
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import AuthorityInformationAccessOID, ExtendedKeyUsageOID
from google.protobuf.duration_pb2 import Duration
from tests.integration.conftest import Running
from tests.integration.outsiders import key_usage

from certmint import Client, Identity, Role, errors, keys
from certmint.ca.v1.certificate_authority_service_pb2 import SignCSRRequest, SignCSRResponse
from certmint.ca.v1.resources_pb2 import CERTIFICATE_STATUS_VALID
from certmint.calls import Call

ONE_SECOND = timedelta(seconds=1)
BACKDATE = timedelta(minutes=5)
MAXIMUM_LIFETIME = timedelta(days=7)
USAGES = {
    "service": [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH],
    "server": [ExtendedKeyUsageOID.SERVER_AUTH],
    "client": [ExtendedKeyUsageOID.CLIENT_AUTH],
}

key = cache(keys.generate)  # the session's key of each type: RSA takes its time


@pytest.fixture(scope="session")
def identity(running: Running) -> Identity:
    return running.enroll(dns_names=["pay.csr.test", "api.csr.test"], ip_addresses=["192.0.2.7"])


@pytest.fixture(scope="session")
def service(running: Running, identity: Identity) -> Iterator[Client]:
    with running.client(identity) as client:
        yield client


def certificate_of(answer: SignCSRResponse) -> x509.Certificate:
    return x509.load_der_x509_certificate(answer.certificate.certificate_der)


def csr(key_type: keys.KeyType = keys.KeyType.ECDSA_P256, **names: Any) -> bytes:
    return keys.csr_der(key(key_type), **names)


def expected_extensions(
    running: Running, leaf_key: keys.PrivateKey, profile: str, *names: x509.GeneralName
) -> dict[x509.ObjectIdentifier, tuple[bool, x509.ExtensionType]]:
    issuing, _ = running.certificates()
    issuer_id, http_url = running.issuer().issuer_id, running.server.http_url
    skid = issuing.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    spki = leaf_key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    crl_url = x509.UniformResourceIdentifier(f"{http_url}/crl/{issuer_id}/1.crl")
    certificate_url = x509.UniformResourceIdentifier(f"{http_url}/aia/{issuer_id}.cer")
    ca_issuers = x509.AccessDescription(AuthorityInformationAccessOID.CA_ISSUERS, certificate_url)
    extensions: list[tuple[bool, x509.ExtensionType]] = [
        (True, x509.BasicConstraints(ca=False, path_length=None)),
        (True, key_usage(digital_signature=True)),
        (False, x509.ExtendedKeyUsage(USAGES[profile])),
        (False, x509.SubjectAlternativeName(names)),
        (False, x509.SubjectKeyIdentifier(hashlib.sha256(spki).digest()[:20])),
        (False, x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(skid)),
        (False, x509.CRLDistributionPoints([x509.DistributionPoint([crl_url], None, None, None)])),
        (False, x509.AuthorityInformationAccess([ca_issuers])),
    ]
    return {extension.oid: (critical, extension) for critical, extension in extensions}


@pytest.mark.parametrize("key_type", list(keys.KeyType))
def test_a_certificate_of_each_key_type_is_what_the_rules_say_and_nothing_more(
    running: Running, service: Client, identity: Identity, key_type: keys.KeyType
) -> None:
    before = datetime.now(UTC).replace(microsecond=0)
    answer = service.sign_csr(csr(key_type, dns_names=["api.csr.test"], ip_addresses=["192.0.2.7"]))
    certificate = certificate_of(answer)
    names = (
        x509.DNSName("api.csr.test"),
        x509.IPAddress(IPv4Address("192.0.2.7")),
        x509.UniformResourceIdentifier(identity.spiffe_id),
    )
    expected = expected_extensions(running, key(key_type), "service", *names)
    assert {extension.oid: (extension.critical, extension.value) for extension in certificate.extensions} == expected
    assert certificate.version is x509.Version.v3
    assert certificate.public_key() == key(key_type).public_key()
    assert certificate.subject.rfc4514_string() == "CN=api.csr.test"
    assert certificate.issuer == running.certificates()[0].subject
    assert before <= certificate.not_valid_before_utc + BACKDATE <= datetime.now(UTC)
    assert 64 < certificate.serial_number.bit_length() < 160


def test_the_summary_says_what_the_certificate_holds(running: Running, service: Client, identity: Identity) -> None:
    answer = service.sign_csr(csr(ip_addresses=["192.0.2.7"], dns_names=["pay.csr.test"]), labels={"team": "pay"})
    certificate, summary = certificate_of(answer), answer.certificate
    spki = certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    assert summary.issuer_id == running.issuer().issuer_id
    assert int(summary.serial_hex, 16) == certificate.serial_number
    assert len(summary.serial_hex) % 2 == 0
    assert (summary.identity, summary.requested_by) == (identity.spiffe_id, identity.spiffe_id)
    assert (list(summary.dns_names), list(summary.ip_addresses)) == (["pay.csr.test"], ["192.0.2.7"])
    assert (summary.profile, summary.profile_version, summary.crl_shard) == ("service", 1, 1)
    assert summary.not_before.ToDatetime(UTC) == certificate.not_valid_before_utc
    assert summary.not_after.ToDatetime(UTC) == certificate.not_valid_after_utc
    assert summary.spki_sha256 == hashlib.sha256(spki).hexdigest()
    assert summary.sha256 == hashlib.sha256(summary.certificate_der).hexdigest()
    assert summary.status == CERTIFICATE_STATUS_VALID
    assert not summary.HasField("revocation")
    assert running.operator.get_certificate(summary.serial_hex).certificate == summary


@pytest.mark.parametrize("profile", list(USAGES))
def test_a_profile_decides_the_extended_key_usages(service: Client, profile: str) -> None:
    certificate = certificate_of(service.sign_csr(csr(), profile=profile))
    assert list(certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value) == USAGES[profile]


def test_a_profile_that_is_not_granted_is_refused(running: Running) -> None:
    with running.client(running.enroll(profiles=["client"])) as client:
        for profile in ("server", "", "no-such-profile"):
            with pytest.raises(errors.ProfileNotGrantedError):
                client.sign_csr(csr(), profile=profile)


def test_a_granted_profile_that_was_never_applied_is_not_found(running: Running) -> None:
    with running.client(running.enroll(profiles=["client", "of-tomorrow"])) as client:
        with pytest.raises(errors.ProfileNotFoundError):
            client.sign_csr(csr(), profile="of-tomorrow")
        granted = [profile.name for profile in client.get_configuration().profiles]
    assert granted == ["client"]


@pytest.mark.parametrize("lifetime", [None, timedelta(seconds=1), timedelta(hours=5), MAXIMUM_LIFETIME], ids=str)
def test_a_lifetime_counts_both_ends(service: Client, lifetime: timedelta | None) -> None:
    answer = service.sign_csr(csr(), lifetime=lifetime)
    certificate = certificate_of(answer)
    wanted = lifetime or timedelta(hours=24)
    assert certificate.not_valid_after_utc - certificate.not_valid_before_utc == BACKDATE + wanted - ONE_SECOND
    assert not answer.limited_by_issuer


@pytest.mark.parametrize(
    "lifetime",
    [
        MAXIMUM_LIFETIME + ONE_SECOND,
        timedelta(0),
        -ONE_SECOND,
        timedelta(seconds=1.5),
        timedelta(microseconds=1),
        timedelta(days=3_000_000),
    ],
    ids=str,
)
def test_a_lifetime_outside_the_profile_or_in_fractions_is_refused(service: Client, lifetime: timedelta) -> None:
    with pytest.raises(errors.LifetimeNotAllowedError) as caught:
        service.sign_csr(csr(), lifetime=lifetime)
    assert list(caught.value.fields) == ["lifetime"]


def test_a_lifetime_of_nanoseconds_is_refused(service: Client) -> None:
    request = SignCSRRequest(csr_der=csr(), lifetime=Duration(seconds=60, nanos=1))
    method = "/certmint.ca.v1.CertificateAuthorityService/SignCSR"
    with pytest.raises(errors.FieldInvalidError) as caught:
        service.send(Call(method, request, SignCSRResponse, None))
    assert list(caught.value.fields) == ["lifetime"]


def test_a_lifetime_past_the_end_of_the_issuer_is_cut_to_it_and_the_answer_says_so(running: Running) -> None:
    profile = running.operator.get_profile("service").profile
    profile.name = f"decade-{uuid.uuid4().hex[:8]}"
    profile.maximum_lifetime.FromTimedelta(timedelta(days=3650))
    running.operator.apply_profile(profile)
    registration = running.register(profiles=[profile.name])
    answer = running.operator.sign_csr(
        csr(), identity=registration.identity, profile=profile.name, lifetime=timedelta(days=3650)
    )
    assert answer.limited_by_issuer
    assert certificate_of(answer).not_valid_after_utc == running.certificates()[0].not_valid_after_utc


def test_the_chain_is_leaf_first_and_verifies_to_the_root_which_it_leaves_out(
    running: Running, service: Client
) -> None:
    answer = service.sign_csr(csr())
    issuing, root = running.certificates()
    leaf, *above = map(x509.load_der_x509_certificate, answer.chain_der)
    assert above == [issuing]
    assert answer.chain_der[0] == answer.certificate.certificate_der
    leaf.verify_directly_issued_by(issuing)
    issuing.verify_directly_issued_by(root)
    root.verify_directly_issued_by(root)
    bundle = service.get_trust_bundle().trust_bundle
    assert list(bundle.roots_der) == [root.public_bytes(Encoding.DER)]
    assert answer.trust_bundle_sequence == bundle.sequence == 1
    assert list(service.get_certificate(answer.certificate.serial_hex).chain_der) == list(answer.chain_der)


def test_the_answer_says_when_to_renew(service: Client) -> None:
    answer = service.sign_csr(csr(), lifetime=timedelta(hours=10))
    # The backdate is no part of what was asked for.
    issued_at = answer.certificate.not_after.ToDatetime(UTC) + ONE_SECOND - timedelta(hours=10)
    lifetime = timedelta(hours=10)
    after, before = answer.renew_after.ToDatetime(UTC), answer.renew_before.ToDatetime(UTC)
    assert abs(after - (issued_at + lifetime * 0.6)) <= 2 * ONE_SECOND
    assert abs(before - (issued_at + lifetime * 0.8)) <= 2 * ONE_SECOND


def test_validate_only_answers_as_the_call_would_and_changes_nothing(service: Client, identity: Identity) -> None:
    held = [certificate.serial_hex for certificate in service.iterate_certificates()]
    request_id = str(uuid.uuid4())
    validated = service.sign_csr(csr(dns_names=["api.csr.test"]), validate_only=True, request_id=request_id)
    assert [certificate.serial_hex for certificate in service.iterate_certificates()] == held
    summary = validated.certificate
    assert (summary.serial_hex, summary.certificate_der, list(validated.chain_der)) == ("", b"", [])
    issued = service.sign_csr(csr(dns_names=["api.csr.test"]), request_id=request_id)
    for field in ("issuer_id", "identity", "dns_names", "profile", "profile_version", "spki_sha256", "requested_by"):
        assert getattr(summary, field) == getattr(issued.certificate, field)
    assert issued.certificate.not_after.seconds - summary.not_after.seconds < 30
    assert list(summary.dns_names) == ["api.csr.test"]
    assert summary.identity == identity.spiffe_id


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ({"csr_der": b"\x30\x00"}, errors.CSRMalformedError),
        ({"csr_der": bytes(16 * 1024 + 1)}, errors.CSRTooLargeError),
        ({"dns_names": ["www.csr.test"]}, errors.NameNotGrantedError),
        ({"profile": "admin"}, errors.ProfileNotGrantedError),
        ({"lifetime": timedelta(days=8)}, errors.LifetimeNotAllowedError),
        ({"identity": "spiffe://demo.test/another"}, errors.IdentityNotAllowedError),
        ({"request_id": "1"}, errors.RequestIdInvalidError),
        ({"labels": {"": "x"}}, errors.FieldInvalidError),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_validate_only_refuses_what_the_call_refuses(
    service: Client, arguments: dict[str, Any], error: type[errors.CertmintError]
) -> None:
    arguments = dict(arguments)
    csr_der = arguments.pop("csr_der", None) or csr(dns_names=arguments.pop("dns_names", ()))
    for validate_only in (True, False):
        with pytest.raises(error):
            service.sign_csr(csr_der, validate_only=validate_only, **arguments)


def test_a_csr_of_16_kib_is_read_and_one_byte_more_is_not(service: Client) -> None:
    assert service.get_configuration().maximum_csr_bytes == 16 * 1024
    with pytest.raises(errors.CSRMalformedError):
        service.sign_csr(bytes(16 * 1024))
    with pytest.raises(errors.CSRTooLargeError):
        service.sign_csr(bytes(16 * 1024 + 1))


def test_labels_are_kept_beside_the_certificate_and_not_in_it(running: Running, service: Client) -> None:
    labels = {f"{number:02}" + "k" * 62: "v" * 256 for number in range(16)}
    answer = service.sign_csr(csr(), labels=labels)
    assert dict(running.operator.get_certificate(answer.certificate.serial_hex).certificate.labels) == labels
    assert b"vvvv" not in answer.certificate.certificate_der


@pytest.mark.parametrize(
    "labels",
    [{str(number): "" for number in range(17)}, {"k" * 65: "v"}, {"k": "v" * 257}, {"": "v"}, {"k": "a\0b"}],
    ids=["seventeen", "long key", "long value", "no key", "NUL"],
)
def test_labels_beyond_their_bounds_are_refused(service: Client, labels: dict[str, str]) -> None:
    with pytest.raises(errors.FieldInvalidError) as caught:
        service.sign_csr(csr(), labels=labels)
    assert list(caught.value.fields) == ["labels"]


def test_a_registration_authority_gets_another_identity_its_certificate(running: Running) -> None:
    registration = running.register(dns_names=["other.csr.test"])
    authority = running.enroll(roles=[Role.ROLE_REGISTRATION_AUTHORITY], dns_names=["ra.csr.test"])
    with running.client(authority) as client:
        summary = client.sign_csr(csr(), identity=registration.identity).certificate
        with pytest.raises(errors.NameNotGrantedError):
            client.sign_csr(csr(dns_names=["ra.csr.test"]), identity=registration.identity)
        with pytest.raises(errors.RegistrationNotFoundError):
            client.sign_csr(csr(), identity="spiffe://demo.test/nobody")
    assert (summary.identity, summary.requested_by) == (registration.identity, authority.spiffe_id)
    assert list(summary.dns_names) == ["other.csr.test"]


@pytest.mark.parametrize("role", [Role.ROLE_SERVICE, Role.ROLE_AUDITOR, Role.ROLE_OPERATOR], ids=Role.Name)
def test_no_other_role_gets_another_identity_its_certificate(running: Running, role: Role.ValueType) -> None:
    registration = running.register()
    with running.client(running.enroll(roles=[role])) as client:
        for identity in (registration.identity, "spiffe://demo.test/nobody"):
            with pytest.raises(errors.IdentityNotAllowedError):
                client.sign_csr(csr(), identity=identity)


def test_a_disabled_identity_gets_no_certificate(running: Running) -> None:
    registration = running.register(disabled=True)
    with pytest.raises(errors.RegistrationDisabledError):
        running.operator.sign_csr(csr(), identity=registration.identity)


def test_naming_oneself_is_the_same_as_naming_nobody(service: Client, identity: Identity) -> None:
    assert service.sign_csr(csr(), identity=identity.spiffe_id).certificate.identity == identity.spiffe_id
