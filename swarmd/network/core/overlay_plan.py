"""What the kernel should hold of one overlay network on one node, and the steps that get it there.

Each overlay has a namespace with a bridge, one VXLAN for each of its subnets, and a port for each
task of the node. Where the other nodes' tasks are is written out entry by entry: nothing is learnt,
and nothing is flooded beyond the node. Ports of tasks get only what is meant for them.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from ipaddress import ip_address, ip_interface, ip_network
from typing import TypeVar

from msgspec import Struct

from swarmd.model.ids import NodeId, TaskId
from swarmd.model.network import Mechanism
from swarmd.network.core.tables import IPV4, NetworkTable, Peer, Subnet, mac_of

BRIDGE = "br0"
PORT_PREFIX = "sw"
NAME_MAX = 15
VXLAN_PORT = 4789
# Outer Ethernet, IP, UDP and VXLAN headers.
OVERHEAD_V4, OVERHEAD_V6 = 50, 70
# ESP with its counter, a mark of authenticity of 16 bytes, and a trailer that fills up words.
OVERHEAD_IPSEC, ALIGNMENT_IPSEC = 34, 4
# WireGuard's headers, a mark of authenticity, UDP, and IP once more.
WIREGUARD_V4, WIREGUARD_V6 = 60, 80
# Tunnels take any packet that IP allows, whatever the underlay does.
TUNNEL_MTU = 65_535
MTU_MIN = 576
NOWHERE_MAC = "02:43"  # first bytes for a bridge that has no address to go by

T = TypeVar("T")


class Underlay(Struct, frozen=True):
    """Where a node takes encapsulated packets, and the largest packet it can send from there."""

    address: str
    mtu: int


class Vxlan(Struct, frozen=True, order=True):
    name: str
    vxlan_id: int
    local: str
    port: int = VXLAN_PORT


class Place(Struct, frozen=True, order=True):
    """Frames for `mac` go to `node`, through the VXLAN of this name."""

    vxlan: str
    mac: str
    node: str


class Known(Struct, frozen=True, order=True):
    """The VXLAN of this name answers that `address` is at `mac`."""

    vxlan: str
    address: str
    mac: str


class Wanted(Struct, frozen=True):
    """All that one node should hold of a network besides the ports of its tasks."""

    mtu: int
    mac: str
    addresses: frozenset[str]  # of the bridge, with prefix length
    vxlans: tuple[Vxlan, ...]
    places: frozenset[Place]
    known: frozenset[Known]
    has_ipv6: bool = False


class Port(Struct, frozen=True, order=True):
    """The network's end of a task's interface. The names of all begin alike."""

    name: str
    mac: str  # the task's


class PortState(Struct, frozen=True):
    """A port as it is found."""

    mtu: int
    is_right: bool  # up, at the bridge, learning nothing, getting only what is meant for it
    macs: frozenset[str]  # that the bridge knows to be behind it


class Observed(Struct, frozen=True):
    """The same, as the kernel has it; without a bridge there is nothing else."""

    has_bridge: bool = False
    bridge_is_right: bool = False  # up, with the hardware address it should have
    mtu: int = 0
    addresses: frozenset[str] = frozenset()
    vxlans: Mapping[str, tuple[Vxlan, PortState]] = {}
    ports: Mapping[str, PortState] = {}
    places: frozenset[Place] = frozenset()
    known: frozenset[Known] = frozenset()


class Steps(Struct, frozen=True):
    """What is to be done, in this order. Interfaces are named."""

    drop_ports: tuple[str, ...] = ()  # of tasks that have gone, where the kernel has not yet
    delete_links: tuple[str, ...] = ()
    make_bridge: bool = False
    set_bridge: bool = False  # hardware address, MTU, up
    make_vxlans: tuple[Vxlan, ...] = ()
    set_vxlans: tuple[str, ...] = ()
    make_ports: tuple[Port, ...] = ()  # with the task's end of it
    set_ports: tuple[Port, ...] = ()
    delete_addresses: tuple[str, ...] = ()
    put_addresses: tuple[str, ...] = ()
    delete_places: tuple[Place, ...] = ()
    put_places: tuple[Place, ...] = ()
    delete_known: tuple[Known, ...] = ()
    put_known: tuple[Known, ...] = ()

    @property
    def count(self) -> int:
        """How many things are not as they should be; ports left to be dropped are as they were."""
        return sum(
            int(value) if isinstance(value, bool) else len(value)
            for name in self.__struct_fields__
            for value in (getattr(self, name),)
            if name != "drop_ports"
        )


def mtu_of(table: NetworkTable, underlay: Underlay) -> int:
    """The largest packet a task may send: what the underlay leaves, or less if the network says."""
    is_v4 = ip_address(underlay.address).version == IPV4
    whole = TUNNEL_MTU if table.mechanism is Mechanism.TUNNEL else underlay.mtu
    left = whole - (OVERHEAD_V4 if is_v4 else OVERHEAD_V6)
    if table.mechanism is Mechanism.IPSEC:
        left = (left - OVERHEAD_IPSEC) // ALIGNMENT_IPSEC * ALIGNMENT_IPSEC
    elif table.mechanism is Mechanism.WIREGUARD:
        left -= WIREGUARD_V4 if is_v4 else WIREGUARD_V6
    return max(min(left, table.mtu or left), MTU_MIN)


def primary(addresses: Iterable[str]) -> str:
    """The address that gives an interface its hardware address; empty when there is none."""
    known = sorted(addresses, key=lambda address: (":" in address, address))
    return known[0] if known else ""


def subnet_of(table: NetworkTable, address: str) -> Subnet | None:
    """The subnet an address is in."""
    known = ip_address(address)
    return next((subnet for subnet in table.subnets if known in ip_network(subnet.cidr)), None)


def with_prefix(table: NetworkTable, address: str) -> str:
    """An address with the length of its subnet's prefix."""
    subnet = subnet_of(table, address)
    length = ip_network(subnet.cidr).prefixlen if subnet else ip_interface(address).max_prefixlen
    return f"{address}/{length}"


