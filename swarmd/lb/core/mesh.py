"""The mesh as the kernel does it: which published ports lead to which tasks, and by which way.

A connection enters at any node, in whose ingress namespace it gets its target. A target on another
node is reached by that node's ingress namespace, which remembers by the frame's sender where the
connection came in, and sends the answers back there. So nobody needs to hide the client's address.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable, Mapping, Set
from ipaddress import ip_address, ip_network

from msgspec import Struct

from swarmd.lb.core.plan import PortKey
from swarmd.lb.core.tables import ServiceEndpoints, Tables
from swarmd.lb.core.virtual import is_ipv4
from swarmd.model.ids import NodeId, ServiceId
from swarmd.model.states import PortPolicy
from swarmd.network.core.tables import Endpoint, NetworkTable


class Source(enum.Enum):
    """Which address a task sees for a client that came through the mesh."""

    KEEP = "keep"
    MASQUERADE = "masquerade"  # of the node at which the client entered


class MeshPort(Struct, frozen=True, gc=False):
    """A published port and the tasks behind it; there is at least one."""

    key: PortKey
    target_port: int
    targets: tuple[str, ...]
    source: Source = Source.KEEP
    addresses: tuple[str, ...] | None = None  # of the node, that answer; None: all

    @property
    def ipv4(self) -> tuple[str, ...] | None:
        """Those of `addresses` that the kernel leads on."""
        return None if self.addresses is None else tuple(filter(is_ipv4, self.addresses))


class MeshPeer(Struct, frozen=True, gc=False):
    """Another node's ingress namespace. `number` is its place in the subnet, hence unique."""

    number: int
    address: str


class MeshState(Struct, frozen=True):
    """What the kernel of one node should hold for the mesh."""

    own: str  # this node's address on the ingress network
    subnet: str
    ports: tuple[MeshPort, ...] = ()
    peers: tuple[MeshPeer, ...] = ()
    ways: Mapping[str, str] = {}  # a task elsewhere → the ingress namespace of its node
    # A task of this node that takes no new connections → tasks that do, for nodes that are late.
    rescue: Mapping[str, tuple[str, ...]] = {}


class Split(Struct, frozen=True):
    """Who answers which ports: the kernel, or the proxy, which has `rest` as its table."""

    ports: tuple[MeshPort, ...]
    rest: Tables


def split(published: Tables) -> Split:
    """Ports whose tasks all have an ingress address are the kernel's.

    The rest is the proxy's, which reaches tasks by their nodes, and refuses where there are none.
    """
    ports: list[MeshPort] = []
    rest: dict[ServiceId, ServiceEndpoints] = {}
    for row in published.services.values():
        targets = tuple(backend.ingress_address for backend in row.backends)
        if targets and all(targets):
            ports += (
                MeshPort(
                    key=PortKey(port.protocol, port.published_port),
                    target_port=port.target_port,
                    targets=targets,
                    source=_source(port.policy),
                    addresses=port.addresses,
                )
                for port in row.ports
            )
        else:
            rest[row.service_id] = row
    return Split(ports=tuple(ports), rest=Tables(published.version, rest))


def _source(policy: PortPolicy) -> Source:
    return Source.MASQUERADE if policy is PortPolicy.MASQUERADE else Source.KEEP


def mesh_state(
    ports: Iterable[MeshPort],
    ingress: NetworkTable,
    node_id: NodeId,
    stopped: Mapping[str, ServiceId],
    coming: Set[str] = frozenset(),
) -> MeshState | None:
    """The state of a node's mesh; None while the node has no address on the ingress network.

    Args:
        stopped: addresses of tasks of this node that have stopped lately, and their services.
        coming: addresses of those that have never been ready. Others may know sooner than this
            node that they are; what they send there is not led on.
    """
    me = ingress.peers.get(node_id)
    own = _ipv4(me.addresses) if me is not None else ""
    subnet = next((row.cidr for row in ingress.subnets if is_ipv4(row.cidr)), "")
    if not own or not subnet:
        return None
    gateways = {
        peer.node_id: _ipv4(peer.addresses)
        for peer in ingress.peers.values()
        if peer.node_id != node_id
    }
    base = int(ip_network(subnet).network_address)
    return MeshState(
        own=own,
        subnet=subnet,
        ports=tuple(ports),
        peers=tuple(
            MeshPeer(number=int(ip_address(address)) - base, address=address)
            for address in gateways.values()
            if address
        ),
        ways={
            address: gateways[endpoint.node_id]
            for endpoint in ingress.endpoints.values()
            if gateways.get(endpoint.node_id)
            for address in endpoint.addresses
            if is_ipv4(address)
        },
        rescue={
            address: targets
            for address, targets in _rescue(ingress, node_id, stopped).items()
            if address not in coming
        },
    )


def _rescue(
    ingress: NetworkTable, node_id: NodeId, stopped: Mapping[str, ServiceId]
) -> dict[str, tuple[str, ...]]:
    ready: dict[ServiceId, list[str]] = {}
    leaving: dict[str, ServiceId] = dict(stopped)
    for endpoint in ingress.endpoints.values():
        address = _ipv4(endpoint.addresses)
        if endpoint.ready and address:
            ready.setdefault(endpoint.service_id, []).append(address)
        elif _is_leaving(endpoint, node_id) and address:
            leaving[address] = endpoint.service_id
    return {
        address: tuple(sorted(ready[service_id]))
        for address, service_id in leaving.items()
        if service_id in ready
    }


def _is_leaving(endpoint: Endpoint, node_id: NodeId) -> bool:
    return endpoint.node_id == node_id and not endpoint.ready


def _ipv4(addresses: Iterable[str]) -> str:
    return next((address for address in addresses if is_ipv4(address)), "")
