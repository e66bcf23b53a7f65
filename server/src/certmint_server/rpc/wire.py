"""Messages to values and back. Nothing is decided here but whether a message can be read."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from enum import IntEnum
from typing import TypeVar
from uuid import UUID

from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

from certmint.ca.v1 import admin_service_pb2, resources_pb2
from certmint_server.errors import FieldInvalidError, RequestIdInvalidError
from certmint_server.issuance.keys import KeyType
from certmint_server.issuance.profile import ProfileConfig, StoredProfile
from certmint_server.issuance.profiles import ProfileChange
from certmint_server.issuers.issuer import Issuer
from certmint_server.registry.certificate import CertificateRecord, CertificateStatus, Revocation, serial_hex
from certmint_server.registry.registration import Grant, Registration, Role

Number = TypeVar("Number", bound=IntEnum)

MAXIMUM_LABELS = 16
MAXIMUM_LABEL_KEY = 64
MAXIMUM_LABEL_VALUE = 256
_MAXIMUM_LIST = 256
_MAXIMUM_TEXT = 2048


def timestamp(moment: datetime) -> Timestamp:
    """A moment as a Timestamp, in whole seconds."""
    return Timestamp(seconds=int(moment.timestamp()))


def moment(value: Timestamp, *, field: str) -> datetime:
    """A Timestamp as a moment.

    Raises:
        FieldInvalidError: it is outside the years 1 to 9999.
    """
    try:
        return datetime.fromtimestamp(value.seconds, UTC).replace(microsecond=value.nanos // 1000)
    except (OverflowError, ValueError, OSError) as error:
        raise FieldInvalidError("A time lies in the years 1 to 9999.", field=field) from error


def duration(value: timedelta) -> Duration:
    """A length of time as a Duration."""
    message = Duration()
    message.FromTimedelta(value)
    return message


def length_of_time(value: Duration, *, field: str) -> timedelta:
    """A Duration as a length of time.

    Raises:
        FieldInvalidError: it is longer than 10,000 years, or its parts do not fit together.
    """
    try:
        length = timedelta(seconds=value.seconds, microseconds=value.nanos / 1000)
    except OverflowError as error:
        raise FieldInvalidError("A length of time is below 10,000 years.", field=field) from error
    if abs(value.nanos) > 999_999_999 or value.nanos % 1000:  # noqa: PLR2004  below a second, in microseconds
        raise FieldInvalidError("A length of time is in microseconds at the finest.", field=field)
    return length


def number(kind: type[Number], value: int, *, field: str) -> Number:
    """An enum's number as a member.

    Raises:
        FieldInvalidError: it is zero where zero means not given, or one that we do not know.
    """
    try:
        return kind(value)
    except ValueError as error:
        raise FieldInvalidError("Not one of the values of this enum.", field=field) from error


def numbers(kind: type[Number], values: Sequence[int], *, field: str) -> tuple[Number, ...]:
    """Several of them.

    Raises:
        FieldInvalidError: one is not a member, or there are too many.
    """
    _verify_count(values, field)
    return tuple(number(kind, value, field=f"{field}[{position}]") for position, value in enumerate(values))


def texts(values: Sequence[str], *, field: str) -> tuple[str, ...]:
    """Several texts.

    Raises:
        FieldInvalidError: there are too many, or one is too long.
    """
    _verify_count(values, field)
    for position, value in enumerate(values):
        text(value, field=f"{field}[{position}]")
    return tuple(values)


def text(value: str, *, field: str) -> str:
    """One text, of at most 2048 characters.

    Raises:
        FieldInvalidError: it is longer, or holds a NUL, which a database cannot keep.
    """
    if len(value) > _MAXIMUM_TEXT or "\0" in value:
        raise FieldInvalidError(f"At most {_MAXIMUM_TEXT} characters, none of them NUL.", field=field)
    return value


def request_id(value: str) -> UUID | None:
    """A request id; None if there is none.

    Raises:
        RequestIdInvalidError: it is not a UUID in its canonical form, or the nil UUID.
    """
    if not value:
        return None
    try:
        parsed = UUID(value)
    except ValueError as error:
        raise _bad_request_id() from error
    if str(parsed) != value.lower() or not parsed.int:
        raise _bad_request_id()
    return parsed


def labels(values: Iterable[tuple[str, str]]) -> tuple[tuple[str, str], ...]:
    """Labels, sorted by key.

    Raises:
        FieldInvalidError: there are too many, or one is too long.
    """
    pairs = tuple(sorted(values))
    if len(pairs) > MAXIMUM_LABELS:
        raise FieldInvalidError(f"At most {MAXIMUM_LABELS} labels.", field="labels")
    for key, value in pairs:
        fits = 0 < len(key) <= MAXIMUM_LABEL_KEY and len(value) <= MAXIMUM_LABEL_VALUE
        if not fits or "\0" in key + value:
            raise FieldInvalidError(
                f"A label has a key of 1 to {MAXIMUM_LABEL_KEY} and a value of at most {MAXIMUM_LABEL_VALUE} "
                "characters, none of them NUL.",
                field="labels",
            )
    return pairs


def certificate_message(record: CertificateRecord, now: datetime, *, with_der: bool) -> resources_pb2.Certificate:
    """A certificate of the registry."""
    return resources_pb2.Certificate(
        issuer_id=record.issuer_id,
        serial_hex=serial_hex(record.serial),
        identity=record.identity,
        dns_names=record.dns_names,
        ip_addresses=record.ip_addresses,
        profile=record.profile,
        profile_version=record.profile_version,
        not_before=timestamp(record.not_before),
        not_after=timestamp(record.not_after),
        spki_sha256=record.spki_sha256.hex(),
        sha256=record.sha256.hex(),
        crl_shard=record.crl_shard,
        status=status_number(record.status(now)),
        revocation=revocation_message(record.revocation) if record.revocation else None,
        labels=record.labels,
        certificate_der=record.certificate_der if with_der else b"",
        requested_by=record.requested_by,
    )


def status_number(status: CertificateStatus) -> resources_pb2.CertificateStatus.ValueType:
    """A status as its number on the wire."""
    return resources_pb2.CertificateStatus.ValueType(status.value)


def revocation_message(revocation: Revocation) -> resources_pb2.Revocation:
    """A stored revocation."""
    return resources_pb2.Revocation(
        reason=resources_pb2.RevocationReason.ValueType(revocation.reason.value),
        revoked_at=timestamp(revocation.revoked_at),
        crl_number=revocation.crl_number,
    )


def grant_value(message: resources_pb2.Registration) -> Grant:
    """What a registration grants.

    Raises:
        FieldInvalidError: a role is not one, or a list is too long.
    """
    return Grant(
        identity=message.identity,
        dns_names=texts(message.dns_names, field="registration.dns_names"),
        ip_addresses=texts(message.ip_addresses, field="registration.ip_addresses"),
        profiles=texts(message.profiles, field="registration.profiles"),
        roles=frozenset(numbers(Role, message.roles, field="registration.roles")),
        disabled=message.disabled,
    )


def registration_message(registration: Registration) -> resources_pb2.Registration:
    """A registration as it is stored."""
    grant = registration.grant
    return resources_pb2.Registration(
        identity=grant.identity,
        dns_names=grant.dns_names,
        ip_addresses=grant.ip_addresses,
        profiles=grant.profiles,
        roles=role_numbers(grant.roles),
        disabled=grant.disabled,
        version=registration.version,
        created_at=timestamp(registration.created_at),
        updated_at=timestamp(registration.updated_at),
        updated_by=registration.updated_by,
    )


def role_numbers(roles: Iterable[Role]) -> list[resources_pb2.Role.ValueType]:
    """Roles as their numbers on the wire, in order."""
    return [resources_pb2.Role.ValueType(role.value) for role in sorted(roles)]


def profile_value(message: resources_pb2.Profile) -> ProfileConfig:
    """A profile as a person wrote it.

    Raises:
        FieldInvalidError: a key type is not one, a length of time is absurd, or a list is too long.
    """
    return ProfileConfig(
        name=message.name,
        maximum_lifetime=length_of_time(message.maximum_lifetime, field="profile.maximum_lifetime"),
        default_lifetime=length_of_time(message.default_lifetime, field="profile.default_lifetime"),
        backdate=length_of_time(message.backdate, field="profile.backdate"),
        key_types=numbers(KeyType, message.key_types, field="profile.key_types"),
        extended_key_usages=texts(message.extended_key_usages, field="profile.extended_key_usages"),
        include_identity=message.include_identity,
        renew_after_percent=message.renew_after_percent,
        renew_before_percent=message.renew_before_percent,
    )


def profile_message(profile: StoredProfile) -> resources_pb2.Profile:
    """A version of a profile."""
    config = profile.config
    return resources_pb2.Profile(
        name=config.name,
        version=profile.version,
        maximum_lifetime=duration(config.maximum_lifetime),
        default_lifetime=duration(config.default_lifetime),
        backdate=duration(config.backdate),
        key_types=[resources_pb2.KeyType.ValueType(key_type.value) for key_type in config.key_types],
        extended_key_usages=config.extended_key_usages,
        include_identity=config.include_identity,
        renew_after_percent=config.renew_after_percent,
        renew_before_percent=config.renew_before_percent,
        applied_at=timestamp(profile.applied_at),
        applied_by=profile.applied_by,
    )


def change_message(change: ProfileChange) -> admin_service_pb2.ProfileChange:
    """One difference between two versions of a profile."""
    return admin_service_pb2.ProfileChange(
        field=change.field, before=change.before, after=change.after, weaker=change.weaker
    )


def issuer_message(issuer: Issuer) -> resources_pb2.Issuer:
    """An issuer."""
    return resources_pb2.Issuer(
        issuer_id=issuer.issuer_id,
        subject=issuer.certificate.subject.rfc4514_string(),
        state=resources_pb2.IssuerState.ValueType(issuer.state.value),
        certificate_der=issuer.certificate_der,
        not_after=timestamp(issuer.not_after),
        crl_shard_count=issuer.crl_shard_count,
    )


def _verify_count(values: Sequence[object], field: str) -> None:
    if len(values) > _MAXIMUM_LIST:
        raise FieldInvalidError(f"At most {_MAXIMUM_LIST} values.", field=field)


def _bad_request_id() -> RequestIdInvalidError:
    return RequestIdInvalidError(
        "A request id is a UUID such as 0190163d-8694-739b-aea5-966c26f8ad91.", field="request_id"
    )
