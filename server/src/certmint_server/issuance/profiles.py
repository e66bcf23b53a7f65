"""Profiles: reading the ones in force, and applying new versions."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import timedelta

from certmint_server.clock import Clock, whole_seconds
from certmint_server.errors import ProfileInvalidError, ProfileNotFoundError
from certmint_server.issuance.keys import KeyType
from certmint_server.issuance.profile import Profile, ProfileConfig, ProfileStore, StoredProfile
from certmint_server.issuers.issuer import Issuer, Issuers
from certmint_server.registry.freshness import FreshCache


@dataclass(frozen=True, slots=True)
class ProfileChange:
    """One field that a new version changes; `weaker` if it allows what was refused before."""

    field: str
    before: str
    after: str
    weaker: bool


@dataclass(frozen=True, slots=True)
class Applied:
    """The version in force after an apply (or the one that would be), and what it changes."""

    profile: StoredProfile
    changes: Sequence[ProfileChange]


class Profiles:
    """The newest version of every profile, not older than `bound` seconds."""

    def __init__(self, store: ProfileStore, issuers: Issuers, clock: Clock, *, bound: float) -> None:
        self._store = store
        self._issuers = issuers
        self._clock = clock
        self._fresh = FreshCache(self._load, bound=bound)

    async def current(self, name: str) -> Profile:
        """The profile to issue under.

        Raises:
            ProfileNotFoundError: there is none of this name.
        """
        profile = (await self._fresh.get("all")).get(name)
        if profile is None:
            raise _not_found("profile")
        return profile

    async def list(self) -> Sequence[StoredProfile]:
        """The newest version of each, by name."""
        return await self._store.newest_profiles()

    async def get(self, name: str) -> StoredProfile:
        """The newest version of one.

        Raises:
            ProfileNotFoundError: there is none of this name.
        """
        for profile in await self._store.newest_profiles():
            if profile.config.name == name:
                return profile
        raise _not_found("name")

    async def apply(self, config: ProfileConfig, *, by: str, dry_run: bool) -> Applied:
        """Adds a version if it differs from the newest.

        Raises:
            ProfileInvalidError: it could not be issued under.
            VersionMismatchError: another version was applied meanwhile.
        """
        stored = {profile.config.name: profile for profile in await self._store.newest_profiles()}.get(config.name)
        version = stored.version + 1 if stored else 1
        _verify_usages_of_issuer(Profile.from_config(config, version), self._issuers.active())
        changes = _changes(stored.config if stored else None, config)
        if stored and not changes:
            return Applied(stored, ())
        profile = StoredProfile(config, version, whole_seconds(self._clock.now()), by)
        if not dry_run:
            await self._store.add_profile(profile)
            self._fresh.forget("all")
        return Applied(profile, changes)

    async def _load(self, _key: str) -> Mapping[str, Profile]:
        stored = await self._store.newest_profiles()
        return {profile.config.name: Profile.from_config(profile.config, profile.version) for profile in stored}


def _verify_usages_of_issuer(profile: Profile, issuer: Issuer) -> None:
    """Verifiers nest extended key usages: what the issuer's certificate does not allow, none of its leaves can have."""
    allowed = issuer.extended_key_usages
    for position, oid in enumerate(profile.config.extended_key_usages):
        if allowed and oid not in allowed:
            raise ProfileInvalidError(
                f"The issuer's own certificate does not allow the usage {oid}, so no verifier would.",
                field=f"profile.extended_key_usages[{position}]",
            )


def _changes(before: ProfileConfig | None, after: ProfileConfig) -> Sequence[ProfileChange]:
    changes = []
    for field in fields(ProfileConfig):
        old, new = getattr(before, field.name, None), getattr(after, field.name)
        if old != new:
            weaker = before is not None and _is_weaker(before, after, field.name)
            changes.append(ProfileChange(field.name, "" if before is None else _text(old), _text(new), weaker))
    return changes


def _is_weaker(before: ProfileConfig, after: ProfileConfig, field: str) -> bool:
    match field:
        case "maximum_lifetime":
            return after.maximum_lifetime > before.maximum_lifetime
        case "key_types":
            return not set(after.key_types) <= set(before.key_types)
        case "extended_key_usages":
            return not set(after.extended_key_usages) <= set(before.extended_key_usages)
        case _:
            return False


def _text(value: object) -> str:
    if isinstance(value, timedelta):
        return f"{int(value.total_seconds())}s"
    if isinstance(value, tuple):
        return ", ".join(item.title if isinstance(item, KeyType) else str(item) for item in value)
    return str(value).lower() if isinstance(value, bool) else str(value)


def _not_found(field: str) -> ProfileNotFoundError:
    return ProfileNotFoundError("There is no profile of this name. ListProfiles names those there are.", field=field)
