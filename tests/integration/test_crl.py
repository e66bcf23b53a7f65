import hashlib
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from http.client import HTTPConnection, HTTPResponse
from urllib.parse import urlsplit

import pytest
from cryptography import x509
from cryptography.x509.oid import AuthorityInformationAccessOID, CRLEntryExtensionOID
from tests.integration.conftest import Running

from certmint import Client, RevocationReason, errors, keys
from certmint.ca.v1.certificate_authority_service_pb2 import GetCRLRequest, GetCRLResponse, RevokeResponse
from certmint.ca.v1.resources_pb2 import ISSUER_STATE_OFFLINE, CertificateRevocationList
from certmint.calls import Call

GET_CRL = "/certmint.ca.v1.CertificateAuthorityService/GetCRL"
# RFC 5280 section 5.3.1 as the library names them; unspecified is said by saying nothing.
REASONS = {
    RevocationReason.REVOCATION_REASON_UNSPECIFIED: None,
    RevocationReason.REVOCATION_REASON_KEY_COMPROMISE: x509.ReasonFlags.key_compromise,
    RevocationReason.REVOCATION_REASON_CA_COMPROMISE: x509.ReasonFlags.ca_compromise,
    RevocationReason.REVOCATION_REASON_AFFILIATION_CHANGED: x509.ReasonFlags.affiliation_changed,
    RevocationReason.REVOCATION_REASON_SUPERSEDED: x509.ReasonFlags.superseded,
    RevocationReason.REVOCATION_REASON_CESSATION_OF_OPERATION: x509.ReasonFlags.cessation_of_operation,
    RevocationReason.REVOCATION_REASON_PRIVILEGE_WITHDRAWN: x509.ReasonFlags.privilege_withdrawn,
}


@pytest.fixture(scope="session")
def service(running: Running) -> Iterator[Client]:
    with running.client(running.enroll(dns_names=["crl.test"])) as client:
        yield client


def revoked(
    client: Client, reason: RevocationReason.ValueType = RevocationReason.REVOCATION_REASON_UNSPECIFIED
) -> RevokeResponse:
    certificate = client.sign_csr(keys.csr_der(keys.generate())).certificate
    return client.revoke(certificate_der=certificate.certificate_der, reason=reason)


def crl_from(client: Client, number: int) -> CertificateRevocationList:
    """The first CRL seen whose number is not below `number`; the bound is the server's own."""
    ends = time.monotonic() + client.get_configuration().crl_publication_bound.ToTimedelta().total_seconds() + 1
    while time.monotonic() < ends:
        crl = client.get_crl().crl
        if crl.crl_number >= number:
            return crl
        time.sleep(0.05)
    raise AssertionError(f"no CRL from number {number} on was published in time")


def parsed(crl: CertificateRevocationList) -> x509.CertificateRevocationList:
    return x509.load_der_x509_crl(crl.crl_der)


def entry(crl: CertificateRevocationList, serial_hex: str) -> x509.RevokedCertificate:
    found = parsed(crl).get_revoked_certificate_by_serial_number(int(serial_hex, 16))
    assert found is not None
    return found


def get(url: str, *, method: str = "GET", **headers: str) -> tuple[HTTPResponse, bytes]:
    parts = urlsplit(url)
    connection = HTTPConnection(parts.netloc, timeout=5)
    try:
        wanted = {name.replace("_", "-"): value for name, value in headers.items()}
        connection.request(method, parts.path + (f"?{parts.query}" if parts.query else ""), headers=wanted)
        response = connection.getresponse()
        return response, response.read()
    finally:
        connection.close()


def test_a_revocation_is_in_the_crl_that_was_promised_within_the_bound(service: Client) -> None:
    answer = revoked(service, RevocationReason.REVOCATION_REASON_SUPERSEDED)
    promised = answer.certificate.revocation
    crl = crl_from(service, promised.crl_number)
    assert crl.this_update.seconds <= answer.published_by.seconds
    assert datetime.now(UTC) <= answer.published_by.ToDatetime(UTC).replace(microsecond=999_999)
    found = entry(crl, answer.certificate.serial_hex)
    assert found.revocation_date_utc == promised.revoked_at.ToDatetime(UTC)


def test_every_later_crl_carries_every_revocation_with_its_reason(service: Client) -> None:
    answers = {reason: revoked(service, reason) for reason in REASONS}
    number = max(answer.certificate.revocation.crl_number for answer in answers.values())
    first = crl_from(service, number)
    revoked(service)
    later = crl_from(service, first.crl_number + 1)
    for crl in (first, later):
        for reason, answer in answers.items():
            extensions = entry(crl, answer.certificate.serial_hex).extensions
            reasons = [e.value.reason for e in extensions if isinstance(e.value, x509.CRLReason)]
            assert reasons == ([REASONS[reason]] if REASONS[reason] else [])
            assert all(e.oid == CRLEntryExtensionOID.CRL_REASON and not e.critical for e in extensions)


