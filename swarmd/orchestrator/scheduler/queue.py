"""Tasks in the store that have no node yet, by service version.

A task that found no node is not tried again until something changed that could help: a node, the
end of some task, its service. So a task nobody can place costs nothing while nothing happens.
"""

from __future__ import annotations

from swarmd.model.ids import TaskId
from swarmd.model.states import TaskState
from swarmd.model.task import Task
from swarmd.orchestrator.scheduler.load import Version


def is_waiting(task: Task) -> bool:
    """Whether the scheduler still has to find the task a node."""
    return task.status.state < TaskState.ASSIGNED and task.desired_state <= TaskState.COMPLETE


class Queue:
    """The waiting tasks, oldest first within a service version."""

    def __init__(self) -> None:
        self._groups: dict[Version, dict[TaskId, None]] = {}
        self.retry = False  # something changed that may let waiting tasks be placed

    def observe(self, task: Task) -> None:
        """Take note of a task as it is now; a new one in the queue is tried at the next pass."""
        version = (task.service_id, task.spec_version)
        if is_waiting(task):
            self._groups.setdefault(version, {})[task.id] = None
        else:
            self.forget(task)

    def forget(self, task: Task) -> None:
        version = (task.service_id, task.spec_version)
        group = self._groups.get(version)
        if group is not None and group.pop(task.id, True) is None and not group:
            del self._groups[version]

    def something_changed(self) -> None:
        """Have all waiting tasks tried at the next pass."""
        self.retry = True

    @property
    def dirty(self) -> bool:
        """Whether a round would try anything."""
        return self.retry and bool(self._groups)

    def take_round(self) -> dict[Version, tuple[TaskId, ...]]:
        """The tasks to try now, by service version; they stay queued until placed."""
        if not self.retry:
            return {}
        self.retry = False
        return {version: tuple(group) for version, group in self._groups.items()}
