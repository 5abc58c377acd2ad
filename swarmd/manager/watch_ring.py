"""The latest changes, kept so that a watch can begin in the past or go on after a break.

One ring serves all watches of a manager. It is bounded by the number of changes, so that watches
cost no memory however slow their readers are. It is filled by whatever the replica applies, which
after a restart is the part of the log behind the last snapshot. Pure.
"""

from __future__ import annotations

from collections.abc import Callable

from swarmd.model.instant import Instant
from swarmd.store.changes import Committed

CHANGES_KEPT_MAX = 10_000


class ChangeRing:
    """Commits by position; positions count up and are of this manager alone.

    `floor` is the lowest version that a watch can go on from: nothing after it is missing.
    """

    def __init__(self, floor: int = 0, changes_max: int = CHANGES_KEPT_MAX) -> None:
        self.floor = floor
        self.first = 0  # position of the oldest commit kept
        self.end = 0  # position that the next one will have
        self._changes_max = changes_max
        self._commits: dict[int, Committed] = {}
        self._before: dict[int, int] = {}  # changes ever kept before the commit at a position
        self._total = 0

    def append(self, committed: Committed) -> None:
        """Keep a commit, and drop the oldest ones if there are too many changes."""
        if not committed.changes:
            return
        self._commits[self.end] = committed
        self._before[self.end] = self._total
        self.end += 1
        self._total += len(committed.changes)
        while self.lag(self.first) > self._changes_max:
            self._drop_oldest()

    def restart(self, committed: Committed) -> None:
        """Begin anew with a restored snapshot: how its state came about isn't known here."""
        while self.first < self.end:
            self._drop_oldest()
        self.append(committed)
        self.floor = committed.index

    def at(self, position: int) -> Committed | None:
        """The commit at a position; None when it isn't there yet, or is kept no more."""
        return self._commits.get(position)

    def lag(self, position: int) -> int:
        """How many changes there are from a position on, as far as they are kept."""
        return self._total - self._before.get(max(position, self.first), self._total)

    def after_version(self, version: int) -> int:
        """The position of the first commit after a version, for versions from `floor` on."""
        return self._search(lambda committed: committed.index > version)

    def version_before(self, position: int) -> int:
        """The version to resume from for what is at a position, as far as commits are kept."""
        before = self._commits.get(position - 1)
        return before.index if before is not None else self.floor

    def after_time(self, now: Instant) -> int:
        """The position of the first commit after a time, as far as they are kept."""
        return self._search(lambda committed: committed.now > now)

    def _search(self, reached: Callable[[Committed], bool]) -> int:
        low, high = self.first, self.end
        while low < high:
            middle = (low + high) // 2
            if reached(self._commits[middle]):
                high = middle
            else:
                low = middle + 1
        return low

    def _drop_oldest(self) -> None:
        dropped = self._commits.pop(self.first)
        del self._before[self.first]
        self.first += 1
        self.floor = max(self.floor, dropped.index)
