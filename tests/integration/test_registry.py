import base64
import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest
from tests.integration.conftest import Running, fresh_name

from certmint import CertificateStatus, Client, Identity, Role, errors, keys
from certmint.ca.v1.registry_service_pb2 import ListCertificatesRequest, ListCertificatesResponse
from certmint.ca.v1.resources_pb2 import Certificate
from certmint.calls import Call

VALID = CertificateStatus.CERTIFICATE_STATUS_VALID
REVOKED = CertificateStatus.CERTIFICATE_STATUS_REVOKED
EXPIRED = CertificateStatus.CERTIFICATE_STATUS_EXPIRED


@dataclass(frozen=True, slots=True)
class Fleet:
    """An identity with its own DNS names, and seven certificates: the first by enrolling, the third one revoked."""

    identity: Identity
    client: Client
    domain: str
    serials: list[str]


@pytest.fixture(scope="session")
def fleet(running: Running) -> Iterator[Fleet]:
    domain = f"{fresh_name()}.test"
    identity = running.enroll(dns_names=[f"{name}.{domain}" for name in ("a", "b", "b.a")])
    with running.client(identity) as client:
        first = next(client.iterate_certificates())
        serials = [first.serial_hex]
        for hours in range(25, 31):  # later than the first, whose lifetime is 24 hours
            names = [f"{'ab'[hours % 2]}.{domain}"]
            csr_der = keys.csr_der(keys.generate(), dns_names=names)
            profile = "client" if hours % 3 == 0 else "server"
            lifetime = timedelta(hours=hours)
            serials.append(client.sign_csr(csr_der, profile=profile, lifetime=lifetime).certificate.serial_hex)
        client.revoke(issuer_id=first.issuer_id, serial_hex=serials[2])
        yield Fleet(identity, client, domain, serials)


@pytest.fixture(scope="session")
def auditor(running: Running) -> Iterator[Client]:
    with running.client(running.enroll(roles=[Role.ROLE_AUDITOR])) as client:
        yield client


@pytest.fixture(scope="session")
def stranger(running: Running) -> Iterator[Client]:
    with running.client(running.enroll()) as client:
        yield client


def serials(found: Iterator[Certificate]) -> list[str]:
    return [certificate.serial_hex for certificate in found]


def call(request: ListCertificatesRequest) -> Call[ListCertificatesResponse]:
    return Call("/certmint.ca.v1.RegistryService/ListCertificates", request, ListCertificatesResponse, None)


def test_a_holder_gets_its_own_certificate_with_der_and_chain(running: Running, fleet: Fleet) -> None:
    answer = fleet.client.get_certificate(fleet.serials[1], issuer_id=running.issuer().issuer_id)
    assert answer.certificate.certificate_der == answer.chain_der[0]
    assert answer.chain_der[1] == running.issuer().certificate_der
    assert answer == fleet.client.get_certificate(fleet.serials[1].upper())


def test_to_a_stranger_a_certificate_of_another_is_like_none(fleet: Fleet, stranger: Client) -> None:
    for serial in (fleet.serials[1], "01"):
        with pytest.raises(errors.CertificateNotFoundError) as caught:
            stranger.get_certificate(serial)
        assert caught.value.fields == {"serial_hex": "There is no such certificate, or it is not yours."}


def test_auditors_and_operators_get_any_certificate(running: Running, fleet: Fleet, auditor: Client) -> None:
    for client in (auditor, running.operator):
        assert client.get_certificate(fleet.serials[1]) == fleet.client.get_certificate(fleet.serials[1])


def test_what_cannot_be_a_certificate_is_refused_or_not_found(fleet: Fleet) -> None:
    with pytest.raises(errors.IssuerNotFoundError):
        fleet.client.get_certificate(fleet.serials[0], issuer_id="f" * 16)
    for serial in ("", "0", "g", "0x1f", "\u0661", "f" * 41):
        with pytest.raises(errors.FieldInvalidError):
            fleet.client.get_certificate(serial)


def test_a_list_holds_the_callers_own_certificates_by_expiry_without_their_der(fleet: Fleet) -> None:
    found = list(fleet.client.iterate_certificates())
    assert [certificate.serial_hex for certificate in found] == fleet.serials
    assert {certificate.identity for certificate in found} == {fleet.identity.spiffe_id}
    assert {certificate.certificate_der for certificate in found} == {b""}


