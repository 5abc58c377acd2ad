"""Durations as people write them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarmd.model.instant import HOUR, MILLISECOND, MINUTE, SECOND, format_duration, parse_duration


@pytest.mark.parametrize(
    ("text", "duration_ns"),
    [
        ("0", 0),
        ("5s", 5 * SECOND),
        ("1h30m", HOUR + 30 * MINUTE),
        ("1.5s", 1500 * MILLISECOND),
        (" 250ms ", 250 * MILLISECOND),
        ("1m0.5s", MINUTE + 500 * MILLISECOND),
        ("3us", 3000),
        ("3µs", 3000),
        ("7ns", 7),
    ],
)
def test_durations_are_read(text: str, duration_ns: int) -> None:
    assert parse_duration(text) == duration_ns


@pytest.mark.parametrize("text", ["", "5", "s", "5 s", "1h-3m", "-5s", "5sx", "x5s", "1,5s"])
def test_other_text_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(ValueError, match="is not a duration; write for example"):
        parse_duration(text)


@pytest.mark.parametrize(
    ("duration_ns", "text"),
    [
        (0, "0s"),
        (250 * MILLISECOND, "250ms"),
        (4200 * MILLISECOND, "4.2s"),
        (90 * MINUTE, "1h30m"),
        (-5 * SECOND, "-5s"),
        (HOUR + SECOND, "1h1s"),
    ],
)
def test_durations_are_written_in_the_largest_units(duration_ns: int, text: str) -> None:
    assert format_duration(duration_ns) == text


@given(st.integers(0, 10_000 * HOUR // MILLISECOND))
def test_what_is_written_reads_back(milliseconds: int) -> None:
    duration_ns = milliseconds * MILLISECOND
    assert parse_duration(format_duration(duration_ns)) == duration_ns
