"""Which secrets and configs a node must have: those its tasks refer to, and no others.

A file is with a node from the first task that refers to it until the last such task has stopped for
good or is gone. What is in the file is read from the store when it is sent.
"""

from __future__ import annotations

from typing import NamedTuple

from swarmd.model.ids import TaskId
from swarmd.model.states import TaskState
from swarmd.model.task import Task
from swarmd.store.changes import Kind


class FileKey(NamedTuple):
    """A secret or a config, by its id."""

    kind: Kind
    id: str


_NONE: frozenset[FileKey] = frozenset()


def files_of(task: Task) -> frozenset[FileKey]:
    """What the task needs now; a task that has stopped for good needs nothing."""
    container = task.spec.container_spec
    if container is None or not (container.secrets or container.configs):
        return _NONE
    if task.status.state > TaskState.RUNNING:
        return _NONE
    secrets = (FileKey(Kind.SECRET, reference.secret_id) for reference in container.secrets)
    configs = (FileKey(Kind.CONFIG, reference.config_id) for reference in container.configs)
    return frozenset((*secrets, *configs))


class FileUse:
    """The files of one node, counted by the tasks that need them."""

    def __init__(self) -> None:
        self._by_task: dict[TaskId, frozenset[FileKey]] = {}
        self._users: dict[FileKey, int] = {}
        self._sent: dict[FileKey, None] = {}

    def put(self, task_id: TaskId, wanted: frozenset[FileKey]) -> None:
        """Take note of what a task needs now, in place of what it needed before."""
        present = self._by_task.pop(task_id, _NONE)
        if wanted:
            self._by_task[task_id] = wanted
        if present is wanted:
            return
        for key in wanted - present:
            self._users[key] = self._users.get(key, 0) + 1
        for key in present - wanted:
            self._users[key] -= 1
            if not self._users[key]:
                del self._users[key]

    def step(self) -> tuple[tuple[FileKey, ...], tuple[FileKey, ...]]:
        """Files to give and files to take away since the last step; both count as done."""
        if not self._users and not self._sent:
            return (), ()
        given = tuple(key for key in self._users if key not in self._sent)
        taken = tuple(key for key in self._sent if key not in self._users)
        for key in given:
            self._sent[key] = None
        for key in taken:
            del self._sent[key]
        return given, taken
