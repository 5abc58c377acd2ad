"""What a node knows of one network it takes part in: who is on it, where, and under which names.

The table is made from committed state by a manager and travels in versions, as told in
docs/design/dataplane.md. Everything on a node that has to do with the network follows from it:
forwarding and neighbour entries, virtual addresses, names.

Addresses are text without a prefix length, IPv4 or IPv6; rows without an address of a family have
no place in it.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from ipaddress import ip_address

from msgspec import Struct

from swarmd.model.ids import NetworkId, NodeId, ServiceId, TaskId
from swarmd.model.network import Mechanism
from swarmd.model.states import Balance, Protocol

IPV4 = 4
ADDRESSES_REMEMBERED = 8192  # of which something was worked out before


class Subnet(Struct, frozen=True, gc=False):
    """A block of addresses, its gateway, and the number of its VXLAN (0: it has none)."""

    cidr: str
    gateway: str = ""
    vxlan_id: int = 0


class Peer(Struct, frozen=True, gc=False):
    """A node that takes part in the network."""

    node_id: NodeId
    underlay: str  # where it takes encapsulated packets; empty while it is down
    addresses: tuple[str, ...] = ()  # its own on this network, for balancing and routing
    stream: str = ""  # host:port where it takes tunnels; empty: it takes none


class ServicePort(Struct, frozen=True, gc=False):
    """A port of the service as its clients on the network see it; a name for SRV, or none."""

    protocol: Protocol
    target_port: int
    published_port: int = 0
    name: str = ""


class ServiceRow(Struct, frozen=True, gc=False):
    """A service on the network. Without virtual addresses its name stands for its tasks."""

    service_id: ServiceId
    name: str
    aliases: tuple[str, ...] = ()
    virtual_ips: tuple[str, ...] = ()
    ports: tuple[ServicePort, ...] = ()
    balance: Balance = Balance.ROUND_ROBIN


class Endpoint(Struct, frozen=True, gc=False):
    """A task on the network, from its placement until it has stopped for good.

    While `ready` it is balanced to and found under its service's name; before and after that it
    can merely be reached, so that what is under way ends well.
    """

    task_id: TaskId
    service_id: ServiceId
    node_id: NodeId
    addresses: tuple[str, ...]
    names: tuple[str, ...] = ()  # of this task alone: its own, its hostname, its ordinal's
    aliases: tuple[str, ...] = ()  # shared with the other tasks of the service
    ready: bool = False
    weight: int = 1  # at least 1: its share of new connections


class NetworkTable(Struct, frozen=True):
    """One network at one version (a log index). Mappings are never changed in place."""

    network_id: NetworkId
    name: str
    version: int = 0
    subnets: tuple[Subnet, ...] = ()
    internal: bool = False
    ingress: bool = False
    attachable: bool = False
    encrypted: bool = False
    mechanism: Mechanism | None = None  # of its encryption; None: none, or one we don't know
    mtu: int = 0  # 0: what the underlay leaves
    peers: Mapping[NodeId, Peer] = {}
    services: Mapping[ServiceId, ServiceRow] = {}
    endpoints: Mapping[TaskId, Endpoint] = {}


@lru_cache(maxsize=ADDRESSES_REMEMBERED)
def mac_of(address: str) -> str:
    """The hardware address of whoever has this address on an overlay.

    It follows from the address, so peers are programmed before the interface exists. Who has
    addresses of both families goes by the IPv4 one; IPv6 alone shows its last four bytes, which
    the allocator gives in order, under another prefix.
    """
    known = ip_address(address)
    prefix = "02:42" if known.version == IPV4 else "02:46"
    return ":".join((prefix, *(f"{byte:02x}" for byte in known.packed[-4:])))
