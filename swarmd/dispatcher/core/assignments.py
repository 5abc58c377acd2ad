"""What a node has been given and what it should have: the difference between the two.

A node gets its tasks from the moment they are assigned, hears again when anything changes that it
didn't report itself, and is told once when a task is gone. It gets the secrets and configs of its
tasks with the first that needs them. Messages form a chain: each names the
one that it builds on, and the chain of a stream never breaks.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import NamedTuple

import msgspec

from swarmd.dispatcher.core.files import FileKey, FileUse, LoginVersion, files_of, no_logins
from swarmd.model.ids import NodeId, TaskId
from swarmd.model.states import TaskState
from swarmd.model.task import Task

CHANGES_PER_MESSAGE_MAX = 1000

_REPORTED = {"status", "version", "updated_at", "ran_at"}
_MANAGERS_OWN = {"reserved_node_id", "replaces"}
_GIVEN = tuple(
    field.name
    for field in msgspec.structs.fields(Task)
    if field.name not in _REPORTED | _MANAGERS_OWN
)


class Step(NamedTuple):
    """One message: tasks and files given or changed, and taken away; its place in the chain."""

    complete: bool
    applies_to: str
    results_in: str
    updates: tuple[Task, ...]
    removed: tuple[TaskId, ...]
    files: tuple[FileKey, ...] = ()
    removed_files: tuple[FileKey, ...] = ()


def same_to_the_agent(old: Task, new: Task) -> bool:
    """Whether two versions of a task differ only in what the agent reported itself.

    While a task is merely assigned its agent hasn't answered for it, so every change is sent.
    """
    if new.status.state is TaskState.ASSIGNED and old.status is not new.status:
        return old.status == new.status and _same(old, new)
    return _same(old, new)


def concerns_the_node(old: Task, new: Task, login_version: LoginVersion = no_logins) -> bool:
    """Whether a node has to hear of a task's change, or of files that it needs no more."""
    if not same_to_the_agent(old, new):
        return True
    if old.status is new.status:
        return False
    return files_of(old, login_version) != files_of(new, login_version)


def _same(old: Task, new: Task) -> bool:
    for name in _GIVEN:
        before, after = getattr(old, name), getattr(new, name)
        if before is not after and before != after:
            return False
    return True


def belongs(task: Task | None, node_id: NodeId) -> bool:
    """Whether the node is to have the task."""
    return task is not None and task.node_id == node_id and task.status.state >= TaskState.ASSIGNED


class AssignmentChain:
    """The assignments of one stream to one node: what was sent, and the next step."""

    def __init__(self, node_id: NodeId, login_version: LoginVersion = no_logins) -> None:
        self._node_id = node_id
        self._login_version = login_version
        self._sent: dict[TaskId, Task] = {}
        self._files = FileUse()
        self._position = 0

    def __len__(self) -> int:
        return len(self._sent)

    def begin(self, tasks: Iterable[Task]) -> Step:
        """The first message: everything."""
        mine = tuple(task for task in tasks if belongs(task, self._node_id))
        self._sent = {task.id: task for task in mine}
        for task in mine:
            self._files.put(task.id, files_of(task, self._login_version))
        return self._step(complete=True, updates=mine, removed=())

    def advance(
        self, changed: Iterable[TaskId], find: Callable[[TaskId], Task | None]
    ) -> Step | None:
        """The next message for tasks that may have changed; None when the node needs no word.

        What is in the answer counts as sent.
        """
        updates: list[Task] = []
        removed: list[TaskId] = []
        for task_id in changed:
            task, sent = find(task_id), self._sent.get(task_id)
            if task is not None and belongs(task, self._node_id):
                if sent is None or not same_to_the_agent(sent, task):
                    updates.append(task)
                self._sent[task_id] = task
                self._files.put(task_id, files_of(task, self._login_version))
            elif sent is not None:
                del self._sent[task_id]
                removed.append(task_id)
                self._files.put(task_id, frozenset())
        step = self._step(complete=False, updates=tuple(updates), removed=tuple(removed))
        if not (step.updates or step.removed or step.files or step.removed_files):
            self._position -= 1
            return None
        return step

    def _step(
        self, *, complete: bool, updates: tuple[Task, ...], removed: tuple[TaskId, ...]
    ) -> Step:
        applies_to = "" if complete else str(self._position)
        self._position += 1
        files, removed_files = self._files.step()
        return Step(
            complete, applies_to, str(self._position), updates, removed, files, removed_files
        )
