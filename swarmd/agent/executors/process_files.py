"""What a process is given of its node besides the node itself: mounts, secrets and configs.

They are shown in the mount namespace of the task, so that only a node whose tasks have one of their
own can give them. The secrets travel to the keeper in its memory and lie in memory file systems of
the task; the node's own files, which a process sees, are never written to.
"""

from __future__ import annotations

import asyncio
import base64
import os
from collections.abc import Mapping
from typing import Any

from swarmd.agent import mount_calls
from swarmd.agent.core.launch import Launch
from swarmd.agent.core.mounts import Placed
from swarmd.agent.core.task_files import TaskFile
from swarmd.agent.executors.base import NodeContext, TaskFailure, TemporaryFailure
from swarmd.agent.executors.keeper.mounting import CONFIGS, MEMORY
from swarmd.agent.files import NodeFiles
from swarmd.agent.volumes.mounting import Mounter
from swarmd.model.ids import TaskId
from swarmd.model.task import Task
from swarmd.model.template import TemplateContext

# A request to the keeper holds them all, in base64.
FILES_BYTES_MAX = 8 * 1024 * 1024
_ALLOWED = {
    "exec": mount_calls.MS_NOEXEC,
    "suid": mount_calls.MS_NOSUID,
    "dev": mount_calls.MS_NODEV,
}
_OF_THE_FILE_SYSTEM = ("size=", "mode=")


class ProcessFiles:
    """Mounts and files for the process tasks of one node."""

    def __init__(self, node: NodeContext, mounter: Mounter, files: NodeFiles) -> None:
        self._hostname = node.hostname
        self._mounter = mounter
        self._files = files

    async def check(
        self, task: Task, launch: Launch, context: TemplateContext, facts: Mapping[str, Any]
    ) -> None:
        """Find out whether the task can have what it asks for, and make its volumes ready.

        Args:
            facts: what the keeper can do on this node.

        Raises:
            TaskFailure: it never can, as things are on this node.
            TemporaryFailure: not yet.
        """
        spec = launch.spec
        if not (spec.mounts or spec.secrets or spec.configs):
            return
        if "mount" not in facts.get("namespaces", ()):
            raise TaskFailure(
                f"mounts, secrets and configs need a mount namespace, which tasks of node "
                f"{self._hostname} have only if root runs swarmd there; nothing secret is written "
                "to its disk instead"
            )
        if "mounts" not in facts.get("can", ()):
            raise TemporaryFailure(
                "the keeper of this node's tasks is of an earlier version that mounts nothing; it "
                "is replaced when its other tasks have ended"
            )
        files = self._files_of(launch, context)
        if sum(len(file.data) for file in files) > FILES_BYTES_MAX:
            raise TaskFailure(
                f"the secrets and configs of a process are limited to {FILES_BYTES_MAX} bytes in "
                "all; use fewer"
            )
        await asyncio.to_thread(self._check_targets, launch, files)
        await self._mounter.placed(task.id, spec.mounts, allow=task.allow)

    async def words(
        self, task: Task, launch: Launch, context: TemplateContext
    ) -> dict[str, list[dict[str, Any]]]:
        """What the keeper is to mount and write for a task, which holds its volumes from now on.

        Raises:
            TaskFailure, TemporaryFailure
        """
        spec = launch.spec
        if not (spec.mounts or spec.secrets or spec.configs):
            return {}
        mounts = await self._mounter.placed(task.id, spec.mounts, allow=task.allow)
        files = self._files_of(launch, context)
        return {
            "mounts": [mount_words(mount) for mount in mounts],
            "files": [file_words(file) for file in files],
        }

    def adopt(self, task: Task, launch: Launch) -> None:
        """Note the volumes of a task that may be running already."""
        if not task.status.state.terminal:
            self._mounter.hold(task.id, launch.spec.mounts)

    def ended(self, task_id: TaskId) -> None:
        """The task has ended: let go of its volumes."""
        self._mounter.volumes.release(task_id)

    async def forget(self, task_id: TaskId) -> None:
        """Delete the volumes that were the task's own."""
        await self._mounter.volumes.forget(task_id)

    def _files_of(self, launch: Launch, context: TemplateContext) -> tuple[TaskFile, ...]:
        return self._files.files_of(launch.spec, context, configs_directory=CONFIGS)

    def _check_targets(self, launch: Launch, files: tuple[TaskFile, ...]) -> None:
        """A process sees the node's files: something can only be shown where something is."""
        for mount in launch.spec.mounts:
            if not os.path.exists(mount.target) and not is_covered(mount.target, launch):
                raise TaskFailure(
                    f"there is nothing at {mount.target} on node {self._hostname} to mount upon; "
                    "make a directory there, or constrain the service to nodes that have one"
                )
        for file in files:
            in_memory = any(file.target.startswith(f"{directory}/") for directory in MEMORY)
            if in_memory or is_covered(file.target, launch) or os.path.isfile(file.target):
                continue
            raise TaskFailure(
                f"there is no file {file.target} on node {self._hostname} that a config could "
                f"cover; give it a target below {' or '.join(MEMORY)}"
            )


def is_covered(path: str, launch: Launch) -> bool:
    """Whether a path lies below what the task mounts, so that the node's files say nothing."""
    return any(path.startswith(f"{mount.target.rstrip('/')}/") for mount in launch.spec.mounts)


def mount_words(placed: Placed) -> dict[str, Any]:
    """A mount as the keeper is told of it."""
    if placed.is_memory:
        allowed = 0
        for word, flag in _ALLOWED.items():
            if f"no{word}" not in placed.options:
                allowed |= flag
        own = [option for option in placed.options if option.startswith(_OF_THE_FILE_SYSTEM)]
        return {
            "kind": "tmpfs",
            "target": placed.target,
            "read_only": placed.read_only,
            "allowed": allowed,
            "data": ",".join(own),
        }
    return {
        "kind": "bind",
        "source": placed.source,
        "target": placed.target,
        "read_only": placed.read_only,
        "recursive": placed.recursive,
        "propagation": placed.propagation.value,
    }


def file_words(file: TaskFile) -> dict[str, Any]:
    return {
        "target": file.target,
        "data": base64.b64encode(file.data).decode(),
        "uid": file.uid,
        "gid": file.gid,
        "mode": file.mode,
    }
