"""Every RPC as a value: what the synchronous and the asyncio client have in common.

A function here has the arguments of the client's method of the same name, and gives the call to make. `timeout` is
in seconds and covers all attempts; without it the client's own applies. Times are aware datetimes.
"""

import copy
import inspect
import secrets
import time
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Final, Generic, TypeVar

from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp

from certmint.ca.v1 import admin_service_pb2 as admin
from certmint.ca.v1 import certificate_authority_service_pb2 as authority
from certmint.ca.v1 import registry_service_pb2 as registry
from certmint.ca.v1 import resources_pb2 as resources
from certmint.ca.v1 import trust_service_pb2 as trust

ResponseT = TypeVar("ResponseT", bound=Message)
PageT = TypeVar("PageT", registry.ListCertificatesResponse, admin.ListRegistrationsResponse)

_AUTHORITY: Final = "/certmint.ca.v1.CertificateAuthorityService/"
_REGISTRY: Final = "/certmint.ca.v1.RegistryService/"
_TRUST: Final = "/certmint.ca.v1.TrustService/"
_ADMIN: Final = "/certmint.ca.v1.AdminService/"


@dataclass(frozen=True, slots=True)
class Call(Generic[ResponseT]):
    """One call. `repeatable`: making it twice does no more than making it once."""

    method: str
    request: Message
    response: type[ResponseT]
    timeout: float | None
    repeatable: bool = False


def sign_csr(
    csr_der: bytes,
    *,
    profile: str = "",
    lifetime: timedelta | None = None,
    request_id: str = "",
    validate_only: bool = False,
    labels: Mapping[str, str] | None = None,
    identity: str = "",
    timeout: float | None = None,
) -> Call[authority.SignCSRResponse]:
    """Asks for a certificate for the key of a CSR.

    Args:
        csr_der: a PKCS #10 request (RFC 2986), DER. `certmint.keys.csr_der` makes one.
        profile: what kind of certificate; the server's default is "service".
        lifetime: how long it is to be valid; the profile's default if it is None.
        request_id: a UUID. Asking again with it gives the same certificate. One is made if it is empty, so that
            this client can repeat the call when the answer is lost.
        validate_only: check everything, issue nothing.
        labels: what is kept with the certificate in the registry.
        identity: the SPIFFE ID it is for, if not the caller's.
        timeout: seconds, for all attempts.
    """
    request = authority.SignCSRRequest(
        csr_der=csr_der,
        profile=profile,
        lifetime=_duration(lifetime),
        request_id=request_id or _uuid7(),
        validate_only=validate_only,
        labels=labels,
        identity=identity,
    )
    return Call(_AUTHORITY + "SignCSR", request, authority.SignCSRResponse, timeout, repeatable=True)


def revoke(
    *,
    certificate_der: bytes = b"",
    issuer_id: str = "",
    serial_hex: str = "",
    reason: resources.RevocationReason.ValueType = resources.REVOCATION_REASON_UNSPECIFIED,
    timeout: float | None = None,
) -> Call[authority.RevokeResponse]:
    """Revokes a certificate, named by its DER or by issuer and serial. Repeating it changes nothing.

    Raises:
        ValueError: it is named in both ways, or in none.
    """
    if bool(certificate_der) == bool(serial_hex):
        raise ValueError("Name the certificate by certificate_der, or by issuer_id and serial_hex.")
    request = authority.RevokeRequest(reason=reason)
    if certificate_der:
        request.certificate_der = certificate_der
    else:
        request.issuer_and_serial.issuer_id = issuer_id
        request.issuer_and_serial.serial_hex = serial_hex
    return Call(_AUTHORITY + "Revoke", request, authority.RevokeResponse, timeout, repeatable=True)


def get_crl(
    *, issuer_id: str = "", shard: int = 1, if_newer_than: int = 0, timeout: float | None = None
) -> Call[authority.GetCRLResponse]:
    """The current CRL of an issuer (the active one if it is empty), unless its number is not above `if_newer_than`."""
    request = authority.GetCRLRequest(issuer_id=issuer_id, shard=shard, if_newer_than=if_newer_than)
    return Call(_AUTHORITY + "GetCRL", request, authority.GetCRLResponse, timeout, repeatable=True)