def test_a_caller_may_name_itself_and_nobody_else(fleet: Fleet, stranger: Client) -> None:
    assert serials(fleet.client.iterate_certificates(identity=fleet.identity.spiffe_id)) == fleet.serials
    with pytest.raises(errors.IdentityNotAllowedError) as caught:
        stranger.list_certificates(identity=fleet.identity.spiffe_id)
    assert list(caught.value.fields) == ["identity"]


def test_a_strangers_filter_finds_nothing_of_another(fleet: Fleet, stranger: Client) -> None:
    assert not stranger.list_certificates(dns_name=f"a.{fleet.domain}").certificates
    assert not stranger.list_certificates(dns_name_suffix=fleet.domain).certificates
    assert not stranger.list_certificates(status=REVOKED).certificates


def test_an_auditor_lists_everything_or_one_identity(fleet: Fleet, auditor: Client) -> None:
    assert serials(auditor.iterate_certificates(identity=fleet.identity.spiffe_id)) == fleet.serials
    everything = serials(auditor.iterate_certificates(page_size=1000))
    assert set(fleet.serials) < set(everything)
    assert len(everything) == len(set(everything))


def test_an_exact_dns_name_finds_what_carries_it(fleet: Fleet, auditor: Client) -> None:
    first, *rest = fleet.serials
    found = serials(auditor.iterate_certificates(dns_name=f"A.{fleet.domain}".lower()))
    assert found == [first, *[serial for number, serial in enumerate(rest) if (25 + number) % 2 == 0]]
    assert serials(auditor.iterate_certificates(dns_name=f"b.a.{fleet.domain}")) == [first]
    assert not serials(auditor.iterate_certificates(dns_name=fleet.domain))


def test_a_dns_suffix_finds_what_is_below_it_once_each(fleet: Fleet, auditor: Client) -> None:
    found = serials(auditor.iterate_certificates(dns_name_suffix=fleet.domain))
    assert sorted(found) == sorted(fleet.serials)
    assert serials(auditor.iterate_certificates(dns_name_suffix=f"a.{fleet.domain}")) == fleet.serials[:1]
    assert not serials(auditor.iterate_certificates(dns_name_suffix=fleet.domain[1:]))


def test_a_status_a_profile_and_a_range_of_expiry_narrow_the_list(fleet: Fleet) -> None:
    list_of = fleet.client.iterate_certificates
    assert serials(list_of(status=REVOKED)) == [fleet.serials[2]]
    assert serials(list_of(status=VALID)) == [serial for serial in fleet.serials if serial != fleet.serials[2]]
    assert not serials(list_of(status=EXPIRED))
    assert serials(list_of(profile="client")) == [fleet.serials[3], fleet.serials[6]]
    ends = [certificate.not_after.ToDatetime(UTC) for certificate in list_of()]
    assert serials(list_of(not_after_from=ends[2], not_after_until=ends[4])) == fleet.serials[2:4]
    assert serials(list_of(status=VALID, profile="client", not_after_from=ends[4])) == [fleet.serials[6]]


def test_an_expired_certificate_is_listed_as_expired(fleet: Fleet, running: Running) -> None:
    registration = running.register()
    csr_der = keys.csr_der(keys.generate())
    lifetime = timedelta(seconds=1)
    issued = running.operator.sign_csr(csr_der, identity=registration.identity, lifetime=lifetime).certificate
    ends = issued.not_after.ToDatetime(UTC)
    while datetime.now(UTC) <= ends + timedelta(seconds=1):
        assert not serials(running.operator.iterate_certificates(identity=registration.identity, status=REVOKED))
    found = list(running.operator.iterate_certificates(identity=registration.identity, status=EXPIRED))
    assert [certificate.serial_hex for certificate in found] == [issued.serial_hex]
    assert found[0].status == EXPIRED
    assert not serials(running.operator.iterate_certificates(identity=registration.identity, status=VALID))


@pytest.mark.parametrize("page_size", [1, 2, 3, 7, 8])
@pytest.mark.parametrize("by_suffix", [False, True], ids=["by expiry", "by suffix"])
def test_pages_of_any_size_make_the_same_list(fleet: Fleet, page_size: int, by_suffix: bool) -> None:
    suffix = fleet.domain if by_suffix else ""
    whole = serials(fleet.client.iterate_certificates(dns_name_suffix=suffix))
    assert serials(fleet.client.iterate_certificates(dns_name_suffix=suffix, page_size=page_size)) == whole
    page = fleet.client.list_certificates(dns_name_suffix=suffix, page_size=page_size)
    assert len(page.certificates) <= page_size
    assert page.next_page_token or len(page.certificates) == len(whole)


