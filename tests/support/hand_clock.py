"""A clock that stands still until a test moves it."""

from __future__ import annotations


class HandClock:
    """Implements `runtime.clock.Clock`; both times move together."""

    def __init__(self, now: int) -> None:
        self._now = now

    def now(self) -> int:
        return self._now

    def monotonic(self) -> int:
        return self._now

    def advance(self, duration_ns: int) -> None:
        self._now += duration_ns

    def set(self, now: int) -> None:
        """Jump, backwards too: an operator sets the clock."""
        self._now = now