def port_name(task_id: TaskId) -> str:
    """The name of the other end of a task's interface, in the namespace it leads to."""
    return f"{PORT_PREFIX}{task_id}"[:NAME_MAX]


def vxlan_name(vxlan_id: int) -> str:
    return f"vx{vxlan_id}"


def wanted(table: NetworkTable, node_id: NodeId, underlay: Underlay) -> Wanted:
    """What the node `node_id` should hold of a network.

    Every task of the table is reachable, ready or not; those of a node whose place is unknown are
    not, until it is known again.
    """
    own = table.peers.get(node_id)
    addresses = own.addresses if own else ()
    first = primary(addresses)
    vxlans = _vxlans(table, underlay)
    places: set[Place] = set()
    known: set[Known] = set()

    def put(holder: tuple[str, ...], peer: Peer) -> None:
        main = primary(holder)
        vxlan = _vxlan_for(table, main, vxlans) if main else None
        if vxlan is not None and peer.underlay:
            mac = mac_of(main)
            places.add(Place(vxlan=vxlan.name, mac=mac, node=peer.underlay))
            known.update(Known(vxlan=vxlan.name, address=one, mac=mac) for one in holder)

    for peer in table.peers.values():
        if peer.node_id != node_id:
            put(peer.addresses, peer)
    for endpoint in table.endpoints.values():
        home = table.peers.get(endpoint.node_id)
        if home is not None and endpoint.node_id != node_id:
            put(endpoint.addresses, home)
    return Wanted(
        mtu=mtu_of(table, underlay),
        mac=mac_of(first) if first else _mac_without_address(node_id),
        addresses=frozenset(with_prefix(table, address) for address in addresses),
        vxlans=vxlans,
        places=frozenset(places),
        known=frozenset(known),
        has_ipv6=any(":" in subnet.cidr for subnet in table.subnets),
    )


