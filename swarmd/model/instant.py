"""Time in nanoseconds: instants since the epoch, durations as plain integers."""

from __future__ import annotations

import re
from typing import NewType

Instant = NewType("Instant", int)

MICROSECOND = 1_000
MILLISECOND = 1_000_000
SECOND = 1_000_000_000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE

_UNITS = {
    "ns": 1,
    "us": MICROSECOND,
    "µs": MICROSECOND,
    "ms": MILLISECOND,
    "s": SECOND,
    "m": MINUTE,
    "h": HOUR,
}
_PART = re.compile(r"(\d+(?:\.\d+)?)(ns|us|µs|ms|s|m|h)")


def parse_duration(text: str) -> int:
    """Nanoseconds of a duration written like `1h30m`, `250ms` or `0`.

    Raises:
        ValueError: the text is not a sequence of numbers with units.
    """
    stripped = text.strip()
    if stripped == "0":
        return 0
    total, position = 0, 0
    for match in _PART.finditer(stripped):
        if match.start() != position:
            break
        total += round(float(match[1]) * _UNITS[match[2]])
        position = match.end()
    if not stripped or position != len(stripped):
        raise ValueError(f"{text!r} is not a duration; write for example 1m30s, 5s or 250ms")
    return total


def format_duration(duration_ns: int) -> str:
    """A duration for people, in the largest units that fit: `1h30m`, `4.2s`, `250ms`."""
    if duration_ns < 0:
        return "-" + format_duration(-duration_ns)
    if duration_ns < SECOND:
        return f"{duration_ns / MILLISECOND:g}ms" if duration_ns else "0s"
    hours, rest = divmod(duration_ns, HOUR)
    minutes, rest = divmod(rest, MINUTE)
    seconds = f"{rest / SECOND:g}s" if rest else ""
    return (f"{hours}h" if hours else "") + (f"{minutes}m" if minutes else "") + seconds
