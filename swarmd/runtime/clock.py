"""The one clock of a process, injected everywhere so that time can be simulated.

Wall time is nanoseconds since the epoch and never runs backwards as seen through one clock:
a step back of the system clock is bridged by standing still until time has caught up.
"""

from __future__ import annotations

import time
from typing import Protocol


class Clock(Protocol):
    """Source of time for shells; decisions get `now` as an argument instead."""

    def now(self) -> int:
        """Wall time in nanoseconds since the epoch, never decreasing."""
        ...

    def monotonic(self) -> int:
        """Nanoseconds of a clock that only measures durations, unaffected by clock steps."""
        ...


class SystemClock:
    """The machine's clocks, with wall time clamped to never decrease."""

    def __init__(self) -> None:
        self._latest = 0

    def now(self) -> int:
        self._latest = max(self._latest, time.time_ns())
        return self._latest

    def monotonic(self) -> int:
        return time.monotonic_ns()