def steps(
    wanted: Wanted, ports: Iterable[Port], observed: Observed, spared: Collection[str] = ()
) -> Steps:
    """How to get from what is there to what should be.

    Args:
        ports: of the node's tasks; ports of others are deleted, but for
        spared: names of ports that may belong to tasks nobody has told of yet.
    """
    if not observed.has_bridge:
        observed = Observed(vxlans=observed.vxlans, ports=observed.ports)
    wrong = {
        name
        for name, (vxlan, _) in observed.vxlans.items()
        if vxlan not in wanted.vxlans or not observed.has_bridge
    }
    by_name = {port.name: port for port in ports}
    stray = observed.ports.keys() - by_name.keys() - set(spared)
    kept = {name: found for name, found in observed.vxlans.items() if name not in wrong}
    missing = tuple(vxlan for vxlan in wanted.vxlans if vxlan.name not in kept)
    places = frozenset(place for place in observed.places if place.vxlan in kept)
    known = frozenset(one for one in observed.known if one.vxlan in kept)
    return Steps(
        drop_ports=tuple(sorted(stray)),
        delete_links=tuple(sorted(wrong)),
        make_bridge=not observed.has_bridge,
        set_bridge=observed.has_bridge
        and not (observed.bridge_is_right and observed.mtu == wanted.mtu),
        make_vxlans=missing,
        set_vxlans=tuple(
            sorted(
                name
                for name, (_, state) in kept.items()
                if not state.is_right or state.mtu != wanted.mtu
            )
        ),
        make_ports=_in_order(p for name, p in by_name.items() if name not in observed.ports),
        set_ports=_in_order(
            port
            for name, port in by_name.items()
            if name in observed.ports and not _is_right(observed.ports[name], port, wanted.mtu)
        ),
        delete_addresses=_in_order(observed.addresses - wanted.addresses),
        put_addresses=_in_order(wanted.addresses - observed.addresses),
        delete_places=_unreplaced(places - wanted.places, wanted.places, _place_key),
        put_places=_in_order(wanted.places - places),
        delete_known=_unreplaced(known - wanted.known, wanted.known, _known_key),
        put_known=_in_order(wanted.known - known),
    )


def _vxlans(table: NetworkTable, underlay: Underlay) -> tuple[Vxlan, ...]:
    return tuple(
        Vxlan(name=vxlan_name(number), vxlan_id=number, local=underlay.address)
        for number in sorted({subnet.vxlan_id for subnet in table.subnets if subnet.vxlan_id})
    )


def _vxlan_for(table: NetworkTable, address: str, vxlans: tuple[Vxlan, ...]) -> Vxlan | None:
    if len(vxlans) == 1:
        return vxlans[0]
    subnet = subnet_of(table, address)
    number = subnet.vxlan_id if subnet else 0
    own = next((vxlan for vxlan in vxlans if vxlan.vxlan_id == number), None)
    return own or (vxlans[0] if vxlans else None)


def _mac_without_address(node_id: NodeId) -> str:
    number = sum(ord(char) * 31**place for place, char in enumerate(node_id)) % 2**32
    return ":".join((NOWHERE_MAC, *(f"{byte:02x}" for byte in number.to_bytes(4, "big"))))


def _is_right(state: PortState, port: Port, mtu: int) -> bool:
    return state.is_right and state.mtu == mtu and port.mac in state.macs


def _unreplaced(
    gone: Iterable[T], wanted: Iterable[T], key: Callable[[T], tuple[object, ...]]
) -> tuple[T, ...]:
    """What has to be deleted: what is put under the same key takes its place without a gap."""
    replaced = {key(item) for item in wanted}
    return _in_order(item for item in gone if key(item) not in replaced)


def _place_key(place: Place) -> tuple[object, ...]:
    return place.vxlan, place.mac


def _known_key(known: Known) -> tuple[object, ...]:
    return known.vxlan, known.address


def _in_order(items: Iterable[T]) -> tuple[T, ...]:
    return tuple(sorted(items))  # type: ignore[type-var]
