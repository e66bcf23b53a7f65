"""The only reader of the time."""

from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    """Tells the time."""

    def now(self) -> datetime:
        """Now, in UTC, with a time zone."""
        ...


class SystemClock:
    """The machine's clock."""

    def now(self) -> datetime:
        """Now, in UTC, with a time zone."""
        return datetime.now(UTC)


def whole_seconds(moment: datetime) -> datetime:
    """The second that `moment` lies in. Certificates, CRLs and the registry count in whole seconds."""
    return moment.replace(microsecond=0)
