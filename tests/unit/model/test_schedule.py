"""Schedules: when they happen, also where clocks are changed."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from swarmd.model.instant import HOUR, MINUTE, SECOND, Instant
from swarmd.model.schedule import COUNTED_MAX, due_between, parse_schedule, upcoming

ROME = "Europe/Rome"


def at(text: str, zone: str = "UTC", *, fold: int = 0) -> Instant:
    """The instant at which clocks of a zone show `text`."""
    shown = datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone), fold=fold)
    return Instant(int(shown.timestamp()) * SECOND)


@pytest.mark.parametrize(
    ("schedule", "after", "expected"),
    [
        pytest.param("*/5 * * * *", "2026-01-01 00:00", "2026-01-01 00:05", id="steps"),
        pytest.param("*/5 * * * *", "2026-01-01 00:04:59", "2026-01-01 00:05", id="soon"),
        pytest.param("30 4 * * *", "2026-01-01 04:30", "2026-01-02 04:30", id="strictly later"),
        pytest.param("0 0 29 2 *", "2026-01-01 00:00", "2028-02-29 00:00", id="leap day"),
        pytest.param("0 0 31 * *", "2026-02-01 00:00", "2026-03-31 00:00", id="long months"),
        pytest.param("0 9 * * mon-fri", "2026-01-02 10:00", "2026-01-05 09:00", id="weekdays"),
        pytest.param("0 9 * * 7", "2026-01-01 00:00", "2026-01-04 09:00", id="7 is sunday"),
        pytest.param("0 0 13 * fri", "2026-02-01 00:00", "2026-02-06 00:00", id="either day"),
        pytest.param("0 0 13 * *", "2026-02-01 00:00", "2026-02-13 00:00", id="day of month"),
        pytest.param("5,35 1-3/2 1 jan,JUL *", "2026-01-01 01:35", "2026-01-01 03:05", id="lists"),
        pytest.param("@daily", "2026-12-31 12:00", "2027-01-01 00:00", id="a word"),
        pytest.param("@every 90s", "2026-01-01 00:00", "2026-01-01 00:01:30", id="every"),
        pytest.param("10/20 * * * *", "2026-01-01 00:00", "2026-01-01 00:10", id="from 10 on"),
    ],
)
def test_the_next_moment_of_a_schedule(schedule: str, after: str, expected: str) -> None:
    assert parse_schedule(schedule).next_after(at(after)) == at(expected)


@pytest.mark.parametrize(
    ("schedule", "said"),
    [
        pytest.param("* * * *", "4 fields", id="too few fields"),
        pytest.param("60 * * * *", "minute '60'", id="minute out of range"),
        pytest.param("* * 0 * *", "day of month '0'", id="no day 0"),
        pytest.param("5-1 * * * *", "ends before it begins", id="backwards"),
        pytest.param("*/0 * * * *", "minute '0'", id="no step"),
        pytest.param("@fortnightly", "is unknown", id="unknown word"),
        pytest.param("@every 10ms", "too frequent", id="too often"),
        pytest.param("@every", "needs one duration", id="every what"),
        pytest.param("0 0 31 2 *", "never happens", id="31 February"),
        pytest.param("x * * * *", "minute 'x'", id="not a number"),
        pytest.param("", "0 fields", id="nothing"),
    ],
)
def test_what_is_no_schedule_is_refused_with_the_reason(schedule: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        parse_schedule(schedule)


def test_an_unknown_time_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="time zone 'Mars/Olympus' is not known here"):
        parse_schedule("@daily", "Mars/Olympus")


def test_hours_are_those_of_the_time_zone() -> None:
    schedule = parse_schedule("0 9 * * *", "Asia/Kolkata")
    assert schedule.next_after(at("2026-01-01 00:00")) == at("2026-01-01 03:30")


# In Rome, 2026-03-29 02:00 is followed by 03:00, and 2026-10-25 03:00 by 02:00.


def test_a_named_time_that_clocks_skip_happens_when_they_have_jumped() -> None:
    schedule = parse_schedule("30 2 * * *", ROME)
    after = at("2026-03-28 12:00", ROME)
    assert upcoming(schedule, after, 2) == (
        at("2026-03-29 03:00", ROME),
        at("2026-03-30 02:30", ROME),
    )


def test_a_named_time_that_comes_twice_happens_the_first_time() -> None:
    schedule = parse_schedule("30 2 * * *", ROME)
    assert upcoming(schedule, at("2026-10-24 12:00", ROME), 2) == (
        at("2026-10-25 02:30", ROME, fold=0),
        at("2026-10-26 02:30", ROME),
    )


def test_an_hourly_schedule_happens_each_hour_that_passes() -> None:
    schedule = parse_schedule("30 * * * *", ROME)
    spring = upcoming(schedule, at("2026-03-29 00:59", ROME), 4)
    autumn = upcoming(schedule, at("2026-10-25 00:59", ROME), 4)
    for moments in (spring, autumn):
        assert [b - a for a, b in itertools.pairwise(moments)] == [HOUR] * 3
    assert autumn[1:3] == (
        at("2026-10-25 02:30", ROME, fold=0),
        at("2026-10-25 02:30", ROME, fold=1),
    )


def test_clocks_that_change_by_half_an_hour_are_followed() -> None:
    schedule = parse_schedule("*/15 * * * *", "Australia/Lord_Howe")
    moments = upcoming(schedule, at("2026-04-05 00:00", "Australia/Lord_Howe"), 20)
    assert {b - a for a, b in itertools.pairwise(moments)} == {15 * MINUTE}


def test_many_moments_that_have_come_cost_no_more_than_a_few() -> None:
    schedule = parse_schedule("* * * * *")
    since, until = at("2025-01-01 00:00"), at("2026-01-01 00:00")
    due = due_between(schedule, since, until, latest=3)
    assert due.latest == tuple(Instant(until - ago * MINUTE) for ago in (2, 1, 0))
    assert due.number >= COUNTED_MAX


def test_moments_that_have_come_are_counted_exactly_while_they_are_few() -> None:
    due = due_between(
        parse_schedule("@hourly"), at("2026-01-01 00:00"), at("2026-01-01 05:30"), latest=2
    )
    assert due.latest == (at("2026-01-01 04:00"), at("2026-01-01 05:00"))
    assert due.number == 5


fields = st.sampled_from(
    ["* * * * *", "*/7 * * * *", "30 2 * * *", "0,59 0-3 * * *", "15 */2 * * *", "5 1 * * sun"]
)
zones = st.sampled_from(["UTC", ROME, "America/New_York", "Australia/Lord_Howe", "Asia/Kolkata"])
moments = st.datetimes(datetime(2024, 1, 1), datetime(2027, 12, 31))


@settings(max_examples=150, deadline=None)
@given(fields, zones, moments)
def test_a_moment_is_later_shows_the_named_minute_and_none_comes_before_it(
    text: str, zone: str, naive: datetime
) -> None:
    schedule = parse_schedule(text, zone)
    after = Instant(int(naive.replace(tzinfo=UTC).timestamp()) * SECOND)
    found = schedule.next_after(after)
    assert found is not None
    assert found > after
    shown = datetime.fromtimestamp(found // SECOND, ZoneInfo(zone))
    before = datetime.fromtimestamp(found // SECOND - 1, ZoneInfo(zone))
    jumped = shown.utcoffset() != before.utcoffset()
    assert jumped or shown.minute in schedule.minutes  # type: ignore[attr-defined]
    assert jumped or shown.hour in schedule.hours  # type: ignore[attr-defined]
    # From anywhere in between, the same moment is next.
    halfway = Instant((after + found) // 2)
    assert schedule.next_after(halfway) == found
    assert schedule.next_after(Instant(found - 1)) == found


@settings(max_examples=40, deadline=None)
@given(zones, moments)
def test_a_daily_schedule_happens_once_on_each_day(zone: str, naive: datetime) -> None:
    schedule = parse_schedule("30 2 * * *", zone)
    first = Instant(int(naive.replace(tzinfo=UTC).timestamp()) * SECOND)
    shown = [
        datetime.fromtimestamp(m // SECOND, ZoneInfo(zone)) for m in upcoming(schedule, first, 400)
    ]
    days = [moment.date() for moment in shown]
    assert all(b - a == timedelta(days=1) for a, b in itertools.pairwise(days))
