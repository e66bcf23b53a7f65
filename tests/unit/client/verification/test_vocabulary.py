"""The engine knows no generated message, so its numbers are held against the wire's here."""

from enum import IntEnum
from typing import Any

import pytest

from certmint.ca.v1 import certificate_authority_service_pb2 as wire
from certmint.ca.v1 import resources_pb2
from certmint.verification import FailureReason, Purpose, RevocationPolicy, RevocationReason, RevocationSource


@pytest.mark.parametrize(
    ("ours", "theirs", "prefix"),
    [
        (Purpose, wire.Purpose, "PURPOSE_"),
        (FailureReason, wire.VerificationFailureReason, "VERIFICATION_FAILURE_REASON_"),
        (RevocationPolicy, wire.RevocationPolicy, "REVOCATION_POLICY_"),
        (RevocationSource, wire.RevocationSource, "REVOCATION_SOURCE_"),
        (RevocationReason, resources_pb2.RevocationReason, "REVOCATION_REASON_"),
    ],
)
def test_names_and_numbers_are_those_of_the_wire(ours: type[IntEnum], theirs: Any, prefix: str) -> None:
    expected = {name.removeprefix(prefix): number for name, number in theirs.items()}
    if ours is not RevocationReason:
        del expected["UNSPECIFIED"]
    assert {member.name: member.value for member in ours} == expected
