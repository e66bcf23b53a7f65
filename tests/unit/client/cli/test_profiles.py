"""profile, and the TOML it is written in."""

import re
from datetime import timedelta
from pathlib import Path

import pytest
from google.protobuf.duration_pb2 import Duration
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.client.cli.conftest import Certmint
from tests.unit.client.peer import Peer

from certmint.ca.v1 import admin_service_pb2 as admin
from certmint.ca.v1 import resources_pb2 as resources
from certmint.cli import durations
from certmint.cli.profile_file import ProfileFileError, parse_profile, profile_toml

SERVICE_TOML = """\
name = "service"
maximum_lifetime = "30d"
default_lifetime = "24h"
backdate = "90s"
key_types = ["ecdsa-p256", "rsa-2048", "ed25519"]
extended_key_usages = ["serverAuth", "1.3.6.1.4.1.99999.1"]
include_identity = true
renew_after_percent = 66
renew_before_percent = 85
"""
SERVICE = resources.Profile(
    name="service",
    maximum_lifetime=Duration(seconds=30 * 86_400),
    default_lifetime=Duration(seconds=86_400),
    backdate=Duration(seconds=90),
    key_types=[resources.KEY_TYPE_ECDSA_P256, resources.KEY_TYPE_RSA_2048, resources.KEY_TYPE_ED25519],
    extended_key_usages=["1.3.6.1.5.5.7.3.1", "1.3.6.1.4.1.99999.1"],
    include_identity=True,
    renew_after_percent=66,
    renew_before_percent=85,
)


def changed(key: str, value: str) -> bytes:
    """The file with another value for one key."""
    text, count = re.subn(rf"^{key} = .*$", f"{key} = {value}", SERVICE_TOML, flags=re.MULTILINE)
    assert count == 1
    return text.encode()


def test_a_file_becomes_the_profile_it_says() -> None:
    assert parse_profile(SERVICE_TOML.encode()) == SERVICE


def test_the_file_that_get_writes_is_the_file_that_apply_reads() -> None:
    assert parse_profile(profile_toml(SERVICE).encode()) == SERVICE


@pytest.mark.parametrize(
    ("data", "path"),
    [
        (SERVICE_TOML.encode() + b"colour = 1\n", "colour"),
        (SERVICE_TOML.encode() + b"version = 3\n", "version"),
        (SERVICE_TOML.replace("backdate", "back_date").encode(), "back_date"),
        (SERVICE_TOML.partition("renew_after")[0].encode(), "renew_after_percent"),
        (changed("name", "3"), "name"),
        (changed("maximum_lifetime", '"30"'), "maximum_lifetime"),
        (changed("maximum_lifetime", "30"), "maximum_lifetime"),
        (changed("key_types", '"ecdsa-p256"'), "key_types"),
        (changed("key_types", '["ecdsa-p256", "unspecified"]'), r"key_types[1]"),
        (changed("extended_key_usages", '["serverAuth", "1.3.six"]'), r"extended_key_usages[1]"),
        (changed("extended_key_usages", '[["serverAuth"]]'), r"extended_key_usages[0]"),
        (changed("include_identity", "1"), "include_identity"),
        (changed("renew_after_percent", "true"), "renew_after_percent"),
        (changed("renew_after_percent", "101"), "renew_after_percent"),
        (changed("renew_before_percent", "66.6"), "renew_before_percent"),
    ],
)
def test_a_fault_is_refused_with_the_path_of_its_key(data: bytes, path: str) -> None:
    with pytest.raises(ProfileFileError, match=rf"^{re.escape(path)}: .+\.$"):
        parse_profile(data)


@given(st.one_of(st.binary(max_size=200), st.text(max_size=200).map(str.encode)))
def test_anything_else_is_refused_in_our_words(data: bytes) -> None:
    with pytest.raises(ProfileFileError):
        parse_profile(data)


@given(st.integers(0, 10**9 - 1), st.sampled_from("smhd"))
def test_lengths_of_time_survive_being_written(number: int, unit: str) -> None:
    seconds = {"s": 1, "m": 60, "h": 3600, "d": 86_400}[unit] * number
    length = durations.parse(f"{number}{unit}")
    assert length == timedelta(seconds=seconds)
    assert durations.parse(durations.text(Duration(seconds=seconds % 10**9))) == timedelta(seconds=seconds % 10**9)


@pytest.mark.parametrize(
    "text", ["", "1", "d", "1w", "1.5h", "-1h", "1h30m", " 1h", "\N{ARABIC-INDIC DIGIT ONE}h", "1" * 10 + "s"]
)
def test_what_is_no_length_of_time_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="whole number with a unit"):
        durations.parse(text)


def test_apply_sends_the_profile_and_shows_what_changed(
    certmint: Certmint, peer: Peer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    answer = admin.ApplyProfileResponse(profile=resources.Profile(name="service", version=4))
    answer.changes.add(field="maximum_lifetime", before="7d", after="30d", weaker=True)
    peer.answers("ApplyProfile", answer)
    (tmp_path / "service.toml").write_text(SERVICE_TOML)
    assert certmint("profile", "apply", tmp_path / "service.toml", "--dry-run") == 0
    out = capsys.readouterr().out
    assert "maximum_lifetime  7d      30d    weaker" in out
    assert "service would become version 4." in out
    assert certmint("profile", "apply", tmp_path / "service.toml") == 0
    assert "service is now version 4." in capsys.readouterr().out
    dry, real = peer.requests("ApplyProfile")
    assert (dry.profile, dry.dry_run) == (SERVICE, True)
    assert (real.profile, real.dry_run) == (SERVICE, False)


def test_apply_says_when_nothing_changed(
    certmint: Certmint, peer: Peer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    peer.answers("ApplyProfile", admin.ApplyProfileResponse(profile=resources.Profile(version=3)))
    (tmp_path / "service.toml").write_text(SERVICE_TOML)
    assert certmint("profile", "apply", tmp_path / "service.toml") == 0
    assert capsys.readouterr().out == "service is like that already, in version 3.\n"


def test_a_bad_or_huge_file_is_refused_before_anything_is_sent(
    certmint: Certmint, peer: Peer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "service.toml"
    path.write_text(SERVICE_TOML + "colour = 1\n")
    assert certmint("profile", "apply", path) == 2
    assert capsys.readouterr().err.startswith(f"error: {path}: colour: there is no such key.")
    path.write_text("#" * (1 << 16) + "\n")
    assert certmint("profile", "apply", path) == 2
    assert "larger than 65536 bytes" in capsys.readouterr().err
    assert not peer.asked


def test_get_writes_a_file_and_list_a_line_for_each(
    certmint: Certmint, peer: Peer, capsys: pytest.CaptureFixture[str]
) -> None:
    peer.answers("GetProfile", admin.GetProfileResponse(profile=SERVICE))
    assert certmint("profile", "get", "service") == 0
    assert parse_profile(capsys.readouterr().out.encode()) == SERVICE
    peer.answers("ListProfiles", admin.ListProfilesResponse(profiles=[SERVICE]))
    assert certmint("profile", "list") == 0
    heading, line = capsys.readouterr().out.splitlines()
    assert heading.startswith("NAME     VERSION")
    assert "ecdsa-p256, rsa-2048, ed25519" in line
