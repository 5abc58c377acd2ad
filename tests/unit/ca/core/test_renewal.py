"""When certificates are renewed."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarmd.ca.core.renewal import (
    FORCED_DELAY_NS,
    Renewal,
    failed,
    force,
    retry_delay_ns,
    schedule,
)
from swarmd.model.instant import HOUR, MINUTE, SECOND, Instant

DAY = 24 * HOUR
START = Instant(1_700_000_000 * SECOND)
END = Instant(START + 90 * DAY)


class Extreme:
    """Always draws the lowest, or always the highest value."""

    def __init__(self, *, high: bool) -> None:
        self._high = high

    def random(self) -> float:
        return 0.999 if self._high else 0.0

    def randrange(self, start: int, stop: int) -> int:
        return stop - 1 if self._high else start


@given(
    st.integers(2 * MINUTE, 400 * DAY), st.integers(0, 400 * DAY), st.integers(0, 2**32), st.data()
)
def test_renewal_falls_between_half_and_four_fifths_of_the_life_and_not_before_now(
    life_ns: int, age_ns: int, seed: int, data: st.DataObject
) -> None:
    now = Instant(START + age_ns)
    planned = schedule(
        not_before=START, not_after=Instant(START + life_ns), now=now, rng=random.Random(seed)
    )
    assert planned.due >= now
    assert planned.due >= START + life_ns // 2
    assert planned.due < START + life_ns * 4 // 5 or planned.due == now
    assert planned.failures == 0


def test_renewals_are_spread_in_whole_minutes_over_the_window() -> None:
    rng = random.Random(1)
    dues = [schedule(not_before=START, not_after=END, now=START, rng=rng).due for _ in range(200)]
    offsets = [due - START - 45 * DAY for due in dues]
    assert all(offset % MINUTE == 0 for offset in offsets)
    assert min(offsets) < 2 * DAY
    assert max(offsets) > 25 * DAY


@pytest.mark.parametrize("high", [False, True])
def test_a_life_of_seconds_still_leaves_a_window(high: bool) -> None:
    end = Instant(START + 20 * SECOND)
    planned = schedule(not_before=START, not_after=end, now=START, rng=Extreme(high=high))
    assert START + 10 * SECOND <= planned.due < START + 16 * SECOND


@pytest.mark.parametrize("age_days", [72, 80, 90, 500])
def test_past_four_fifths_of_the_life_renewal_is_due_at_once(age_days: int) -> None:
    now = Instant(START + age_days * DAY)
    assert schedule(not_before=START, not_after=END, now=now, rng=random.Random(1)).due == now


def test_a_forced_renewal_comes_half_a_second_from_now() -> None:
    forced = force(Renewal(END, "planned"), now=START, reason="another role")
    assert forced == Renewal(Instant(START + FORCED_DELAY_NS), "another role")


def test_forcing_never_delays_a_renewal_that_is_due_earlier() -> None:
    assert force(Renewal(START, "planned"), now=START, reason="another role").due == START


def test_repeating_a_reason_does_not_defeat_its_back_off() -> None:
    first = force(Renewal(END, "planned"), now=START, reason="another role")
    waiting = failed(first, now=START, rng=Extreme(high=True))
    assert force(waiting, now=Instant(START + 1), reason="another role") == waiting


def test_a_new_reason_ends_a_back_off() -> None:
    waiting = failed(Renewal(END, "planned"), now=START, rng=Extreme(high=True))
    assert force(waiting, now=START, reason="a new root") == Renewal(
        Instant(START + FORCED_DELAY_NS), "a new root"
    )


@pytest.mark.parametrize(
    ("failures", "ceiling_ns"),
    [
        (1, 10 * SECOND),
        (2, 15 * SECOND),
        (3, 25 * SECOND),
        (9, 1285 * SECOND),
        (11, HOUR),
        (10_000, HOUR),
    ],
)
def test_the_wait_after_failures_is_random_below_a_doubling_ceiling(
    failures: int, ceiling_ns: int
) -> None:
    assert retry_delay_ns(failures, Extreme(high=False)) == 0
    assert retry_delay_ns(failures, Extreme(high=True)) == ceiling_ns - 1


def test_failures_are_counted_and_keep_the_reason() -> None:
    renewal = Renewal(START, "another role")
    for expected in (1, 2, 3):
        renewal = failed(renewal, now=START, rng=Extreme(high=False))
        assert renewal == Renewal(START, "another role", expected)
