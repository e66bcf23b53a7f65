import asyncio
import uuid
from collections.abc import Iterator

import pytest
from tests.integration.conftest import Running

from certmint import Client, Identity, Role, aio, errors, keys
from certmint.ca.v1.certificate_authority_service_pb2 import SignCSRRequest, SignCSRResponse
from certmint.calls import Call

CALLS = 50
SIGN_CSR = "/certmint.ca.v1.CertificateAuthorityService/SignCSR"


@pytest.fixture(scope="session")
def identity(running: Running) -> Identity:
    return running.enroll(dns_names=["a.repeat.test", "b.repeat.test"])


@pytest.fixture(scope="session")
def service(running: Running, identity: Identity) -> Iterator[Client]:
    with running.client(identity) as client:
        yield client


@pytest.fixture
def csr() -> bytes:
    return keys.csr_der(keys.generate())


@pytest.fixture
def request_id() -> str:
    return str(uuid.uuid4())


def test_the_same_request_with_the_same_id_gets_the_same_certificate(
    service: Client, csr: bytes, request_id: str
) -> None:
    first = service.sign_csr(csr, request_id=request_id, labels={"a": "1", "b": "2"})
    assert service.sign_csr(csr, request_id=request_id.upper(), labels={"b": "2", "a": "1"}) == first


def test_another_request_with_the_same_id_is_refused(service: Client, csr: bytes, request_id: str) -> None:
    service.sign_csr(csr, request_id=request_id)
    others = [
        {"csr_der": keys.csr_der(keys.generate())},
        {"csr_der": csr, "profile": "client"},
        {"csr_der": csr, "labels": {"a": "1"}},
    ]
    for other in others:
        with pytest.raises(errors.RequestIdReusedError):
            service.sign_csr(request_id=request_id, **other)  # type: ignore[arg-type]  # each has what sign_csr takes


def test_a_refused_request_does_not_use_its_id_up(service: Client, csr: bytes, request_id: str) -> None:
    with pytest.raises(errors.ProfileNotGrantedError):
        service.sign_csr(csr, request_id=request_id, profile="admin")
    service.sign_csr(csr, request_id=request_id)


def test_an_id_is_the_callers_own(running: Running, service: Client, csr: bytes, request_id: str) -> None:
    first = service.sign_csr(csr, request_id=request_id).certificate
    with running.client(running.enroll()) as another:
        second = another.sign_csr(keys.csr_der(keys.generate()), request_id=request_id).certificate
    assert second.serial_hex != first.serial_hex


def test_an_id_of_a_registration_authority_is_for_one_identity(running: Running, csr: bytes, request_id: str) -> None:
    one, other = running.register(), running.register()
    with running.client(running.enroll(roles=[Role.ROLE_REGISTRATION_AUTHORITY])) as authority:
        authority.sign_csr(csr, identity=one.identity, request_id=request_id)
        with pytest.raises(errors.RequestIdReusedError):
            authority.sign_csr(csr, identity=other.identity, request_id=request_id)


async def test_50_concurrent_calls_with_one_id_make_one_certificate(running: Running, request_id: str) -> None:
    identity = running.enroll()
    csr_der = keys.csr_der(keys.generate())
    async with aio.Client(running.server.address, identity) as client:
        answers = await asyncio.gather(*(client.sign_csr(csr_der, request_id=request_id) for _ in range(CALLS)))
        certificates = [certificate async for certificate in client.iterate_certificates()]
    assert len({answer.certificate.certificate_der for answer in answers}) == 1
    serials = {int(certificate.serial_hex, 16) for certificate in certificates}
    assert serials == {int(answers[0].certificate.serial_hex, 16), identity.certificate.serial_number}


async def test_of_two_requests_that_race_for_one_id_one_wins_whole(running: Running, request_id: str) -> None:
    csrs = [keys.csr_der(keys.generate()) for _ in range(2)]
    identity = running.enroll()
    async with aio.Client(running.server.address, identity) as client:
        calls = (client.sign_csr(csrs[number % 2], request_id=request_id) for number in range(20))
        outcomes = await asyncio.gather(*calls, return_exceptions=True)
    refused = [outcome for outcome in outcomes if isinstance(outcome, BaseException)]
    answered = [outcome for outcome in outcomes if not isinstance(outcome, BaseException)]
    assert len({answer.certificate.serial_hex for answer in answered}) == 1
    assert len(answered) == 10
    assert all(isinstance(refusal, errors.RequestIdReusedError) for refusal in refused)


async def test_50_concurrent_calls_with_their_own_ids_make_50_certificates(running: Running) -> None:
    csr_der = keys.csr_der(keys.generate())
    async with aio.Client(running.server.address, running.enroll()) as client:
        answers = await asyncio.gather(*(client.sign_csr(csr_der) for _ in range(CALLS)))
    assert len({answer.certificate.serial_hex for answer in answers}) == CALLS


def test_without_an_id_the_same_request_gets_a_certificate_each_time(service: Client, csr: bytes) -> None:
    call = Call(SIGN_CSR, SignCSRRequest(csr_der=csr), SignCSRResponse, None)
    first, second = service.send(call), service.send(call)
    assert first.certificate.serial_hex != second.certificate.serial_hex
    assert first.certificate.spki_sha256 == second.certificate.spki_sha256


@pytest.mark.parametrize(
    "bad", ["1", "not-a-uuid", "{0190163d-8694-739b-aea5-966c26f8ad91}", "0190163d8694739baea5966c26f8ad91",
            "urn:uuid:0190163d-8694-739b-aea5-966c26f8ad91", str(uuid.UUID(int=0)), "x" * 10_000]
)  # fmt: skip
def test_what_is_not_a_uuid_is_refused(service: Client, csr: bytes, bad: str) -> None:
    with pytest.raises(errors.RequestIdInvalidError) as caught:
        service.sign_csr(csr, request_id=bad)
    assert list(caught.value.fields) == ["request_id"]


def test_a_uuid_of_any_version_is_taken(service: Client, csr: bytes) -> None:
    for request_id in (uuid.uuid1(), uuid.uuid4(), uuid.uuid5(uuid.NAMESPACE_URL, str(uuid.uuid4()))):
        service.sign_csr(csr, request_id=str(request_id))


def test_validate_only_refuses_an_id_that_was_used_with_another_request(running: Running) -> None:
    identity = running.enroll()
    request_id = str(uuid.uuid4())
    with Client(running.server.address, identity) as service:
        csr_der = keys.csr_der(keys.generate())
        service.sign_csr(csr_der, request_id=request_id)
        service.sign_csr(csr_der, request_id=request_id, validate_only=True)
        with pytest.raises(errors.RequestIdReusedError):
            service.sign_csr(keys.csr_der(keys.generate()), request_id=request_id, validate_only=True)
