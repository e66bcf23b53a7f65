"""What a path is judged by."""

from dataclasses import dataclass
from datetime import UTC, datetime
from enum import IntEnum

from cryptography.x509 import ObjectIdentifier
from cryptography.x509.oid import ExtendedKeyUsageOID

from certmint.verification.name import ExpectedName


class Purpose(IntEnum):
    """What a leaf is to be used for. The numbers are those of `certmint.ca.v1.Purpose`.

    ANY does not look at extended key usage, neither of the leaf nor of its issuers.
    """

    SERVER_AUTH = 1
    CLIENT_AUTH = 2
    ANY = 3

    @property
    def key_purpose(self) -> ObjectIdentifier | None:
        """The KeyPurposeId that is needed (RFC 5280 section 4.2.1.12); None for ANY."""
        return _KEY_PURPOSES.get(self)


_KEY_PURPOSES = {
    Purpose.SERVER_AUTH: ExtendedKeyUsageOID.SERVER_AUTH,
    Purpose.CLIENT_AUTH: ExtendedKeyUsageOID.CLIENT_AUTH,
}


@dataclass(frozen=True, slots=True)
class Criteria:
    """The purpose, the name the leaf must carry (None: any) and the time to judge by."""

    purpose: Purpose
    expected_name: ExpectedName | None
    at_time: datetime

    def __post_init__(self) -> None:
        """Certificates count in whole seconds of UTC, both ends included, so the time judged by does too.

        Raises:
            ValueError: `at_time` has no time zone.
        """
        if self.at_time.tzinfo is None:
            raise ValueError("The time to judge by needs a time zone.")
        object.__setattr__(self, "at_time", self.at_time.astimezone(UTC).replace(microsecond=0))
