"""Every way in which a call fails, as an exception.

A refusal by the server has a reason from a closed list (`certmint.ca.v1.ErrorReason`), and each reason is one class
here. The classes are grouped by what a caller can do about them, so `except errors.AuthorizationError` works as well
as `except errors.NameNotGrantedError`. A reason that is newer than this client is raised as its group.
"""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any, ClassVar, Final

import grpc
from google.protobuf.message import DecodeError, Message
from google.rpc import error_details_pb2, status_pb2
from grpc import StatusCode

DOMAIN: Final = "certmint.ca.v1"


class CertmintError(Exception):
    """A call failed.

    Attributes:
        reason: what went wrong, for programs: a name of `ErrorReason` without its prefix, or of a gRPC status.
        message: what went wrong, for people, and what to do.
        fields: the fields of the request that are at fault, each with a sentence.
        retry_after: how long the server asks to wait before trying again, if it does.
        request_method: the full name of the method that was called, if one was.
    """

    by_reason: ClassVar[dict[str, type["CertmintError"]]] = {}
    reason: str = ""

    def __init_subclass__(cls, *, reason: str = "") -> None:
        if reason:
            cls.reason = reason
            CertmintError.by_reason[reason] = cls

    def __init__(
        self,
        message: str,
        *,
        reason: str = "",
        fields: Mapping[str, str] | None = None,
        retry_after: timedelta | None = None,
        request_method: str = "",
    ) -> None:
        super().__init__(message)
        self.message = message
        self.reason = reason or self.reason
        self.fields = dict(fields or {})
        self.retry_after = retry_after
        self.request_method = request_method


# Who is calling.


class AuthenticationError(CertmintError):
    """The caller has not shown who it is."""


class TransportInsecureError(AuthenticationError, reason="TRANSPORT_INSECURE"):
    """The connection is not TLS 1.3 with a client certificate."""


class CallerUnknownError(AuthenticationError, reason="CALLER_UNKNOWN"):
    """The registry does not know the caller's certificate."""


class CallerExpiredError(AuthenticationError, reason="CALLER_EXPIRED"):
    """The caller's certificate is past its end, or before its start."""


class CallerRevokedError(AuthenticationError, reason="CALLER_REVOKED"):
    """The caller's certificate is revoked."""


class CallerNotRegisteredError(AuthenticationError, reason="CALLER_NOT_REGISTERED"):
    """The caller's identity is no longer registered."""


class CallerDisabledError(AuthenticationError, reason="CALLER_DISABLED"):
    """The caller's registration is disabled."""


# What the caller may do.


class AuthorizationError(CertmintError):
    """The caller may not do this."""


class MethodNotAllowedError(AuthorizationError, reason="METHOD_NOT_ALLOWED"):
    """No role of the caller may call this method."""


class IdentityNotAllowedError(AuthorizationError, reason="IDENTITY_NOT_ALLOWED"):
    """The caller may not act for this identity, or see its certificates."""


class NameNotGrantedError(AuthorizationError, reason="NAME_NOT_GRANTED"):
    """The registration does not grant a name."""


class ProfileNotGrantedError(AuthorizationError, reason="PROFILE_NOT_GRANTED"):
    """The registration does not grant the profile."""


class RegistrationDisabledError(AuthorizationError, reason="REGISTRATION_DISABLED"):
    """The identity that the certificate is for has a disabled registration."""


# What the caller sent.


class InvalidRequestError(CertmintError):
    """The request is at fault, whatever state the server is in."""


class RequestMalformedError(InvalidRequestError, reason="REQUEST_MALFORMED"):
    """The message does not parse."""


class FieldInvalidError(InvalidRequestError, reason="FIELD_INVALID"):
    """A field is missing, too large or out of range."""


class CSRMalformedError(InvalidRequestError, reason="CSR_MALFORMED"):
    """The CSR is not DER of PKCS #10."""


class CSRTooLargeError(InvalidRequestError, reason="CSR_TOO_LARGE"):
    """The CSR is larger than the server reads."""


class CSRSignatureInvalidError(InvalidRequestError, reason="CSR_SIGNATURE_INVALID"):
    """The CSR is not signed by its own key."""


