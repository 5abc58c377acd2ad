"""What a task takes up on its node, and what all tasks of a service version have in common."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from swarmd.model import defaults
from swarmd.model.ids import NodeId, ServiceId
from swarmd.model.spec import GenericResource, PortConfig, TaskSpec
from swarmd.model.states import PublishMode, TaskState
from swarmd.model.task import Task
from swarmd.orchestrator.generic import claims_of, wanted_of

HostPort = tuple[str, int]
Version = tuple[ServiceId, int]


class Kind:
    """One service version: what affinities look at, and where its tasks are.

    Compared by identity; every load on a fleet points to the kind of its task.
    """

    __slots__ = (
        "image",
        "labels",
        "nodes",
        "service_id",
        "service_name",
        "spec",
        "tasks",
        "version",
    )

    def __init__(self, task: Task) -> None:
        self.service_id = task.service_id
        self.version: Version = (task.service_id, task.spec_version)
        self.service_name = task.service_name
        self.spec: TaskSpec = task.spec
        self.labels: tuple[Mapping[str, str], ...] = (task.service_labels,)
        container = task.spec.container_spec
        self.image = container.image if container is not None else ""
        if container is not None and container.labels:
            self.labels = (task.service_labels, container.labels)
        self.tasks = 0  # loads that point here
        self.nodes: dict[NodeId, int] = {}  # active tasks of this kind

    def is_of(self, spec: TaskSpec) -> bool:
        return self.spec is spec or self.spec == spec


class Load(NamedTuple):
    """What one task takes up on its node; `active` while it is wanted to run."""

    kind: Kind
    slot: int
    nano_cpus: int
    memory_bytes: int
    active: bool
    ports: tuple[HostPort, ...]
    generic: tuple[GenericResource, ...]


def host_ports(ports: tuple[PortConfig, ...]) -> tuple[HostPort, ...]:
    """The ports a task takes on its node itself, rather than through balancing."""
    return tuple(
        (port.protocol.value, port.published_port)
        for port in ports
        if port.publish_mode is PublishMode.HOST and port.published_port
    )


def place_of(task: Task) -> NodeId:
    """The node on which a task takes up something; empty if there is none.

    That is the node it was assigned to, until it has stopped, and before that the node on which
    room is kept for it.
    """
    if not task.service_id:
        return NodeId("")  # a place in networks and nothing else
    if task.status.state < TaskState.ASSIGNED:
        return task.reserved_node_id
    return task.node_id if task.status.state <= TaskState.RUNNING else NodeId("")


def load_of(task: Task, kind: Kind) -> Load:
    """What a task takes up at its place; while it waits, so many of each generic resource."""
    reserved = defaults.reservations(task.spec)
    generic = task.assigned_generic_resources
    if task.status.state < TaskState.ASSIGNED and reserved.generic_resources:
        generic = claims_of(wanted_of(reserved))
    return Load(
        kind,
        task.slot,
        reserved.nano_cpus,
        reserved.memory_bytes,
        task.desired_state <= TaskState.COMPLETE,
        host_ports(task.ports) if task.ports else (),
        generic,
    )
