"""Both clients against a real server: what they send, when they try again, when they stop."""

import asyncio
import inspect
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import grpc
import pytest
from tests.unit.client.conftest import Connect
from tests.unit.client.peer import CA, METHODS, Peer, refuse, serving

import certmint
from certmint import aio, calls, errors
from certmint.ca.v1 import admin_service_pb2 as admin
from certmint.ca.v1 import certificate_authority_service_pb2 as authority
from certmint.ca.v1 import registry_service_pb2 as registry
from certmint.ca.v1 import resources_pb2 as resources
from certmint.ca.v1 import trust_service_pb2 as trust
from certmint.identity import IdentityError

UNAVAILABLE = refuse(grpc.StatusCode.UNAVAILABLE, "Not now.", reason="STORE_UNAVAILABLE")
CANCELLED = refuse(grpc.StatusCode.CANCELLED, "Stopping.")
WHEN = datetime(2027, 1, 31, 12, tzinfo=UTC)

SAFE: list[calls.Call[Any]] = [
    calls.sign_csr(b"csr"),
    calls.revoke(serial_hex="01", issuer_id="ab"),
    calls.get_crl(),
    calls.verify_chain([b"leaf"], purpose=authority.PURPOSE_ANY),
    calls.get_configuration(),
    calls.get_trust_bundle(),
    calls.get_certificate("01"),
    calls.list_certificates(),
    calls.get_registration("spiffe://example.org/a"),
    calls.list_registrations(),
    calls.get_profile("service"),
    calls.list_profiles(),
]
UNSAFE: list[calls.Call[Any]] = [
    calls.create_registration(resources.Registration()),
    calls.update_registration(resources.Registration()),
    calls.delete_registration("spiffe://example.org/a", version=1),
    calls.apply_profile(resources.Profile()),
]


def name(call: calls.Call[Any]) -> str:
    return call.method.rpartition("/")[2]


def test_every_method_of_the_wire_is_a_call_of_its_own_types() -> None:
    assert {call.method for call in [*SAFE, *UNSAFE]} == set(METHODS)
    for call in [*SAFE, *UNSAFE]:
        method = METHODS[call.method]
        assert call.request.DESCRIPTOR is method.input_type
        assert call.response.DESCRIPTOR is method.output_type


def test_both_clients_have_the_same_methods_with_the_same_signatures_and_docstrings() -> None:
    for build in vars(calls).values():
        if inspect.isfunction(build) and hasattr(certmint.Client, build.__name__):
            synchronous, asynchronous = getattr(certmint.Client, build.__name__), getattr(aio.Client, build.__name__)
            assert synchronous.__doc__ == asynchronous.__doc__ == build.__doc__
            assert inspect.signature(synchronous) == inspect.signature(asynchronous)
            assert list(inspect.signature(synchronous).parameters)[1:] == list(inspect.signature(build).parameters)


async def test_sign_csr_sends_what_it_is_given(connect: Connect, ca: CA, peer: Peer) -> None:
    peer.answers("SignCSR", authority.SignCSRResponse(chain_der=[b"leaf", b"issuer"]))
    async with connect(peer.address, ca.identity()) as client:
        answer = await client.sign_csr(
            b"csr",
            profile="server",
            lifetime=timedelta(hours=12),
            request_id="0192a6b4-7b3c-7000-8000-000000000001",
            validate_only=True,
            labels={"team": "payments"},
            identity="spiffe://example.org/orders",
        )
    assert list(answer.chain_der) == [b"leaf", b"issuer"]
    request = peer.requests("SignCSR")[0]
    assert request.csr_der == b"csr"
    assert request.lifetime.ToTimedelta() == timedelta(hours=12)
    assert request.request_id == "0192a6b4-7b3c-7000-8000-000000000001"
    assert request.validate_only
    assert request.labels == {"team": "payments"}
    assert (request.profile, request.identity) == ("server", "spiffe://example.org/orders")


