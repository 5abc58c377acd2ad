"""From the mounts of a spec to paths of this node: binds are checked, volumes made ready."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Mapping

from swarmd.agent import mount_calls
from swarmd.agent.core import mounts as describing
from swarmd.agent.core.launch import Unfit
from swarmd.agent.core.mounts import Placed
from swarmd.agent.executors.base import TaskFailure
from swarmd.agent.policy import NodePolicy
from swarmd.agent.volumes.options import mount_flags
from swarmd.agent.volumes.store import Fill, VolumeProblem, VolumeStore
from swarmd.model.ids import TaskId
from swarmd.model.spec import BindOptions, Mount, VolumeOptions
from swarmd.model.states import MountType


class Mounter:
    """Makes ready what the tasks of one node mount."""

    def __init__(
        self, volumes: VolumeStore, *, hostname: str, policy: NodePolicy | None = None
    ) -> None:
        self.volumes = volumes
        self._hostname = hostname
        self._policy = policy or NodePolicy(hostname)

    async def placed(
        self,
        task_id: TaskId,
        mounts: tuple[Mount, ...],
        *,
        allow: tuple[str, ...] = (),
        images: Mapping[str, str] = {},
        fill: Callable[[Mount], Fill | None] = lambda _: None,
    ) -> tuple[Placed, ...]:
        """The mounts of a task, whose volumes it then holds.

        Args:
            allow: what the cluster lets the task have of the node.
            images: where the images are that the task mounts, by target.
            fill: what an empty volume begins with.

        Raises:
            TaskFailure: a bind's source isn't there or allowed, or a volume can't be had.
        """
        sources = dict(images)
        try:
            describing.check(mounts)
            for number, mount in enumerate(mounts):
                match mount.type:
                    case MountType.BIND:
                        sources[mount.target] = await asyncio.to_thread(
                            self._bind_source, mount, allow
                        )
                    case MountType.VOLUME:
                        await asyncio.to_thread(self._check_device, mount, allow)
                        sources[mount.target] = await self._volume(
                            task_id, number, mount, _fill_of(mount, fill)
                        )
                    case MountType.IMAGE if mount.target not in images:
                        raise TaskFailure(
                            f"mount {mount.target}: only containers can mount an image; "
                            "run one, or use a volume"
                        )
        except (TaskFailure, VolumeProblem, Unfit) as error:
            self.volumes.release(task_id)
            if isinstance(error, TaskFailure):
                raise
            if isinstance(error, Unfit):
                raise TaskFailure(str(error)) from None
            raise TaskFailure(f"{error} (node {self._hostname})") from None
        return describing.placed(mounts, lambda mount: sources[mount.target])

    def hold(self, task_id: TaskId, mounts: tuple[Mount, ...]) -> None:
        """Note the volumes of a task that is running already."""
        self.volumes.hold(task_id, volume_names(mounts))

    async def _volume(self, task_id: TaskId, number: int, mount: Mount, fill: Fill | None) -> str:
        if not mount.source:
            return await self.volumes.own(task_id, number, fill=fill)
        given = mount.volume_options or VolumeOptions()
        return await self.volumes.use(task_id, mount.source, given, fill=fill)

    def _check_device(self, mount: Mount, allow: tuple[str, ...]) -> None:
        """A volume may show a directory of the node only where a bind may."""
        given = mount.volume_options and mount.volume_options.driver_config
        known = self.volumes.find(mount.source) if mount.source else None
        options = known.options if known is not None else (given.options if given else {})
        flags, _ = mount_flags(options.get("o", ""))
        if flags & mount_calls.MS_BIND:
            self._policy.bind_source(options.get("device", ""), allow)

    def _bind_source(self, mount: Mount, allow: tuple[str, ...]) -> str:
        source = self._policy.bind_source(mount.source, allow)
        if os.path.exists(source):
            return source
        if (mount.bind_options or BindOptions()).create_mountpoint:
            try:
                os.makedirs(source, exist_ok=True)
            except OSError as error:
                raise TaskFailure(
                    f"bind source path {mount.source} can't be made on node {self._hostname}: "
                    f"{error.strerror}"
                ) from None
            return source
        raise TaskFailure(
            f"bind source path does not exist: {mount.source} on node {self._hostname}; make it, "
            "constrain the service to nodes that have it, or have it made by bind-create-src"
        )


def volume_names(mounts: tuple[Mount, ...]) -> tuple[str, ...]:
    return tuple(m.source for m in mounts if m.type is MountType.VOLUME and m.source)


def _fill_of(mount: Mount, fill: Callable[[Mount], Fill | None]) -> Fill | None:
    options = mount.volume_options
    return None if options is not None and options.no_copy else fill(mount)
