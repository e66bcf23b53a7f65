import uuid
from collections.abc import Callable
from datetime import timedelta

import pytest
from tests.integration.conftest import Running

from certmint import Profile, errors, keys
from certmint.ca.v1.resources_pb2 import (
    KEY_TYPE_ECDSA_P256,
    KEY_TYPE_ECDSA_P384,
    KEY_TYPE_RSA_2048,
    KEY_TYPE_RSA_3072,
    KEY_TYPE_RSA_4096,
)

SERVER_AUTH, CLIENT_AUTH = "1.3.6.1.5.5.7.3.1", "1.3.6.1.5.5.7.3.2"
RSA_TYPES = [KEY_TYPE_RSA_2048, KEY_TYPE_RSA_3072, KEY_TYPE_RSA_4096]


def profile_of(**values: object) -> Profile:
    """A profile of a new name that could be applied."""
    profile = Profile(
        name=f"profile-{uuid.uuid4().hex[:8]}",
        key_types=[KEY_TYPE_ECDSA_P256],
        extended_key_usages=[SERVER_AUTH],
        include_identity=True,
        renew_after_percent=60,
        renew_before_percent=80,
    )
    profile.maximum_lifetime.FromTimedelta(timedelta(hours=2))
    profile.default_lifetime.FromTimedelta(timedelta(hours=1))
    profile.backdate.FromTimedelta(timedelta(minutes=1))
    profile.MergeFrom(Profile(**values))  # type: ignore[arg-type]  # each test knows what it sets
    return profile


def changes(answer: object) -> dict[str, tuple[str, str, bool]]:
    return {change.field: (change.before, change.after, change.weaker) for change in answer.changes}  # type: ignore[attr-defined]  # ApplyProfileResponse


def test_init_applied_three_profiles(running: Running) -> None:
    profiles = {profile.name: profile for profile in running.operator.list_profiles().profiles}
    assert list(profiles) == sorted(profiles)
    usages = {name: list(profiles[name].extended_key_usages) for name in ("client", "server", "service")}
    assert usages == {"client": [CLIENT_AUTH], "server": [SERVER_AUTH], "service": [SERVER_AUTH, CLIENT_AUTH]}
    for name in usages:
        assert running.operator.get_profile(name).profile == profiles[name]
        assert profiles[name].applied_by == "spiffe://demo.test/certmint/server"


def test_a_profile_that_was_never_applied_is_not_found(running: Running) -> None:
    for name in ("no-such", "", "\0", "x" * 5000):
        with pytest.raises(errors.ProfileNotFoundError) as caught:
            running.operator.get_profile(name)
        assert list(caught.value.fields) == ["name"]


def test_a_new_profile_gets_version_one_and_every_field_is_a_change(running: Running) -> None:
    answer = running.operator.apply_profile(profile_of())
    assert answer.profile.version == 1
    assert answer.profile.applied_by == running.authority.operator_identity.spiffe_id
    assert {before for before, _, _ in changes(answer).values()} == {""}
    assert changes(answer)["maximum_lifetime"] == ("", "7200s", False)
    assert len(changes(answer)) == 9
    assert running.operator.get_profile(answer.profile.name).profile == answer.profile


def test_a_dry_run_says_what_would_change_and_changes_nothing(running: Running) -> None:
    profile = profile_of()
    assert running.operator.apply_profile(profile, dry_run=True).profile.version == 1
    with pytest.raises(errors.ProfileNotFoundError):
        running.operator.get_profile(profile.name)
    stored = running.operator.apply_profile(profile).profile
    profile.backdate.seconds = 0
    answer = running.operator.apply_profile(profile, dry_run=True)
    assert answer.profile.version == 2
    assert changes(answer) == {"backdate": ("60s", "0s", False)}
    assert running.operator.get_profile(profile.name).profile == stored


def test_applying_the_same_profile_adds_no_version(running: Running) -> None:
    first = running.operator.apply_profile(profile_of())
    again = running.operator.apply_profile(first.profile)
    assert again.profile == first.profile
    assert not again.changes


def test_a_change_that_allows_more_is_called_weaker(running: Running) -> None:
    profile = running.operator.apply_profile(profile_of()).profile
    profile.maximum_lifetime.seconds += 1
    profile.key_types.append(KEY_TYPE_ECDSA_P384)
    profile.extended_key_usages.append(CLIENT_AUTH)
    weaker = running.operator.apply_profile(profile)
    assert changes(weaker) == {
        "maximum_lifetime": ("7200s", "7201s", True),
        "key_types": ("ecdsa-p256", "ecdsa-p256, ecdsa-p384", True),
        "extended_key_usages": (SERVER_AUTH, f"{SERVER_AUTH}, {CLIENT_AUTH}", True),
    }
    profile.maximum_lifetime.seconds -= 1
    del profile.key_types[0], profile.extended_key_usages[0]
    stronger = running.operator.apply_profile(profile)
    assert stronger.profile.version == 3
    assert [change.weaker for change in stronger.changes] == [False, False, False]


