from datetime import timedelta

import pytest
from structlog.testing import capture_logs
from tests.unit.server.authority import NOW

from certmint_server.revocation.crls import ShardState
from certmint_server.revocation.watch import ExpiryWatch

LIFETIME = timedelta(days=100)
PUBLISHED = ShardState("0123456789abcdef", 1, 1, 0, 1, NOW, NOW + LIFETIME)
NEVER = ShardState("0123456789abcdef", 1, 0, 0, 0, None, None)


def events(state: ShardState, *days: float) -> list[str]:
    watch = ExpiryWatch()
    with capture_logs() as logs:
        for day in days:
            watch.look(state, NOW + timedelta(days=day))
    assert all(log["log_level"] == "warning" for log in logs)
    return [log["event"] for log in logs]


@pytest.mark.parametrize(
    ("day", "expected"),
    [(0, []), (80, []), (80.01, ["crl.expiring"]), (100, ["crl.expiring"]), (100.01, ["crl.expired"])],
)
def test_a_crl_is_warned_of_in_the_last_fifth_of_its_life_and_after(day: float, expected: list[str]) -> None:
    assert events(PUBLISHED, day) == expected


def test_a_crl_that_was_never_imported_is_warned_of() -> None:
    assert events(NEVER, 0) == ["crl.missing"]


def test_a_warning_is_repeated_once_an_hour() -> None:
    hour = 1 / 24
    assert events(PUBLISHED, 90, 90, 90 + hour / 2, 90 + hour) == ["crl.expiring", "crl.expiring"]
