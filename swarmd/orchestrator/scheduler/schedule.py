"""The scheduler: waiting and new tasks in, assignments or reasons out.

Tasks of one service version ask the same of a node, so they are placed as a group. Each placement
is counted on its node at once, for those that follow; the next pass corrects what then was not
committed. Groups of higher priority come first, and may have room made for them
(`swarmd.orchestrator.scheduler.making_room`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TypeAlias

from msgspec.structs import replace

from swarmd.model.env import Rng
from swarmd.model.ids import NodeId, TaskId
from swarmd.model.network import driver_of, mechanism_of
from swarmd.model.service import Service
from swarmd.model.spec import PortConfig
from swarmd.model.states import TaskState
from swarmd.model.task import Task, TaskStatus
from swarmd.orchestrator.actions import Plan
from swarmd.orchestrator.attaching import Allocated, Attach, Attaching, Exhausted
from swarmd.orchestrator.nodes import on_invalid_node
from swarmd.orchestrator.scheduler.fleet import Fleet
from swarmd.orchestrator.scheduler.load import Version
from swarmd.orchestrator.scheduler.making_room import NO_NODE, PENDING, RoomMaker, Rooms
from swarmd.orchestrator.scheduler.placement import Decision, place
from swarmd.orchestrator.scheduler.queue import Queue, is_waiting
from swarmd.orchestrator.scheduler.requirement import requirement_of
from swarmd.store.references import networks_of
from swarmd.store.view import View

ASSIGNED = "scheduler assigned task to node"
CONFIRMED = "scheduler confirmed task can run on preassigned node"

_Asked: TypeAlias = tuple[Task, str | None]  # a task, and why it is made if it is new


class Scheduler:
    """Places tasks on the nodes of a fleet that it keeps up to date with its own decisions."""

    def __init__(
        self, fleet: Fleet, queue: Queue, networks: Attaching, is_allocated: Allocated
    ) -> None:
        self._fleet = fleet
        self._queue = queue
        self._networks = networks
        self._is_allocated = is_allocated
        self._tentative: list[TaskId] = []
        self._placed = 0  # tasks given a node so far
        self._lonely = False  # a task waits whose affinities another placement may satisfy

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

    def schedule(self, plan: Plan, view: View, problems: dict[str, str], rng: Rng) -> None:
        """Find nodes for the waiting tasks and for the new ones of the plan, which become actions.

        Args:
            problems: by service id, why it has no published ports yet; its tasks wait.
        """
        for ending in plan.ending:
            self._fleet.track(replace(ending, desired_state=TaskState.SHUTDOWN))
            self._tentative.append(ending.id)
        groups: dict[Version, list[_Asked]] = {}
        for task, reason in plan.fresh:
            groups.setdefault((task.service_id, task.spec_version), []).append((task, reason))
        plan.fresh = []
        if self._queue.retry:
            self._lonely = False
        for version, task_ids in self._queue.take_round().items():
            for task_id in task_ids:
                waiting = view.find_task(task_id)
                if waiting is None or not is_waiting(waiting):
                    continue
                if plan.touches(task_id):
                    self._queue.something_changed()  # its turn comes when that is written
                else:
                    groups.setdefault(version, []).append((waiting, None))
        rooms = Rooms(self._fleet, plan, view, self._tentative)
        before = self._placed
        for group in sorted(groups.values(), key=_urgency):
            self._place_group(group, plan, view, problems, rooms, rng)
        if self._lonely and self._placed > before:
            self._queue.something_changed()

    def _place_group(
        self,
        group: list[_Asked],
        plan: Plan,
        view: View,
        problems: dict[str, str],
        rooms: Rooms,
        rng: Rng,
    ) -> None:
        """Place tasks of one service version, the new ones first as they have to be written."""
        group = [asked for asked in group if not plan.touches(asked[0].id)]
        if not group:
            return  # a task of higher priority has taken the room that was kept for them
        first = group[0][0]
        service = view.find_service(first.service_id)
        if service is None:
            return  # its tasks are being removed
        if not self._is_allocated(service, view):
            problem = problems.get(service.id, "")
            for task, reason in group:
                _keep_waiting(task, reason, TaskState.NEW, problem, plan)
            return
        reasons = {task.id: reason for task, reason in group}
        fresh = sum(reason is not None for reason in reasons.values())
        ports = service.endpoint.ports if service.endpoint else ()
        sample = replace(first, ports=ports)
        requirement = requirement_of(
            sample, network_drivers(service, view), encryptions(service, view)
        )
        attach = self._networks.attacher(service)
        aimed = [rooms.aim(task) for task, _ in group]
        homeless: list[Decision] = []
        undecided = {task.id: task for task, _ in group}
        left = len(group)
        for decision in place(self._fleet, requirement, aimed, now=plan.now, rng=rng):
            left -= 1
            task = undecided.pop(decision.task.id)
            reason = reasons[task.id]
            if decision.node_id is None:
                homeless.append(decision)
                continue
            placed = _assigned(decision, decision.node_id, ports, plan)
            full = self._write(placed, decision.task, reason, plan, attach)
            if full:  # for the others as well, as they ask for the same
                self._without_address((task, *undecided.values()), full, reasons, plan, view)
                break
            fresh -= reason is not None
            if plan.full and not fresh and left:
                self._queue.something_changed()
                for task, _ in group:
                    if task.reserved_node_id and not plan.touches(task.id):
                        self._fleet.track(task)
                return
        if homeless:
            self._lonely = self._lonely or bool(requirement.affinities)
            stored = {task.id: task for task, _ in group}
            maker = rooms.maker(requirement)
            for decision in homeless:
                task = stored[decision.task.id]
                if _moves_by_choice(task, view):
                    _call_off(task, decision.why, reasons[task.id], plan)
                    continue
                _house(replace(task, ports=ports), decision.why, reasons[task.id], maker, plan)
            if maker.worth_another_try:
                self._queue.something_changed()

    def _write(
        self, placed: Task, task: Task, reason: str | None, plan: Plan, attach: Attach | None
    ) -> str:
        """Write down where a task goes, with its addresses; if it can't have them, answer why."""
        if attach is not None:
            try:
                placed = attach(placed)
            except Exhausted as exhausted:
                return str(exhausted)
        self._tentative.append(task.id)
        self._placed += 1
        if reason is None:
            plan.write_task(placed, base=task.version, reason=placed.status.message)
        else:
            plan.write_created(placed, reason)
        return ""

    def _without_address(
        self,
        tasks: Iterable[Task],
        why: str,
        reasons: Mapping[TaskId, str | None],
        plan: Plan,
        view: View,
    ) -> None:
        """Have tasks wait that there are nodes for, but no addresses."""
        for task in tasks:
            self._fleet.track(task)
            if _moves_by_choice(task, view):
                _call_off(task, why, reasons[task.id], plan)
            else:
                _keep_waiting(task, reasons[task.id], TaskState.PENDING, why, plan)