def test_an_upgrade_to_key_compromise_is_in_the_crl_that_it_was_promised(running: Running, service: Client) -> None:
    answer = revoked(service, RevocationReason.REVOCATION_REASON_SUPERSEDED)
    first = answer.certificate.revocation
    crl_from(service, first.crl_number)
    while datetime.now(UTC) < answer.published_by.ToDatetime(UTC) - timedelta(seconds=2.5):
        time.sleep(0.1)  # so that the time promised first is too early
    asked = datetime.now(UTC)
    upgraded = running.operator.revoke(
        issuer_id=answer.certificate.issuer_id,
        serial_hex=answer.certificate.serial_hex,
        reason=RevocationReason.REVOCATION_REASON_KEY_COMPROMISE,
    )
    bound = service.get_configuration().crl_publication_bound.ToTimedelta()
    assert asked + bound - timedelta(seconds=1) <= upgraded.published_by.ToDatetime(UTC) <= datetime.now(UTC) + bound
    upgrade = upgraded.certificate.revocation
    assert upgrade.crl_number > first.crl_number
    found = entry(crl_from(service, upgrade.crl_number), answer.certificate.serial_hex)
    assert found.extensions.get_extension_for_class(x509.CRLReason).value.reason is x509.ReasonFlags.key_compromise
    assert found.revocation_date_utc == first.revoked_at.ToDatetime(UTC)


def test_a_crl_holds_what_rfc_5280_wants_and_verifies_under_its_issuer(running: Running, service: Client) -> None:
    crl = service.get_crl().crl
    issuing, _ = running.certificates()
    read = parsed(crl)
    public_key = issuing.public_key()
    assert read.is_signature_valid(public_key)  # type: ignore[arg-type]  # an ECDSA key, as init makes it
    assert read.issuer == issuing.subject
    assert (read.last_update_utc, read.next_update_utc) == (
        crl.this_update.ToDatetime(UTC),
        crl.next_update.ToDatetime(UTC),
    )
    skid = issuing.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    akid = x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(skid)
    extensions = {extension.oid: extension for extension in read.extensions}
    assert len(extensions) == 3
    assert extensions[x509.AuthorityKeyIdentifier.oid].value == akid
    assert extensions[x509.CRLNumber.oid].value == x509.CRLNumber(crl.crl_number)
    assert [extension.critical for extension in read.extensions if extension.critical] == [True]
    assert crl.sha256 == hashlib.sha256(crl.crl_der).hexdigest()
    assert crl.entry_count == len(read)


def test_the_distribution_point_of_a_crl_is_critical_and_that_of_its_certificates(
    running: Running, service: Client
) -> None:
    crl = service.get_crl().crl
    extension = parsed(crl).extensions.get_extension_for_class(x509.IssuingDistributionPoint)
    certificate = x509.load_der_x509_certificate(
        service.sign_csr(keys.csr_der(keys.generate())).certificate.certificate_der
    )
    points = certificate.extensions.get_extension_for_class(x509.CRLDistributionPoints).value
    assert extension.critical
    assert extension.value.full_name == points[0].full_name == [x509.UniformResourceIdentifier(crl.url)]
    assert extension.value.only_contains_user_certs
    assert not extension.value.indirect_crl
    assert crl.url.startswith(running.server.http_url)


def test_a_crl_that_the_caller_has_costs_no_bytes(service: Client) -> None:
    crl = crl_from(service, revoked(service).certificate.revocation.crl_number)
    answer = service.get_crl(if_newer_than=crl.crl_number)
    assert answer.not_modified
    assert (answer.crl.crl_number, answer.crl.crl_der) == (crl.crl_number, b"")
    assert service.get_crl(if_newer_than=crl.crl_number + 1).not_modified
    older = service.get_crl(if_newer_than=crl.crl_number - 1)
    assert not older.not_modified
    assert older.crl == crl


def test_shard_zero_is_the_first(service: Client) -> None:
    first = service.get_crl().crl
    answer = service.send(Call(GET_CRL, GetCRLRequest(if_newer_than=first.crl_number - 1), GetCRLResponse, None))
    assert answer.crl.shard == 1


