"""Portions of log lines."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from swarmd.model import log_lines

BASE = 10**18


def a_line(at: int, text: bytes = b"x") -> bytes:
    return b"%d o %s\n" % (BASE + at, text)


@given(
    st.lists(st.tuples(st.integers(0, 20), st.binary(max_size=30)), max_size=12),
    st.integers(-1, 21),
)
def test_a_portion_is_split_where_later_lines_begin(said: list[tuple[int, bytes]], at: int) -> None:
    said = sorted((time, text.replace(b"\n", b"")) for time, text in said)
    lines = b"".join(a_line(time, text) for time, text in said)
    early = b"".join(a_line(time, text) for time, text in said if time <= at)
    assert log_lines.split_after(lines, BASE + at) == (early, lines[len(early) :])


def test_a_portion_is_known_by_its_first_and_last_time() -> None:
    lines = a_line(3) + a_line(4) + a_line(9, b"")
    assert (log_lines.first_time(lines), log_lines.last_time(lines)) == (BASE + 3, BASE + 9)
    assert log_lines.is_well_formed(lines)


@given(st.binary(max_size=200), st.integers(0, 2 * BASE))
def test_any_bytes_are_split_without_loss(lines: bytes, at: int) -> None:
    assert b"".join(log_lines.split_after(lines, at)) == lines
    log_lines.is_well_formed(lines)
