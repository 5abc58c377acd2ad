"""Common moments for heartbeats: on the row, in time, equally full."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from swarmd.dispatcher.core.slots import Slots
from swarmd.model.instant import MILLISECOND, SECOND

WIDTH_NS = 250 * MILLISECOND
PERIOD_NS = 3 * SECOND


def test_nodes_that_call_at_odd_times_are_told_the_same_moment() -> None:
    slots = Slots(WIDTH_NS)
    moments = {slots.take(now * MILLISECOND, PERIOD_NS, nodes=500) for now in (0, 1, 100, 249)}
    assert moments == {3 * SECOND}


def test_nodes_that_came_together_are_spread_over_the_row() -> None:
    slots, nodes = Slots(WIDTH_NS), 480
    due = [slots.take(0, PERIOD_NS, nodes) for _ in range(nodes)]
    for _ in range(6):
        due = [slots.take(at, PERIOD_NS, nodes) for at in sorted(due)]
    first = min(due)
    filled = Counter(at for at in due if at < first + PERIOD_NS)
    assert len(filled) == 12
    assert max(filled.values()) <= 44


def test_nodes_in_step_are_asked_no_more_often_than_needed() -> None:
    slots, nodes = Slots(WIDTH_NS), 480
    now = [slot * WIDTH_NS + 1 for slot in range(12) for _ in range(40)]
    assert all(slots.take(at, PERIOD_NS, nodes) - at == PERIOD_NS - 1 for at in now)


def test_a_row_without_room_is_filled_evenly() -> None:
    slots = Slots(WIDTH_NS)
    due = Counter(slots.take(0, PERIOD_NS, nodes=1) for _ in range(60))
    assert set(due.values()) == {10}


@given(
    now=st.integers(0, 10**12),
    period_ns=st.integers(MILLISECOND, 10 * SECOND),
    nodes=st.integers(1, 1000),
    width_ns=st.integers(1, SECOND),
)
def test_a_heartbeat_is_never_asked_for_later_than_the_period_allows(
    now: int, period_ns: int, nodes: int, width_ns: int
) -> None:
    slots = Slots(min(width_ns, period_ns))
    for _ in range(5):
        assert now < slots.take(now, period_ns, nodes) <= now + period_ns
