"""What is written down about an act, in the act's own transaction."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import IntEnum


class Action(IntEnum):
    """What was done. The numbers stand in the database: none is ever used again."""

    CERTIFICATE_ISSUED = 1
    CERTIFICATE_REVOKED = 2
    REVOCATION_UPGRADED = 3
    REGISTRATION_CREATED = 4
    REGISTRATION_UPDATED = 5
    REGISTRATION_DELETED = 6
    PROFILE_APPLIED = 7
    ISSUER_ADDED = 8
    CRL_IMPORTED = 9


@dataclass(frozen=True, slots=True)
class Event:
    """Who did what to which subject, and when. `detail` holds values for people and never a secret."""

    action: Action
    actor: str
    subject: str
    occurred_at: datetime
    detail: Mapping[str, str] = field(default_factory=dict)
