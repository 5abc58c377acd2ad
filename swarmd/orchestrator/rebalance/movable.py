"""What may be moved, and where it may go.

Moved are running tasks of replicated services that are up to date and not being updated. Never
moved: stateful tasks, jobs, tasks bound to their node, tasks on nodes that are out of touch or
being left anyway. A node on which the service failed lately is no goal.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import NamedTuple

from msgspec.structs import replace

from swarmd.model.affinity import Affinity
from swarmd.model.ids import NodeId, ServiceId, TaskId
from swarmd.model.instant import Instant
from swarmd.model.service import Service
from swarmd.model.states import Strategy, TaskState, UpdateState
from swarmd.model.task import Task
from swarmd.orchestrator.rebalance.portions import Portions, portions_of
from swarmd.orchestrator.restart import seen_at
from swarmd.orchestrator.scheduler.company import concerns
from swarmd.orchestrator.scheduler.failures import WINDOW_NS
from swarmd.orchestrator.scheduler.fleet import Fleet
from swarmd.orchestrator.scheduler.load import Kind
from swarmd.orchestrator.scheduler.requirement import Requirement, requirement_of
from swarmd.orchestrator.scheduler.schedule import encryptions, network_drivers
from swarmd.orchestrator.slots import SpecJudge
from swarmd.store.view import View

_AT_REST = (None, UpdateState.COMPLETED, UpdateState.ROLLBACK_COMPLETED)
_FAILED = (TaskState.FAILED, TaskState.REJECTED)


class Mover(NamedTuple):
    """One service with what of it can be moved."""

    service: Service
    requirement: Requirement
    strategy: Strategy
    tasks: tuple[Task, ...]
    shunned: frozenset[NodeId]  # no goals: it failed there lately, or nothing is to go there


class Movable(NamedTuple):
    movers: tuple[Mover, ...]
    under_way: tuple[Task, ...]  # tasks of moves that have been begun
    notes: tuple[str, ...]  # services that are left alone, and why


def find_movable(
    view: View,
    fleet: Fleet,
    now: Instant,
    *,
    services: Collection[ServiceId] = (),
    not_to: Collection[NodeId] = (),
) -> Portions[Movable]:
    """All that can be moved; of the services named, if any are.

    `fleet` is made to count tasks of moves under way where they go to, and only there.
    """
    movers, under_way, notes = [], [], []
    for service in view.services():
        tasks = view.tasks_of_service(service.id)
        failing: set[NodeId] = set()
        for some in portions_of(tasks):
            moving = [task for task in some if is_move(task, view)]
            under_way += moving
            for task in moving:
                fleet.forget(task.replaces)
            failing.update(
                task.node_id
                for task in some
                if task.status.state in _FAILED and seen_at(task) > now - WINDOW_NS
            )
            yield len(some)
        if service.spec.mode.replicated is None or (services and service.id not in services):
            continue
        status = service.update_status
        if (status.state if status else None) not in _AT_REST:
            notes.append(f"{service.spec.name} is left alone: it is being updated")
            continue
        found = yield from _of_service(service, tasks, view, fleet)
        if found:
            movers.append(_mover(service, found, view, fleet, failing.union(not_to)))
    return Movable(tuple(movers), tuple(under_way), tuple(notes))


def is_move(task: Task, view: View) -> bool:
    """Whether a task is to take over from another one that has not been told to stop yet."""
    if not task.replaces or task.desired_state > TaskState.RUNNING or task.status.state.terminal:
        return False
    old = view.find_task(task.replaces)
    return old is not None and old.desired_state <= TaskState.RUNNING


def _of_service(
    service: Service, tasks: Sequence[Task], view: View, fleet: Fleet
) -> Portions[tuple[Task, ...]]:
    wanted: dict[int, list[Task]] = {}
    for some in portions_of(tasks):
        for task in some:
            if task.desired_state <= TaskState.RUNNING:
                wanted.setdefault(task.slot, []).append(task)
        yield len(some) // 2
    judge = SpecJudge(service)
    found = []
    for slots in portions_of(list(wanted.values())):
        for first, *others in slots:
            info = fleet.find(first.node_id)
            if others or info is None or not info.ready or first.id not in info.loads:
                continue
            if first.status.state is TaskState.RUNNING and not judge.is_dirty(first, view):
                found.append(first)
        yield len(slots)
    return tuple(found)


def _mover(
    service: Service,
    movable: tuple[Task, ...],
    view: View,
    fleet: Fleet,
    shunned: Iterable[NodeId],
) -> Mover:
    sample = replace(
        movable[0],
        spec=service.spec.task_template,
        spec_version=service.spec_version,
        ports=service.endpoint.ports if service.endpoint else (),
    )
    requirement = requirement_of(sample, network_drivers(service, view), encryptions(service, view))
    return Mover(
        service,
        requirement,
        requirement.strategy or fleet.scheduling.strategy,
        movable,
        frozenset(shunned),
    )


class Guests:
    """Tasks with hard affinities: whom they came for must stay, whom they avoid must stay away."""

    def __init__(self, view: View, fleet: Fleet) -> None:
        self._about: list[tuple[Kind, tuple[Affinity, ...]]] = []
        for service in view.services():
            placement = service.spec.task_template.placement
            if placement is None or not placement.affinities:
                continue
            for kind in fleet.kinds.of_service(service.id):
                sample = Task(id=TaskId(service.id), spec=kind.spec)
                hard = tuple(item for item in requirement_of(sample).affinities if not item.soft)
                if hard:
                    self._about.append((kind, hard))

    def allow(self, mover: Kind, source: NodeId, target: NodeId) -> bool:
        """Whether a task of this kind may go without making a guest's affinity doubtful."""
        return not any(
            kind.service_id != mover.service_id
            and (source in kind.nodes or target in kind.nodes)
            and any(concerns(affinity, mover) for affinity in hard)
            for kind, hard in self._about
        )
