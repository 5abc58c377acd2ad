"""Delays between attempts: doubling from a first to a longest, spread by chance."""

from __future__ import annotations

from msgspec import Struct

from swarmd.model.env import Rng


class Backoff(Struct, frozen=True):
    """Attempt 0 waits at most `first_ns`, each further one twice that, all at most `longest_ns`."""

    first_ns: int
    longest_ns: int

    def delay_ns(self, attempt: int, rng: Rng) -> int:
        """A delay between half and all of what attempt number `attempt` may wait."""
        # Shifts beyond 64 would make huge integers only to throw them away.
        bound_ns = min(self.first_ns << min(attempt, 64), self.longest_ns)
        return bound_ns // 2 + int(rng.random() * (bound_ns - bound_ns // 2))
