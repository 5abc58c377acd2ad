"""How many running tasks a service can spare: what drains, preemption and moves may take from it.

`min_available` of a spec is the number of tasks that must go on running whatever the managers do of
their own accord. Tasks that do not run, are not ready or are lost with their node count for
nothing; of two that run in one slot only one counts, as the other is about to go.
"""

from __future__ import annotations

from collections.abc import Iterable

from swarmd.model.ids import NodeId, ServiceId, TaskId
from swarmd.model.states import TaskState
from swarmd.model.task import Task
from swarmd.orchestrator.nodes import is_lost
from swarmd.orchestrator.slots import slot_key
from swarmd.store.view import View


def runs(task: Task, view: View) -> bool:
    """Whether a task does its work now and is meant to go on."""
    return (
        task.status.state is TaskState.RUNNING
        and not task.status.unready
        and task.desired_state <= TaskState.COMPLETE
        and not is_lost(view.find_node(NodeId(task.node_id)))
    )


class Spare:
    """The running tasks that services can spare, counted down as they are taken.

    Holds for one pass; a service is counted when it is first asked about.

    Args:
        ending: tasks that the pass tells to stop already.
    """

    def __init__(self, view: View, ending: Iterable[Task] = ()) -> None:
        self._view = view
        self._ending: set[TaskId] = {task.id for task in ending}
        self._left: dict[ServiceId, int | None] = {}

    def left(self, service_id: ServiceId) -> int | None:
        """How many running tasks may be taken from a service; None: any number."""
        if service_id not in self._left:
            self._left[service_id] = self._count(service_id)
        return self._left[service_id]

    def can_take(self, task: Task) -> bool:
        """Whether a task may be taken; one that does not run always may."""
        left = self.left(task.service_id)
        return left is None or left > 0 or not runs(task, self._view)

    def take(self, task: Task) -> None:
        """Count a task as taken; one that does not run costs its service nothing."""
        left = self.left(task.service_id)
        if left is not None and runs(task, self._view):
            self._left[task.service_id] = left - 1

    def _count(self, service_id: ServiceId) -> int | None:
        service = self._view.find_service(service_id)
        if service is None or not service.spec.min_available:
            return None
        running = {
            slot_key(task)
            for task in self._view.tasks_of_service(service_id)
            if task.id not in self._ending and runs(task, self._view)
        }
        return max(len(running) - service.spec.min_available, 0)
