"""Preemption: which tasks of lower priority have to go so that a task gets a node.

Every node that could take the task by itself is asked what would have to stop there. Tasks that are
stopping already go anyway; a node where that is enough is waited for and costs nobody anything. In
the order of what counts, the best choice takes the lowest priorities, then the fewest tasks, loses
the least work (those that ran shortest), and frees the least that is not needed.

Never taken are tasks of the same or a higher priority, more running tasks than a service can spare
(`min_available`), and tasks whose end would not help. Tasks of jobs and of stateful services lose
more than others by a restart: they are taken only when nothing else makes room on any node.
Priorities of victims are strictly lower, so preemption never goes in circles.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator
from itertools import groupby
from typing import Any, NamedTuple

from swarmd.model.ids import NodeId, TaskId
from swarmd.model.instant import SECOND, Instant
from swarmd.model.states import Strategy
from swarmd.model.task import Task
from swarmd.orchestrator.available import Spare, runs
from swarmd.orchestrator.scheduler.company import Company
from swarmd.orchestrator.scheduler.filters import Filters
from swarmd.orchestrator.scheduler.fleet import Fleet
from swarmd.orchestrator.scheduler.load import Load
from swarmd.orchestrator.scheduler.node_info import NodeInfo
from swarmd.orchestrator.scheduler.order import Order
from swarmd.store.view import View

Cost = tuple[Any, ...]  # numbers, the lower the better; then the node's id


class Room(NamedTuple):
    """A node, and the tasks that have to go from it: none if it is enough to wait."""

    info: NodeInfo
    victims: tuple[Task, ...]


class _Candidate(NamedTuple):
    """A task that may be taken; `lost_s` is how long it has run, `share` its part of the node."""

    priority: int
    lost_s: int
    share: int
    task: Task
    load: Load


class Preemption:
    """Finds room for tasks of one service version, one after another.

    The caller applies what it is given to the fleet and to `spare` before it asks again, and counts
    nothing else meanwhile.

    Args:
        sparable: whether a task may be taken as far as the pass is concerned.
    """

    def __init__(
        self,
        fleet: Fleet,
        filters: Filters,
        view: View,
        spare: Spare,
        *,
        now: Instant,
        sparable: Callable[[TaskId], bool],
    ) -> None:
        self._fleet = fleet
        self._filters = filters
        self._view = view
        self._spare = spare
        self._now = now
        self._sparable = sparable
        self._priority = filters.kind.spec.priority
        self.passed_over = False  # some task was not asked, as the pass has something else for it
        self._heaps: dict[bool, list[tuple[Cost, NodeInfo]]] = {}

    def find(self, node_id: NodeId | None = None) -> Room | None:
        """Where to make room for one more task; None if no end of lower priorities would help.

        Args:
            node_id: the only node that comes into question.
        """
        for costly in (False, True):
            room = self._find_on(node_id, costly) if node_id else self._best(costly)
            if room is not None:
                return room
        return None

    def comes_free(self, info: NodeInfo) -> bool:
        """Whether the node will take the task once what stops there has stopped."""
        return self._filters.can_ever(info) and self._fits(self._without_stopping(info), info)

    def _find_on(self, node_id: NodeId, costly: bool) -> Room | None:
        info = self._fleet.find(node_id)
        found = self._ask(info, costly) if info and self._filters.can_ever(info) else None
        return found[1] if found is not None else None

    def _best(self, costly: bool) -> Room | None:
        """The cheapest room; costs may have grown since they were worked out, never fallen."""
        heap = self._heaps.get(costly)
        if heap is None:
            asked = ((self._ask(info, costly), info) for info in self._able())
            heap = [(found[0], info) for found, info in asked if found is not None]
            heapq.heapify(heap)
            self._heaps[costly] = heap
        while heap:
            cost, info = heap[0]
            found = self._ask(info, costly)
            if found is None:
                heapq.heappop(heap)
            elif found[0] > cost:
                heapq.heapreplace(heap, (found[0], info))
            else:
                return found[1]
        return None

    def _able(self) -> Iterator[NodeInfo]:
        """The nodes whose own nature refuses nothing."""
        requirement = self._filters.requirement
        partition = self._fleet.partition(requirement.attributes, Order(Strategy.SPREAD))
        for cell, verdict in partition.judged(requirement.statics):
            if verdict.fit:
                yield from (entry[-1] for entry in cell.entries)

    def _ask(self, info: NodeInfo, costly: bool) -> tuple[Cost, Room] | None:
        """What room on one node costs."""
        scratch = self._without_stopping(info)
        victims: list[_Candidate] = []
        if not self._fits(scratch, info):
            found = self._victims(scratch, info, costly)
            if found is None:
                return None
            victims = found
        own = info.active_of.get(self._filters.kind.service_id, 0)
        cost = (
            max((victim.priority for victim in victims), default=_BELOW_ALL),
            len(victims),
            sum(victim.lost_s for victim in victims),
            sum(victim.share for victim in victims),
            own,
            info.active,
            info.id,
        )
        return cost, Room(info, tuple(victim.task for victim in victims))

    def _victims(self, scratch: NodeInfo, info: NodeInfo, costly: bool) -> list[_Candidate] | None:
        """The tasks to take from a node that has to give up some; None if that does not help.

        Args:
            scratch: the node without what is stopping; changed here.
        """
        dropped: list[_Candidate] = []
        enough = False
        for _, equals in groupby(self._candidates(info, costly), key=_priority):
            for candidate in equals:
                scratch.drop(candidate.task.id)
                dropped.append(candidate)
            enough = self._fits(scratch, info)
            if enough:
                break
        if not enough:
            return None
        alone = self._one_alone(dropped, scratch, info)
        if alone is not None:
            return [alone]
        kept = sorted(dropped, key=lambda one: (-one.priority, one.share, -one.lost_s, one.task.id))
        victims = []
        for candidate in kept:
            scratch.put(candidate.task.id, candidate.load)
            if not self._fits(scratch, info):
                scratch.drop(candidate.task.id)
                victims.append(candidate)
        victims.reverse()
        return victims

    def _one_alone(
        self, dropped: list[_Candidate], scratch: NodeInfo, info: NodeInfo
    ) -> _Candidate | None:
        """The best single task whose end is enough; leaves `scratch` as it was."""
        if len(dropped) == 1:
            return dropped[0]
        for candidate in dropped:
            scratch.put(candidate.task.id, candidate.load)
        found = None
        for candidate in dropped:
            scratch.drop(candidate.task.id)
            if found is None and self._fits(scratch, info):
                found = candidate
            scratch.put(candidate.task.id, candidate.load)
        for candidate in dropped:
            scratch.drop(candidate.task.id)
        return found

    def _candidates(self, info: NodeInfo, costly: bool) -> list[_Candidate]:
        """What may be taken from a node, the most willingly first."""
        found = []
        for task_id, load in info.loads.items():
            if not load.active or load.kind.spec.priority >= self._priority:
                continue
            task = self._view.find_task(task_id)
            if task is None:
                continue
            if not self._sparable(task_id):
                self.passed_over = True
                continue
            if not costly and is_costly(task):
                continue
            lost_s = (self._now - task.ran_at) // SECOND if task.ran_at else 0
            share = _share(load, info)
            found.append(_Candidate(load.kind.spec.priority, lost_s, share, task, load))
        found.sort(key=lambda one: (one.priority, one.lost_s, one.share, one.task.id))
        return self._within_spare(found)

    def _within_spare(self, candidates: list[_Candidate]) -> list[_Candidate]:
        """As many as their services can spare."""
        taken: dict[str, int] = {}
        found = []
        for candidate in candidates:
            task = candidate.task
            left = self._spare.left(task.service_id)
            if left is not None and runs(task, self._view):
                if taken.get(task.service_id, 0) >= left:
                    continue
                taken[task.service_id] = taken.get(task.service_id, 0) + 1
            found.append(candidate)
        return found

    def _without_stopping(self, info: NodeInfo) -> NodeInfo:
        scratch = NodeInfo(info.node, self._fleet.scheduling.oversell)
        for task_id, load in info.loads.items():
            if load.active:
                scratch.put(task_id, load)
        return scratch

    def _fits(self, scratch: NodeInfo, info: NodeInfo) -> bool:
        """Whether a node with no more than the load of `scratch` could take the task."""
        if not self._filters.has_place(scratch):
            return False
        affinities = self._filters.requirement.affinities
        if not affinities:
            return True
        gone = {key: load for key, load in info.loads.items() if key not in scratch.loads}
        for task_id in gone:
            self._fleet.forget(task_id)
        try:
            return Company(affinities, self._filters.kind, self._fleet).suits(info)
        finally:
            for task_id, load in gone.items():
                self._fleet.put(task_id, load, info)


_BELOW_ALL = -(1 << 63)


def is_costly(task: Task) -> bool:
    """Whether a restart elsewhere costs more than time: jobs lose their work, ordinals a place."""
    return task.job_iteration is not None or bool(task.lease_ns)


def _priority(candidate: _Candidate) -> int:
    return candidate.priority


def _share(load: Load, info: NodeInfo) -> int:
    """The part of its node that a task takes up, in millionths, of CPU and memory together."""
    cpus = load.nano_cpus * 1_000_000 // max(info.cpus_total, 1)
    memory = load.memory_bytes * 1_000_000 // max(info.memory_total, 1)
    return cpus + memory
