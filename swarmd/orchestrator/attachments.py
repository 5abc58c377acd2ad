"""Attachments: tasks without a service that hold a place in networks for what a node runs itself.

A node asks for one, for a container that somebody started there by hand, and gives it up again by
having the task deleted. There is nothing to place and nothing to restart: the planner gives the
task its addresses, or has it say why there are none, and deletes what has ended or lost its node.
"""

from __future__ import annotations

from collections.abc import Callable

from msgspec.structs import replace

from swarmd.model.ids import TaskId
from swarmd.model.states import TaskState
from swarmd.model.task import Task, TaskStatus
from swarmd.orchestrator.attaching import Attach, Exhausted
from swarmd.orchestrator.context import Pass

ATTACHED = "attached to its networks"
WAITS = "waits for addresses"


class Attachments:
    """Which of these tasks have to be looked at."""

    def __init__(self) -> None:
        self._marked: dict[TaskId, None] = {}
        self._waiting: dict[TaskId, None] = {}  # for addresses

    @property
    def dirty(self) -> bool:
        return bool(self._marked)

    @property
    def waiting(self) -> bool:
        return bool(self._waiting)

    def mark(self, task: Task) -> None:
        self._marked[task.id] = None

    def forget(self, task_id: TaskId) -> None:
        self._marked.pop(task_id, None)
        self._waiting.pop(task_id, None)

    def addresses_freed(self) -> None:
        """Have those that wait try again."""
        self._marked.update(self._waiting)
        self._waiting.clear()

    def tend(self, work: Pass, attach: Callable[[Task], Attach]) -> None:
        """Plan what the marked tasks need; they stay marked until there is nothing more to plan.

        Args:
            attach: what gives such a task its addresses.
        """
        for task_id in list(self._marked):
            if work.plan.full:
                return
            task = work.view.find_task(task_id)
            if task is None:
                del self._marked[task_id]
            elif work.view.find_node(task.node_id) is None:
                work.plan.delete(task, "its node was removed")
            elif task.status.state.terminal:
                work.plan.delete(task, "an attachment that has ended is of no use")
            elif task.status.state < TaskState.ASSIGNED:
                self._attach(task, attach(task), work)
            else:
                del self._marked[task_id]

    def _attach(self, task: Task, attach: Attach, work: Pass) -> None:
        try:
            attached = attach(task)
        except Exhausted as exhausted:
            why = str(exhausted)
            if task.status.err != why:
                work.plan.set_status(task, TaskState.PENDING, message=WAITS, err=why)
            else:
                del self._marked[task.id]
                self._waiting[task.id] = None
            return
        if not attached.networks:
            work.plan.delete(task, "its network was removed")
            return
        status = TaskStatus(state=TaskState.ASSIGNED, timestamp=work.env.now, message=ATTACHED)
        work.plan.write_task(replace(attached, status=status), base=task.version, reason=ATTACHED)
