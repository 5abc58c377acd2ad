"""Freeing nodes: with binpack, a node is emptied when its tasks find room on others in use.

The node with the fewest tasks is tried first. Either all of its tasks move or none does, and idle
nodes are no goal, so every plan frees nodes and none is filled again by the next. Tasks bound to
their node don't count as use; any other task that can't be moved keeps its node in use.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Mapping

from msgspec.structs import replace

from swarmd.model.ids import NodeId, ServiceId, TaskId
from swarmd.model.modes import is_bound
from swarmd.model.states import Strategy
from swarmd.model.task import Task
from swarmd.orchestrator.rebalance.leveling import Step
from swarmd.orchestrator.rebalance.movable import Guests, Mover
from swarmd.orchestrator.rebalance.portions import Portions
from swarmd.orchestrator.scheduler.filters import Filters
from swarmd.orchestrator.scheduler.fleet import Fleet
from swarmd.orchestrator.scheduler.leaf import Rank
from swarmd.orchestrator.scheduler.node_info import NodeInfo
from swarmd.orchestrator.scheduler.order import order_for
from swarmd.orchestrator.scheduler.statics import judge
from swarmd.store.view import View


class Emptier:
    """Frees nodes of a fleet, which counts each move at once.

    Args:
        homes: where tasks are, as far as they have been moved; kept up to date.
    """

    def __init__(
        self,
        movers: Mapping[ServiceId, Mover],
        fleet: Fleet,
        guests: Guests,
        homes: dict[TaskId, NodeId],
    ) -> None:
        self._movers = movers
        self._fleet = fleet
        self._guests = guests
        self._homes = homes
        self._tasks: dict[TaskId, Task] = {
            task.id: task
            for mover in movers.values()
            if mover.strategy is Strategy.BINPACK
            for task in mover.tasks
        }

    def steps(self, view: View) -> Iterator[Step | int]:
        """Moves, each counted on the fleet before it is handed out; and how much was looked at."""
        if not self._tasks:
            return
        used: dict[NodeId, NodeInfo] = {}
        fewest: list[tuple[int, NodeId]] = []
        for info in self._fleet:
            residents = self._residents(info, view)
            if residents:
                used[info.id] = info
                fewest.append((len(residents), info.id))
            yield 1 + len(info.loads)
        for _, node_id in sorted(fewest):
            info = used[node_id]
            residents = self._residents(info, view)
            yield 1 + len(info.loads)
            if not all(task_id in self._tasks for task_id in residents):
                continue
            others = {other_id: other for other_id, other in used.items() if other_id != info.id}
            tasks = [self._tasks[task_id] for task_id in residents]
            steps = yield from self._emptied(info, tasks, others)
            if steps:
                del used[info.id]
                self._homes.update((step.task.id, step.target.id) for step in steps)
                yield from steps

    def _residents(self, info: NodeInfo, view: View) -> list[TaskId]:
        """The tasks for which a node counts as in use."""
        return sorted(
            task_id
            for task_id, load in info.loads.items()
            if load.active and not _bound(load.kind.service_id, view)
        )

    def _emptied(
        self, info: NodeInfo, tasks: list[Task], others: Mapping[NodeId, NodeInfo]
    ) -> Portions[list[Step]]:
        """The moves that empty a node, counted; none if a task finds no room."""
        steps: list[Step] = []
        tasks.sort(key=lambda task: (-_size(task, info), task.id))
        for task in tasks:
            target = self._room(task, info, others)
            yield len(others)
            if target is None:
                for step in steps:
                    self._fleet.track(replace(step.task, node_id=info.id))
                return []
            self._fleet.track(replace(task, node_id=target.id))
            steps.append(Step(task, info, target, f"{info.node.hostname or info.id} gets free"))
        return steps

    def _room(
        self, task: Task, source: NodeInfo, others: Mapping[NodeId, NodeInfo]
    ) -> NodeInfo | None:
        mover = self._movers[task.service_id]
        filters = Filters(self._fleet, mover.requirement)
        order = order_for(Strategy.BINPACK, mover.requirement.size)
        company, statics = filters.company, mover.requirement.statics
        missed = judge(source, statics).misses

        def suits(info: NodeInfo) -> bool:
            verdict = judge(info, statics)
            return (
                verdict.fit
                and verdict.misses <= missed
                and (company is None or company.misses(info) <= company.misses(source))
                and self._guests.allow(filters.kind, source.id, info.id)
            )

        # Whether a node takes the task is quickly asked, the rest only of the best that do.
        able: list[Rank] = [
            (*order.key(info), info.id, info)
            for info in others.values()
            if info.id not in mover.shunned and filters.takes(info)
        ]
        heapq.heapify(able)
        while able:
            info: NodeInfo = heapq.heappop(able)[-1]
            if suits(info):
                return info
        return None


def _bound(service_id: ServiceId, view: View) -> bool:
    service = view.find_service(service_id)
    return service is not None and is_bound(service.spec.mode)


def _size(task: Task, info: NodeInfo) -> int:
    """How large a task is on its node, so that the large ones find room first."""
    load = info.loads[task.id]
    cpus = load.nano_cpus * 1_000_000 // max(info.cpus_total, 1)
    return cpus + load.memory_bytes * 1_000_000 // max(info.memory_total, 1)
