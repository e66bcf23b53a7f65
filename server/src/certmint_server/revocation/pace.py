"""When a shard may be tried again."""

from dataclasses import dataclass, field

Key = tuple[str, int]

_SPACING = 1.0
_MAXIMUM_BACKOFF = 4.0


@dataclass(slots=True)
class Pace:
    """Lets an attempt at a key begin at once when idle, then at most one a second, and fewer while it fails.

    The longest wait is 4 seconds, so that a revocation is published in time once the trouble has passed. Times are
    seconds of a clock that never goes back.
    """

    _next_attempt: dict[Key, float] = field(default_factory=dict)
    _failures: dict[Key, int] = field(default_factory=dict)

    def is_due(self, key: Key, now: float) -> bool:
        """Whether an attempt may begin."""
        return now >= self._next_attempt.get(key, now)

    def succeeded(self, key: Key, now: float) -> None:
        """An attempt ended well."""
        self._failures.pop(key, None)
        self._next_attempt[key] = now + _SPACING

    def failed(self, key: Key, now: float) -> None:
        """An attempt failed."""
        failures = self._failures[key] = self._failures.get(key, 0) + 1
        self._next_attempt[key] = now + min(_SPACING * 2.0 ** min(failures - 1, 8), _MAXIMUM_BACKOFF)
