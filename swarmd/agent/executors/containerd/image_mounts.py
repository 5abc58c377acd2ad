"""Images that containers mount: their files, as one read-only tree among the container's own.

Such an image is pulled like the one a container runs. Its topmost snapshot is noted in the record
of the container, which keeps it for as long as the container exists, whatever becomes of the name
of the image. The tree is mounted below the container's directory before the container comes up, and
taken away with its secrets when it has ended.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

from swarmd.agent import mount_calls
from swarmd.agent.core.launch import Unfit
from swarmd.agent.executors.base import TaskFailure
from swarmd.agent.executors.containerd.engine import Engine
from swarmd.agent.images.puller import Logins, Puller
from swarmd.agent.images.unpack import SNAPSHOTTER, remove_snapshot
from swarmd.agent.volumes.filling import View
from swarmd.agent.volumes.options import mount_flags
from swarmd.model import reference
from swarmd.model.ids import TaskId
from swarmd.model.spec import ContainerSpec, Mount
from swarmd.model.states import MountType
from swarmd.rpc.pb.containerd import snapshots_pb2

DIRECTORY = "images"
# Each label of a container's record that begins like this keeps the snapshot that it names.
KEEPS = f"containerd.io/gc.ref.snapshot.{SNAPSHOTTER}/"


class ImageMounts:
    """The images that the containers of a node mount."""

    def __init__(self, engine: Engine, puller: Puller) -> None:
        self._engine = engine
        self._puller = puller

    async def snapshots(
        self, spec: ContainerSpec, logins_for: Callable[[str], Logins]
    ) -> dict[str, str]:
        """The topmost snapshot of each image that a container mounts, by target; pulls them.

        Args:
            logins_for: as whom to pull an image of this name.

        Raises:
            BadReference, Unfit, and what the puller raises.
        """
        found: dict[str, str] = {}
        for mount in _images(spec):
            logins = partial(logins_for, mount.source)
            image = await self._puller.ensure(reference.parse(mount.source), logins)
            if not image.snapshot:
                raise Unfit(f"image {mount.source} has no files to mount")
            await self._puller.store.used(image)
            found[mount.target] = image.snapshot
        return found

    async def show(
        self, task_id: TaskId, directory: Path, spec: ContainerSpec, snapshots: Mapping[str, str]
    ) -> dict[str, str]:
        """Mount the images of a container, unless they are; answers where each is, by target.

        Args:
            directory: of the container.

        Raises:
            TaskFailure: an image has no such subpath.
            RpcError, EngineDown, OSError
        """
        shown: dict[str, str] = {}
        for number, mount in enumerate(_images(spec)):
            point = directory / DIRECTORY / str(number)
            if not os.path.ismount(point):
                view = await self._view(f"{task_id} shows {number}", snapshots[mount.target])
                await asyncio.to_thread(_mount, view, point)
            shown[mount.target] = await asyncio.to_thread(_within, point, mount)
        return shown

    async def _view(self, key: str, snapshot: str) -> View:
        """How to mount a snapshot; what it takes to ask does not stay."""
        client = await self._engine.client()
        await remove_snapshot(client, key)  # of a daemon that was killed while it asked
        request = snapshots_pb2.ViewSnapshotRequest(
            snapshotter=SNAPSHOTTER, key=key, parent=snapshot
        )
        try:
            [one] = (await client.snapshots.View(request)).mounts
        finally:
            await remove_snapshot(client, key)
        return View(kind=one.type, source=one.source, options=tuple(one.options))


def take_away(directory: Path) -> None:
    """Unmount the images of a container; blocks."""
    with contextlib.suppress(FileNotFoundError):
        for point in (directory / DIRECTORY).iterdir():
            while mount_calls.unmount(str(point)):
                continue


def _images(spec: ContainerSpec) -> tuple[Mount, ...]:
    return tuple(mount for mount in spec.mounts if mount.type is MountType.IMAGE)


def _mount(view: View, point: Path) -> None:
    point.mkdir(mode=0o755, parents=True, exist_ok=True)
    if view.kind == "bind":
        mount_calls.bind(view.source, str(point), recursive=False, read_only=True)
        return
    flags, rest = mount_flags(",".join(view.options))
    mount_calls.mount(view.source, str(point), view.kind, flags | mount_calls.MS_RDONLY, rest)


def _within(point: Path, mount: Mount) -> str:
    """The path of what is shown of an image, which links of the image can't lead out of."""
    subpath = mount.image_options.subpath if mount.image_options is not None else ""
    if not subpath:
        return str(point)
    try:
        return mount_calls.path_within(str(point), subpath)
    except OSError as error:
        raise TaskFailure(f"subpath {subpath} of image {mount.source}: {error.strerror}") from None