def test_a_page_token_of_another_list_is_refused(fleet: Fleet, auditor: Client) -> None:
    token = fleet.client.list_certificates(page_size=2).next_page_token
    assert fleet.client.list_certificates(page_size=3, page_token=token).certificates
    for other in ({"profile": "client"}, {"status": VALID}, {"dns_name": f"a.{fleet.domain}"}):
        with pytest.raises(errors.PageTokenInvalidError) as caught:
            fleet.client.list_certificates(page_token=token, **other)
        assert list(caught.value.fields) == ["page_token"]
    with pytest.raises(errors.PageTokenInvalidError):
        auditor.list_certificates(page_token=auditor.list_registrations(page_size=1).next_page_token)


def test_a_page_token_gives_no_right_to_see_anothers_certificates(fleet: Fleet, stranger: Client) -> None:
    token = fleet.client.list_certificates(page_size=2).next_page_token
    found = serials(iter(stranger.list_certificates(page_token=token).certificates))
    assert not set(found) & set(fleet.serials)


FINGERPRINT = "fingerprint of the list"
ISSUER = "issuer id"
LATER = 4_000_000_000


def token_of(value: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode()


@pytest.mark.parametrize("token", ["x", "=", "\u00e9", "A" * 5000, token_of("[" * 3000), token_of(None), token_of([])])
def test_what_is_no_page_token_is_refused(fleet: Fleet, token: str) -> None:
    with pytest.raises(errors.PageTokenInvalidError):
        fleet.client.list_certificates(page_token=token)
    with pytest.raises(errors.PageTokenInvalidError):
        fleet.client.list_certificates(dns_name_suffix=fleet.domain, page_token=token)


@pytest.mark.parametrize(
    "parts",
    [
        ["0" * 16, "", LATER, ISSUER, "01"],
        [FINGERPRINT, "", 10**30, ISSUER, "01"],
        [FINGERPRINT, "", -(10**30), ISSUER, "01"],
        [FINGERPRINT, "", "4", ISSUER, "01"],
        [FINGERPRINT, "", LATER, ISSUER, "zz"],
        [FINGERPRINT, "", LATER, ISSUER, 1],
        [FINGERPRINT, "", LATER, ISSUER, "01", 1],
        [FINGERPRINT, "", LATER, "f" * 16, "01"],
        [FINGERPRINT, "", LATER, "f\0f", "01"],
        [FINGERPRINT, "", LATER, "\ud800", "01"],
        [FINGERPRINT, "test.a\0b", LATER, ISSUER, "01"],
        [FINGERPRINT, "test.\ud800", LATER, ISSUER, "01"],
    ],
    ids=range(12),
)
def test_a_page_token_that_was_made_up_is_refused(running: Running, fleet: Fleet, parts: list[object]) -> None:
    request = ListCertificatesRequest(dns_name_suffix=fleet.domain)
    real = {
        FINGERPRINT: hashlib.sha256(request.SerializeToString(deterministic=True)).hexdigest()[:16],
        ISSUER: running.issuer().issuer_id,
    }
    made_up = token_of([real.get(str(part), part) for part in parts])
    with pytest.raises(errors.PageTokenInvalidError):
        fleet.client.list_certificates(dns_name_suffix=fleet.domain, page_token=made_up)


@pytest.mark.parametrize("name", ["*.a.test", "a.test.", "", "a" * 300, "\u00fc.test"])
def test_what_is_no_dns_name_is_not_looked_for(fleet: Fleet, name: str) -> None:
    request = ListCertificatesRequest(dns_name=name)
    with pytest.raises(errors.NameInvalidError) as caught:
        fleet.client.send(call(request))
    assert list(caught.value.fields) == ["dns_name"]


def test_a_status_that_is_none_and_a_time_beyond_all_calendars_are_refused(fleet: Fleet) -> None:
    request = ListCertificatesRequest(status=9)  # type: ignore[arg-type]  # what a hostile client could send
    with pytest.raises(errors.FieldInvalidError):
        fleet.client.send(call(request))
    request = ListCertificatesRequest()
    request.not_after_from.seconds = 1 << 62
    with pytest.raises(errors.FieldInvalidError):
        fleet.client.send(call(request))


def test_a_page_never_holds_more_than_a_thousand(fleet: Fleet) -> None:
    assert len(fleet.client.list_certificates(page_size=2**32 - 1).certificates) == len(fleet.serials)
