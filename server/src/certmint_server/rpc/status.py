"""The one table from a refusal to what travels: a canonical code, an ErrorInfo and the field at fault (AIP-193)."""

from google.protobuf.any_pb2 import Any
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo, RetryInfo
from google.rpc.status_pb2 import Status
from grpc import StatusCode

from certmint_server import errors

DOMAIN = "certmint.ca.v1"
DETAILS_KEY = "grpc-status-details-bin"
# How long a caller should wait before it asks again, in milliseconds.
_RETRY_MILLISECONDS = 500
# grpc-core refuses metadata at random from 8 KiB on; a field that a caller named stays far below.
_MAXIMUM_TEXT = 1024

CODES: tuple[tuple[type[errors.CertmintError], StatusCode], ...] = (
    (errors.AuthenticationError, StatusCode.UNAUTHENTICATED),
    (errors.AuthorizationError, StatusCode.PERMISSION_DENIED),
    (errors.InvalidRequestError, StatusCode.INVALID_ARGUMENT),
    (errors.NotFoundError, StatusCode.NOT_FOUND),
    (errors.AlreadyExistsError, StatusCode.ALREADY_EXISTS),
    (errors.VersionMismatchError, StatusCode.ABORTED),
    (errors.PreconditionError, StatusCode.FAILED_PRECONDITION),
    (errors.CRLTooLargeError, StatusCode.RESOURCE_EXHAUSTED),
    (errors.TooManyStreamsError, StatusCode.RESOURCE_EXHAUSTED),
    (errors.DeadlineExceededError, StatusCode.DEADLINE_EXCEEDED),
    (errors.StoreUnavailableError, StatusCode.UNAVAILABLE),
)

INTERNAL_REASON = "INTERNAL"
INTERNAL_MESSAGE = "Something went wrong on our side. It was logged; try again or ask an operator."


def code_of(error: errors.CertmintError) -> StatusCode:
    """The canonical code of a refusal."""
    return next(code for kind, code in CODES if isinstance(error, kind))


def details_of(code: StatusCode, reason: str, message: str, field: str = "") -> tuple[tuple[str, bytes], ...]:
    """Trailing metadata with the google.rpc.Status that a client rebuilds its error from."""
    status = Status(code=code.value[0], message=message[:_MAXIMUM_TEXT])
    status.details.append(_packed(ErrorInfo(reason=reason, domain=DOMAIN)))
    if field:
        violation = BadRequest.FieldViolation(field=field[:_MAXIMUM_TEXT], description=message[:_MAXIMUM_TEXT])
        status.details.append(_packed(BadRequest(field_violations=[violation])))
    if code is StatusCode.UNAVAILABLE:
        retry = RetryInfo()
        retry.retry_delay.FromMilliseconds(_RETRY_MILLISECONDS)
        status.details.append(_packed(retry))
    return ((DETAILS_KEY, status.SerializeToString()),)


def sentence(error: errors.CertmintError) -> str:
    """What the caller reads: a refusal that names what the caller sent is cut, and holds no control characters."""
    return "".join(letter if letter.isprintable() else "?" for letter in error.message[:_MAXIMUM_TEXT])


def _packed(message: ErrorInfo | BadRequest | RetryInfo) -> Any:
    packed = Any()
    packed.Pack(message)
    return packed
