"""Every refusal, as an exception with a reason that never changes its meaning.

A class is one thing that a caller can do something about. Its `reason` is the name in
`certmint.ca.v1.ErrorReason` without the prefix; what gRPC status it travels as is the business of `rpc/status.py`.
The message is the sentence that the caller reads: it says what to do, and tells nothing of the inside. The cause,
where there is one, is the exception's `__cause__`, for the log.
"""

from typing import ClassVar


class CertmintError(Exception):
    """A refusal. `field` names the field of the request that is at fault, if one is."""

    reason: ClassVar[str]

    def __init__(self, message: str, *, field: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.field = field


# Who is calling.


class AuthenticationError(CertmintError):
    """The caller has not shown who it is."""


class TransportInsecureError(AuthenticationError):
    """The connection is not TLS 1.3 with a client certificate."""

    reason = "TRANSPORT_INSECURE"


class CallerUnknownError(AuthenticationError):
    """The registry does not know the caller's certificate."""

    reason = "CALLER_UNKNOWN"


class CallerExpiredError(AuthenticationError):
    """The caller's certificate is out of date."""

    reason = "CALLER_EXPIRED"


class CallerRevokedError(AuthenticationError):
    """The caller's certificate is revoked."""

    reason = "CALLER_REVOKED"


class CallerNotRegisteredError(AuthenticationError):
    """The caller's identity is no longer registered."""

    reason = "CALLER_NOT_REGISTERED"


class CallerDisabledError(AuthenticationError):
    """The caller's registration is disabled."""

    reason = "CALLER_DISABLED"


# What the caller may do.


class AuthorizationError(CertmintError):
    """The caller may not do this."""


class MethodNotAllowedError(AuthorizationError):
    """No role of the caller may call this method."""

    reason = "METHOD_NOT_ALLOWED"


class IdentityNotAllowedError(AuthorizationError):
    """The caller may not act for this identity."""

    reason = "IDENTITY_NOT_ALLOWED"


class NameNotGrantedError(AuthorizationError):
    """The registration does not grant a name."""

    reason = "NAME_NOT_GRANTED"


class ProfileNotGrantedError(AuthorizationError):
    """The registration does not grant the profile."""

    reason = "PROFILE_NOT_GRANTED"


class RegistrationDisabledError(AuthorizationError):
    """The identity that the certificate is for is disabled."""

    reason = "REGISTRATION_DISABLED"


# What the caller sent.


class InvalidRequestError(CertmintError):
    """The request is at fault, whatever state we are in."""


class RequestMalformedError(InvalidRequestError):
    """The message does not parse."""

    reason = "REQUEST_MALFORMED"


class FieldInvalidError(InvalidRequestError):
    """A field is missing, too large or out of range."""

    reason = "FIELD_INVALID"


class CSRMalformedError(InvalidRequestError):
    """The CSR is not DER of PKCS #10."""

    reason = "CSR_MALFORMED"


class CSRTooLargeError(InvalidRequestError):
    """The CSR is larger than we read."""

    reason = "CSR_TOO_LARGE"


class CSRSignatureInvalidError(InvalidRequestError):
    """The CSR is not signed by its own key."""

    reason = "CSR_SIGNATURE_INVALID"


class CSRAttributeInvalidError(InvalidRequestError):
    """The CSR asks for extensions in a way that can be read in two ways."""

    reason = "CSR_ATTRIBUTE_INVALID"


class KeyTypeNotAllowedError(InvalidRequestError):
    """The kind of key is not one that the profile accepts."""

    reason = "KEY_TYPE_NOT_ALLOWED"


class KeyWeakError(InvalidRequestError):
    """The key is weak."""

    reason = "KEY_WEAK"


class NameInvalidError(InvalidRequestError):
    """A name is not one that a certificate may carry."""

    reason = "NAME_INVALID"


class LifetimeNotAllowedError(InvalidRequestError):
    """The lifetime is not above zero, or above the profile's maximum."""

    reason = "LIFETIME_NOT_ALLOWED"


class RequestIdInvalidError(InvalidRequestError):
    """The request id is not a UUID."""

    reason = "REQUEST_ID_INVALID"


class CertificateMalformedError(InvalidRequestError):
    """The certificate is not DER of X.509."""

    reason = "CERTIFICATE_MALFORMED"


class RevocationReasonNotAllowedError(InvalidRequestError):
    """The revocation reason is one that Revoke does not take."""

    reason = "REVOCATION_REASON_NOT_ALLOWED"


class PageTokenInvalidError(InvalidRequestError):
    """The page token is not one that this list gave."""

    reason = "PAGE_TOKEN_INVALID"


class IdentityInvalidError(InvalidRequestError):
    """The identity is not a SPIFFE ID of our trust domain."""

    reason = "IDENTITY_INVALID"


class ProfileInvalidError(InvalidRequestError):
    """The profile is not one that could be issued under."""

    reason = "PROFILE_INVALID"


# What there is.


class NotFoundError(CertmintError):
    """There is no such thing, or the caller may not know of it."""


class CertificateNotFoundError(NotFoundError):
    """There is no such certificate."""

    reason = "CERTIFICATE_NOT_FOUND"


class RegistrationNotFoundError(NotFoundError):
    """There is no such registration."""

    reason = "REGISTRATION_NOT_FOUND"


class ProfileNotFoundError(NotFoundError):
    """There is no such profile."""

    reason = "PROFILE_NOT_FOUND"


class IssuerNotFoundError(NotFoundError):
    """There is no such issuer."""

    reason = "ISSUER_NOT_FOUND"


class CRLNotFoundError(NotFoundError):
    """There is no such CRL."""

    reason = "CRL_NOT_FOUND"


# What stands in the way.


class AlreadyExistsError(CertmintError):
    """It is there already."""


class RequestIdReusedError(AlreadyExistsError):
    """The request id was used with another request."""

    reason = "REQUEST_ID_REUSED"


class RegistrationExistsError(AlreadyExistsError):
    """The identity is registered."""

    reason = "REGISTRATION_EXISTS"


class VersionMismatchError(CertmintError):
    """It changed since it was read."""

    reason = "VERSION_MISMATCH"


class PreconditionError(CertmintError):
    """Our state does not allow it."""


class KeyBlockedError(PreconditionError):
    """The key was blocked after a compromise."""

    reason = "KEY_BLOCKED"


class IssuerNotActiveError(PreconditionError):
    """No issuer can sign now."""

    reason = "ISSUER_NOT_ACTIVE"


class CRLTooLargeError(CertmintError):
    """The CRL is larger than a message may be."""

    reason = "CRL_TOO_LARGE"


class TooManyStreamsError(CertmintError):
    """The caller has as many streams open as one caller may."""

    reason = "TOO_MANY_STREAMS"


class DeadlineExceededError(CertmintError):
    """The deadline ended before the answer was there."""

    reason = "DEADLINE_EXCEEDED"


class StoreUnavailableError(CertmintError):
    """The registry cannot be reached."""

    reason = "STORE_UNAVAILABLE"


class ConfigError(Exception):
    """The configuration is at fault: for the operator at the console, never for a caller."""