@pytest.mark.parametrize("shard", [2, 2**16, 2**32 - 1])
def test_an_unknown_shard_is_not_found(service: Client, shard: int) -> None:
    with pytest.raises(errors.CRLNotFoundError) as caught:
        service.get_crl(shard=shard)
    assert list(caught.value.fields) == ["shard"]


@pytest.mark.parametrize("issuer_id", ["0" * 16, "x", "\0", "a" * 10_000])
def test_an_unknown_issuer_is_not_found(service: Client, issuer_id: str) -> None:
    with pytest.raises(errors.IssuerNotFoundError) as caught:
        service.get_crl(issuer_id=issuer_id)
    assert list(caught.value.fields) == ["issuer_id"]


def test_the_roots_crl_is_there_by_its_issuer_id(running: Running, service: Client) -> None:
    crl = service.get_crl(issuer_id=running.issuer(ISSUER_STATE_OFFLINE).issuer_id).crl
    read, (_, root) = parsed(crl), running.certificates()
    assert read.is_signature_valid(root.public_key())  # type: ignore[arg-type]  # an ECDSA key, as init makes it
    assert len(read) == 0
    issuing, _ = running.certificates()
    in_certificate = issuing.extensions.get_extension_for_class(x509.CRLDistributionPoints).value[0].full_name
    assert in_certificate == [x509.UniformResourceIdentifier(crl.url)]


def test_http_serves_the_same_crl_at_the_url_of_the_certificates(service: Client) -> None:
    crl = service.get_crl().crl
    response, body = get(crl.url)
    assert (response.status, response.headers["Content-Type"]) == (200, "application/pkix-crl")
    assert body == crl.crl_der or x509.load_der_x509_crl(body).last_update_utc >= crl.this_update.ToDatetime(UTC)
    assert response.headers["ETag"] == f'"{hashlib.sha256(body).hexdigest()}"'
    last_modified = parsedate_to_datetime(response.headers["Last-Modified"])
    assert last_modified == x509.load_der_x509_crl(body).last_update_utc
    assert "max-age=" in response.headers["Cache-Control"]


def test_http_answers_304_to_whoever_has_the_bytes(running: Running) -> None:
    root = running.operator.get_crl(issuer_id=running.issuer(ISSUER_STATE_OFFLINE).issuer_id).crl
    first, body = get(root.url)
    assert body == root.crl_der
    for headers in (
        {"If_None_Match": first.headers["ETag"]},
        {"If_Modified_Since": first.headers["Last-Modified"]},
    ):
        response, nothing = get(root.url, **headers)
        assert (response.status, nothing) == (304, b"")
    other, again = get(root.url, If_None_Match='"0"')
    assert (other.status, again) == (200, body)


def test_http_serves_the_issuers_certificate_that_a_certificate_points_at(running: Running, service: Client) -> None:
    answer = service.sign_csr(keys.csr_der(keys.generate()))
    issuing, root = running.certificates()
    certificate = x509.load_der_x509_certificate(answer.certificate.certificate_der)
    for expected in (issuing, root):
        access = certificate.extensions.get_extension_for_class(x509.AuthorityInformationAccess).value
        (location,) = [d for d in access if d.access_method == AuthorityInformationAccessOID.CA_ISSUERS]
        response, body = get(str(location.access_location.value))
        assert (response.status, response.headers["Content-Type"]) == (200, "application/pkix-cert")
        assert x509.load_der_x509_certificate(body) == expected
        certificate.verify_directly_issued_by(expected)
        certificate = expected


def test_http_serves_the_trust_bundle(running: Running) -> None:
    response, body = get(f"{running.server.http_url}/bundle.pem")
    assert (response.status, response.headers["Content-Type"]) == (200, "application/pem-certificate-chain")
    assert x509.load_pem_x509_certificates(body) == [running.certificates()[1]]


@pytest.mark.parametrize(
    "path", ["/", "/crl", "/crl/", "/health", "/metrics", "/docs", "/openapi.json", "/bundle.pem/", "/../certmint.toml"]
)
def test_http_serves_nothing_else(running: Running, path: str) -> None:
    response, body = get(running.server.http_url + path)
    assert response.status == 404
    assert body == b"Not Found.\n"


@pytest.mark.parametrize("shard", ["0", "2", "01", "-1", "1.0", "x", "99999999999"])
def test_http_serves_no_other_shard(running: Running, shard: str) -> None:
    url = f"{running.server.http_url}/crl/{running.issuer().issuer_id}/{shard}.crl"
    assert get(url)[0].status == 404


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS"])
def test_http_only_reads(running: Running, method: str) -> None:
    assert get(f"{running.server.http_url}/bundle.pem", method=method)[0].status == 405
