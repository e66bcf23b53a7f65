from datetime import UTC, datetime, timedelta
from enum import IntEnum
from pathlib import Path

import pytest
from google.protobuf.duration_pb2 import Duration
from google.protobuf.internal.enum_type_wrapper import EnumTypeWrapper
from google.protobuf.timestamp_pb2 import Timestamp

from certmint.ca.v1 import errors_pb2, resources_pb2
from certmint_server import errors
from certmint_server.issuance.keys import KeyType
from certmint_server.issuers.issuer import IssuerState
from certmint_server.registry.certificate import CertificateStatus, RevocationReason
from certmint_server.registry.registration import Role
from certmint_server.rpc import wire
from certmint_server.rpc.status import INTERNAL_REASON, code_of


def every(kind: type[errors.CertmintError]) -> list[type[errors.CertmintError]]:
    return [kind, *(found for child in kind.__subclasses__() for found in every(child))]


ERRORS_PROTO = Path(__file__).parents[4] / "protos/certmint/ca/v1/errors.proto"
RAISED = [kind for kind in every(errors.CertmintError) if "reason" in vars(kind)]


@pytest.mark.parametrize(
    ("ours", "theirs", "prefix"),
    [
        (Role, resources_pb2.Role, "ROLE_"),
        (KeyType, resources_pb2.KeyType, "KEY_TYPE_"),
        (IssuerState, resources_pb2.IssuerState, "ISSUER_STATE_"),
        (CertificateStatus, resources_pb2.CertificateStatus, "CERTIFICATE_STATUS_"),
        (RevocationReason, resources_pb2.RevocationReason, "REVOCATION_REASON_"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_an_enum_has_the_numbers_of_the_wire(ours: type[IntEnum], theirs: EnumTypeWrapper, prefix: str) -> None:
    wire_names = {name.removeprefix(prefix): number for name, number in theirs.items()}
    if ours is not RevocationReason:
        del wire_names["UNSPECIFIED"]
    assert {member.name: member.value for member in ours} == wire_names


def test_every_reason_has_one_exception_and_every_exception_a_reason() -> None:
    reasons = {name.removeprefix("ERROR_REASON_") for name in errors_pb2.ErrorReason.DESCRIPTOR.values_by_name}
    assert sorted(kind.reason for kind in RAISED) == sorted(reasons - {"UNSPECIFIED", INTERNAL_REASON})


@pytest.mark.parametrize("kind", RAISED, ids=lambda kind: kind.reason)
def test_every_refusal_has_a_status(kind: type[errors.CertmintError]) -> None:
    assert code_of(kind("x")).name in errors_proto_comment(kind.reason)


def errors_proto_comment(reason: str) -> str:
    """The comment above a reason in errors.proto, which says the status."""
    lines = ERRORS_PROTO.read_text(encoding="utf-8").splitlines()
    at = next(number for number, line in enumerate(lines) if f"ERROR_REASON_{reason} =" in line)
    return lines[at - 1]


@pytest.mark.parametrize("seconds", [-(1 << 62), 1 << 62, 253402300800])
def test_a_time_beyond_the_calendar_is_refused(seconds: int) -> None:
    with pytest.raises(errors.FieldInvalidError) as refused:
        wire.moment(Timestamp(seconds=seconds), field="at_time")
    assert refused.value.field == "at_time"


def test_a_time_goes_and_comes_back() -> None:
    now = datetime(2030, 2, 3, 4, 5, 6, tzinfo=UTC)
    assert wire.moment(wire.timestamp(now), field="") == now


@pytest.mark.parametrize("value", [Duration(seconds=1 << 62), Duration(nanos=1), Duration(nanos=2_000_000_000)])
def test_a_length_of_time_that_cannot_be_counted_is_refused(value: Duration) -> None:
    with pytest.raises(errors.FieldInvalidError):
        wire.length_of_time(value, field="lifetime")


def test_a_length_of_time_goes_and_comes_back() -> None:
    assert wire.length_of_time(wire.duration(timedelta(hours=1)), field="") == timedelta(hours=1)


@pytest.mark.parametrize(
    "value",
    ["x", "0190163d-8694-739b-aea5-966c26f8ad9", "{0190163d-8694-739b-aea5-966c26f8ad91}",
     "0190163d8694739baea5966c26f8ad91", "00000000-0000-0000-0000-000000000000",
     "urn:uuid:0190163d-8694-739b-aea5-966c26f8ad91"],
)  # fmt: skip
def test_what_is_not_a_uuid_is_refused(value: str) -> None:
    with pytest.raises(errors.RequestIdInvalidError):
        wire.request_id(value)


@pytest.mark.parametrize(
    "labels",
    [{f"k{n}": "" for n in range(17)}, {"": "v"}, {"k" * 65: "v"}, {"k": "v" * 257}, {"k": "a\0b"}],
    ids=["too many", "no key", "long key", "long value", "NUL"],
)
def test_labels_beyond_their_caps_are_refused(labels: dict[str, str]) -> None:
    with pytest.raises(errors.FieldInvalidError):
        wire.labels(labels.items())


def test_labels_are_sorted_so_that_their_order_makes_no_other_request() -> None:
    assert wire.labels({"b": "1", "a": "2"}.items()) == (("a", "2"), ("b", "1"))


@pytest.mark.parametrize("number", [0, 99, -1])
def test_a_number_that_is_no_member_is_refused(number: int) -> None:
    with pytest.raises(errors.FieldInvalidError):
        wire.number(Role, number, field="role")
