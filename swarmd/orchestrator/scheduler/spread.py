"""Choosing nodes one after another so that a service ends up spread evenly.

Among nodes that can take a task, the best has failed this service least (once it has failed it
five times in five minutes), then runs the fewest of its tasks, then the fewest tasks in all.
Spread preferences come first: nodes form a tree with one level per preference and one branch per
label value, and every task goes to the branch that has the fewest tasks of the service.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable
from typing import Protocol

from swarmd.model.instant import Instant
from swarmd.orchestrator.constraints import label_value
from swarmd.orchestrator.scheduler.filters import Requirement, refusal, refusal_by_load
from swarmd.orchestrator.scheduler.node_info import NodeInfo

FAILURES_TOLERATED = 5


class _Choice(Protocol):
    def take(self) -> NodeInfo | None: ...


class Placer:
    """Hands out nodes for tasks of one service version, best first.

    After each `take` the caller counts the task on the node it was given, before taking again.
    """

    def __init__(self, infos: Iterable[NodeInfo], requirement: Requirement, now: Instant) -> None:
        levels = tuple(
            descriptor
            for descriptor in requirement.preferences
            if descriptor.casefold().startswith(("node.labels.", "engine.labels."))
        )
        self._root = _tree(tuple(infos), levels, requirement, now)

    def take(self) -> NodeInfo | None:
        """The best node that can take one more task; None when there is none left."""
        return self._root.take()


def _tree(
    infos: tuple[NodeInfo, ...], levels: tuple[str, ...], requirement: Requirement, now: Instant
) -> _Choice:
    if not levels:
        return _Leaf(infos, requirement, now)
    by_value: dict[str, list[NodeInfo]] = {}
    for info in infos:
        by_value.setdefault(label_value(info.node, levels[0]) or "", []).append(info)
    return _Fork(
        tuple(
            (
                sum(info.active_of.get(requirement.service_id, 0) for info in members),
                value,
                _tree(tuple(members), levels[1:], requirement, now),
            )
            for value, members in sorted(by_value.items())
        )
    )


class _Fork:
    """Branches by label value; the one with the fewest tasks of the service is asked first."""

    def __init__(self, branches: tuple[tuple[int, str, _Choice], ...]) -> None:
        self._heap = list(branches)
        heapq.heapify(self._heap)

    def take(self) -> NodeInfo | None:
        while self._heap:
            count, value, branch = self._heap[0]
            info = branch.take()
            if info is not None:
                heapq.heapreplace(self._heap, (count + 1, value, branch))
                return info
            heapq.heappop(self._heap)  # full: it leaves the pool
        return None


class _Leaf:
    """Nodes in order of preference; the last one given is put back with its new load first."""

    def __init__(self, infos: tuple[NodeInfo, ...], requirement: Requirement, now: Instant) -> None:
        self._requirement = requirement
        self._now = now
        self._given: NodeInfo | None = None
        self._heap = [self._ranked(info) for info in infos if refusal(info, requirement) is None]
        heapq.heapify(self._heap)

    def take(self) -> NodeInfo | None:
        if self._given is not None:
            given, self._given = self._given, None
            if refusal_by_load(given, self._requirement) is None:
                heapq.heappush(self._heap, self._ranked(given))
        while self._heap:
            info = heapq.heappop(self._heap)[-1]
            if refusal_by_load(info, self._requirement) is None:
                self._given = info
                return info
        return None

    def _ranked(self, info: NodeInfo) -> tuple[int, int, int, str, NodeInfo]:
        failures = info.failures_of(self._requirement.version, self._now) if info.failures else 0
        return (
            failures if failures >= FAILURES_TOLERATED else 0,
            info.active_of.get(self._requirement.service_id, 0),
            info.active,
            info.node.id,
            info,
        )
