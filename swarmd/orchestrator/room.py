"""When start-first cannot work: which slot of an update has to stop first, so that it goes on.

A new task that has no room beside the old ones waits as long as room may come by itself: while
other slots of the update are coming up, or old tasks are stopping. When nothing is under way any
more, the old task whose node could take the new one is stopped: the one of the same slot if that
helps, else one of another slot that has to be replaced as well. One slot at a time, so that no more
than one is down for lack of room. When no old task is in the way, all stay where they are: stopping
them would not help.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from msgspec.structs import replace

from swarmd.model.ids import NodeId, TaskId
from swarmd.model.states import TaskState
from swarmd.model.task import Task
from swarmd.orchestrator.scheduler.filters import Filters
from swarmd.orchestrator.scheduler.fleet import Fleet
from swarmd.orchestrator.scheduler.requirement import requirement_of
from swarmd.orchestrator.slots import SlotKey, SpecJudge, history_of
from swarmd.orchestrator.updater import UpdateRun
from swarmd.store.view import View


class Yielding(NamedTuple):
    """A slot that stops first: its old tasks, the new task that they make room for, and why."""

    key: SlotKey
    leaving: tuple[Task, ...]
    waiting: Task
    why: str


def find_yielding(
    run: UpdateRun, outdated: Iterable[SlotKey], judge: SpecJudge, view: View
) -> Yielding | None:
    """The slot to stop first now; None while something is under way, or nothing would help."""
    waiting = _waiting(run, view)
    if not waiting or len(waiting) < len(run.in_flight) or run.stopping:
        return None
    for key, task in waiting:
        leaving = _old_tasks(key, task, judge, view)
        if leaving and _would_take(leaving[-1].node_id, task, leaving, view):
            return Yielding(key, leaving, task, _brief(task))
    task = waiting[0][1]
    asked: set[NodeId] = set()
    for key in outdated:
        leaving = _old_tasks(key, task, judge, view)
        if run.occupied(key) or not leaving or leaving[-1].node_id in asked:
            continue
        asked.add(leaving[-1].node_id)
        if task.slot and _would_take(leaving[-1].node_id, task, leaving, view):
            return Yielding(key, leaving, task, _brief(task))
    return None


def _waiting(run: UpdateRun, view: View) -> list[tuple[SlotKey, Task]]:
    """The new tasks that the scheduler could not place."""
    found = []
    for key, task_id in run.in_flight.items():
        task = view.find_task(task_id)
        if task is not None and task.status.state is TaskState.PENDING and task.status.err:
            found.append((key, task))
    return found


def _old_tasks(key: SlotKey, waiting: Task, judge: SpecJudge, view: View) -> tuple[Task, ...]:
    return tuple(
        task
        for task in history_of(view, judge.service.id, key)
        if task.desired_state <= TaskState.RUNNING
        and task.id != waiting.id
        and task.status.state >= TaskState.ASSIGNED
        and judge.is_dirty(task, view)
    )


def _would_take(node_id: NodeId, task: Task, leaving: tuple[Task, ...], view: View) -> bool:
    """Whether a node could take the task if some of its tasks were gone."""
    node = view.find_node(node_id)
    if node is None:
        return False
    cluster = view.find_cluster()
    fleet = Fleet(cluster.spec.scheduling if cluster else None)
    fleet.put_node(node)
    gone: set[TaskId] = {other.id for other in leaving}
    for other in view.tasks_of_node(node_id):
        if other.id not in gone:
            fleet.track(other)
    service = view.find_service(task.service_id)
    ports = service.endpoint.ports if service and service.endpoint else ()
    info = fleet.find(node_id)
    filters = Filters(fleet, requirement_of(replace(task, ports=ports)))
    return info is not None and filters.refusal(info) is None


def _brief(task: Task) -> str:
    """The scheduler's reason without its advice, which is about to be followed."""
    reason, closed, _ = task.status.err.partition("); ")
    return f"{reason})" if closed else reason
