"""Which secrets and configs a node must have: those its tasks refer to, and no others.

A file is with a node from the first task that refers to it until the last such task has stopped for
good or is gone. What is in the file is read from the store when it is sent. The swarm's login to
the registry of a task's image is such a file, too, and the only kind that changes while in use.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from swarmd.model.ids import SecretId, TaskId
from swarmd.model.mounts import images_of
from swarmd.model.registry_login import login_id_for
from swarmd.model.states import TaskState
from swarmd.model.task import Task
from swarmd.store.changes import Kind


class FileKey(NamedTuple):
    """A secret or a config, by its id; a login also by its version."""

    kind: Kind
    id: str
    version: int = 0


LoginVersion = Callable[[SecretId], int | None]


def no_logins(_: SecretId) -> None:
    """The `LoginVersion` of a swarm that is logged in nowhere."""


_NONE: frozenset[FileKey] = frozenset()


def files_of(task: Task, login_version: LoginVersion = no_logins) -> frozenset[FileKey]:
    """What the task needs now; a task that has stopped for good needs nothing.

    Args:
        login_version: of a login, by its id; None when there is none.
    """
    container = task.spec.container_spec
    if container is None or task.status.state > TaskState.RUNNING:
        return _NONE
    logins = tuple(key for image in images_of(container) for key in login_of(image, login_version))
    if not (logins or container.secrets or container.configs):
        return _NONE
    secrets = (FileKey(Kind.SECRET, reference.secret_id) for reference in container.secrets)
    configs = (FileKey(Kind.CONFIG, reference.config_id) for reference in container.configs)
    return frozenset((*logins, *secrets, *configs))


def login_of(image: str, login_version: LoginVersion) -> tuple[FileKey, ...]:
    """The login that an image is pulled with, if the swarm has one."""
    secret_id = login_id_for(image)
    version = login_version(secret_id) if secret_id else None
    return (FileKey(Kind.SECRET, secret_id, version),) if secret_id and version else ()


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
        """Files to give and files to take away since the last step; both count as done.

        A version that takes the place of another is given, and the other is not taken away.
        """
        if not self._users and not self._sent:
            return (), ()
        given = tuple(key for key in self._users if key not in self._sent)
        gone = tuple(key for key in self._sent if key not in self._users)
        for key in given:
            self._sent[key] = None
        for key in gone:
            del self._sent[key]
        if not gone:
            return given, ()
        present = {(key.kind, key.id) for key in self._sent}
        return given, tuple(key for key in gone if (key.kind, key.id) not in present)
