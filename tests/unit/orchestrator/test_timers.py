"""Deadlines as data."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from swarmd.model.instant import Instant
from swarmd.orchestrator.timers import Timers


def test_a_deadline_equal_to_now_is_due_once() -> None:
    timers: Timers[str] = Timers()
    timers.set("a", Instant(5))
    assert timers.due(Instant(4)) == []
    assert timers.due(Instant(5)) == ["a"]
    assert timers.due(Instant(5)) == []
    assert timers.next() is None


def test_setting_a_key_again_replaces_its_deadline() -> None:
    timers: Timers[str] = Timers()
    timers.set("a", Instant(5))
    timers.set("a", Instant(9))
    assert timers.next() == 9
    timers.set("a", None)
    assert timers.next() is None
    timers.set("a", Instant(9))
    assert timers.due(Instant(9)) == ["a"]


@given(st.lists(st.tuples(st.integers(0, 5), st.none() | st.integers(0, 50))), st.integers(0, 50))
def test_timers_behave_like_a_plain_table(settings: list[tuple[int, int | None]], now: int) -> None:
    timers: Timers[int] = Timers()
    table: dict[int, int] = {}
    for key, at in settings:
        timers.set(key, None if at is None else Instant(at))
        table.pop(key, None)
        if at is not None:
            table[key] = at
    assert timers.next() == min(table.values(), default=None)
    assert sorted(timers.due(Instant(now))) == sorted(k for k, at in table.items() if at <= now)
    assert timers.next() == min((at for at in table.values() if at > now), default=None)
