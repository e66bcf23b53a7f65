from certmint_server.revocation.pace import Pace

KEY = ("0123456789abcdef", 1)


def test_an_idle_shard_may_be_tried_at_once() -> None:
    assert Pace().is_due(KEY, 100.0)


def test_a_shard_is_published_at_most_once_a_second() -> None:
    pace = Pace()
    pace.succeeded(KEY, 100.0)
    assert not pace.is_due(KEY, 100.9)
    assert pace.is_due(KEY, 101.0)


def test_a_failing_shard_waits_longer_each_time_up_to_four_seconds() -> None:
    pace = Pace()
    waits = []
    now = 100.0
    for _ in range(2000):
        pace.failed(KEY, now)
        waits.append(next(wait for wait in (1.0, 2.0, 4.0) if pace.is_due(KEY, now + wait)))
        now += waits[-1]
    assert waits[:4] == [1.0, 2.0, 4.0, 4.0]
    assert set(waits[2:]) == {4.0}


def test_a_success_ends_the_waiting() -> None:
    pace = Pace()
    for _ in range(5):
        pace.failed(KEY, 100.0)
    pace.succeeded(KEY, 200.0)
    pace.failed(KEY, 300.0)
    assert pace.is_due(KEY, 301.0)


def test_one_shards_trouble_does_not_hold_up_another() -> None:
    pace = Pace()
    pace.failed(KEY, 100.0)
    assert pace.is_due(("0123456789abcdef", 2), 100.0)
