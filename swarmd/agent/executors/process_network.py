"""The network of a process task, where it isn't the node's own.

A process has a namespace when it is on overlays: made before it and entered between fork and exec.
It finds `hosts` and `resolv.conf` of its own over those of the node, and its ports of the node lead
to it by the userspace proxy, as with containers.
"""

from __future__ import annotations

import asyncio
import logging
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from swarmd.agent.core.launch import Launch
from swarmd.agent.dataplane.plane import DataPlane, Home
from swarmd.agent.executors.base import NodeContext, TaskFailure, TemporaryFailure
from swarmd.agent.executors.containerd.forwarder import Forwarder
from swarmd.agent.executors.resolving import hosts, node_resolv_conf, resolv_conf
from swarmd.model.ids import TaskId
from swarmd.model.spec import PortConfig
from swarmd.model.task import Task
from swarmd.network.kernel import netns
from swarmd.runtime.supervise import Supervisor

log = logging.getLogger(__name__)

ETC = Path("/etc")
RETRY_S = 0.2


class ProcessNetwork:
    """The namespaces of the process tasks of one node.

    Args:
        directory: for the files the tasks find in /etc.
    """

    def __init__(
        self, directory: Path, node: NodeContext, plane: DataPlane, forwarder: Forwarder
    ) -> None:
        self._directory = directory
        self._node = node
        self._plane = plane
        self._forwarder = forwarder
        self._homes: dict[TaskId, Home] = {}
        self._supervisor = Supervisor("process-networks")

    def home(self, task_id: TaskId) -> Home | None:
        """Where a task is; None while it has no namespace, or never will."""
        return self._homes.get(task_id)

    def check(self, task: Task, facts: Mapping[str, Any]) -> bool:
        """Whether the task gets a namespace.

        Raises:
            TaskFailure: it needs one and can't have it on this node.
            TemporaryFailure: not yet.
        """
        if not self._plane.wants_namespace(task, is_container=False):
            return False
        if "network" not in facts.get("can", ()):
            raise TemporaryFailure(
                "the keeper of this node's tasks is of an earlier version that knows no networks; "
                "it is replaced when its other tasks have ended"
            )
        if "mount" not in facts.get("namespaces", ()):
            raise TaskFailure(
                f"the task needs a mount namespace for its name server, which tasks of node "
                f"{self._node.hostname} can't have"
            )
        return True

    async def enter(self, task: Task, launch: Launch) -> dict[str, Any]:
        """Make the namespace of a task, if it isn't there; what the keeper is to be told of it.

        Raises:
            TaskFailure, TemporaryFailure
        """
        home = self._homes.get(task.id)
        if home is None or not netns.exists(home.place.namespace):
            home = await self._plane.attach(task)
            self._homes[task.id] = home
        directory = self._directory / task.id
        await asyncio.to_thread(_write, directory, launch, home, self._node.hostname)
        return {
            "network": str(home.place.namespace),
            "mounts": [
                _over(directory / name, ETC / name)
                for name in ("hosts", "resolv.conf")
                if (ETC / name).exists()
            ],
        }

    async def forward(self, task_id: TaskId, ports: tuple[PortConfig, ...]) -> None:
        """Lead the task's ports of the node to it, as far as the node reaches it."""
        home = self._homes.get(task_id)
        if home is not None and home.place.address is not None:
            await self._forwarder.add(task_id, home.place.address, ports)

    def adopt(self, task: Task, pid: int, ports: tuple[PortConfig, ...]) -> None:
        """Take over a task that runs already."""
        if task.id not in self._homes and self._wants(task):
            self._supervisor.spawn(self._adopt(task, pid, ports), name=f"adopt.{task.id}")

    def ended(self, task_id: TaskId) -> None:
        """The task has ended: nobody is led there any more."""
        if task_id in self._homes:
            self._plane.withdraw(task_id)
            self._supervisor.spawn(self._forwarder.remove(task_id), name=f"unforward.{task_id}")

    async def leave(self, task_id: TaskId) -> None:
        """Take away the namespace of a task that has ended; without one, nothing happens."""
        if self._homes.pop(task_id, None) is None and task_id not in self._plane.left():
            return
        await self._forwarder.remove(task_id)
        while True:
            try:
                await self._plane.detach(task_id)
                break
            except TemporaryFailure as error:
                log.warning("task.detach.delayed task.id=%s reason=%s", task_id, error)
            await asyncio.sleep(RETRY_S)
        await asyncio.to_thread(shutil.rmtree, self._directory / task_id, ignore_errors=True)

    async def close(self) -> None:
        """Let go; tasks keep their networks."""
        await self._supervisor.stop()
        await self._forwarder.close()

    def _wants(self, task: Task) -> bool:
        try:
            return self._plane.wants_namespace(task, is_container=False)
        except TaskFailure:
            return False  # it began when the node had more to offer, and goes on without

    async def _adopt(self, task: Task, pid: int, ports: tuple[PortConfig, ...]) -> None:
        home = await self._plane.adopt(task, pid=pid)
        if home is not None:
            self._homes[task.id] = home
            await self.forward(task.id, ports)


def own_ports(ports: tuple[PortConfig, ...]) -> tuple[PortConfig, ...]:
    """The ports as a task finds them that has all ports to itself."""
    return tuple(replace(port, published_port=port.target_port) for port in ports)


def _write(directory: Path, launch: Launch, home: Home, hostname: str) -> None:
    directory.mkdir(mode=0o755, parents=True, exist_ok=True)
    texts = {
        "hosts": hosts(
            launch.spec.hosts, hostname=launch.hostname or hostname, address=home.address
        ),
        "resolv.conf": resolv_conf(
            launch.spec.dns_config, node=node_resolv_conf(), nameserver=home.nameserver
        ),
    }
    for name, text in texts.items():
        path = directory / name
        path.write_text(text)
        path.chmod(0o644)


def _over(source: Path, target: Path) -> dict[str, Any]:
    return {
        "kind": "bind",
        "source": str(source),
        "target": str(target),
        "read_only": True,
        "recursive": False,
        "propagation": "rprivate",
    }