async def test_verify_chain_sends_one_name_and_the_strictest_policy_by_default(
    connect: Connect, ca: CA, peer: Peer
) -> None:
    peer.answers("VerifyChain", authority.VerifyChainResponse(valid=True))
    async with connect(peer.address, ca.identity()) as client:
        await client.verify_chain(
            [b"leaf"], purpose=authority.PURPOSE_SERVER_AUTH, uri="spiffe://example.org/a", at_time=WHEN
        )
    request = peer.requests("VerifyChain")[0]
    assert request.WhichOneof("expected_name") == "uri"
    assert request.revocation_policy == authority.REVOCATION_POLICY_REQUIRE_FRESH
    assert request.at_time.ToDatetime(UTC) == WHEN


async def test_filters_that_are_not_given_are_not_sent(connect: Connect, ca: CA, peer: Peer) -> None:
    peer.answers("ListCertificates", registry.ListCertificatesResponse())
    async with connect(peer.address, ca.identity()) as client:
        await client.list_certificates()
        await client.list_certificates(dns_name_suffix="svc.example", not_after_until=WHEN)
    nothing, something = peer.requests("ListCertificates")
    assert nothing == registry.ListCertificatesRequest()
    assert something.WhichOneof("dns") == "dns_name_suffix"
    assert not something.HasField("not_after_from")


async def test_iterating_walks_all_pages_with_the_same_filter(connect: Connect, ca: CA, peer: Peer) -> None:
    pages = [
        registry.ListCertificatesResponse(
            certificates=[resources.Certificate(serial_hex=serial) for serial in serials], next_page_token=token
        )
        for serials, token in ((["01", "02"], "p2"), ([], "p3"), (["03"], ""))
    ]
    peer.answers("ListCertificates", *pages)
    async with connect(peer.address, ca.identity()) as client:
        found = [certificate.serial_hex async for certificate in client.iterate_certificates(profile="server")]
    assert found == ["01", "02", "03"]
    asked = peer.requests("ListCertificates")
    assert [request.page_token for request in asked] == ["", "p2", "p3"]
    assert {request.profile for request in asked} == {"server"}


@pytest.mark.parametrize(
    "build",
    [
        calls.revoke,
        lambda: calls.revoke(certificate_der=b"der", serial_hex="01"),
        lambda: calls.verify_chain([b"leaf"], purpose=authority.PURPOSE_ANY, dns_name="a", uri="b"),
        lambda: calls.list_certificates(dns_name="a", dns_name_suffix="b"),
        lambda: calls.list_certificates(not_after_from=WHEN.replace(tzinfo=None)),
    ],
    ids=["revoke nothing", "revoke by both", "two names", "two filters", "no time zone"],
)
def test_arguments_that_contradict_each_other_are_refused_before_anything_is_sent(
    build: Callable[[], object],
) -> None:
    with pytest.raises(ValueError, match=r"\.$"):
        build()


@pytest.mark.parametrize("call", SAFE, ids=name)
@pytest.mark.parametrize("failure", [UNAVAILABLE, CANCELLED], ids=["unavailable", "cancelled"])
async def test_a_call_that_can_do_no_harm_is_made_again(
    connect: Connect, ca: CA, peer: Peer, call: calls.Call[Any], failure: Any
) -> None:
    peer.answers(name(call), failure, call.response())
    async with connect(peer.address, ca.identity()) as client:
        assert await client.send(call) == call.response()
    first, second = peer.requests(name(call))
    assert first == second


@pytest.mark.parametrize("call", UNSAFE, ids=name)
async def test_a_call_that_could_act_twice_is_never_made_again(
    connect: Connect, ca: CA, peer: Peer, call: calls.Call[Any]
) -> None:
    peer.answers(name(call), UNAVAILABLE)
    async with connect(peer.address, ca.identity()) as client:
        with pytest.raises(errors.StoreUnavailableError):
            await client.send(call)
    assert len(peer.asked) == 1


