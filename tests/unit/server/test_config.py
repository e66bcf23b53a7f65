from datetime import timedelta
from pathlib import Path

import pytest

from certmint_server.config import MAXIMUM_FILE_BYTES, find_config, load_config, parse_duration, split_address
from certmint_server.errors import ConfigError

GOOD = """
[grpc]
listen = "127.0.0.1:8443"
names = ["localhost", "127.0.0.1"]

[http]
listen = "[::1]:8080"

[database]
url = "sqlite:///certmint.db"

[keys]
passphrase_file = "keys/passphrase"
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "certmint.toml"
    path.write_text(GOOD, encoding="utf-8")
    return path


def test_paths_are_taken_from_the_folder_of_the_file(path: Path) -> None:
    config = load_config(path)
    assert config.database_url == f"sqlite:///{path.parent}/certmint.db"
    assert config.passphrase_file == path.parent / "keys/passphrase"
    assert config.crl_lifetime == timedelta(hours=24)


def test_the_environment_names_another_database(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CERTMINT_DATABASE_URL", "postgresql://u@h/d")
    assert load_config(path).database_url == "postgresql://u@h/d"


def test_a_url_with_a_password_stands_in_a_file_of_its_own(path: Path) -> None:
    path.write_text(GOOD.replace('url = "sqlite:///certmint.db"', 'url_file = "url"'), encoding="utf-8")
    file = path.parent / "url"
    with pytest.raises(ConfigError, match=r"database\.url_file"):
        load_config(path)
    file.touch(0o640)
    file.write_text("postgresql://u:secret@h/d\n", encoding="utf-8")
    assert load_config(path).database_url == "postgresql://u:secret@h/d"


def test_a_url_file_that_everybody_may_read_is_refused(path: Path) -> None:
    path.write_text(GOOD.replace('url = "sqlite:///certmint.db"', 'url_file = "url"'), encoding="utf-8")
    file = path.parent / "url"
    file.write_text("postgresql://u:secret@h/d\n", encoding="utf-8")
    file.chmod(0o644)
    with pytest.raises(ConfigError, match="chmod 600") as refused:
        load_config(path)
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize(
    ("before", "after", "named"),
    [
        ('listen = "127.0.0.1:8443"', "", "grpc.listen"),
        ('listen = "127.0.0.1:8443"', "listen = 8443", "grpc.listen"),
        ('listen = "127.0.0.1:8443"', 'listen = "8443"', "grpc.listen"),
        ('listen = "[::1]:8080"', 'listen = "h:99999"', "http.listen"),
        ('names = ["localhost", "127.0.0.1"]', "names = []", "grpc.names"),
        ('names = ["localhost", "127.0.0.1"]', 'names = "localhost"', "grpc.names"),
        ("[keys]", '[crl]\nlifetime = "soon"\n[keys]', "crl.lifetime"),
        ("[keys]", '[crl]\nlifetime = "1s"\n[keys]', "crl.lifetime"),
        ("[keys]", "[keys]\npasphrase = 1", "keys.pasphrase"),
        ('url = "sqlite:///certmint.db"', "", "database.url"),
    ],
)
def test_what_is_wrong_is_named_by_its_path(path: Path, before: str, after: str, named: str) -> None:
    path.write_text(GOOD.replace(before, after), encoding="utf-8")
    with pytest.raises(ConfigError, match=named):
        load_config(path)


@pytest.mark.parametrize("text", ["[", "a = ", "\0", "x = 1"], ids=repr)
def test_what_is_not_a_configuration_is_refused(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError):
        load_config(path)


def test_a_file_above_the_cap_is_refused(path: Path) -> None:
    path.write_text("#" * (MAXIMUM_FILE_BYTES + 1), encoding="utf-8")
    with pytest.raises(ConfigError):
        load_config(path)


def test_a_folder_is_enough_to_find_it(path: Path) -> None:
    assert find_config(path.parent) == path
    assert find_config(path) == path


def test_where_there_is_none_the_way_to_one_is_said(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="certmint-server init"):
        find_config(tmp_path)


@pytest.mark.parametrize(("text", "seconds"), [("90s", 90), ("15m", 900), ("24h", 86400), ("7d", 604800)])
def test_lengths_of_time_are_read_as_people_write_them(text: str, seconds: int) -> None:
    assert parse_duration(text) == timedelta(seconds=seconds)


@pytest.mark.parametrize("text", ["", "h", "1", "1w", "-1h", "1.5h", "1 h", "\u0661h", "9" * 12 + "d"])
def test_other_lengths_of_time_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="24h"):
        parse_duration(text)


@pytest.mark.parametrize(("address", "parts"), [("localhost:1", ("localhost", 1)), ("[::1]:80", ("::1", 80))])
def test_an_address_is_a_host_and_a_port(address: str, parts: tuple[str, int]) -> None:
    assert split_address(address) == parts