def verify_chain(
    chain_der: Sequence[bytes],
    *,
    purpose: authority.Purpose.ValueType,
    dns_name: str = "",
    ip_address: str = "",
    uri: str = "",
    at_time: datetime | None = None,
    revocation_policy: authority.RevocationPolicy.ValueType = authority.REVOCATION_POLICY_REQUIRE_FRESH,
    trust_anchors_der: Iterable[bytes] = (),
    timeout: float | None = None,
) -> Call[authority.VerifyChainResponse]:
    """The server's verdict on a chain. A chain that is not valid is an answer (`valid` is false), not an error.

    Args:
        chain_der: the leaf first, then intermediates in any order, DER.
        purpose: what the leaf is to be used for.
        dns_name: the name that the leaf must carry; at most one of `dns_name`, `ip_address` and `uri`.
        ip_address: the same, as an IP address.
        uri: the same, as a URI such as a SPIFFE ID.
        at_time: the time to judge by; now if it is None.
        revocation_policy: how revocation bears on the verdict.
        trust_anchors_der: trust these instead of the server's roots.
        timeout: seconds, for all attempts.

    Raises:
        ValueError: more than one name is expected.
    """
    if sum(map(bool, (dns_name, ip_address, uri))) > 1:
        raise ValueError("Expect one of dns_name, ip_address and uri.")
    request = authority.VerifyChainRequest(
        chain_der=chain_der,
        purpose=purpose,
        at_time=_timestamp(at_time),
        revocation_policy=revocation_policy,
        trust_anchors_der=trust_anchors_der,
    )
    if dns_name:
        request.dns_name = dns_name
    elif ip_address:
        request.ip_address = ip_address
    elif uri:
        request.uri = uri
    return Call(_AUTHORITY + "VerifyChain", request, authority.VerifyChainResponse, timeout, repeatable=True)


def get_configuration(*, timeout: float | None = None) -> Call[authority.GetConfigurationResponse]:
    """Who the caller is, and what it may ask for."""
    request = authority.GetConfigurationRequest()
    return Call(_AUTHORITY + "GetConfiguration", request, authority.GetConfigurationResponse, timeout, repeatable=True)


def get_trust_bundle(*, timeout: float | None = None) -> Call[trust.GetTrustBundleResponse]:
    """The roots of the trust domain."""
    request = trust.GetTrustBundleRequest()
    return Call(_TRUST + "GetTrustBundle", request, trust.GetTrustBundleResponse, timeout, repeatable=True)


def get_certificate(
    serial_hex: str, *, issuer_id: str = "", timeout: float | None = None
) -> Call[registry.GetCertificateResponse]:
    """One certificate of the registry with its chain. The issuer is the active one if it is empty."""
    request = registry.GetCertificateRequest(issuer_id=issuer_id, serial_hex=serial_hex)
    return Call(_REGISTRY + "GetCertificate", request, registry.GetCertificateResponse, timeout, repeatable=True)


def list_certificates(
    *,
    identity: str = "",
    dns_name: str = "",
    dns_name_suffix: str = "",
    status: resources.CertificateStatus.ValueType = resources.CERTIFICATE_STATUS_UNSPECIFIED,
    profile: str = "",
    not_after_from: datetime | None = None,
    not_after_until: datetime | None = None,
    page_size: int = 0,
    page_token: str = "",
    timeout: float | None = None,
) -> Call[registry.ListCertificatesResponse]:
    """One page of the certificates that match all that is given, without their DER.

    `not_after_from` is inclusive, `not_after_until` is not. `timeout` is for one page.

    Raises:
        ValueError: both `dns_name` and `dns_name_suffix` are given.
    """
    if dns_name and dns_name_suffix:
        raise ValueError("Give dns_name or dns_name_suffix, not both.")
    request = registry.ListCertificatesRequest(
        identity=identity,
        status=status,
        profile=profile,
        not_after_from=_timestamp(not_after_from),
        not_after_until=_timestamp(not_after_until),
        page_size=page_size,
        page_token=page_token,
    )
    if dns_name:
        request.dns_name = dns_name
    elif dns_name_suffix:
        request.dns_name_suffix = dns_name_suffix
    return Call(_REGISTRY + "ListCertificates", request, registry.ListCertificatesResponse, timeout, repeatable=True)


def create_registration(
    registration: resources.Registration, *, timeout: float | None = None
) -> Call[admin.CreateRegistrationResponse]:
    """Registers an identity. Never repeated by this client."""
    request = admin.CreateRegistrationRequest(registration=registration)
    return Call(_ADMIN + "CreateRegistration", request, admin.CreateRegistrationResponse, timeout)


