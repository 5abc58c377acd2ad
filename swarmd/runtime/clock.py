"""The one clock of a process, injected everywhere so that time can be simulated.

Wall time is nanoseconds since the epoch and neither runs backwards nor stands still as seen through
one clock: a step back of the system clock is made good by running slower for a while.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Protocol


class Clock(Protocol):
    """Source of time for shells; decisions get `now` as an argument instead."""

    def now(self) -> int:
        """Wall time in nanoseconds since the epoch, never decreasing."""
        ...

    def monotonic(self) -> int:
        """Nanoseconds of a clock that only measures durations, unaffected by clock steps."""
        ...


def slewed(since_ns: int, passed_ns: int) -> int:
    """The time `passed_ns` after `since_ns` by a clock that is ahead and waits for another one.

    It runs at nine tenths of its speed: deadlines come a little late instead of never.
    """
    return since_ns + passed_ns * 9 // 10


class SteadyClock:
    """A clock made of a wall clock that may step and one that measures durations.

    A step forward is followed at once. After a step back time goes on a little slower until the
    wall clock has caught up.
    """

    def __init__(self, *, wall_ns: Callable[[], int], monotonic_ns: Callable[[], int]) -> None:
        self._wall_ns = wall_ns
        self._monotonic_ns = monotonic_ns
        self._latest = 0
        self._latest_at = monotonic_ns()

    def now(self) -> int:
        at = self._monotonic_ns()
        self._latest = max(self._wall_ns(), slewed(self._latest, at - self._latest_at))
        self._latest_at = at
        return self._latest

    def monotonic(self) -> int:
        return self._monotonic_ns()


class SystemClock(SteadyClock):
    """The machine's clocks."""

    def __init__(self) -> None:
        super().__init__(wall_ns=time.time_ns, monotonic_ns=time.monotonic_ns)
