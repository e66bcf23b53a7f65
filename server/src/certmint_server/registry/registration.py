"""A registration: which identity may hold what."""

from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum


class Role(IntEnum):
    """What an identity may do. The numbers are those of `certmint.ca.v1.Role` and of the database."""

    SERVICE = 1
    REGISTRATION_AUTHORITY = 2
    AUDITOR = 3
    OPERATOR = 4


@dataclass(frozen=True, slots=True)
class Grant:
    """What a registration grants: the part of it that an operator writes."""

    identity: str
    dns_names: tuple[str, ...] = ()
    ip_addresses: tuple[str, ...] = ()
    profiles: tuple[str, ...] = ()
    roles: frozenset[Role] = frozenset({Role.SERVICE})
    disabled: bool = False


@dataclass(frozen=True, slots=True)
class Registration:
    """A grant as it is stored. `version` counts its changes from 1."""

    grant: Grant
    version: int
    created_at: datetime
    updated_at: datetime
    updated_by: str
