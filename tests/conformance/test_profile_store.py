import asyncio
from datetime import timedelta

import pytest
from tests.conformance.audit_trail import events
from tests.conformance.conftest import OPERATOR
from tests.conformance.leaves import NOW

from certmint_server.errors import VersionMismatchError
from certmint_server.issuance.keys import KeyType
from certmint_server.issuance.profile import ProfileConfig, StoredProfile
from certmint_server.store.store import Store


def profile(name: str = "service", *, version: int = 1, lifetime: timedelta = timedelta(days=1)) -> StoredProfile:
    config = ProfileConfig(
        name=name,
        maximum_lifetime=timedelta(days=30),
        default_lifetime=lifetime,
        backdate=timedelta(minutes=5),
        key_types=(KeyType.ED25519, KeyType.ECDSA_P256),
        extended_key_usages=("1.3.6.1.5.5.7.3.2", "1.3.6.1.5.5.7.3.1"),
        include_identity=False,
        renew_after_percent=50,
        renew_before_percent=75,
    )
    return StoredProfile(config, version, applied_at=NOW, applied_by=OPERATOR)


async def test_the_newest_version_of_each_profile_comes_back_as_it_was_given(store: Store) -> None:
    newest = profile(version=2, lifetime=timedelta(hours=3))
    for each in (profile(), newest, profile("client")):
        await store.profiles.add_profile(each)
    assert await store.profiles.newest_profiles() == [profile("client"), newest]


@pytest.mark.parametrize("version", [0, 1, 3])
async def test_a_version_follows_the_newest(store: Store, version: int) -> None:
    await store.profiles.add_profile(profile())
    with pytest.raises(VersionMismatchError):
        await store.profiles.add_profile(profile(version=version))
    assert await store.profiles.newest_profiles() == [profile()]


async def test_of_two_servers_that_add_a_version_one_wins(store: Store, second_store: Store) -> None:
    outcomes = await asyncio.gather(
        store.profiles.add_profile(profile()), second_store.profiles.add_profile(profile()), return_exceptions=True
    )
    assert sorted(type(outcome).__name__ for outcome in outcomes) == ["NoneType", "VersionMismatchError"]


async def test_applying_a_profile_is_audited(store: Store, database_url: str) -> None:
    await store.profiles.add_profile(profile())
    assert events(database_url)[-1] == ("PROFILE_APPLIED", OPERATOR, "service", NOW, {"version": "1"})
