"""The writes of one planning pass, gathered until they fill an entry.

New tasks are kept apart from finished actions: the scheduler turns each into one `Create` that
already says on which node the task runs, so that a task costs one write and not three.
"""

from __future__ import annotations

from msgspec.structs import replace

from swarmd.model.ids import ServiceId, TaskId
from swarmd.model.instant import Instant
from swarmd.model.node import Node
from swarmd.model.service import Service
from swarmd.model.states import TaskState
from swarmd.model.task import Task
from swarmd.store.changes import (
    Action,
    Create,
    Delete,
    Kind,
    SetDesiredState,
    SetTaskStatus,
    Update,
)

ACTIONS_PER_PASS_MAX = 1000


class Plan:
    """What one pass wants to write; `full` says when to leave the rest to the next pass."""

    def __init__(self, now: Instant, limit: int = ACTIONS_PER_PASS_MAX) -> None:
        self.now = now
        self.actions: list[Action] = []
        self.fresh: list[tuple[Task, str]] = []  # new tasks without a node, and why they are made
        self.ending: list[Task] = []  # tasks that from now on are not wanted to run
        self._limit = limit
        self._tasks: set[TaskId] = set()
        self._services: set[ServiceId] = set()

    @property
    def full(self) -> bool:
        return len(self.actions) + len(self.fresh) >= self._limit

    def touches(self, task_id: TaskId) -> bool:
        """Whether this pass writes the task already, so that it is better left alone."""
        return task_id in self._tasks

    def touches_service(self, service_id: ServiceId) -> bool:
        return service_id in self._services

    def create(self, task: Task, reason: str) -> None:
        """Ask for a new task; the scheduler finds it a node before the pass ends."""
        self.fresh.append((task, reason))

    def write_created(self, task: Task, reason: str) -> None:
        """Add a task that has been through the scheduler."""
        self.actions.append(Create(task, reason))

    def write_task(self, task: Task, *, base: int, reason: str) -> None:
        self._tasks.add(task.id)
        self.actions.append(Update(task, base, reason))

    def write_service(self, service: Service, reason: str) -> None:
        """Replace a service's record; at most once per pass, as the second would be stale."""
        if service.id in self._services:
            raise AssertionError(f"service {service.id} was already written in this pass")
        self._services.add(service.id)
        self.actions.append(Update(service, service.version, reason))

    def write_node(self, node: Node, reason: str) -> None:
        self.actions.append(Update(node, node.version, reason))

    def set_desired(self, task: Task, state: TaskState, reason: str) -> None:
        """Raise what is wanted of a task; nothing is written when that much is wanted already."""
        if task.desired_state < state:
            self._tasks.add(task.id)
            self.actions.append(SetDesiredState(task.id, state, reason))
            if state > TaskState.COMPLETE:
                self.ending.append(task)

    def set_status(self, task: Task, state: TaskState, *, message: str, err: str) -> None:
        """Record what the managers themselves found out about a task."""
        if state < task.status.state:
            raise AssertionError(f"task {task.id} would go back to {state.name}")
        status = replace(task.status, state=state, timestamp=self.now, message=message, err=err)
        self._tasks.add(task.id)
        self.actions.append(SetTaskStatus(task.id, status))

    def delete(self, task: Task, reason: str) -> None:
        if task.id not in self._tasks:
            self._tasks.add(task.id)
            self.actions.append(Delete(Kind.TASK, task.id, reason=reason))

    def shut_down(self, task: Task, reason: str) -> None:
        """End a task for good; one that never got to a node is simply deleted."""
        if task.status.state < TaskState.ASSIGNED:
            self.delete(task, reason)
        else:
            self.set_desired(task, TaskState.SHUTDOWN, reason)

    def remove(self, task: Task, reason: str) -> None:
        """Make a task disappear: at once if nothing of it can be running, else when it stopped."""
        if task.status.state < TaskState.ASSIGNED or task.status.state >= TaskState.COMPLETE:
            self.delete(task, reason)
        else:
            self.set_desired(task, TaskState.REMOVE, reason)
