"""What a kind of certificate may contain.

What a person wrote (`ProfileConfig`) and what is issued under (`Profile`) are two types: going from one to the other is
the validation.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from cryptography import x509

from certmint_server.errors import ProfileInvalidError
from certmint_server.issuance.keys import KeyType

_NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,62}[a-z0-9])?")
_OID = re.compile(r"[0-2](\.(0|[1-9][0-9]{0,9})){1,20}")
_MAXIMUM_LIFETIME = timedelta(days=366 * 10)
_MAXIMUM_BACKDATE = timedelta(hours=1)
_ANY_EXTENDED_KEY_USAGE = "2.5.29.37.0"
_MAXIMUM_KEY_USAGES = 16


@dataclass(frozen=True, slots=True)
class ProfileConfig:
    """A profile as a person wrote it. `extended_key_usages` are dotted OIDs."""

    name: str
    maximum_lifetime: timedelta
    default_lifetime: timedelta
    backdate: timedelta
    key_types: tuple[KeyType, ...]
    extended_key_usages: tuple[str, ...]
    include_identity: bool
    renew_after_percent: int
    renew_before_percent: int


@dataclass(frozen=True, slots=True)
class StoredProfile:
    """A version of a profile as the registry keeps it."""

    config: ProfileConfig
    version: int
    applied_at: datetime
    applied_by: str


class ProfileStore(Protocol):
    """Where profiles are kept: every version, for good."""

    async def newest_profiles(self) -> Sequence[StoredProfile]:
        """The newest version of every profile, by name."""
        ...

    async def add_profile(self, profile: StoredProfile) -> None:
        """Adds a version, with its audit event.

        Raises:
            VersionMismatchError: `profile.version` is not one above the newest.
        """
        ...


@dataclass(frozen=True, slots=True, eq=False)
class Profile:
    """A profile that can be issued under. Made by `from_config` only; two are the same only if they are one."""

    config: ProfileConfig
    version: int
    key_types: frozenset[KeyType]
    extended_key_usage: x509.ExtendedKeyUsage
    extended_key_usage_der: bytes

    @classmethod
    def from_config(cls, config: ProfileConfig, version: int) -> "Profile":
        """The trusted profile.

        Raises:
            ProfileInvalidError: it could not be issued under; `field` is the path of the value at fault.
        """
        for verify in (_verify_name, _verify_times, _verify_keys, _verify_usages, _verify_renewal):
            verify(config)
        usages = x509.ExtendedKeyUsage([x509.ObjectIdentifier(oid) for oid in config.extended_key_usages])
        return cls(config, version, frozenset(config.key_types), usages, usages.public_bytes())

    @property
    def name(self) -> str:
        """Its name."""
        return self.config.name

    def renewal_window(self, issued_at: datetime, not_after: datetime) -> tuple[datetime, datetime]:
        """Renew after the first time and before the second. The backdate is no part of the lifetime."""
        lifetime = not_after - issued_at
        after = issued_at + lifetime * self.config.renew_after_percent / 100
        before = issued_at + lifetime * self.config.renew_before_percent / 100
        return after, before


def _verify_name(config: ProfileConfig) -> None:
    if not _NAME.fullmatch(config.name):
        raise ProfileInvalidError(
            "A profile's name has 1 to 64 lower-case letters, digits and inner hyphens.", field="profile.name"
        )


def _verify_times(config: ProfileConfig) -> None:
    one_second = timedelta(seconds=1)
    for field in ("maximum_lifetime", "default_lifetime", "backdate"):
        if getattr(config, field) % one_second:
            raise ProfileInvalidError("Certificates count in whole seconds.", field=f"profile.{field}")
    if not one_second <= config.maximum_lifetime <= _MAXIMUM_LIFETIME:
        raise ProfileInvalidError("Between one second and ten years.", field="profile.maximum_lifetime")
    if not one_second <= config.default_lifetime <= config.maximum_lifetime:
        raise ProfileInvalidError("Between one second and maximum_lifetime.", field="profile.default_lifetime")
    if not timedelta(0) <= config.backdate <= _MAXIMUM_BACKDATE:
        raise ProfileInvalidError("Between zero and one hour.", field="profile.backdate")


def _verify_keys(config: ProfileConfig) -> None:
    if not config.key_types or len(set(config.key_types)) != len(config.key_types):
        raise ProfileInvalidError("At least one key type, none twice.", field="profile.key_types")


def _verify_usages(config: ProfileConfig) -> None:
    usages = config.extended_key_usages
    if not 1 <= len(usages) <= _MAXIMUM_KEY_USAGES or len(set(usages)) != len(usages):
        raise ProfileInvalidError(
            f"One to {_MAXIMUM_KEY_USAGES} usages, none twice.", field="profile.extended_key_usages"
        )
    for position, oid in enumerate(usages):
        field = f"profile.extended_key_usages[{position}]"
        if not _is_object_identifier(oid):
            raise ProfileInvalidError("Not a dotted object identifier.", field=field)
        if oid == _ANY_EXTENDED_KEY_USAGE:
            raise ProfileInvalidError("anyExtendedKeyUsage would allow what nobody decided.", field=field)


def _is_object_identifier(text: str) -> bool:
    """The library looks at the first two arcs and at the length of the encoding as well (X.660, X.690 section 8.19)."""
    try:
        x509.ObjectIdentifier(text)
    except ValueError:
        return False
    return _OID.fullmatch(text) is not None


def _verify_renewal(config: ProfileConfig) -> None:
    if not 0 < config.renew_after_percent < config.renew_before_percent < 100:  # noqa: PLR2004  percent
        raise ProfileInvalidError(
            "renew_after_percent must be above 0 and below renew_before_percent, which must be below 100.",
            field="profile.renew_after_percent",
        )