class CSRAttributeInvalidError(InvalidRequestError, reason="CSR_ATTRIBUTE_INVALID"):
    """The CSR asks for its extensions in a way that is not unambiguous."""


class KeyTypeNotAllowedError(InvalidRequestError, reason="KEY_TYPE_NOT_ALLOWED"):
    """The kind of key is not one that the profile accepts."""


class KeyWeakError(InvalidRequestError, reason="KEY_WEAK"):
    """The key is weak."""


class NameInvalidError(InvalidRequestError, reason="NAME_INVALID"):
    """A name is not one that a certificate may carry."""


class LifetimeNotAllowedError(InvalidRequestError, reason="LIFETIME_NOT_ALLOWED"):
    """The lifetime is not above zero, or above the profile's maximum."""


class RequestIdInvalidError(InvalidRequestError, reason="REQUEST_ID_INVALID"):
    """The request id is not a UUID."""


class CertificateMalformedError(InvalidRequestError, reason="CERTIFICATE_MALFORMED"):
    """The certificate is not DER of X.509."""


class RevocationReasonNotAllowedError(InvalidRequestError, reason="REVOCATION_REASON_NOT_ALLOWED"):
    """The revocation reason is one that Revoke does not take."""


class PageTokenInvalidError(InvalidRequestError, reason="PAGE_TOKEN_INVALID"):
    """The page token is not one that this list gave."""


class IdentityInvalidError(InvalidRequestError, reason="IDENTITY_INVALID"):
    """The identity is not a SPIFFE ID of the trust domain."""


class ProfileInvalidError(InvalidRequestError, reason="PROFILE_INVALID"):
    """The profile is not one that could be issued under."""


# What there is.


class NotFoundError(CertmintError):
    """There is no such thing, or the caller may not know of it."""


class CertificateNotFoundError(NotFoundError, reason="CERTIFICATE_NOT_FOUND"):
    """There is no such certificate, or the caller may not know of it."""


class RegistrationNotFoundError(NotFoundError, reason="REGISTRATION_NOT_FOUND"):
    """There is no such registration."""


class ProfileNotFoundError(NotFoundError, reason="PROFILE_NOT_FOUND"):
    """There is no such profile."""


class IssuerNotFoundError(NotFoundError, reason="ISSUER_NOT_FOUND"):
    """There is no such issuer."""


class CRLNotFoundError(NotFoundError, reason="CRL_NOT_FOUND"):
    """There is no such CRL."""


# What stands in the way.


class AlreadyExistsError(CertmintError):
    """It is there already."""


class RequestIdReusedError(AlreadyExistsError, reason="REQUEST_ID_REUSED"):
    """The request id was used with another request."""


class RegistrationExistsError(AlreadyExistsError, reason="REGISTRATION_EXISTS"):
    """The identity is registered."""


class ConflictError(CertmintError):
    """Somebody else was first."""


class VersionMismatchError(ConflictError, reason="VERSION_MISMATCH"):
    """It changed since it was read: read it again."""


class PreconditionError(CertmintError):
    """The server's state does not allow it."""


class KeyBlockedError(PreconditionError, reason="KEY_BLOCKED"):
    """The key was blocked after a compromise: make a new one."""


class IssuerNotActiveError(PreconditionError, reason="ISSUER_NOT_ACTIVE"):
    """No issuer can sign now."""


class ResourceExhaustedError(CertmintError):
    """Something is larger than it may be, or there is too much of it."""


class CRLTooLargeError(ResourceExhaustedError, reason="CRL_TOO_LARGE"):
    """The CRL is larger than a message may be: fetch it over HTTP."""


class TooManyStreamsError(ResourceExhaustedError, reason="TOO_MANY_STREAMS"):
    """The caller has as many streams open as one caller may."""


# What keeps an answer from coming.


class DeadlineExceededError(CertmintError, reason="DEADLINE_EXCEEDED"):
    """The deadline ended before the answer was there."""


class UnavailableError(CertmintError, reason="UNAVAILABLE"):
    """The server cannot be reached, or not now."""


class StoreUnavailableError(UnavailableError, reason="STORE_UNAVAILABLE"):
    """The registry cannot be reached by the server."""