def get_registration(identity: str, *, timeout: float | None = None) -> Call[admin.GetRegistrationResponse]:
    """The registration of an identity."""
    request = admin.GetRegistrationRequest(identity=identity)
    return Call(_ADMIN + "GetRegistration", request, admin.GetRegistrationResponse, timeout, repeatable=True)


def list_registrations(
    *, page_size: int = 0, page_token: str = "", timeout: float | None = None
) -> Call[admin.ListRegistrationsResponse]:
    """One page of the registrations, by identity. `timeout` is for one page."""
    request = admin.ListRegistrationsRequest(page_size=page_size, page_token=page_token)
    return Call(_ADMIN + "ListRegistrations", request, admin.ListRegistrationsResponse, timeout, repeatable=True)


def update_registration(
    registration: resources.Registration, *, timeout: float | None = None
) -> Call[admin.UpdateRegistrationResponse]:
    """Replaces a registration; its `version` is the one that was read. Never repeated by this client."""
    request = admin.UpdateRegistrationRequest(registration=registration)
    return Call(_ADMIN + "UpdateRegistration", request, admin.UpdateRegistrationResponse, timeout)


def delete_registration(
    identity: str, *, version: int, timeout: float | None = None
) -> Call[admin.DeleteRegistrationResponse]:
    """Removes a registration; `version` is the one that was read. Never repeated by this client."""
    request = admin.DeleteRegistrationRequest(identity=identity, version=version)
    return Call(_ADMIN + "DeleteRegistration", request, admin.DeleteRegistrationResponse, timeout)


def get_profile(name: str, *, timeout: float | None = None) -> Call[admin.GetProfileResponse]:
    """The newest version of a profile."""
    request = admin.GetProfileRequest(name=name)
    return Call(_ADMIN + "GetProfile", request, admin.GetProfileResponse, timeout, repeatable=True)


def list_profiles(*, timeout: float | None = None) -> Call[admin.ListProfilesResponse]:
    """The newest version of every profile, by name."""
    request = admin.ListProfilesRequest()
    return Call(_ADMIN + "ListProfiles", request, admin.ListProfilesResponse, timeout, repeatable=True)


def apply_profile(
    profile: resources.Profile, *, dry_run: bool = False, timeout: float | None = None
) -> Call[admin.ApplyProfileResponse]:
    """Adds a version of a profile, or with `dry_run` says what would change. Never repeated by this client."""
    request = admin.ApplyProfileRequest(profile=profile, dry_run=dry_run)
    return Call(_ADMIN + "ApplyProfile", request, admin.ApplyProfileResponse, timeout)


def describe(method: Callable[..., Any], build: Callable[..., Call[Any]], *, every_page: bool = False) -> None:
    """Gives a client's method the name, the docstring and the signature of the function that builds its call."""
    method.__name__ = build.__name__.replace("list_", "iterate_") if every_page else build.__name__
    method.__doc__ = f"What all pages of `{build.__name__}` hold, with its arguments." if every_page else build.__doc__
    client = inspect.Parameter("self", inspect.Parameter.POSITIONAL_ONLY)
    signature = inspect.signature(build)
    parameters = [client, *signature.parameters.values()]
    vars(method)["__signature__"] = signature.replace(parameters=parameters, return_annotation=inspect.Signature.empty)


def next_page(call: Call[PageT], page: PageT) -> Call[PageT] | None:
    """The call for the page after `page`, or None after the last."""
    if not page.next_page_token:
        return None
    request: Any = copy.deepcopy(call.request)  # every request with pages has a page_token
    request.page_token = page.next_page_token
    return replace(call, request=request)


def _uuid7() -> str:
    # RFC 9562 section 5.7: 48 bits of milliseconds, then random bits. `uuid.uuid7` came with Python 3.14.
    milliseconds = time.time_ns() // 1_000_000
    number = milliseconds << 80 | 0x7 << 76 | secrets.randbits(12) << 64 | 0b10 << 62 | secrets.randbits(62)
    return str(uuid.UUID(int=number))


def _duration(length: timedelta | None) -> Duration | None:
    if length is None:
        return None
    duration = Duration()
    duration.FromTimedelta(length)
    return duration


def _timestamp(time: datetime | None) -> Timestamp | None:
    if time is None:
        return None
    if time.tzinfo is None:
        raise ValueError("A time needs its time zone, such as datetime.UTC.")
    timestamp = Timestamp()
    timestamp.FromDatetime(time)
    return timestamp
