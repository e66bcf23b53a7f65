"""The short form of `make soak`."""

from bench.kill import kill_rounds
from tests.integration.authority import Authority

ROUNDS = 2
CALLS = 150


def test_a_server_killed_amid_its_work_loses_nothing_and_starts_again_at_once(own_authority: Authority) -> None:
    rounds = list(kill_rounds(own_authority, rounds=ROUNDS, calls_per_round=CALLS, seed=5280))
    assert [figures.received > 0 and figures.cut_off > 0 for figures in rounds] == [True] * ROUNDS