class IdentityExpiredError(UnavailableError, reason="IDENTITY_EXPIRED"):
    """The connection was refused, and the client's own certificate is past its end."""


class CallCancelledError(CertmintError, reason="CANCELLED"):
    """The call was given up: the server stopped, or the client was closed."""


class UnimplementedError(CertmintError, reason="UNIMPLEMENTED"):
    """The server does not know the method: it is older than this client."""


class InternalError(CertmintError, reason="INTERNAL"):
    """The server is at fault; its log knows more."""


class UnknownReasonError(CertmintError, reason="UNKNOWN"):
    """The call failed in a way that this client does not know."""


_GROUPS: Final[Mapping[StatusCode, type[CertmintError]]] = {
    StatusCode.UNAUTHENTICATED: AuthenticationError,
    StatusCode.PERMISSION_DENIED: AuthorizationError,
    StatusCode.INVALID_ARGUMENT: InvalidRequestError,
    StatusCode.NOT_FOUND: NotFoundError,
    StatusCode.ALREADY_EXISTS: AlreadyExistsError,
    StatusCode.ABORTED: ConflictError,
    StatusCode.FAILED_PRECONDITION: PreconditionError,
    StatusCode.RESOURCE_EXHAUSTED: ResourceExhaustedError,
    StatusCode.DEADLINE_EXCEEDED: DeadlineExceededError,
    StatusCode.UNAVAILABLE: UnavailableError,
    StatusCode.CANCELLED: CallCancelledError,
    StatusCode.UNIMPLEMENTED: UnimplementedError,
    StatusCode.INTERNAL: InternalError,
}

# Why a connection failed. gRPC tells it in its details only, hence the match by text (grpc 1.74 to 1.85).
_CAUSES: Final[Mapping[str, str]] = {
    "Connection refused": " (connection refused): is certmint-server running there?",
    "Domain name not found": " (its name is not known): is the address right?",
    "handshake failed": " (the TLS handshake failed): is it a server of this identity's trust domain?",
}


def from_rpc_error(error: grpc.RpcError, *, request_method: str = "", server: str = "") -> CertmintError:
    """The exception for a failed call, of `grpc` or of `grpc.aio`.

    The reason, the fields at fault and the time to wait are read from the `google.rpc.Status` that the server sends
    in its trailing metadata. Without one, the gRPC status decides, and the sentence names `server` where it is given.
    """
    info = error_details_pb2.ErrorInfo()
    bad_request = error_details_pb2.BadRequest()
    retry = error_details_pb2.RetryInfo()
    _read_details(error, info, bad_request, retry)
    details = error.details() or "There are no details."
    reason = info.reason if info.domain == DOMAIN else ""
    group = _GROUPS.get(error.code(), UnknownReasonError)
    return CertmintError.by_reason.get(reason, group)(
        details if reason else _sentence(error.code(), details, f"server at {server}" if server else "server"),
        reason=reason or error.code().name,
        fields={violation.field: violation.description for violation in bad_request.field_violations},
        retry_after=retry.retry_delay.ToTimedelta() if retry.HasField("retry_delay") else None,
        request_method=request_method,
    )


def _sentence(code: StatusCode, details: str, server: str) -> str:
    # gRPC speaks here, and not the server.
    if code is StatusCode.UNAVAILABLE:
        cause = next((cause for mark, cause in _CAUSES.items() if mark in details), ".")
        return f"The {server} cannot be reached{cause}"
    if code is StatusCode.DEADLINE_EXCEEDED:
        return f"The deadline ended before the {server} answered."
    return f"The call was given up: {details}" if code is StatusCode.CANCELLED else details


def _read_details(error: grpc.RpcError, *messages: Message) -> None:
    # Pairs in both of gRPC's metadata classes, whatever their types say; None when the call never left.
    metadata: Any = error.trailing_metadata() or ()
    statuses = [value for key, value in metadata if key == "grpc-status-details-bin"]
    try:
        for detail in status_pb2.Status.FromString(statuses[0]).details if statuses else ():
            for message in messages:
                detail.Unpack(message)
    except DecodeError:
        return  # not ours: the gRPC status still says what happened
