"""Lines of logs as nodes keep them and as they travel in bulk: looked at, never copied one by one.

A line begins with its time in nineteen digits, a blank, a letter and a blank. The letter is `o` or
`e` for the stream; a capital means that the line goes on in the stream's next. Lines of one task
come in the order of their times, so a portion of them is known by its first and its last.
"""

from __future__ import annotations

import re

DIGITS = 19
HEADER_BYTES = DIGITS + 3
# One line, with its time, its letter and what was said.
LINE = re.compile(rb"^(\d{19}) ([oeOE]) ([^\n]*)\n", re.MULTILINE)


def first_time(lines: bytes) -> int:
    """When the first line was said; 0 if that can't be read."""
    return _time_at(lines, 0)


def last_time(lines: bytes) -> int:
    """When the last line was said; 0 if that can't be read."""
    return _time_at(lines, lines.rfind(b"\n", 0, len(lines) - 1) + 1)


def is_well_formed(lines: bytes) -> bool:
    """Whether the portion is whole lines, as far as its ends tell."""
    return lines.endswith(b"\n") and bool(first_time(lines)) and bool(last_time(lines))


def split_after(lines: bytes, instant: int) -> tuple[bytes, bytes]:
    """The lines up to `instant`, those of that very instant included, and the rest."""
    position = position_after(lines, instant)
    return lines[:position], lines[position:]


def position_after(lines: bytes, instant: int) -> int:
    """Where the lines begin that are later than `instant`."""
    low, high = 0, len(lines)  # it is somewhere in between, at the beginning of a line
    while low < high:
        middle = lines.rfind(b"\n", low, (low + high) // 2) + 1 or low
        following = lines.find(b"\n", middle) + 1 or len(lines)
        if _time_at(lines, middle) <= instant:
            low = following
        else:
            high = middle
    return low


def _time_at(lines: bytes, position: int) -> int:
    digits = lines[position : position + DIGITS]
    return int(digits) if len(digits) == DIGITS and digits.isdigit() else 0
