from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarmd.rpc.h2.text import (
    escape,
    format_timeout,
    parse_timeout_ns,
    rounded_timeout,
    unescape,
)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (b"1n", 1),
        (b"2u", 2_000),
        (b"3m", 3_000_000),
        (b"4S", 4_000_000_000),
        (b"5M", 300_000_000_000),
        (b"1H", 3_600_000_000_000),
        (b"99999999n", 99_999_999),
        (b"", None),
        (b"5", None),
        (b"S", None),
        (b"-1S", None),
        (b"1x", None),
        (b"1.5S", None),
        (b"123456789n", None),
        (b" 1S", None),
    ],
)
def test_timeouts_are_read(value: bytes, expected: int | None) -> None:
    assert parse_timeout_ns(value) == expected


@given(st.integers(1, 10**17))
def test_a_written_timeout_is_never_shorter_and_hardly_longer(timeout_ns: int) -> None:
    read = parse_timeout_ns(format_timeout(timeout_ns))
    assert read is not None
    assert timeout_ns <= read <= timeout_ns + max(1, timeout_ns // 10**4)


def test_a_timeout_that_has_passed_is_written_as_the_shortest_one() -> None:
    assert format_timeout(-5) == b"1n"


@given(st.text())
def test_any_message_survives_as_printable_ascii(message: str) -> None:
    escaped = escape(message)
    assert all(0x20 <= byte <= 0x7E for byte in escaped)
    assert unescape(escaped) == message


@pytest.mark.parametrize(
    ("value", "expected"),
    [(b"50%", "50%"), (b"%zz", "%zz"), (b"%4", "%4"), (b"%C3%9F%", "ß%"), (b"%ff", "�")],
)
def test_what_is_no_escape_stands_for_itself(value: bytes, expected: str) -> None:
    assert unescape(value) == expected


def test_what_is_left_of_a_timeout_is_rounded_to_the_same_figure() -> None:
    assert {rounded_timeout(5_000_000_000 - spent) for spent in (0, 700, 60_000_000)} == {
        5_000_000_000
    }


def test_a_short_timeout_is_rounded_up_to_a_millisecond() -> None:
    assert rounded_timeout(20_100_000) == 21_000_000
    assert rounded_timeout(1) == 1_000_000
