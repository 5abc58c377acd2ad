"""Tasks: one attempt at running a slot of a service on a node."""

from __future__ import annotations

from collections.abc import Mapping

from swarmd.model.ids import NodeId, ServiceId, TaskId
from swarmd.model.instant import Instant
from swarmd.model.network import NetworkAttachment, VirtualIP
from swarmd.model.record import Record
from swarmd.model.spec import EndpointSpec, GenericResource, LogDriver, PortConfig, TaskSpec
from swarmd.model.states import TaskState

# Begins the message of a task that is to stop and goes on with the connections it has.
DRAINING = "draining"


class ContainerStatus(Record, frozen=True):
    container_id: str = ""
    pid: int = 0
    exit_code: int = 0


class TaskStatus(Record, frozen=True):
    """What was last seen of a task.

    `message` says how far it got; `err` says why it isn't running, in words a user can act on.
    `ports` are the ports on the node at which the task can be reached (published = node's port).
    """

    state: TaskState = TaskState.NEW
    timestamp: Instant = Instant(0)
    message: str = ""
    err: str = ""
    container: ContainerStatus | None = None
    ports: tuple[PortConfig, ...] = ()
    applied_by: NodeId = NodeId("")  # the leader that recorded an agent's report
    applied_at: Instant = Instant(0)
    unready: str = ""  # why a running task gets no connections; empty while it does
    # Its target ports at which it answers over IPv6, too; nothing but these and their protocols.
    ipv6_ports: tuple[PortConfig, ...] = ()


class Task(Record, frozen=True):
    """Never created through the API; `spec` is shared by all tasks of one service version."""

    id: TaskId
    version: int = 0  # log index of the last change
    created_at: Instant = Instant(0)
    updated_at: Instant = Instant(0)
    service_id: ServiceId = ServiceId("")
    slot: int = 0  # 1, 2, …; 0 for tasks bound to a node
    node_id: NodeId = NodeId("")  # empty until assigned
    spec: TaskSpec = TaskSpec()
    spec_version: int = 0  # Service.spec_version it was made from
    service_name: str = ""
    service_labels: Mapping[str, str] = {}
    desired_state: TaskState = TaskState.NEW
    status: TaskStatus = TaskStatus()
    endpoint_spec: EndpointSpec | None = None
    ports: tuple[PortConfig, ...] = ()  # endpoint_spec with published ports resolved
    virtual_ips: tuple[VirtualIP, ...] = ()  # the service's, as far as its networks are the task's
    log_driver: LogDriver | None = None
    networks: tuple[NetworkAttachment, ...] = ()
    assigned_generic_resources: tuple[GenericResource, ...] = ()
    job_iteration: int | None = None  # jobs and cron only: the run it belongs to
    ran_at: Instant = Instant(0)  # when it was first recorded as running; 0: never
    lease_ns: int = 0  # stateful only: its node stops it this long after losing the managers
    reserved_node_id: NodeId = NodeId("")  # while it waits: where room is being made for it
    replaces: TaskId = TaskId("")  # the task of its slot that stops once this one runs: a move
    desired_reason: str = ""  # why `desired_state` was last raised, for people
    allow: tuple[str, ...] = ()  # what the cluster allowed tasks to have of nodes when it was made

    @property
    def name(self) -> str:
        """`service.slot.id`, or `service.node.id` for a task bound to a node.

        A task of a stateful service has the name of its ordinal, which its successors share.
        """
        if self.lease_ns:
            return f"{self.service_name}-{self.ordinal}"
        return f"{self.service_name}.{self.slot or self.node_id}.{self.id}"

    @property
    def ordinal(self) -> int:
        """0, 1, …: which of the tasks of a stateful service it is."""
        return self.slot - 1