async def test_a_refusal_is_not_asked_again(connect: Connect, ca: CA, peer: Peer) -> None:
    peer.answers("GetConfiguration", refuse(grpc.StatusCode.INTERNAL, "Our fault.", reason="INTERNAL"))
    async with connect(peer.address, ca.identity()) as client:
        with pytest.raises(errors.InternalError):
            await client.get_configuration()
    assert len(peer.asked) == 1


async def test_after_six_attempts_the_last_failure_is_raised(connect: Connect, ca: CA, peer: Peer) -> None:
    peer.answers("GetConfiguration", CANCELLED)
    async with connect(peer.address, ca.identity()) as client:
        with pytest.raises(errors.CallCancelledError):
            await client.get_configuration()
    assert len(peer.asked) == 6


async def test_all_attempts_of_sign_csr_carry_one_uuid_of_version_7(connect: Connect, ca: CA, peer: Peer) -> None:
    peer.answers("SignCSR", UNAVAILABLE, UNAVAILABLE, authority.SignCSRResponse())
    async with connect(peer.address, ca.identity()) as client:
        await client.sign_csr(b"csr")
        await client.sign_csr(b"csr")
    *first, second = [UUID(request.request_id) for request in peer.requests("SignCSR")]
    assert len(set(first)) == 1
    assert first[0] != second
    assert (second.version, second.variant) == (7, "specified in RFC 4122")
    assert abs((second.int >> 80) / 1000 - time.time()) < 60


async def test_the_wait_that_the_server_asks_for_is_kept(connect: Connect, ca: CA, peer: Peer) -> None:
    wait = refuse(grpc.StatusCode.UNAVAILABLE, "Soon.", retry_after=timedelta(seconds=0.6))
    peer.answers("GetTrustBundle", wait, trust.GetTrustBundleResponse())
    async with connect(peer.address, ca.identity()) as client:
        start = time.monotonic()
        await client.get_trust_bundle()
    assert time.monotonic() - start >= 0.6


async def test_a_wait_beyond_the_deadline_is_not_begun(connect: Connect, ca: CA, peer: Peer) -> None:
    wait = refuse(grpc.StatusCode.UNAVAILABLE, "Later.", retry_after=timedelta(minutes=1))
    peer.answers("GetTrustBundle", wait)
    async with connect(peer.address, ca.identity()) as client:
        with pytest.raises(errors.UnavailableError) as caught:
            await client.get_trust_bundle()
    assert caught.value.retry_after == timedelta(minutes=1)
    assert len(peer.asked) == 1


def slow(_: object, context: grpc.ServicerContext) -> admin.ListProfilesResponse:
    ended = time.monotonic() + 5
    while context.is_active() and time.monotonic() < ended:
        time.sleep(0.01)
    return admin.ListProfilesResponse()


async def test_a_deadline_of_the_call_ends_it(connect: Connect, ca: CA, peer: Peer) -> None:
    peer.answers("ListProfiles", slow)
    async with connect(peer.address, ca.identity()) as client:
        with pytest.raises(errors.DeadlineExceededError):
            await client.list_profiles(timeout=0.2)
    assert len(peer.asked) == 1


async def test_every_call_has_a_deadline_which_its_attempts_share(connect: Connect, ca: CA, peer: Peer) -> None:
    # On the wire gRPC rounds a deadline up to tenths of a second and more, hence the long wait.
    wait = refuse(grpc.StatusCode.UNAVAILABLE, "Soon.", retry_after=timedelta(seconds=1))
    peer.answers("ListProfiles", wait, admin.ListProfilesResponse())
    async with connect(peer.address, ca.identity()) as client:
        await client.list_profiles()
    async with connect(peer.address, ca.identity(), timeout=3) as client:
        await client.list_profiles()
    first, second, own = peer.times_left
    assert 9 < first <= 10
    assert second <= 9.1
    assert own <= 3


