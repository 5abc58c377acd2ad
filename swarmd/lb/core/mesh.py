"""The mesh as the kernel does it: which published ports lead to which tasks, and by which way.

A connection enters at any node, in whose ingress namespace it gets its target. A target on another
node is reached by that node's ingress namespace, which remembers by the frame's sender where the
connection came in, and sends the answers back there. So nobody needs to hide the client's address.

IPv4 and IPv6 are two meshes beside each other, made alike. The one of IPv6 has those ports whose
tasks all answer there; it needs the addresses of the ingress network to come in pairs.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable, Iterator, Mapping, Set
from functools import lru_cache
from ipaddress import IPv4Address, ip_network

from msgspec import Struct
from msgspec.structs import replace

from swarmd.lb.core.balance import from_place, ring, start_of
from swarmd.lb.core.plan import PortKey, weights_of
from swarmd.lb.core.tables import ServiceEndpoints, Tables
from swarmd.lb.core.virtual import is_ipv4, mark_of
from swarmd.model.ids import NodeId, ServiceId
from swarmd.model.states import Balance, PortPolicy
from swarmd.network.core.dual import four_of
from swarmd.network.core.tables import (
    ADDRESSES_REMEMBERED,
    IPV4,
    Endpoint,
    NetworkTable,
    mac_of,
)

IPV6 = 6
# A packet's mark is a peer's number or, with any of these bits, something else; a connection's is
# the number of the peer it came from or, with any of them, that of its target. Numbers do without
# these bits, as no subnet may be larger than a /8.
NOT_A_PEER = 0xFF00_0000


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
    ipv6: bool = False  # whether all tasks answer clients that come by IPv6
    balance: Balance = Balance.ROUND_ROBIN
    weights: tuple[int, ...] = ()  # of the targets; empty: they all have the same

    def round(self, own: str) -> tuple[str, ...]:
        """Targets in the order in which a node leads connections to them, or finds them by hash.

        Args:
            own: its address on the ingress network. Each node begins elsewhere, but hashes lead
                to the same task whichever it is.
        """
        turns = ring(self.targets, self.weights) if self.weights else self.targets
        if self.balance is Balance.SOURCE_HASH:
            return turns
        return from_place(turns, start_of(own, str(self.key)))

    def located(self, version: int) -> tuple[str, ...] | None:
        """Those of `addresses` that are of one family."""
        if self.addresses is None:
            return None
        return tuple(one for one in self.addresses if is_ipv4(one) == (version == IPV4))


class MeshPeer(Struct, frozen=True, gc=False):
    """Another node's ingress namespace. `number` is its place in the IPv4 subnet, hence unique."""

    number: int
    address: str
    mac: str


class MeshState(Struct, frozen=True):
    """What the kernel of one node should hold for the mesh of one family of addresses."""

    own: str  # this node's address on the ingress network
    subnet: str
    ports: tuple[MeshPort, ...] = ()
    peers: tuple[MeshPeer, ...] = ()
    ways: Mapping[str, str] = {}  # a task elsewhere → the ingress namespace of its node
    # A task of this node that takes no new connections → tasks that do, for nodes that are late.
    rescue: Mapping[str, tuple[str, ...]] = {}

    @property
    def version(self) -> int:
        """The family: 4 or 6."""
        return IPV4 if is_ipv4(self.own) else IPV6


class MeshSide(Struct, frozen=True):
    """The mesh of one family, and those of its ports which the node's own namespace leads there."""

    state: MeshState
    ports: tuple[MeshPort, ...] = ()


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
                    ipv6=all(
                        backend.answers_ipv6(port.protocol, port.target_port)
                        for backend in row.backends
                    ),
                    balance=row.balance,
                    weights=weights_of(row),
                )
                for port in row.ports
            )
        else:
            rest[row.service_id] = row
    return Split(ports=tuple(ports), rest=Tables(published.version, rest))


def _source(policy: PortPolicy) -> Source:
    return Source.MASQUERADE if policy is PortPolicy.MASQUERADE else Source.KEEP


