"""VerifyChain's messages."""

import ipaddress
from collections.abc import Sequence

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from certmint.ca.v1 import certificate_authority_service_pb2 as pb
from certmint.ca.v1 import resources_pb2
from certmint.verification import (
    ChainError,
    DnsName,
    ExpectedName,
    ExpectedNameError,
    IpAddress,
    Purpose,
    Revocation,
    RevocationPolicy,
    RevocationStatus,
    UriName,
    Verdict,
    parse_chain,
)
from certmint_server.errors import CertificateMalformedError, FieldInvalidError, NameInvalidError
from certmint_server.registry.certificate import serial_hex
from certmint_server.rpc import wire
from certmint_server.verification.service import VerificationRequest


def verification_request(request: pb.VerifyChainRequest) -> VerificationRequest:
    """What is to be judged.

    Raises:
        CertificateMalformedError: a certificate is too large, or none.
        FieldInvalidError: there are none or too many, or purpose or policy is not given.
        NameInvalidError: the expected name is not one.
    """
    return VerificationRequest(
        chain=_certificates(request.chain_der, "chain_der"),
        trust_anchors=_certificates(request.trust_anchors_der, "trust_anchors_der")
        if request.trust_anchors_der
        else (),
        purpose=wire.number(Purpose, request.purpose, field="purpose"),
        expected_name=_expected_name(request),
        at_time=wire.moment(request.at_time, field="at_time") if request.HasField("at_time") else None,
        policy=wire.number(RevocationPolicy, request.revocation_policy, field="revocation_policy"),
    )


def verdict_message(verdict: Verdict) -> pb.VerifyChainResponse:
    """The verdict."""
    anchor = verdict.trust_anchor
    return pb.VerifyChainResponse(
        valid=verdict.valid,
        chain_der=[placed.certificate.public_bytes(Encoding.DER) for placed in verdict.path],
        trust_anchor_der=anchor.certificate.public_bytes(Encoding.DER) if anchor else b"",
        failures=[
            pb.VerificationFailure(
                certificate_index=failure.certificate_index,
                reason=pb.VerificationFailureReason.ValueType(failure.reason.value),
                detail=failure.detail,
            )
            for failure in verdict.failures
        ],
        revocation=[_evidence_message(status) for status in verdict.revocation],
        evaluated_at=wire.timestamp(verdict.evaluated_at),
        revocation_policy=pb.RevocationPolicy.ValueType(verdict.policy.value),
    )


def _certificates(ders: Sequence[bytes], field: str) -> tuple[x509.Certificate, ...]:
    try:
        return parse_chain(ders)
    except ChainError as error:
        if error.position is None:
            raise FieldInvalidError(str(error), field=field) from error
        raise CertificateMalformedError(str(error), field=f"{field}[{error.position}]") from error


def _expected_name(request: pb.VerifyChainRequest) -> ExpectedName | None:
    kind = request.WhichOneof("expected_name")
    if kind is None:
        return None
    try:
        match kind:
            case "dns_name":
                return DnsName(request.dns_name)
            case "ip_address":
                return IpAddress(ipaddress.ip_address(request.ip_address))
            case "uri":
                return UriName(request.uri)
    except ExpectedNameError as error:
        raise NameInvalidError(str(error), field=kind) from error
    except ValueError as error:
        raise NameInvalidError("Not an IPv4 or IPv6 address.", field=kind) from error


def _evidence_message(status: RevocationStatus) -> pb.RevocationEvidence:
    message = pb.RevocationEvidence(
        certificate_index=status.certificate.index,
        serial_hex=serial_hex(status.certificate.certificate.serial_number),
        fresh=status.is_fresh,
    )
    evidence = status.evidence
    if evidence:
        message.source = pb.RevocationSource.ValueType(evidence.source.value)
        message.crl_number = evidence.crl_number
        message.this_update.CopyFrom(wire.timestamp(evidence.this_update))
        if evidence.next_update:
            message.next_update.CopyFrom(wire.timestamp(evidence.next_update))
        if evidence.revocation:
            message.revocation.CopyFrom(_revocation_message(evidence.revocation))
    return message


def _revocation_message(revocation: Revocation) -> resources_pb2.Revocation:
    return resources_pb2.Revocation(
        reason=resources_pb2.RevocationReason.ValueType(revocation.reason.value),
        revoked_at=wire.timestamp(revocation.revoked_at),
        crl_number=revocation.crl_number,
    )