async def test_a_server_that_nobody_runs_is_unavailable(connect: Connect, ca: CA) -> None:
    with serving(ca) as peer:
        address = peer.address
    async with connect(address, ca.identity()) as client:
        with pytest.raises(errors.UnavailableError) as caught:
            await client.get_configuration(timeout=2)
    assert caught.value.reason == "UNAVAILABLE"


async def test_a_server_that_comes_back_in_time_is_found(connect: Connect, ca: CA) -> None:
    with serving(ca) as peer:
        peer.answers("GetConfiguration", authority.GetConfigurationResponse(identity="one"))
        async with connect(peer.address, ca.identity()) as client:
            await client.get_configuration()
    async with connect(peer.address, ca.identity()) as client:
        waiting = asyncio.ensure_future(client.get_configuration())
        await asyncio.sleep(0.1)
        with serving(ca, peer=peer):
            assert (await waiting).identity == "one"


async def test_a_server_of_another_ca_is_not_trusted(connect: Connect, ca: CA, peer: Peer) -> None:
    stranger = CA().identity()
    async with connect(peer.address, stranger) as client:
        with pytest.raises(errors.UnavailableError):
            await client.get_configuration(timeout=2)
    assert not peer.asked


@pytest.mark.parametrize("call", [calls.get_configuration(), calls.apply_profile(resources.Profile())], ids=name)
async def test_an_expired_identity_is_named_at_the_first_refused_connection(
    connect: Connect, ca: CA, peer: Peer, call: calls.Call[Any]
) -> None:
    now = datetime.now(UTC)
    expired = ca.identity(not_before=now - timedelta(days=2), not_after=now - timedelta(days=1))
    async with connect(peer.address, expired) as client:
        start = time.monotonic()
        with pytest.raises(errors.IdentityExpiredError, match="Get a new certificate"):
            await client.send(call)
    assert time.monotonic() - start < 2
    assert not peer.asked


async def test_cancelling_an_asyncio_call_is_not_an_error_of_the_server(ca: CA, peer: Peer) -> None:
    peer.answers("ListProfiles", slow)
    async with aio.Client(peer.address, ca.identity()) as client:
        call = asyncio.ensure_future(client.list_profiles())
        await asyncio.to_thread(_wait_until, lambda: bool(peer.asked))
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
    assert len(peer.asked) == 1


async def test_closing_the_client_ends_its_open_calls_for_good(ca: CA, peer: Peer) -> None:
    peer.answers("ListProfiles", slow)
    client = certmint.Client(peer.address, ca.identity())
    call = asyncio.ensure_future(asyncio.to_thread(client.list_profiles))
    await asyncio.to_thread(_wait_until, lambda: bool(peer.asked))
    client.close()
    with pytest.raises(errors.CallCancelledError):
        await call
    assert len(peer.asked) == 1


def _wait_until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 5
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.005)


@pytest.mark.parametrize("client", [certmint.Client, aio.Client])
async def test_a_client_from_a_folder_needs_a_server(client: Any, ca: CA, tmp_path: Any) -> None:
    certmint.save_identity(tmp_path / "nameless", ca.identity())
    with pytest.raises(IdentityError, match="host:port"):
        client.from_directory(tmp_path / "nameless")


@pytest.mark.parametrize("client", [certmint.Client, aio.Client])
async def test_a_client_from_a_folder_takes_the_server_named_in_it(
    client: Any, ca: CA, peer: Peer, tmp_path: Any
) -> None:
    certmint.save_identity(tmp_path / "payments", ca.identity(server=peer.address))
    peer.answers("GetConfiguration", authority.GetConfigurationResponse(identity="me"))
    answer = client.from_directory(tmp_path / "payments").get_configuration()
    assert (await answer if inspect.isawaitable(answer) else answer).identity == "me"