def mark_of_target(address: str) -> int:
    """The mark of connections to a task; both of its addresses have the same if one follows from
    the other."""
    return mark_of(four_of(address))


def mesh_state(
    ports: Iterable[MeshPort],
    ingress: NetworkTable,
    node_id: NodeId,
    stopped: Mapping[str, Endpoint],
    coming: Set[str] = frozenset(),
    *,
    version: int = IPV4,
) -> MeshState | None:
    """The state of a node's mesh; None while the node has no such address on the ingress network.

    Args:
        ports: by the IPv4 addresses of their tasks.
        stopped: addresses of tasks that have stopped lately, and what they were. Their nodes lead
            on what still comes there.
        coming: addresses of those that have never been ready. Others may know sooner than this
            node that they are; what they send there is not led on.
        version: the family of addresses.
    """
    me = ingress.peers.get(node_id)
    own = _first(me.addresses, version) if me is not None else ""
    blocks = tuple(row.cidr for row in ingress.subnets)
    subnet, base = _first(blocks, version), _first(blocks, IPV4)
    if not own or not subnet or not base:
        return None
    gateways = {
        peer.node_id: _first(peer.addresses, version)
        for peer in ingress.peers.values()
        if peer.node_id != node_id
    }
    return MeshState(
        own=own,
        subnet=subnet,
        ports=tuple(ports) if version == IPV4 else tuple(_by_ipv6(ports, ingress)),
        peers=tuple(
            _peer(gateways[peer.node_id], _first(peer.addresses, IPV4), base)
            for peer in ingress.peers.values()
            if gateways.get(peer.node_id) and _first(peer.addresses, IPV4)
        ),
        ways={
            address: gateways[endpoint.node_id]
            for address, endpoint in (*stopped.items(), *_by_address(ingress))
            if gateways.get(endpoint.node_id) and _is_of(address, version)
        },
        rescue={
            address: targets
            for address, targets in _rescue(ingress, node_id, stopped, version).items()
            if address not in coming
        },
    )


def _by_address(ingress: NetworkTable) -> Iterator[tuple[str, Endpoint]]:
    for endpoint in ingress.endpoints.values():
        for address in endpoint.addresses:
            yield address, endpoint


@lru_cache(maxsize=ADDRESSES_REMEMBERED)  # all peers are gone through whenever one joins
def _peer(address: str, four: str, base: str) -> MeshPeer:
    number = int(IPv4Address(four)) - int(ip_network(base).network_address)
    return MeshPeer(number=number, address=address, mac=mac_of(four))


def _by_ipv6(ports: Iterable[MeshPort], ingress: NetworkTable) -> Iterator[MeshPort]:
    """Ports whose tasks answer over IPv6 and have an address for it, by those addresses."""
    beside = {
        _first(row.addresses, IPV4): _first(row.addresses, IPV6)
        for row in ingress.endpoints.values()
    }
    for port in ports:
        targets = tuple(beside.get(address, "") for address in port.targets)
        if port.ipv6 and all(targets):
            yield replace(port, targets=targets)


def _rescue(
    ingress: NetworkTable, node_id: NodeId, stopped: Mapping[str, Endpoint], version: int
) -> dict[str, tuple[str, ...]]:
    ready: dict[ServiceId, list[str]] = {}
    leaving = {
        address: endpoint.service_id
        for address, endpoint in stopped.items()
        if endpoint.node_id == node_id and _is_of(address, version)
    }
    for endpoint in ingress.endpoints.values():
        address = _first(endpoint.addresses, version)
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


@lru_cache(maxsize=2 * ADDRESSES_REMEMBERED)
def _first(addresses: tuple[str, ...], version: int) -> str:
    """The first address, or block, of a family; empty when there is none."""
    return next((address for address in addresses if _is_of(address, version)), "")


def _is_of(address: str, version: int) -> bool:
    return is_ipv4(address) == (version == IPV4)
