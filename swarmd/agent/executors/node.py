"""Which executor runs a task on this node, and the one face they show to the worker.

A task with an image is a container where containers can run; a task without one is a process.
A spec may name the executor; where it can't run, the refusal says what is lacking.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from pathlib import Path

from swarmd.agent.dataplane.plane import DataPlane, bridge_only
from swarmd.agent.executors.base import Controller, NodeContext, TaskFailure
from swarmd.agent.executors.containerd.engine import Engine
from swarmd.agent.executors.containerd.executor import ContainerdExecutor
from swarmd.agent.executors.containerd.forwarder import Forwarder
from swarmd.agent.executors.containerd.installation import Installation, find_installation
from swarmd.agent.executors.process import ProcessExecutor
from swarmd.agent.executors.process_network import ProcessNetwork
from swarmd.agent.files import NodeFiles
from swarmd.agent.images.cleaner import Cleaner
from swarmd.agent.images.mirrors import Mirrors
from swarmd.agent.images.puller import Puller
from swarmd.agent.images.store import ImageStore
from swarmd.agent.leases import Leases
from swarmd.agent.policy import NodePolicy
from swarmd.agent.volumes.mounting import Mounter
from swarmd.agent.volumes.store import VolumeStore
from swarmd.lb.kernel import Balancer
from swarmd.model import defaults
from swarmd.model.ids import NodeId, TaskId
from swarmd.model.image_disk import DEFAULT_IMAGE_DISK, ImageDisk
from swarmd.model.states import Protocol
from swarmd.model.task import Task
from swarmd.runtime.chance import RandomIds
from swarmd.runtime.clock import Clock

PROCESS, CONTAINERD = "process", "containerd"


class NodeExecutor:
    """Processes always, containers where they can run.

    Args:
        make_proxy: for the ports of the node that lead to containers.
        found: what to run containers by, or why there can't be any.
        files: the secrets and configs of the node's tasks.
        mirrors: of registries, for the images of containers.
        policy: what tasks may have of the node; without, what the cluster allows.
        image_disk: how full the disk may be before images go.
        plane: connects tasks; without, to the node's bridge and nothing else.
        containerd_address: socket of a containerd to use; without, the node runs one of its own.
    """

    def __init__(
        self,
        directory: Path,
        node: NodeContext,
        *,
        make_proxy: Callable[[], Balancer],
        clock: Clock,
        published: Callable[[], Iterable[tuple[Protocol, int]]] = tuple,
        ports_start: int | None = None,
        leases: Leases | None = None,
        files: NodeFiles | None = None,
        found: Installation | str | None = None,
        containerd_address: str = "",
        policy: NodePolicy | None = None,
        mirrors: Mirrors | None = None,
        image_disk: ImageDisk = DEFAULT_IMAGE_DISK,
        plane: DataPlane | None = None,
    ) -> None:
        self.mirrors = mirrors if mirrors is not None else Mirrors()
        found = found if found is not None else find_installation()
        files = files if files is not None else NodeFiles()
        self.platform = node.platform
        self.volumes = VolumeStore(directory / "volumes", now=clock.now)
        if policy is None:
            policy = NodePolicy(node.hostname, protected=(directory,))
        mounter = Mounter(self.volumes, hostname=node.hostname, policy=policy)
        self.plane = plane or bridge_only(
            directory / "networks",
            node_id=NodeId(node.node_id),
            hostname=node.hostname,
            lacking="it was not asked for",
        )
        self._forwarder = forwarder = Forwarder(node.node_id, make_proxy)
        self.processes = ProcessExecutor(
            directory,
            node,
            published=published,
            ports_start=ports_start,
            leases=leases,
            files=files,
            mounter=mounter,
            network=ProcessNetwork(directory / "etc", node, self.plane, forwarder),
        )
        self._lacking = found if isinstance(found, str) else ""
        self.containers: ContainerdExecutor | None = None
        self.images: ImageStore | None = None
        self.puller: Puller | None = None
        self.cleaner: Cleaner | None = None
        if isinstance(found, str):
            return
        engine = Engine(directory / "containerd", found, address=containerd_address)
        images = ImageStore(engine, node.platform, lease_id=RandomIds().new, now=clock.now)
        downloads = directory / "downloads"
        self.cleaner = Cleaner(
            images,
            directory,
            downloads=downloads,
            in_use=lambda: self.containers.images_in_use() if self.containers else (),
            now=clock.now,
            limits=image_disk,
        )
        self.puller = Puller(
            images,
            downloads,
            node.platform,
            mirrors=self.mirrors,
            on_pulled=self.cleaner.look,
            on_full=self.cleaner.look,
            now=clock.now,
        )
        self.images = images
        self.containers = ContainerdExecutor(
            directory / "containers",
            node,
            engine=engine,
            installation=found,
            puller=self.puller,
            plane=self.plane,
            forwarder=forwarder,
            keeper=self.processes.link,
            ports=self.processes.ports,
            mounter=mounter,
            node_files=files,
            policy=policy,
            leases=self.processes.leases,
            logs=directory / "logs",
            published=published,
        )
        self._runtime = os.path.basename(found.runtime)
        self.processes.on_keeper = self.containers.keeper_renewed

    @property
    def why_no_images(self) -> str:
        """A phrase saying why images are of no use here; empty where they are."""
        return self._lacking

    def describe(self) -> str:
        name, _, reason = self.processes.describe().partition(" (")
        reason = reason.removesuffix(")")
        if self.containers is None:
            return f"{name} ({self._lacking}; {reason})"
        engine = self.containers.engine
        version = f" {engine.version}" if engine.version else ""
        own = "its own" if engine.is_own else f"at {engine.socket}"
        return (
            f"{CONTAINERD} ({own}{version} with {self._runtime}, started when first needed; "
            f"processes: {reason})"
        )

    def log_directory(self, task_id: TaskId) -> Path:
        return self.processes.log_directory(task_id)

    async def start(self) -> frozenset[TaskId]:
        """Get ready; returns the tasks of which something is left here, running or not."""
        processes = await self.processes.start()
        containers = await self.containers.start() if self.containers else frozenset[TaskId]()
        if self.cleaner is not None:
            await self.cleaner.sweep(containers)
        return processes | containers | self.plane.left()

    def controller(self, task: Task) -> Controller:
        """The controller of `task`; raises TaskFailure for a spec that can never run here."""
        spec = defaults.container(task.spec)
        if self.containers is not None:
            wants_container = spec.executor == CONTAINERD or (
                not spec.executor and bool(spec.image)
            )
            if wants_container:
                return self.containers.controller(task)
        elif spec.executor == CONTAINERD:
            raise TaskFailure(
                f"{self._lacking}; mend that, or constrain the service to nodes that run containers"
            )
        return self.processes.controller(task)

    async def destroy(self, task_id: TaskId) -> None:
        """End a task nobody has a record of, at once, and delete what it leaves behind."""
        if self.containers is not None and self.containers.owns(task_id):
            await self.containers.destroy(task_id)
        else:
            await self.processes.destroy(task_id)

    async def addresses_changed(self) -> None:
        """The node has got or lost addresses: ports that are published on some go with them."""
        await self._forwarder.addresses_changed()

    async def close(self) -> None:
        """Let go without touching any task."""
        if self.containers is not None:
            await self.containers.close()
        await self.processes.close()

    async def retire(self) -> None:
        """End what outlives the daemon beside tasks, of which there are none any more."""
        if self.containers is not None:
            await self.containers.retire()
        await self.plane.remove()
