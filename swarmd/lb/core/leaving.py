"""Tasks that left, and when the kernel is to forget what leads to them. Pure.

Forgetting takes a walk through every connection that the machine tracks. It is therefore no part of
bringing tables into force, which others wait for, but follows soon.
"""

from __future__ import annotations

from collections.abc import Iterable

from msgspec import Struct

from swarmd.lb.core.virtual import departed, retired
from swarmd.model.instant import MILLISECOND, Instant
from swarmd.network.core.tables import NetworkTable

# Answers under way when a task leaves the balancers have arrived by then.
UDP_REST_NS = 500 * MILLISECOND


class Due(Struct, frozen=True):
    """Addresses whose time has come."""

    gone: frozenset[str] = frozenset()  # everything that leads there is cut off
    moved: frozenset[str] = frozenset()  # UDP clients begin anew with somebody else

    def __bool__(self) -> bool:
        return bool(self.gone or self.moved)


class Leaving:
    """What is still to be forgotten."""

    def __init__(self) -> None:
        self._gone: frozenset[str] = frozenset()
        self._resting: dict[str, Instant] = {}

    def __bool__(self) -> bool:
        return bool(self._gone or self._resting)

    def note(
        self, before: Iterable[NetworkTable], after: Iterable[NetworkTable], now: Instant
    ) -> None:
        """Note who leaves from one set of tables to the next; who is back is not forgotten."""
        old, new = tuple(before), tuple(after)
        back = departed(new, old)
        self._gone = (self._gone | departed(old, new)) - back
        until = Instant(now + UDP_REST_NS)
        resting = self._resting | dict.fromkeys(retired(old, new), until)
        ready_again = retired(new, old)
        self._resting = {
            address: due
            for address, due in resting.items()
            if address not in ready_again and address not in self._gone
        }

    def due(self, now: Instant) -> Due:
        """What is to be forgotten now; it is not told again."""
        moved = frozenset(address for address, due in self._resting.items() if due <= now)
        self._resting = {key: due for key, due in self._resting.items() if key not in moved}
        gone, self._gone = self._gone, frozenset()
        return Due(gone=gone, moved=moved)

    def put_back(self, failed: Due, now: Instant) -> None:
        """What could not be forgotten is to be tried again."""
        self._gone |= failed.gone
        self._resting |= dict.fromkeys(failed.moved, Instant(now + UDP_REST_NS))
