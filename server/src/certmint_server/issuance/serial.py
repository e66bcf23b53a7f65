"""Serials: unpredictable, unique, and in the order of time."""

import secrets
from datetime import datetime

from certmint_server.registry.certificate import SERIAL_RANDOM_BITS, SERIAL_TIME_BITS


def new_serial(now: datetime) -> int:
    """A serial of at most 20 octets (RFC 5280 section 4.1.2.2): 48 bits of milliseconds, then 111 random ones.

    The top bit of the 160 stays zero, so that the INTEGER is positive in 20 octets. The time prefix keeps the index
    of a large registry local; the random bits are far above the 64 that CA/Browser baseline requirement 7.1 asks for.
    """
    milliseconds = int(now.timestamp() * 1000) & ((1 << SERIAL_TIME_BITS) - 1)
    return milliseconds << SERIAL_RANDOM_BITS | secrets.randbits(SERIAL_RANDOM_BITS)
