"""When start-first cannot work: which slot of an update has to stop first, so that it goes on.

A new task that has no room beside the old ones waits as long as room may come by itself: while
other slots of the update are coming up, old tasks are stopping, or others are being preempted. When
nothing is under way any more, the old task that is in the way is stopped: the one of the same slot
if that helps, else one of another slot that has to be replaced as well. One slot at a time, so that
no more than one is down for lack of room. Room is a node that takes the task, and an address on
each of its networks. When no old task is in the way, all stay where they are: stopping them would
not help, and that is said.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from msgspec.structs import replace

from swarmd.model.ids import NodeId
from swarmd.model.states import TaskState
from swarmd.model.task import Task
from swarmd.orchestrator.context import Pass
from swarmd.orchestrator.scheduler.filters import Filters
from swarmd.orchestrator.scheduler.requirement import requirement_of
from swarmd.orchestrator.scheduler.schedule import encryptions, network_drivers
from swarmd.orchestrator.slots import SlotKey, SpecJudge, history_of
from swarmd.orchestrator.updater import UpdateRun
from swarmd.store.view import View


class Stuck(NamedTuple):
    """A new task without room, and the slot that stops first to make some."""

    waiting: Task
    why: str
    key: SlotKey  # of the old tasks that leave, or of the new one if none is in the way
    leaving: tuple[Task, ...]


def find_stuck(
    run: UpdateRun, outdated: Iterable[SlotKey], judge: SpecJudge, work: Pass
) -> Stuck | None:
    """The new task to make room for now; None while something is under way."""
    waiting = _waiting(run, work.view)
    if not waiting or len(waiting) < len(run.in_flight) or run.stopping:
        return None
    for key, task in waiting:
        probe = Probe(task, work)
        if probe.has_room:
            return None
        leaving = _old_tasks(key, task, judge, work.view)
        if probe.is_helped_by(leaving):
            return Stuck(task, brief(task), key, leaving)
    first, task = waiting[0]
    probe = Probe(task, work)
    for key in outdated if task.slot else ():
        if run.occupied(key):
            continue
        leaving = _old_tasks(key, task, judge, work.view)
        if probe.is_helped_by(leaving):
            return Stuck(task, brief(task), key, leaving)
    return Stuck(task, brief(task), first, ())


def _waiting(run: UpdateRun, view: View) -> list[tuple[SlotKey, Task]]:
    """The new tasks without room."""
    found = []
    for key, task_id in run.in_flight.items():
        task = view.find_task(task_id)
        if task is not None and lacks_room(task):
            found.append((key, task))
    return found


def lacks_room(task: Task) -> bool:
    """Whether the scheduler could neither place the task nor make room for it."""
    waits = task.status.state is TaskState.PENDING and not task.reserved_node_id
    return waits and bool(task.status.err)


def _old_tasks(key: SlotKey, waiting: Task, judge: SpecJudge, view: View) -> tuple[Task, ...]:
    return tuple(
        task
        for task in history_of(view, judge.service.id, key)
        if task.desired_state <= TaskState.RUNNING
        and task.id != waiting.id
        and task.status.state >= TaskState.ASSIGNED
        and judge.is_dirty(task, view)
    )


class Probe:
    """What a waiting task would find if some tasks were gone.

    `has_node` says whether a node takes it as it is, wherever its addresses come from.
    """

    def __init__(self, task: Task, work: Pass) -> None:
        service = work.view.get_service(task.service_id)
        ports = service.endpoint.ports if service.endpoint else ()
        self._service = service
        self._fleet = work.fleet
        self._networks = work.networks
        self._requirement = requirement_of(
            replace(task, ports=ports),
            network_drivers(service, work.view),
            encryptions(service, work.view),
        )
        filters = Filters(self._fleet, self._requirement)
        self.has_node = any(
            filters.refusal(info) is None
            for info in self._fleet
            if task.slot or info.id == task.node_id
        )
        self._asked: dict[NodeId, None] = {}  # old tasks of a node are alike to those who want it

    @property
    def has_room(self) -> bool:
        """Whether the task can be placed as it is, which the scheduler will do."""
        return self.has_node and self._networks.would_attach(self._service)

    def is_helped_by(self, leaving: tuple[Task, ...]) -> bool:
        """Whether the task could be placed if these were gone."""
        if not leaving:
            return False
        if not self._networks.would_attach(self._service, [task.id for task in leaving]):
            return False
        return self.has_node or self._would_take(leaving)

    def _would_take(self, leaving: tuple[Task, ...]) -> bool:
        """Whether the node of tasks would take the waiting one in their place."""
        node_id = leaving[-1].node_id
        info = self._fleet.find(node_id)
        if info is None or node_id in self._asked:
            return False
        self._asked[node_id] = None
        for task in leaving:
            self._fleet.forget(task.id)
        fits = Filters(self._fleet, self._requirement).refusal(info) is None
        for task in leaving:
            self._fleet.track(task)
        return fits


def brief(task: Task) -> str:
    """The scheduler's reason without its advice, which is about to be followed."""
    reason, closed, _ = task.status.err.partition("); ")
    return f"{reason})" if closed else reason.partition("; ")[0]