def test_a_new_version_rules_the_next_certificate_and_leaves_the_old_ones(running: Running) -> None:
    profile = running.operator.apply_profile(profile_of()).profile
    registration = running.register(profiles=[profile.name])

    def sign(key_type: keys.KeyType) -> tuple[int, timedelta]:
        csr_der = keys.csr_der(keys.generate(key_type))
        answer = running.operator.sign_csr(csr_der, identity=registration.identity, profile=profile.name)
        summary = answer.certificate
        return summary.profile_version, timedelta(seconds=summary.not_after.seconds - summary.not_before.seconds + 1)

    assert sign(keys.KeyType.ECDSA_P256) == (1, timedelta(hours=1, minutes=1))
    with pytest.raises(errors.KeyTypeNotAllowedError) as caught:
        sign(keys.KeyType.ECDSA_P384)
    assert profile.name in caught.value.message
    profile.key_types[:] = [KEY_TYPE_ECDSA_P384]
    profile.default_lifetime.seconds = 60
    running.operator.apply_profile(profile)
    assert sign(keys.KeyType.ECDSA_P384) == (2, timedelta(minutes=2))
    with pytest.raises(errors.KeyTypeNotAllowedError):
        sign(keys.KeyType.ECDSA_P256)
    issued = list(running.operator.iterate_certificates(identity=registration.identity))
    assert sorted(certificate.profile_version for certificate in issued) == [1, 2]


def test_the_certificate_says_no_more_than_its_profile_of_today(running: Running) -> None:
    profile = running.operator.apply_profile(profile_of(extended_key_usages=[CLIENT_AUTH])).profile
    registration = running.register(profiles=[profile.name])
    csr_der = keys.csr_der(keys.generate())
    lifetime = timedelta(hours=2)
    arguments = {"identity": registration.identity, "profile": profile.name, "lifetime": lifetime}
    running.operator.sign_csr(csr_der, **arguments)  # type: ignore[arg-type]  # as sign_csr takes them
    profile.maximum_lifetime.seconds = 3600
    running.operator.apply_profile(profile)
    with pytest.raises(errors.LifetimeNotAllowedError):
        running.operator.sign_csr(csr_der, **arguments)  # type: ignore[arg-type]  # likewise


def _clear(field: str) -> Callable[[Profile], None]:
    return lambda profile: profile.ClearField(field)  # type: ignore[arg-type]  # a field of Profile


def _set(field: str, value: object) -> Callable[[Profile], None]:
    def change(profile: Profile) -> None:
        current = getattr(profile, field)
        if isinstance(value, timedelta):
            current.FromTimedelta(value)
        elif isinstance(value, list):
            current[:] = value
        else:
            setattr(profile, field, value)

    return change


@pytest.mark.parametrize(
    ("change", "field"),
    [
        (_clear("name"), "name"),
        (_set("name", "Upper"), "name"),
        (_set("name", "a\0b"), "name"),
        (_set("name", "-a"), "name"),
        (_set("name", "a" * 65), "name"),
        (_clear("maximum_lifetime"), "maximum_lifetime"),
        (_set("maximum_lifetime", timedelta(days=366 * 10 + 1)), "maximum_lifetime"),
        (_clear("default_lifetime"), "default_lifetime"),
        (_set("default_lifetime", timedelta(hours=2, seconds=1)), "default_lifetime"),
        (_set("default_lifetime", timedelta(seconds=1.5)), "default_lifetime"),
        (_set("backdate", timedelta(seconds=-1)), "backdate"),
        (_set("backdate", timedelta(minutes=61)), "backdate"),
        (_clear("key_types"), "key_types"),
        (_set("key_types", [KEY_TYPE_ECDSA_P256, KEY_TYPE_ECDSA_P256]), "key_types"),
        (_clear("extended_key_usages"), "extended_key_usages"),
        (_set("extended_key_usages", [SERVER_AUTH, SERVER_AUTH]), "extended_key_usages"),
        (_set("extended_key_usages", [SERVER_AUTH, "serverAuth"]), "extended_key_usages[1]"),
        (_set("extended_key_usages", ["2.5.29.37.0"]), "extended_key_usages[0]"),
        (_set("extended_key_usages", ["0.99"]), "extended_key_usages[0]"),
        (_set("extended_key_usages", ["1.99.1"]), "extended_key_usages[0]"),
        (_set("extended_key_usages", ["1"]), "extended_key_usages[0]"),
        (_set("extended_key_usages", ["1.2" + ".9999999999" * 19]), "extended_key_usages[0]"),
        (_set("renew_after_percent", 0), "renew_after_percent"),
        (_set("renew_after_percent", 80), "renew_after_percent"),
        (_set("renew_before_percent", 100), "renew_after_percent"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_profile_that_could_not_be_issued_under_is_refused_with_the_path_of_the_field(
    running: Running, change: Callable[[Profile], None], field: str
) -> None:
    profile = profile_of()
    change(profile)
    for dry_run in (True, False):
        with pytest.raises(errors.ProfileInvalidError) as caught:
            running.operator.apply_profile(profile, dry_run=dry_run)
        assert list(caught.value.fields) == [f"profile.{field}"]


def test_a_number_that_is_no_key_type_is_refused_with_its_position(running: Running) -> None:
    for number in (0, 99):
        with pytest.raises(errors.FieldInvalidError) as caught:
            running.operator.apply_profile(profile_of(key_types=[number]))
        assert list(caught.value.fields) == ["profile.key_types[1]"]


def test_a_length_of_time_beyond_all_calendars_is_refused(running: Running) -> None:
    profile = profile_of()
    profile.maximum_lifetime.seconds = 1 << 62
    with pytest.raises(errors.FieldInvalidError) as caught:
        running.operator.apply_profile(profile)
    assert list(caught.value.fields) == ["profile.maximum_lifetime"]
