"""Why a chain is not valid: a closed list of reasons, each with a sentence for people."""

from dataclasses import dataclass
from enum import IntEnum
from typing import NamedTuple

from cryptography import x509

_LONGEST_NAME = 120


class FailureReason(IntEnum):
    """The names and numbers are those of `certmint.ca.v1.VerificationFailureReason`."""

    UNTRUSTED = 1
    SIGNATURE_INVALID = 2
    EXPIRED = 3
    NOT_YET_VALID = 4
    NAME_MISMATCH = 5
    NAME_CONSTRAINT = 6
    PURPOSE = 7
    KEY_USAGE = 8
    BASIC_CONSTRAINTS = 9
    ALGORITHM = 10
    EXTENSION = 11
    TOO_LONG = 12
    REVOKED = 13
    REVOCATION_UNKNOWN = 14
    REVOCATION_STALE = 15
    NOT_IN_REGISTRY = 16


@dataclass(frozen=True, slots=True)
class Failure:
    """One reason. `certificate_index` is the position in the request, leaf 0; None: not one of them."""

    certificate_index: int | None
    reason: FailureReason
    detail: str


class Fault(NamedTuple):
    """A reason against a certificate, with a sentence of which the certificate is "it"."""

    reason: FailureReason
    detail: str


class PlacedFault(NamedTuple):
    """A fault of the certificate at `position` in a path, leaf 0."""

    position: int
    fault: Fault


def describe(name: x509.Name) -> str:
    """The distinguished name for a sentence."""
    return printable(name.rfc4514_string()) or "(empty name)"


def printable(text: str) -> str:
    """Text out of a certificate for a sentence: short, and without control characters."""
    safe = "".join(character if character.isprintable() else "?" for character in text[: _LONGEST_NAME + 1])
    return safe if len(safe) <= _LONGEST_NAME else safe[:_LONGEST_NAME] + "…"
