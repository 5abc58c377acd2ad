"""What the scheduler knows of one node: its record and the load that tasks put on it.

Load is tracked by task id, so counting a task twice changes nothing and a placement planned but
not committed can be taken back. A task takes up resources while it is on a node and not yet
stopped, whatever is wanted of it; it counts as active while it is wanted to run.
"""

from __future__ import annotations

from swarmd.model import defaults
from swarmd.model.ids import ServiceId, TaskId
from swarmd.model.node import Node, Oversell
from swarmd.model.states import Availability, NodeState
from swarmd.orchestrator.capacity import NO_OVERSELL, capacity
from swarmd.orchestrator.generic import Stock
from swarmd.orchestrator.scheduler.load import HostPort, Load


class NodeInfo:
    """One node with the load on it; only its fleet changes it.

    `cpus_total` and `memory_total` are what may be reserved: what there is, times the oversell
    ratios of the node or else of the cluster.
    """

    __slots__ = (
        "active",
        "active_of",
        "cpus",
        "cpus_total",
        "id",
        "loads",
        "memory",
        "memory_total",
        "node",
        "ready",
        "stock",
        "used_ports",
    )

    def __init__(self, node: Node, oversell: Oversell = NO_OVERSELL) -> None:
        self.id = node.id
        self.loads: dict[TaskId, Load] = {}
        self.cpus = 0  # reserved, in billionths
        self.memory = 0  # reserved bytes
        self.active = 0
        self.active_of: dict[ServiceId, int] = {}
        self.used_ports: dict[HostPort, int] = {}
        self.stock = Stock()
        self.describe(node, oversell)

    def describe(self, node: Node, oversell: Oversell) -> None:
        """Take over the node's record as it is now; `oversell` is the cluster's."""
        self.node = node
        self.ready = (
            node.status.state is NodeState.READY and node.spec.availability is Availability.ACTIVE
        )
        self.cpus_total, self.memory_total = capacity(node, oversell)
        described = node.description.resources if node.description else None
        self.stock.describe(described or defaults.NO_RESOURCES)

    def put(self, task_id: TaskId, load: Load) -> None:
        """Count `load` for the task, which is not counted here yet."""
        if task_id in self.loads:
            raise AssertionError(f"task {task_id} is counted on node {self.id} already")
        self.loads[task_id] = load
        self.cpus += load.nano_cpus
        self.memory += load.memory_bytes
        if load.active:
            service_id = load.kind.service_id
            self.active += 1
            self.active_of[service_id] = self.active_of.get(service_id, 0) + 1
        for port in load.ports:
            self.used_ports[port] = self.used_ports.get(port, 0) + 1
        if load.generic:
            self.stock.hold(load.generic, 1)

    def drop(self, task_id: TaskId) -> Load:
        """Stop counting the task, which is counted here."""
        load = self.loads.pop(task_id)
        self.cpus -= load.nano_cpus
        self.memory -= load.memory_bytes
        if load.active:
            self.active -= 1
            _decrement(self.active_of, load.kind.service_id)
        for port in load.ports:
            _decrement(self.used_ports, port)
        if load.generic:
            self.stock.hold(load.generic, -1)
        return load


def _decrement(counts: dict[ServiceId, int] | dict[HostPort, int], key: object) -> None:
    left = counts[key] - 1  # type: ignore[index]
    if left:
        counts[key] = left  # type: ignore[index]
    else:
        del counts[key]  # type: ignore[arg-type]
