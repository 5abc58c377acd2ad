"""Whose turn it is among one published port's targets, exact between changes.

Targets are kept in order of task id and served in a circle. The place in the circle is remembered
as the last target served, so a change elsewhere in the list neither repeats nor skips anyone. With
weights each round has every target as often as its weight says, its turns spread over the round. By
source hash the client's address says who; by least connection it is who has the fewest for its
weight, and of several the next in the circle.

A target that failed to answer rests for a while (doubling up to a limit): new connections pass it
by as long as another target is awake. When all are resting they are tried all the same, because a
wrong guess here must not turn away a client.
"""

from __future__ import annotations

import zlib
from bisect import bisect_right
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from math import lcm

from msgspec import Struct

from swarmd.lb.core.balance import ring
from swarmd.model.ids import TaskId
from swarmd.model.instant import SECOND
from swarmd.model.states import Balance

REST_FIRST_NS = 1 * SECOND
REST_LONGEST_NS = 8 * SECOND


class Target(Struct, frozen=True, gc=False):
    """One place that answers for a published port."""

    task_id: TaskId
    address: str
    port: int


class _Rest(Struct, frozen=True, gc=False):
    until_ns: int
    length_ns: int


class Rotation:
    """The circle. All times are nanoseconds of one monotonic clock."""

    def __init__(
        self,
        targets: Sequence[Target] = (),
        *,
        start: int = 0,
        balance: Balance = Balance.ROUND_ROBIN,
        weights: Sequence[int] = (),
    ) -> None:
        """`start` is where the circle begins, so that many nodes do not all begin at the first."""
        self._targets: list[Target] = []
        self._position = 0
        self._resting: dict[Target, _Rest] = {}
        self._busy: Counter[Target] = Counter()  # connections each target has
        self._credit: Counter[Target] = Counter()  # of turns, where there are weights
        self.replace(targets, balance=balance, weights=weights)
        if self._targets:
            self._position = start % len(self._targets)

    @property
    def targets(self) -> tuple[Target, ...]:
        return tuple(self._targets)

    def __len__(self) -> int:
        return len(self._targets)

    def replace(
        self,
        targets: Sequence[Target],
        *,
        balance: Balance = Balance.ROUND_ROBIN,
        weights: Sequence[int] = (),
    ) -> None:
        """Take `targets` as the new circle; whoever was next stays next if still there.

        Args:
            weights: of the targets, each at least 1; empty: they all have the same.
        """
        following = self._targets[self._position] if self._targets else None
        self._targets = sorted(targets, key=_order)
        self._balance = balance
        self._weights = dict(zip(targets, weights, strict=True)) if weights else {}
        self._scale = lcm(*self._weights.values())
        self._credit = Counter({target: self._credit[target] for target in self._weights})
        self._hashed: tuple[int, ...] = ()  # places by hash
        if balance is Balance.SOURCE_HASH:
            shares = [self._weights.get(target, 1) for target in self._targets]
            self._hashed = ring(range(len(shares)), shares)
        self._resting = {
            target: rest for target, rest in self._resting.items() if target in self._targets
        }
        if following is None or not self._targets:
            self._position = 0
            return
        key = _order(following)
        position = bisect_right(self._targets, key, key=_order)
        if position and _order(self._targets[position - 1]) == key:
            position -= 1
        self._position = position % len(self._targets)

    def next(
        self, now_ns: int, *, tried: Collection[Target] = (), client: str = ""
    ) -> Target | None:
        """The target for a new connection, leaving out `tried`; None when there is nobody left.

        Args:
            client: by whose address a hash goes.
        """
        count = len(self._targets)
        if count == 0:
            return None
        place = self._position
        if self._resting or tried or self._weights or self._balance is not Balance.ROUND_ROBIN:
            eligible = self._eligible(now_ns, tried, client)
            if not eligible:
                return None
            place = self._chosen(eligible)
        self._position = (place + 1) % count
        return self._targets[place]

    def began(self, target: Target) -> None:
        """A connection goes to `target` from now on, or is on its way there."""
        self._busy[target] += 1

    def ended(self, target: Target) -> None:
        """A connection that began is over, or never came about."""
        self._busy[target] -= 1
        if self._busy[target] <= 0:
            del self._busy[target]

    def failed(self, target: Target, now_ns: int) -> None:
        """Let a target that did not answer rest, longer each time in a row."""
        if target not in self._targets:
            return
        before = self._resting.get(target)
        if before is not None and before.until_ns > now_ns:
            return  # several connections found out at once; that is one failure
        length = REST_FIRST_NS if before is None else min(before.length_ns * 2, REST_LONGEST_NS)
        self._resting[target] = _Rest(until_ns=now_ns + length, length_ns=length)

    def answered(self, target: Target) -> None:
        """Forget earlier failures of a target that has answered."""
        if self._resting:
            self._resting.pop(target, None)

    def _eligible(self, now_ns: int, tried: Collection[Target], client: str) -> list[int]:
        """Places of those who are awake, or else of those who rest, in order of their turns.

        Where the first gets it the others are left out.
        """
        awake: list[int] = []
        resting: list[int] = []
        for place in self._places(client):
            target = self._targets[place]
            if target in tried:
                continue
            rest = self._resting.get(target)
            if rest is not None and rest.until_ns > now_ns:
                resting.append(place)
                continue
            awake.append(place)
            if not self._compares:
                break
        return awake or resting

    @property
    def _compares(self) -> bool:
        """Whether it takes a look at all targets to know whose turn it is."""
        if self._balance is Balance.ROUND_ROBIN:
            return bool(self._weights)
        return self._balance is Balance.LEAST_CONNECTION

    def _places(self, client: str) -> Iterator[int]:
        """Places in order of their turns."""
        if self._balance is Balance.SOURCE_HASH:
            first = zlib.crc32(client.encode())
            for step in range(len(self._hashed)):
                yield self._hashed[(first + step) % len(self._hashed)]
            return
        for step in range(len(self._targets)):
            yield (self._position + step) % len(self._targets)

    def _chosen(self, eligible: list[int]) -> int:
        if not self._compares:
            return eligible[0]
        if self._balance is Balance.LEAST_CONNECTION:
            return min(eligible, key=self._load)
        return self._by_credit(eligible)

    def _load(self, place: int) -> int:
        """Connections for the weight, on a scale on which all weights come out even."""
        target = self._targets[place]
        return self._busy[target] * (self._scale // self._weights.get(target, 1))

    def _by_credit(self, eligible: list[int]) -> int:
        """Everybody earns their weight, and who has the most pays for all of them with a turn."""
        for place in eligible:
            target = self._targets[place]
            self._credit[target] += self._weights[target]
        chosen = max(eligible, key=lambda place: self._credit[self._targets[place]])
        total = sum(self._weights[self._targets[place]] for place in eligible)
        self._credit[self._targets[chosen]] -= total
        return chosen


def _order(target: Target) -> tuple[str, str, int]:
    return (target.task_id, target.address, target.port)
