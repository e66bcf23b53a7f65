"""`registration`."""

import argparse
from collections.abc import Iterable
from typing import Final

from certmint.ca.v1 import resources_pb2 as resources
from certmint.ca.v1.admin_service_pb2 import ListRegistrationsResponse
from certmint.cli.arguments import Commands, add_command, add_group, add_names, positive, words
from certmint.cli.output import Answer, Facts, Table
from certmint.cli.text import joined, moment, word
from certmint.client import Client

_ROLES: Final = words(resources.Role, "ROLE_")
_CLEARABLE: Final = ("dns", "ip", "profile", "role")

_GROUP_EXAMPLES: Final = """\
  certmint registration create spiffe://example.org/payments --dns payments.example --profile service
  certmint registration list
"""
_CREATE_EXAMPLES: Final = """\
  certmint registration create spiffe://example.org/payments --dns payments.example --profile service
  certmint registration create spiffe://example.org/deploy --profile client --role registration-authority
"""
_UPDATE_EXAMPLES: Final = """\
  certmint registration update spiffe://example.org/payments --dns payments.example --dns pay.example
  certmint registration update spiffe://example.org/payments --disable
  certmint registration update spiffe://example.org/payments --clear ip
"""
_DELETE_EXAMPLES: Final = """\
  certmint registration delete spiffe://example.org/payments
  certmint registration delete spiffe://example.org/payments --version 3
"""


def add_commands(commands: Commands) -> None:
    """Adds `registration create|get|list|update|delete`."""
    verbs = add_group(commands, "registration", about="which identity may hold what", examples=_GROUP_EXAMPLES)
    parser = add_command(verbs, "create", _create, about="register an identity", examples=_CREATE_EXAMPLES)
    _add_grant(parser)
    parser.add_argument("--disabled", action="store_true", help="register it, but refuse its calls for now")
    get_example = "  certmint registration get spiffe://example.org/payments\n"
    parser = add_command(verbs, "get", _get, about="one registration", examples=get_example)
    _add_identity(parser)
    list_example = "  certmint registration list --json\n"
    add_command(verbs, "list", _list, about="all registrations, by identity", examples=list_example)
    parser = add_command(
        verbs, "update", _update, about="change what is given, keep the rest", examples=_UPDATE_EXAMPLES
    )
    _add_grant(parser)
    parser.add_argument(
        "--clear", choices=_CLEARABLE, action="append", default=[], help="leave none of these; may be repeated"
    )
    switch = parser.add_mutually_exclusive_group()
    switch.add_argument("--disable", action="store_const", const=True, dest="disabled", help="refuse its calls")
    switch.add_argument("--enable", action="store_const", const=False, dest="disabled", help="take its calls again")
    parser = add_command(verbs, "delete", _delete, about="remove a registration", examples=_DELETE_EXAMPLES)
    _add_identity(parser)
    parser.add_argument("--version", type=positive, help="only if this is still its version")


def _add_identity(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("spiffe_id", metavar="SPIFFE-ID", help="the identity")


def _add_grant(parser: argparse.ArgumentParser) -> None:
    _add_identity(parser)
    add_names(parser, dns="a DNS name that its certificates may carry", ip="an IP address, likewise")
    parser.add_argument(
        "--profile", metavar="NAME", action="append", default=[], help="a profile it may ask for; may be repeated"
    )
    parser.add_argument(
        "--role", choices=list(_ROLES), action="append", default=[], help="what it may do; may be repeated"
    )


def _roles(names: Iterable[str]) -> list[resources.Role.ValueType]:
    return [resources.Role.ValueType(_ROLES[name]) for name in names]


def _create(client: Client, arguments: argparse.Namespace) -> Answer:
    registration = resources.Registration(
        identity=arguments.spiffe_id,
        dns_names=arguments.dns,
        ip_addresses=arguments.ip,
        profiles=arguments.profile,
        roles=_roles(arguments.role),
        disabled=arguments.disabled,
    )
    response = client.create_registration(registration)
    return Answer(response, [_facts(response.registration)])


def _get(client: Client, arguments: argparse.Namespace) -> Answer:
    response = client.get_registration(arguments.spiffe_id)
    return Answer(response, [_facts(response.registration)])


def _list(client: Client, _: argparse.Namespace) -> Answer:
    registrations = list(client.iterate_registrations())
    rows = [
        (
            registration.identity,
            "disabled" if registration.disabled else "enabled",
            joined(_role_words(registration)),
            joined(registration.profiles),
            joined([*registration.dns_names, *registration.ip_addresses]),
            str(registration.version),
        )
        for registration in registrations
    ]
    table = Table(("IDENTITY", "STATUS", "ROLES", "PROFILES", "NAMES", "VERSION"), rows)
    return Answer(ListRegistrationsResponse(registrations=registrations), [table])


def _update(client: Client, arguments: argparse.Namespace) -> Answer:
    registration = client.get_registration(arguments.spiffe_id).registration
    if arguments.dns or "dns" in arguments.clear:
        registration.dns_names[:] = arguments.dns
    if arguments.ip or "ip" in arguments.clear:
        registration.ip_addresses[:] = arguments.ip
    if arguments.profile or "profile" in arguments.clear:
        registration.profiles[:] = arguments.profile
    if arguments.role or "role" in arguments.clear:
        registration.roles[:] = _roles(arguments.role)
    if arguments.disabled is not None:
        registration.disabled = arguments.disabled
    response = client.update_registration(registration)
    return Answer(response, [_facts(response.registration)])


def _delete(client: Client, arguments: argparse.Namespace) -> Answer:
    version = arguments.version or client.get_registration(arguments.spiffe_id).registration.version
    response = client.delete_registration(arguments.spiffe_id, version=version)
    return Answer(response, [f"{arguments.spiffe_id} is no longer registered. Its certificates are not revoked."])


def _role_words(registration: resources.Registration) -> list[str]:
    return [word(resources.Role.Name(role), "ROLE_") for role in registration.roles]


def _facts(registration: resources.Registration) -> Facts:
    return Facts(
        [
            ("identity", registration.identity),
            ("status", "disabled" if registration.disabled else "enabled"),
            ("roles", joined(_role_words(registration))),
            ("profiles", joined(registration.profiles)),
            ("DNS names", joined(registration.dns_names)),
            ("IP addresses", joined(registration.ip_addresses)),
            ("version", str(registration.version)),
            ("created", moment(registration.created_at)),
            ("updated", f"{moment(registration.updated_at)} by {registration.updated_by}"),
        ]
    )
