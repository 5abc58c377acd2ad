"""Deadlines as data: what has to be looked at again, and when."""

from __future__ import annotations

import heapq
from typing import Generic, TypeVar

from swarmd.model.instant import Instant

K = TypeVar("K")


class Timers(Generic[K]):
    """At most one deadline per key; setting it again replaces it, None removes it."""

    def __init__(self) -> None:
        self._at: dict[K, Instant] = {}
        self._heap: list[tuple[Instant, int, K]] = []
        self._count = 0

    def set(self, key: K, at: Instant | None) -> None:
        if at is None:
            self._at.pop(key, None)
        elif self._at.get(key) != at:
            self._at[key] = at
            self._count += 1  # breaks ties, so that keys are never compared
            heapq.heappush(self._heap, (at, self._count, key))

    def due(self, now: Instant) -> list[K]:
        """Keys whose deadline is at or before `now`, earliest first; their timers end."""
        keys = []
        while (earliest := self.next()) is not None and earliest <= now:
            key = heapq.heappop(self._heap)[2]
            del self._at[key]
            keys.append(key)
        return keys

    def next(self) -> Instant | None:
        """The earliest deadline, None when nothing is waiting."""
        while self._heap:
            at, _, key = self._heap[0]
            if self._at.get(key) == at:
                return at
            heapq.heappop(self._heap)  # replaced or removed since
        return None
