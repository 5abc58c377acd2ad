"""How long an agent waits."""

from __future__ import annotations

import random

from swarmd.agent.core.patience import answer_within_ns, retry_delay_ns
from swarmd.dispatcher.core.timing import heartbeat_period_ns, recovery_grace_ns
from swarmd.model.instant import MILLISECOND


def longest(failures: int) -> int:
    rng = random.Random(failures)
    return max(retry_delay_ns(failures, rng) for _ in range(2000))


def test_the_bound_doubles_from_a_tenth_of_a_second_to_two_seconds() -> None:
    bounds = [longest(failures) for failures in (1, 2, 3, 5, 6, 100)]
    expected = [100, 200, 400, 1600, 2000, 2000]
    for bound, milliseconds in zip(bounds, expected, strict=True):
        assert 0.9 * milliseconds * MILLISECOND < bound <= milliseconds * MILLISECOND


def test_retries_are_spread_over_the_whole_wait() -> None:
    rng = random.Random(7)
    delays = [retry_delay_ns(6, rng) for _ in range(1000)]
    assert min(delays) < 100 * MILLISECOND


def test_an_agent_gives_its_manager_up_before_it_is_given_up_itself() -> None:
    for period_ms in (100, 1000, 1500, 1600, 1750, 2000, 2250, 5000, 15_000, 50_000):
        period_ns = period_ms * MILLISECOND
        longest_period_ns = heartbeat_period_ns(period_ns, watched=True)
        silence_ns = longest_period_ns + answer_within_ns(longest_period_ns)
        assert silence_ns < recovery_grace_ns(period_ns)
