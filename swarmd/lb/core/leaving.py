"""Tasks that left, and when the kernel is to forget what leads to them. Pure.

Forgetting takes a walk through every connection that the machine tracks. It is therefore no part of
bringing tables into force, which others wait for, but follows soon. Who waits for it, as a task
does whose UDP clients are to be with others before it ends, is told by `moving`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from msgspec import Struct

from swarmd.lb.core.virtual import departed, retired
from swarmd.model.ids import NetworkId
from swarmd.model.instant import MILLISECOND, SECOND, Instant
from swarmd.network.core.tables import NetworkTable

# Answers under way when a task leaves the balancers have arrived by then. It also has to be long
# after the last packet was sent by the rules of before: it would be tracked after the walk.
UDP_REST_NS = 500 * MILLISECOND
# What a late node sends to a task that has crashed is led on to another by the task's own node. To
# be cut off in the middle is worse than the error that was spared; most are over after so long.
LED_ON_NS = 2 * SECOND


class Due(Struct, frozen=True):
    """Addresses whose time has come at `at`.

    Tasks wait for clients to be moved, and nobody for what is cut off, which may take much longer.
    So one isn't due together with the other.
    """

    gone: frozenset[str] = frozenset()  # everything that leads there is cut off
    moved: frozenset[str] = frozenset()  # UDP clients begin anew with somebody else
    # Of those gone the ones that were here: what late nodes still send there begins anew as well.
    ended: frozenset[str] = frozenset()
    at: Instant = Instant(0)

    def __bool__(self) -> bool:
        return bool(self.gone or self.moved)


class _Rest(Struct, frozen=True, gc=False):
    """UDP clients of a task go on until `until`; it left at `since` of its table or later."""

    until: Instant
    network_id: NetworkId
    since: int


class Leaving:
    """What is still to be forgotten."""

    def __init__(self) -> None:
        self._gone: dict[str, Instant] = {}  # and from when on
        self._resting: dict[str, _Rest] = {}

    def __bool__(self) -> bool:
        return bool(self._gone or self._resting)

    @property
    def moving(self) -> Mapping[NetworkId, int]:
        """Networks with tasks that left and may still get datagrams of known clients, each with
        the lowest version at which one of them may have left."""
        found: dict[NetworkId, int] = {}
        for rest in self._resting.values():
            found[rest.network_id] = min(rest.since, found.get(rest.network_id, rest.since))
        return found

    def note(
        self,
        before: Iterable[NetworkTable],
        after: Iterable[NetworkTable],
        now: Instant,
        *,
        moves: frozenset[str] | None = None,
        own: frozenset[str] | None = None,
    ) -> None:
        """Note who has left now that one set of tables is in force instead of another.

        Who is back is not forgotten.

        Args:
            moves: addresses that may have UDP clients; None: any.
            own: addresses that are cut off at once, for nobody leads on what is sent there; None:
                all.
        """
        old, new = tuple(before), tuple(after)
        back = departed(new, old)
        left_for_good = departed(old, new)
        led_on = left_for_good - own if own is not None else frozenset()
        later = dict.fromkeys(led_on, Instant(now + LED_ON_NS))
        gone = dict.fromkeys(left_for_good, now) | later | self._gone
        self._gone = {address: at for address, at in gone.items() if address not in back}
        until = Instant(now + UDP_REST_NS)
        resting = dict(self._resting)
        left = retired(old, new)
        if moves is not None:
            left &= moves
        for table in old if left else ():
            rest = _Rest(until, table.network_id, table.version + 1)
            for endpoint in table.endpoints.values():
                resting |= dict.fromkeys(left.intersection(endpoint.addresses), rest)
        ready_again = retired(new, old)
        self._resting = {
            address: rest
            for address, rest in resting.items()
            if address not in ready_again and address not in self._gone
        }

    @property
    def ending(self) -> bool:
        """Whether anything leads to tasks that are gone, and is still to be cut off."""
        return bool(self._gone)

    def moved(self, now: Instant) -> Due:
        """Whose UDP clients are to move on now; it is told until it is said to be `done`."""
        moved = frozenset(key for key, rest in self._resting.items() if rest.until <= now)
        return Due(moved=moved, at=now)

    def gone(self, now: Instant) -> Due:
        """What is to be cut off now; it is told until it is said to be `done`."""
        return Due(gone=frozenset(key for key, at in self._gone.items() if at <= now), at=now)

    def done(self, due: Due) -> None:
        """It has been forgotten. Who has left anew meanwhile is not meant."""
        self._gone = {
            address: at
            for address, at in self._gone.items()
            if address not in due.gone or at > due.at
        }
        for address in due.moved:
            rest = self._resting.get(address)
            if rest is not None and rest.until <= due.at:
                del self._resting[address]

    def failed(self, due: Due, now: Instant) -> None:
        """It could not be forgotten, and is to be tried again after a while."""
        later = Instant(now + UDP_REST_NS)
        self._gone |= {key: later for key in due.gone if key in self._gone}
        for address in due.moved:
            rest = self._resting.get(address)
            if rest is not None:
                self._resting[address] = _Rest(later, rest.network_id, rest.since)
