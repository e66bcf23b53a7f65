"""Lengths of time as people write them: 45s, 30m, 12h, 7d."""

import argparse
import re
from datetime import timedelta
from typing import Final

from google.protobuf.duration_pb2 import Duration

_SECONDS: Final = {"d": 86_400, "h": 3_600, "m": 60, "s": 1}
_PATTERN: Final = re.compile(r"(\d{1,9})([dhms])", re.ASCII)


def parse(text: str) -> timedelta:
    """The length of time, in one unit.

    Raises:
        ValueError: it is not a whole number with a unit.
    """
    match = _PATTERN.fullmatch(text)
    if not match:
        raise ValueError("A length of time is a whole number with a unit: 45s, 30m, 12h or 7d.")
    return timedelta(seconds=int(match[1]) * _SECONDS[match[2]])


def argument(text: str) -> timedelta:
    """The same, for argparse, which shows the message of no other error."""
    try:
        return parse(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def text(length: Duration) -> str:
    """The length in the largest unit that divides it."""
    unit = next((unit for unit, size in _SECONDS.items() if length.seconds % size == 0 and length.seconds), "s")
    return f"{length.seconds // _SECONDS[unit]}{unit}"
