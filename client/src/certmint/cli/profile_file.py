"""A profile as a TOML file. It says everything: a key that is missing is refused like one that is not known."""

import json
import re
import tomllib
from collections.abc import Callable, Mapping
from typing import Any, Final, TypeVar

from google.protobuf.duration_pb2 import Duration

from certmint.ca.v1 import resources_pb2 as resources
from certmint.cli import durations
from certmint.cli.arguments import words
from certmint.cli.text import moment

MAXIMUM_BYTES: Final = 64 << 10

T = TypeVar("T")

_OID: Final = re.compile(r"[0-2](\.\d{1,12}){1,20}", re.ASCII)
_KEY_TYPES: Final = words(resources.KeyType, "KEY_TYPE_")
_USAGES: Final = {
    "serverAuth": "1.3.6.1.5.5.7.3.1",
    "clientAuth": "1.3.6.1.5.5.7.3.2",
    "codeSigning": "1.3.6.1.5.5.7.3.3",
    "emailProtection": "1.3.6.1.5.5.7.3.4",
    "timeStamping": "1.3.6.1.5.5.7.3.8",
}
_USAGE_WORDS: Final = {oid: word for word, oid in _USAGES.items()}


class ProfileFileError(Exception):
    """The file is not a profile. The message names the key at fault."""


def parse_profile(data: bytes) -> resources.Profile:
    """The profile of a TOML file of at most `MAXIMUM_BYTES`.

    Raises:
        ProfileFileError: it is not TOML, a key is missing or not known, or a value is not what its key needs.
    """
    try:
        table = tomllib.loads(data.decode())
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ProfileFileError(f"This is not TOML: {error}.") from error
    if unknown := sorted(table.keys() - _READERS.keys()):
        raise ProfileFileError(f"{unknown[0]}: there is no such key. There are: {', '.join(_READERS)}.")
    if missing := [key for key in _READERS if key not in table]:
        raise ProfileFileError(f"{missing[0]}: this key is missing.")
    return resources.Profile(**{key: read(key, table[key]) for key, read in _READERS.items()})


def profile_toml(profile: resources.Profile) -> str:
    """The profile as a file that `parse_profile` reads."""
    usages = [_USAGE_WORDS.get(oid, oid) for oid in profile.extended_key_usages]
    values: Mapping[str, Any] = {
        "name": profile.name,
        "maximum_lifetime": durations.text(profile.maximum_lifetime),
        "default_lifetime": durations.text(profile.default_lifetime),
        "backdate": durations.text(profile.backdate),
        "key_types": [key_type_word(key_type) for key_type in profile.key_types],
        "extended_key_usages": usages,
        "include_identity": profile.include_identity,
        "renew_after_percent": profile.renew_after_percent,
        "renew_before_percent": profile.renew_before_percent,
    }
    # JSON of strings, numbers, booleans and lists of them is TOML too.
    lines = [f"{key} = {json.dumps(value)}" for key, value in values.items()]
    applied = f"# version {profile.version}, applied at {moment(profile.applied_at)} by {profile.applied_by}"
    return "\n".join([applied, *lines])


def key_type_word(key_type: resources.KeyType.ValueType) -> str:
    """`ecdsa-p256` and so on."""
    return next((word for word, number in _KEY_TYPES.items() if number == key_type), str(key_type))


def _text(key: str, value: object) -> str:
    return _of_type(key, value, str, "a string")


def _switch(key: str, value: object) -> bool:
    return _of_type(key, value, bool, "true or false")


def _percent(key: str, value: object) -> int:
    number = 0 if isinstance(value, bool) else _of_type(key, value, int, "a whole number")
    if not 1 <= number <= 100:  # noqa: PLR2004 - percent
        raise ProfileFileError(f"{key}: a whole number from 1 to 100 is needed.")
    return number


def _length(key: str, value: object) -> Duration:
    duration = Duration()
    try:
        duration.FromTimedelta(durations.parse(_text(key, value)))
    except ValueError as error:
        raise ProfileFileError(f"{key}: {error}") from error
    return duration


def _key_type(key: str, value: object) -> int:
    if (number := _KEY_TYPES.get(_text(key, value))) is None:
        raise ProfileFileError(f"{key}: there is no such key type. There are: {', '.join(_KEY_TYPES)}.")
    return number


def _usage(key: str, value: object) -> str:
    text = _text(key, value)
    oid = _USAGES.get(text, text)
    if not _OID.fullmatch(oid):
        raise ProfileFileError(f"{key}: a dotted OID is needed, or one of {', '.join(_USAGES)}.")
    return oid


def _list_of(read: Callable[[str, object], T]) -> Callable[[str, object], list[T]]:
    def read_list(key: str, value: object) -> list[T]:
        items: list[object] = _of_type(key, value, list, "a list")
        return [read(f"{key}[{index}]", item) for index, item in enumerate(items)]

    return read_list


def _of_type(key: str, value: object, kind: type[T], name: str) -> T:
    if not isinstance(value, kind):
        raise ProfileFileError(f"{key}: {name} is needed.")
    return value


_READERS: Final[Mapping[str, Callable[[str, object], Any]]] = {
    "name": _text,
    "maximum_lifetime": _length,
    "default_lifetime": _length,
    "backdate": _length,
    "key_types": _list_of(_key_type),
    "extended_key_usages": _list_of(_usage),
    "include_identity": _switch,
    "renew_after_percent": _percent,
    "renew_before_percent": _percent,
}