def _assigned(
    decision: Decision, node_id: NodeId, ports: tuple[PortConfig, ...], plan: Plan
) -> Task:
    task = decision.task
    message = CONFIRMED if node_id == task.node_id else ASSIGNED
    return replace(
        task,
        node_id=node_id,
        status=TaskStatus(state=TaskState.ASSIGNED, timestamp=plan.now, message=message),
        ports=ports,
        assigned_generic_resources=decision.claims,
        reserved_node_id=NO_NODE,
    )


def _moves_by_choice(task: Task, view: View) -> bool:
    """Whether it is for a move, whose task can as well stay where it is.

    One on a node that is being drained can't, nor one whose node has died, so its successor waits
    for a node like any other.
    """
    if not task.replaces:
        return False
    replaced = view.find_task(task.replaces)
    return replaced is None or not on_invalid_node(replaced, view)


def _call_off(task: Task, why: str, reason: str | None, plan: Plan) -> None:
    """Give up a move; one that was not written yet simply never is."""
    if reason is None:
        plan.delete(task, f"the move is off: {why}")


def _house(task: Task, why: str, reason: str | None, maker: RoomMaker, plan: Plan) -> None:
    """Have room made for a task that no node takes, or have it say why there is none."""
    waiting = maker.decide(task, why)
    if waiting is None:
        return
    if reason is not None:
        plan.write_created(waiting, reason)
    elif waiting.reserved_node_id == task.reserved_node_id:
        status = waiting.status
        plan.set_status(task, status.state, message=status.message, err=status.err)
    else:
        plan.write_task(waiting, base=task.version, reason=waiting.status.err)


def _urgency(group: list[_Asked]) -> int:
    return -group[0][0].spec.priority


def network_drivers(service: Service, view: View) -> tuple[str, ...]:
    """Drivers of the networks that tasks of the service are in, as far as they exist."""
    networks = (view.find_network(wanted.target) for wanted in networks_of(service.spec))
    return tuple(sorted({driver_of(network.spec) for network in networks if network is not None}))


def encryptions(service: Service, view: View) -> tuple[str, ...]:
    """The mechanisms that a node has to have for the networks of the service."""
    networks = (view.find_network(wanted.target) for wanted in networks_of(service.spec))
    mechanisms = (mechanism_of(network) for network in networks if network is not None)
    return tuple(sorted({mechanism.value for mechanism in mechanisms if mechanism is not None}))


def _keep_waiting(task: Task, reason: str | None, state: TaskState, why: str, plan: Plan) -> None:
    """Have a task say why it has no node; nothing is written if it says so already."""
    if reason is None:
        state = max(state, task.status.state)
        if task.status.err != why or task.status.state != state:
            plan.set_status(task, state, message=PENDING, err=why)
    else:
        status = TaskStatus(state=state, timestamp=plan.now, message=PENDING, err=why)
        plan.write_created(replace(task, status=status), reason)
