"""The scheduler: waiting and new tasks in, assignments or reasons out.

Tasks of one service version ask the same of a node, so they are placed as a group. Each placement
is counted on its node at once, for those that follow; the next pass corrects what then was not
committed.
"""

from __future__ import annotations

from msgspec.structs import replace

from swarmd.model.ids import NodeId, TaskId
from swarmd.model.service import Service
from swarmd.model.states import TaskState
from swarmd.model.task import Task, TaskStatus
from swarmd.orchestrator.actions import Plan
from swarmd.orchestrator.endpoint import is_allocated
from swarmd.orchestrator.scheduler.explain import explain
from swarmd.orchestrator.scheduler.filters import refusal, requirement_of
from swarmd.orchestrator.scheduler.node_info import Fleet, Version
from swarmd.orchestrator.scheduler.queue import Queue, is_waiting
from swarmd.orchestrator.scheduler.spread import Placer
from swarmd.store.view import View

ASSIGNED = "scheduler assigned task to node"
CONFIRMED = "scheduler confirmed task can run on preassigned node"
PENDING = "pending task scheduling"


class Scheduler:
    """Places tasks on the nodes of a fleet that it keeps up to date with its own decisions."""

    def __init__(self, fleet: Fleet, queue: Queue) -> None:
        self._fleet = fleet
        self._queue = queue
        self._tentative: list[TaskId] = []

    def settle(self, view: View) -> None:
        """Count the tasks of the last pass as they were committed, or not, and then try again."""
        for task_id in self._tentative:
            task = view.find_task(task_id)
            if task is None:
                self._fleet.forget(task_id)
                continue
            self._fleet.track(task)
            if is_waiting(task):
                self._queue.something_changed()
        self._tentative.clear()

    def schedule(self, plan: Plan, view: View, problems: dict[str, str]) -> None:
        """Find nodes for the waiting tasks and for the new ones of the plan, which become actions.

        Args:
            problems: by service id, why it has no published ports yet; its tasks wait.
        """
        for ending in plan.ending:
            self._count(replace(ending, desired_state=TaskState.SHUTDOWN))
        groups: dict[Version, list[tuple[Task, str | None]]] = {}
        for version, task_ids in self._queue.take_round().items():
            for task_id in task_ids:
                task = view.find_task(task_id)
                if task is not None and is_waiting(task) and not plan.touches(task_id):
                    groups.setdefault(version, []).append((task, None))
        for task, reason in plan.fresh:
            groups.setdefault((task.service_id, task.spec_version), []).append((task, reason))
        plan.fresh = []
        for group in groups.values():
            self._place_group(group, plan, view, problems)

    def _place_group(
        self,
        group: list[tuple[Task, str | None]],
        plan: Plan,
        view: View,
        problems: dict[str, str],
    ) -> None:
        first = group[0][0]
        service = view.find_service(first.service_id)
        if service is None:
            return  # its tasks are being removed
        if not is_allocated(service):
            problem = problems.get(service.id, "")
            for task, reason in group:
                _keep_waiting(task, reason, TaskState.NEW, problem, plan)
            return
        assigned = TaskStatus(state=TaskState.ASSIGNED, timestamp=plan.now, message=ASSIGNED)
        requirement = requirement_of(_with_ports(first, service))
        placer = Placer(self._fleet, requirement, plan.now)
        why = ""
        for task, reason in group:
            if reason is None and plan.full:
                self._queue.retry = True
                continue
            if task.node_id:
                self._place_bound(task, reason, service, plan)
                continue
            info = placer.take() if not why else None
            if info is not None:
                placed = _assign(task, service, info.node.id, assigned)
                self._write(placed, task, reason, plan)
            else:
                why = why or explain(self._fleet, requirement)
                _keep_waiting(task, reason, TaskState.PENDING, why, plan)

    def _place_bound(self, task: Task, reason: str | None, service: Service, plan: Plan) -> None:
        """Confirm the node a task is bound to, or say what it lacks."""
        requirement = requirement_of(_with_ports(task, service))
        info = self._fleet.find(task.node_id)
        nodes = [info] if info is not None else []
        if nodes and refusal(nodes[0], requirement) is None:
            status = TaskStatus(state=TaskState.ASSIGNED, timestamp=plan.now, message=CONFIRMED)
            self._write(_assign(task, service, task.node_id, status), task, reason, plan)
        else:
            why = explain(nodes, requirement)
            _keep_waiting(task, reason, TaskState.PENDING, why, plan)

    def _write(self, placed: Task, task: Task, reason: str | None, plan: Plan) -> None:
        self._count(placed)
        if reason is None:
            plan.write_task(placed, base=task.version, reason=placed.status.message)
        else:
            plan.write_created(placed, reason)

    def _count(self, task: Task) -> None:
        """Reckon with what is planned for a task, for the placements of this pass."""
        self._fleet.track(task)
        self._tentative.append(task.id)


def _assign(task: Task, service: Service, node_id: NodeId, status: TaskStatus) -> Task:
    ports = service.endpoint.ports if service.endpoint else ()
    return replace(task, node_id=node_id, status=status, ports=ports)


def _with_ports(task: Task, service: Service) -> Task:
    return replace(task, ports=service.endpoint.ports if service.endpoint else ())


def _keep_waiting(task: Task, reason: str | None, state: TaskState, why: str, plan: Plan) -> None:
    """Have a task say why it has no node; nothing is written if it says so already."""
    if reason is None:
        state = max(state, task.status.state)
        if task.status.err != why or task.status.state != state:
            plan.set_status(task, state, message=PENDING, err=why)
    else:
        status = TaskStatus(state=state, timestamp=plan.now, message=PENDING, err=why)
        plan.write_created(replace(task, status=status), reason)
