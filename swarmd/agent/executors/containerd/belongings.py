"""What a container is given of its node: mounts and volumes, secrets and configs."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from pathlib import Path

from swarmd.agent.core.mounts import Placed
from swarmd.agent.core.task_files import TaskFile
from swarmd.agent.executors.base import NodeContext
from swarmd.agent.executors.containerd import delivery, image_mounts
from swarmd.agent.files import NodeFiles
from swarmd.agent.volumes.filling import View, fill_from
from swarmd.agent.volumes.mounting import Mounter
from swarmd.agent.volumes.store import Fill
from swarmd.model.ids import TaskId
from swarmd.model.mounts import target_of
from swarmd.model.spec import ContainerSpec, Mount
from swarmd.model.task import Task
from swarmd.model.template import template_context


class Belongings:
    """The mounts and files of a node's containers; specs have their templates expanded.

    Args:
        directory: of a container, where its secrets and configs are held in memory.
    """

    def __init__(
        self,
        node: NodeContext,
        mounter: Mounter,
        files: NodeFiles,
        *,
        directory: Callable[[TaskId], Path],
    ) -> None:
        self._node = node
        self._mounter = mounter
        self._files = files
        self._directory = directory

    def adopt(self, task: Task, spec: ContainerSpec) -> None:
        """Note what a container that may be running already uses."""
        if not task.status.state.terminal:
            self._mounter.hold(task.id, spec.mounts)

    async def placed(
        self, task: Task, spec: ContainerSpec, view: View, images: Mapping[str, str]
    ) -> tuple[Placed, ...]:
        """What the container mounts, made ready: its own mounts, then its secrets and configs.

        Args:
            view: its root file system.
            images: where those are that it mounts, by target.

        Raises:
            TaskFailure, TemporaryFailure: it can't have them, or not yet.
        """
        directory = self._directory(task.id)

        def fill(mount: Mount) -> Fill:
            return lambda into: fill_from(view, target_of(mount), into, near=directory)

        targets = tuple(file.target for file in self._files_of(task, spec))
        mounts = await self._mounter.placed(
            task.id, spec.mounts, allow=task.allow, images=images, fill=fill
        )
        return mounts + delivery.file_mounts(directory, targets)

    async def deliver(self, task: Task, spec: ContainerSpec, images: Mapping[str, str]) -> None:
        """Give a container that is about to come up its secrets and configs.

        Raises:
            TaskFailure, TemporaryFailure, OSError
        """
        files = self._files_of(task, spec)
        # Again, for an earlier attempt to bring it up that failed has let go of its volumes.
        await self._mounter.placed(task.id, spec.mounts, allow=task.allow, images=images)
        await asyncio.to_thread(delivery.deliver, self._directory(task.id), files)

    async def ended(self, task_id: TaskId) -> None:
        """The container has ended: forget its secrets, let go of its images and volumes."""
        await asyncio.to_thread(_take_away, self._directory(task_id))
        self._mounter.volumes.release(task_id)

    async def forget(self, task_id: TaskId) -> None:
        """Delete the volumes that were the task's own."""
        await self._mounter.volumes.forget(task_id)

    def _files_of(self, task: Task, spec: ContainerSpec) -> tuple[TaskFile, ...]:
        node = self._node
        context = template_context(
            task,
            node_id=node.node_id,
            hostname=node.hostname,
            os=node.platform.os,
            arch=node.platform.architecture,
        )
        return self._files.files_of(spec, context)


def _take_away(directory: Path) -> None:
    delivery.take_away(directory)
    image_mounts.take_away(directory)
