"""Round robin over one published port's targets, exact between changes.

Targets are kept in order of task id and served in a circle. The place in the circle is remembered
as the last target served, so a change elsewhere in the list neither repeats nor skips anyone. A
target that failed to answer rests for a while (doubling up to a limit): new connections pass it by
as long as another target is awake. When all are resting they are tried all the same, because a
wrong guess here must not turn away a client.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Collection

from msgspec import Struct

from swarmd.model.ids import TaskId
from swarmd.model.instant import SECOND

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

    def __init__(self, targets: Collection[Target] = (), *, start: int = 0) -> None:
        """`start` is where the circle begins, so that many nodes do not all begin at the first."""
        self._targets: list[Target] = []
        self._position = 0
        self._resting: dict[Target, _Rest] = {}
        self.replace(targets)
        if self._targets:
            self._position = start % len(self._targets)

    @property
    def targets(self) -> tuple[Target, ...]:
        return tuple(self._targets)

    def __len__(self) -> int:
        return len(self._targets)

    def replace(self, targets: Collection[Target]) -> None:
        """Take `targets` as the new circle; whoever was next stays next if still there."""
        following = self._targets[self._position] if self._targets else None
        self._targets = sorted(targets, key=_order)
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

    def next(self, now_ns: int, *, tried: Collection[Target] = ()) -> Target | None:
        """The target whose turn it is, leaving out `tried`; None when there is nobody left."""
        count = len(self._targets)
        if count == 0:
            return None
        if not self._resting and not tried:
            target = self._targets[self._position]
            self._position = (self._position + 1) % count
            return target
        return self._next_with_care(now_ns, tried)

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

    def _next_with_care(self, now_ns: int, tried: Collection[Target]) -> Target | None:
        count = len(self._targets)
        fallback: int | None = None
        for step in range(count):
            place = (self._position + step) % count
            target = self._targets[place]
            if target in tried:
                continue
            rest = self._resting.get(target)
            if rest is None or rest.until_ns <= now_ns:
                self._position = (place + 1) % count
                return target
            if fallback is None:
                fallback = place
        if fallback is None:
            return None
        self._position = (fallback + 1) % count
        return self._targets[fallback]


def _order(target: Target) -> tuple[str, str, int]:
    return (target.task_id, target.address, target.port)
