"""`profile`."""

import argparse
from typing import Final

from certmint.cli import durations
from certmint.cli.arguments import Commands, UsageError, add_command, add_group, read_input
from certmint.cli.output import Answer, Table
from certmint.cli.profile_file import MAXIMUM_BYTES, ProfileFileError, key_type_word, parse_profile, profile_toml
from certmint.cli.text import joined, moment
from certmint.client import Client

_GROUP_EXAMPLES: Final = """\
  certmint profile get service > service.toml
  certmint profile apply service.toml --dry-run
"""
_GET_EXAMPLES: Final = """\
  certmint profile get service > service.toml
  certmint profile get service --json
"""
_APPLY_EXAMPLES: Final = """\
  certmint profile apply service.toml --dry-run
  certmint profile apply service.toml

The file is TOML with all of these keys ("certmint profile get" writes such a file):
  name = "service"
  maximum_lifetime = "30d"
  default_lifetime = "24h"
  backdate = "1m"
  key_types = ["ecdsa-p256", "rsa-2048"]
  extended_key_usages = ["serverAuth", "clientAuth"]
  include_identity = true
  renew_after_percent = 66
  renew_before_percent = 85
"""


def add_commands(commands: Commands) -> None:
    """Adds `profile get|list|apply`."""
    verbs = add_group(commands, "profile", about="what kinds of certificate there are", examples=_GROUP_EXAMPLES)
    parser = add_command(verbs, "get", _get, about="one profile, as TOML", examples=_GET_EXAMPLES)
    parser.add_argument("name", metavar="NAME")
    add_command(verbs, "list", _list, about="all profiles, by name", examples="  certmint profile list\n")
    parser = add_command(verbs, "apply", _apply, about="add a version of a profile", examples=_APPLY_EXAMPLES)
    parser.add_argument("file", metavar="FILE", help="TOML; - for standard input")
    parser.add_argument("--dry-run", action="store_true", help="only say what would change")


def _get(client: Client, arguments: argparse.Namespace) -> Answer:
    response = client.get_profile(arguments.name)
    return Answer(response, [profile_toml(response.profile)])


def _list(client: Client, _: argparse.Namespace) -> Answer:
    response = client.list_profiles()
    rows = [
        (
            profile.name,
            str(profile.version),
            durations.text(profile.default_lifetime),
            durations.text(profile.maximum_lifetime),
            joined(key_type_word(key_type) for key_type in profile.key_types),
            f"{moment(profile.applied_at)} by {profile.applied_by}",
        )
        for profile in response.profiles
    ]
    columns = ("NAME", "VERSION", "DEFAULT LIFETIME", "MAXIMUM LIFETIME", "KEY TYPES", "APPLIED")
    return Answer(response, [Table(columns, rows)])


def _apply(client: Client, arguments: argparse.Namespace) -> Answer:
    try:
        profile = parse_profile(read_input(arguments.file, limit=MAXIMUM_BYTES))
    except ProfileFileError as error:
        raise UsageError(f"{arguments.file}: {error}") from error
    response = client.apply_profile(profile, dry_run=arguments.dry_run)
    if not response.changes:
        return Answer(response, [f"{profile.name} is like that already, in version {response.profile.version}."])
    rows = [
        (change.field, change.before, change.after, "weaker" if change.weaker else "") for change in response.changes
    ]
    verb = "would become" if arguments.dry_run else "is now"
    sentence = f"{profile.name} {verb} version {response.profile.version}."
    return Answer(response, [Table(("FIELD", "BEFORE", "AFTER", "EFFECT"), rows), sentence])
