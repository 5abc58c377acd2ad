"""The swarm's time: the leader's clock, but never behind what is written in the log.

Deadlines are worked out from times that some leader wrote down. Were the next leader's clock
behind, by a step or by skew, all of them would seem to lie in the future, and updates and restarts
would stand still until its clock has caught up. So a manager's time goes on from the latest time in
the log, and comes back to its own clock slowly.
"""

from __future__ import annotations

from swarmd.model.instant import Instant
from swarmd.runtime.clock import Clock, slewed
from swarmd.store.changes import Committed


class SwarmClock:
    """Implements `Clock` for one manager; `observe` hears every entry that is applied."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._floor = 0
        self._floor_at = 0

    def now(self) -> int:
        passed = self._clock.monotonic() - self._floor_at
        return max(self._clock.now(), slewed(self._floor, passed))

    def monotonic(self) -> int:
        return self._clock.monotonic()

    def observe(self, committed: Committed) -> None:
        """Take note of the time of an entry, or of the records of an installed snapshot."""
        written = committed.now or max(
            (change.new.updated_at for change in committed.changes if change.new is not None),
            default=Instant(0),
        )
        if written > self.now():
            self._floor, self._floor_at = written, self._clock.monotonic()
