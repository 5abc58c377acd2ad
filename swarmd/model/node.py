"""Nodes: what the operator wants of a machine, what it said of itself, and how it is doing."""

from __future__ import annotations

from collections.abc import Mapping

from swarmd.model.ids import NodeId
from swarmd.model.instant import Instant
from swarmd.model.network import NetworkAttachment
from swarmd.model.record import Record
from swarmd.model.spec import Platform, Resources
from swarmd.model.states import (
    Availability,
    IssuanceState,
    Membership,
    NodeState,
    Role,
    UpdateOrder,
)


class Oversell(Record, frozen=True):
    """How much of a node may be reserved, as multiples of what it has; 0 means not said here."""

    cpus: float = 0.0
    memory: float = 0.0


class NodeSpec(Record, frozen=True):
    name: str = ""
    labels: Mapping[str, str] = {}
    role: Role = Role.WORKER  # desired
    membership: Membership = Membership.ACCEPTED
    availability: Availability = Availability.ACTIVE
    taints: tuple[str, ...] = ()  # key[=value]:effect; what a task must tolerate to be here
    oversell: Oversell | None = None  # absent: the cluster's
    drain_order: UpdateOrder = UpdateOrder.STOP_FIRST


class PluginDescription(Record, frozen=True):
    type: str = ""
    name: str = ""


# What an agent lists if it ends tasks on a lease in time; other engines must not be given any.
LEASE_PLUGIN = PluginDescription(type="Lease", name="keeper")


# An agent lists a plugin of this kind for each way in which it can encrypt networks.
ENCRYPTION_PLUGIN = "Encryption"


class EngineDescription(Record, frozen=True):
    engine_version: str = ""
    labels: Mapping[str, str] = {}
    plugins: tuple[PluginDescription, ...] = ()


class NodeTLSInfo(Record, frozen=True):
    """Which root a node trusts and who issued its certificate (DER bytes)."""

    trust_root: bytes = b""
    cert_issuer_subject: bytes = b""
    cert_issuer_public_key: bytes = b""


class NodeDescription(Record, frozen=True):
    """Sent by the node's agent with every session."""

    hostname: str = ""
    platform: Platform | None = None
    resources: Resources | None = None
    engine: EngineDescription | None = None
    tls_info: NodeTLSInfo | None = None
    data_addr: str = ""  # where other nodes reach this node's task ports; empty: status.addr
    runtime: str = ""  # executor in use and why
    balancer: str = ""  # balancing back end in use and why
    tunnel_addr: str = ""  # host:port where the node takes tunnels of encrypted networks


class NodeStatus(Record, frozen=True):
    state: NodeState = NodeState.UNKNOWN
    message: str = ""
    addr: str = ""  # source address of the session
    since: Instant = Instant(0)  # when `state` was last changed


class NodeCertificate(Record, frozen=True):
    role: Role = Role.WORKER
    csr: bytes = b""
    status: IssuanceState = IssuanceState.UNKNOWN
    error: str = ""
    certificate: bytes = b""  # PEM: leaf, then any intermediate
    cn: str = ""


class Node(Record, frozen=True):
    id: NodeId
    version: int = 0
    created_at: Instant = Instant(0)
    updated_at: Instant = Instant(0)
    spec: NodeSpec = NodeSpec()
    description: NodeDescription | None = None  # absent until the first session
    status: NodeStatus = NodeStatus()
    role: Role = Role.WORKER  # the role the next certificate will carry
    certificate: NodeCertificate = NodeCertificate()
    attachments: tuple[NetworkAttachment, ...] = ()  # its balancing address on each network

    @property
    def hostname(self) -> str:
        return self.description.hostname if self.description else ""

    @property
    def data_addr(self) -> str:
        """The address at which other nodes reach ports of this node's tasks."""
        return (self.description.data_addr if self.description else "") or self.status.addr
