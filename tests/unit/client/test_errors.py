import grpc
import pytest
from google.protobuf.any_pb2 import Any as AnyMessage
from google.rpc import status_pb2
from tests.unit.client.conftest import Connect
from tests.unit.client.peer import CA, Peer, refuse

from certmint import errors
from certmint.ca.v1.certificate_authority_service_pb2 import GetConfigurationResponse
from certmint.ca.v1.errors_pb2 import ErrorReason

REASONS = [name.removeprefix("ERROR_REASON_") for name in ErrorReason.keys()[1:]]
CLIENT_REASONS = {"UNAVAILABLE", "IDENTITY_EXPIRED", "CANCELLED", "UNIMPLEMENTED", "UNKNOWN"}


def subclasses(cls: type[errors.CertmintError]) -> list[type[errors.CertmintError]]:
    return [found for child in cls.__subclasses__() for found in (child, *subclasses(child))]


def test_every_reason_of_the_wire_has_exactly_one_class() -> None:
    reasons = [found.__dict__["reason"] for found in subclasses(errors.CertmintError) if "reason" in found.__dict__]
    assert sorted(reasons) == sorted([*REASONS, *CLIENT_REASONS])


def test_every_class_stands_in_the_module_under_a_name_made_of_its_reason() -> None:
    for reason in REASONS:
        cls = errors.CertmintError.by_reason[reason]
        assert getattr(errors, cls.__name__) is cls
        assert cls.__name__.removesuffix("Error").upper() == reason.replace("_", "")


async def test_a_refusal_arrives_as_its_class_with_fields_reason_and_method(
    connect: Connect, ca: CA, peer: Peer
) -> None:
    outcome = refuse(
        grpc.StatusCode.PERMISSION_DENIED, "Not yours.", reason="NAME_NOT_GRANTED", fields={"csr_der": "names x"}
    )
    peer.answers("SignCSR", outcome)
    async with connect(peer.address, ca.identity()) as client:
        with pytest.raises(errors.NameNotGrantedError, match=r"^Not yours\.$") as caught:
            await client.sign_csr(b"csr")
    assert isinstance(caught.value, errors.AuthorizationError)
    assert caught.value.reason == "NAME_NOT_GRANTED"
    assert caught.value.message == "Not yours."
    assert caught.value.fields == {"csr_der": "names x"}
    assert caught.value.request_method == "/certmint.ca.v1.CertificateAuthorityService/SignCSR"
    assert caught.value.retry_after is None


async def test_a_reason_newer_than_the_client_arrives_as_its_group(connect: Connect, ca: CA, peer: Peer) -> None:
    peer.answers("GetConfiguration", refuse(grpc.StatusCode.NOT_FOUND, "No.", reason="MOON_NOT_FOUND"))
    async with connect(peer.address, ca.identity()) as client:
        with pytest.raises(errors.NotFoundError) as caught:
            await client.get_configuration()
    assert type(caught.value) is errors.NotFoundError
    assert caught.value.reason == "MOON_NOT_FOUND"


async def test_a_reason_of_another_domain_is_not_taken_for_ours(connect: Connect, ca: CA, peer: Peer) -> None:
    outcome = refuse(grpc.StatusCode.FAILED_PRECONDITION, "No.", reason="KEY_BLOCKED", domain="proxy.example")
    peer.answers("GetConfiguration", outcome)
    async with connect(peer.address, ca.identity()) as client:
        with pytest.raises(errors.PreconditionError) as caught:
            await client.get_configuration()
    assert type(caught.value) is errors.PreconditionError
    assert caught.value.reason == "FAILED_PRECONDITION"


async def test_a_status_that_we_never_send_is_an_unknown_reason(connect: Connect, ca: CA, peer: Peer) -> None:
    peer.answers("GetConfiguration", refuse(grpc.StatusCode.DATA_LOSS, "Gone."))
    async with connect(peer.address, ca.identity()) as client:
        with pytest.raises(errors.UnknownReasonError) as caught:
            await client.get_configuration()
    assert caught.value.reason == "DATA_LOSS"


@pytest.mark.parametrize(
    "details",
    [
        b"\xff\xff\xff",
        status_pb2.Status(
            details=[AnyMessage(type_url="type.googleapis.com/google.rpc.ErrorInfo", value=b"\xff\xff\xff")]
        ).SerializeToString(),
    ],
    ids=["status", "detail"],
)
async def test_details_that_do_not_parse_leave_the_grpc_status(
    connect: Connect, ca: CA, peer: Peer, details: bytes
) -> None:
    def outcome(_: object, context: grpc.ServicerContext) -> None:
        context.set_trailing_metadata((("grpc-status-details-bin", details),))
        context.abort(grpc.StatusCode.NOT_FOUND, "No.")

    peer.answers("GetConfiguration", outcome)
    async with connect(peer.address, ca.identity()) as client:
        with pytest.raises(errors.NotFoundError):
            await client.get_configuration()


async def test_an_older_server_is_named_as_one(connect: Connect, ca: CA, peer: Peer) -> None:
    peer.answers("GetConfiguration", refuse(grpc.StatusCode.UNIMPLEMENTED, "Method not found!"))
    async with connect(peer.address, ca.identity()) as client:
        with pytest.raises(errors.UnimplementedError):
            await client.get_configuration()


async def test_an_answer_above_4_mib_is_refused(connect: Connect, ca: CA, peer: Peer) -> None:
    peer.answers("GetConfiguration", GetConfigurationResponse(identity="x" * (4 << 20)))
    async with connect(peer.address, ca.identity()) as client:
        with pytest.raises(errors.ResourceExhaustedError):
            await client.get_configuration()


async def test_every_reason_arrives_over_the_wire_as_its_class(connect: Connect, ca: CA, peer: Peer) -> None:
    async with connect(peer.address, ca.identity()) as client:
        for reason in REASONS:
            peer.answers("GetConfiguration", refuse(grpc.StatusCode.ABORTED, "No.", reason=reason))
            with pytest.raises(errors.CertmintError) as caught:
                await client.get_configuration()
            assert type(caught.value) is errors.CertmintError.by_reason[reason]
