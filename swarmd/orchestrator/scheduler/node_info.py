"""What the scheduler knows of each node: its record and the load that tasks put on it.

Load is tracked by task id, so counting a task twice changes nothing and a placement planned but
not committed can be taken back. A task takes up resources while it is on a node and not yet
stopped, whatever is wanted of it; it counts as active while it is wanted to run.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import NamedTuple

from swarmd.model import defaults
from swarmd.model.ids import NodeId, ServiceId, TaskId
from swarmd.model.instant import MINUTE, Instant
from swarmd.model.node import Node
from swarmd.model.spec import PortConfig, Resources
from swarmd.model.states import Availability, NodeState, PublishMode, TaskState
from swarmd.model.task import Task

FAILURE_WINDOW_NS = 5 * MINUTE
FAILURES_REMEMBERED_MAX = 64  # per node and service version; more than the rule ever looks at

HostPort = tuple[str, int]
Version = tuple[ServiceId, int]


class Load(NamedTuple):
    """What one task takes up on its node."""

    service_id: ServiceId
    nano_cpus: int
    memory_bytes: int
    active: bool
    ports: tuple[HostPort, ...]


def host_ports(ports: tuple[PortConfig, ...]) -> tuple[HostPort, ...]:
    """The ports a task takes on its node itself, rather than through balancing."""
    return tuple(
        (port.protocol.value, port.published_port)
        for port in ports
        if port.publish_mode is PublishMode.HOST and port.published_port
    )


def load_of(task: Task) -> Load | None:
    """What `task` takes up on its node; None when it isn't assigned yet or has stopped."""
    if not task.node_id or not TaskState.ASSIGNED <= task.status.state <= TaskState.RUNNING:
        return None
    reserved = defaults.reservations(task.spec)
    return Load(
        service_id=task.service_id,
        nano_cpus=reserved.nano_cpus,
        memory_bytes=reserved.memory_bytes,
        active=task.desired_state <= TaskState.COMPLETE,
        ports=host_ports(task.ports) if task.ports else (),
    )


class NodeInfo:
    """One node with the load on it."""

    __slots__ = ("active", "active_of", "cpus", "failures", "loads", "memory", "node", "used_ports")

    def __init__(self, node: Node) -> None:
        self.node = node
        self.loads: dict[TaskId, Load] = {}
        self.cpus = 0  # reserved, in billionths
        self.memory = 0  # reserved bytes
        self.active = 0
        self.active_of: dict[ServiceId, int] = {}
        self.used_ports: dict[HostPort, int] = {}
        self.failures: dict[Version, deque[Instant]] = {}

    @property
    def ready(self) -> bool:
        """Whether new tasks may come here at all."""
        node = self.node
        return (
            node.status.state is NodeState.READY and node.spec.availability is Availability.ACTIVE
        )

    @property
    def resources(self) -> Resources:
        """What the node has in total; nothing while it has not described itself."""
        description = self.node.description
        return (description.resources if description else None) or defaults.NO_RESOURCES

    def put(self, task_id: TaskId, load: Load) -> None:
        """Count `load` for the task, in place of what was counted for it before."""
        if task_id in self.loads:
            self.drop(task_id)
        self.loads[task_id] = load
        self.cpus += load.nano_cpus
        self.memory += load.memory_bytes
        if load.active:
            self.active += 1
            self.active_of[load.service_id] = self.active_of.get(load.service_id, 0) + 1
        for port in load.ports:
            self.used_ports[port] = self.used_ports.get(port, 0) + 1

    def drop(self, task_id: TaskId) -> None:
        """Stop counting the task; nothing happens if it was not counted."""
        load = self.loads.pop(task_id, None)
        if load is None:
            return
        self.cpus -= load.nano_cpus
        self.memory -= load.memory_bytes
        if load.active:
            self.active -= 1
            _decrement(self.active_of, load.service_id)
        for port in load.ports:
            _decrement(self.used_ports, port)

    def note_failure(self, version: Version, at: Instant) -> None:
        """Remember that a task of this service version failed here."""
        times = self.failures.get(version)
        if times is None:
            times = self.failures[version] = deque(maxlen=FAILURES_REMEMBERED_MAX)
        times.append(at)

    def failures_of(self, version: Version, now: Instant) -> int:
        """Failures of this service version here in the last five minutes; forgets older ones."""
        times = self.failures.get(version)
        if times is None:
            return 0
        while times and times[0] <= now - FAILURE_WINDOW_NS:
            times.popleft()
        if not times:
            del self.failures[version]
            return 0
        return len(times)


class Fleet:
    """All nodes with their loads, kept up to date task by task."""

    def __init__(self) -> None:
        self._infos: dict[NodeId, NodeInfo] = {}
        self._where: dict[TaskId, NodeId] = {}

    def __iter__(self) -> Iterator[NodeInfo]:
        return iter(self._infos.values())

    def find(self, node_id: NodeId) -> NodeInfo | None:
        return self._infos.get(node_id)

    def put_node(self, node: Node) -> bool:
        """Take over a node's record; True if the node is new and its tasks must be tracked."""
        info = self._infos.get(node.id)
        if info is None:
            self._infos[node.id] = NodeInfo(node)
            return True
        info.node = node
        return False

    def drop_node(self, node_id: NodeId) -> None:
        info = self._infos.pop(node_id, None)
        for task_id in info.loads if info else ():
            self._where.pop(task_id, None)

    def track(self, task: Task) -> None:
        """Count what the task takes up now, wherever it was counted before."""
        load = load_of(task)
        if load is None:
            self.forget(task.id)
            return
        before = self._where.get(task.id)
        if before is not None and before != task.node_id:
            self.forget(task.id)
        info = self._infos.get(task.node_id)
        if info is not None:
            info.put(task.id, load)
            self._where[task.id] = task.node_id

    def forget(self, task_id: TaskId) -> None:
        node_id = self._where.pop(task_id, None)
        if node_id is not None:
            self._infos[node_id].drop(task_id)


def _decrement(counts: dict[ServiceId, int] | dict[HostPort, int], key: object) -> None:
    left = counts[key] - 1  # type: ignore[index]
    if left:
        counts[key] = left  # type: ignore[index]
    else:
        del counts[key]  # type: ignore[arg-type]
