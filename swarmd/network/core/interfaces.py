"""The interfaces of a task: one for each of its networks, and one to its node. Pure.

`eth0` and upwards are its networks in the order of its record, which begins with the ingress
network; the last one is a port of the node's own bridge. A task that is on internal networks alone
is cut off from the node as well.

A task on the ingress network leaves by its node's ingress namespace, where the answers to clients
have to pass; any other by the node's bridge.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from ipaddress import IPv4Interface, IPv6Interface, ip_interface, ip_network

from msgspec import Struct

from swarmd.model.ids import NetworkId, NodeId, TaskId
from swarmd.model.network import NetworkAttachment
from swarmd.network.core.overlay_plan import Port, port_name, primary
from swarmd.network.core.tables import NetworkTable, mac_of

EVERYTHING, EVERYTHING_V6 = "0.0.0.0/0", "::/0"


class Hop(Struct, frozen=True):
    """A route: to a block of addresses, by a gateway or (empty) directly."""

    destination: str
    gateway: str = ""


class Interface(Struct, frozen=True):
    """A task's end of a pair. Addresses have the length of their subnet's prefix."""

    name: str
    addresses: tuple[str, ...]
    mac: str = ""  # empty: whatever the kernel makes up
    routes: tuple[Hop, ...] = ()
    mtu: int = 0  # 0: that of the network it belongs to


class Attached(Struct, frozen=True):
    """All interfaces of a task, by network; `egress` leads to the node's bridge."""

    networks: Mapping[NetworkId, Interface]
    egress: Interface | None = None

    @property
    def has_ipv6(self) -> bool:
        """Whether any of them has an address of IPv6."""
        all_of_them = (*self.networks.values(), *((self.egress,) if self.egress else ()))
        return any(":" in address for one in all_of_them for address in one.addresses)


class Egress(Struct, frozen=True):
    """A task's place on its node's own bridge; with IPv6 where the node has it."""

    address: IPv4Interface
    gateway: str
    ipv6: IPv6Interface | None = None
    ipv6_gateway: str = ""


def attached(
    attachments: Sequence[NetworkAttachment],
    tables: Mapping[NetworkId, NetworkTable],
    node_id: NodeId,
    egress: Egress | None,
) -> Attached:
    """The interfaces of a task.

    Args:
        attachments: of its overlays, each of which has a table.
        egress: where it leaves, if it may.
    """
    exits = [tables[one.network_id] for one in attachments if tables[one.network_id].ingress]
    gateways = exits[0].peers[node_id].addresses if exits and node_id in exits[0].peers else ()
    interfaces = {}
    for number, attachment in enumerate(attachments):
        table = tables[attachment.network_id]
        interfaces[attachment.network_id] = _on_network(
            f"eth{number}", attachment, table, gateways if table.ingress else ()
        )
    if egress is None:
        return Attached(networks=interfaces)
    return Attached(
        networks=interfaces, egress=_on_bridge(f"eth{len(interfaces)}", egress, gateways)
    )


def is_confined(
    attachments: Sequence[NetworkAttachment], tables: Mapping[NetworkId, NetworkTable]
) -> bool:
    """Whether a task is on internal networks alone, so that it reaches nothing else."""
    return bool(attachments) and all(tables[one.network_id].internal for one in attachments)


def port_of(task_id: TaskId, interface: Interface) -> Port:
    """The other end of a task's interface on an overlay."""
    return Port(name=port_name(task_id), mac=interface.mac)


def addresses_of(attachment: NetworkAttachment) -> tuple[str, ...]:
    """The addresses of an attachment without the lengths of their prefixes."""
    return tuple(str(ip_interface(address).ip) for address in attachment.addresses)


def _on_bridge(name: str, egress: Egress, gateways: Sequence[str]) -> Interface:
    """What doesn't leave by these gateways of the ingress network leaves here."""
    addresses, routes = [str(egress.address)], []
    if not any(":" not in gateway for gateway in gateways):
        routes.append(Hop(EVERYTHING, egress.gateway))
    if egress.ipv6 is not None:
        addresses.append(str(egress.ipv6))
        if not any(":" in gateway for gateway in gateways):
            routes.append(Hop(EVERYTHING_V6, egress.ipv6_gateway))
    return Interface(name=name, addresses=tuple(addresses), routes=tuple(routes))


def _on_network(
    name: str, attachment: NetworkAttachment, table: NetworkTable, gateways: Sequence[str]
) -> Interface:
    addresses = tuple(ip_interface(address) for address in attachment.addresses)
    own = {str(address.network) for address in addresses}
    versions = {address.version for address in addresses}
    # Subnets of one network are one link, whatever their addresses say.
    neighbours = [
        Hop(subnet.cidr)
        for subnet in table.subnets
        if subnet.cidr not in own and ip_network(subnet.cidr).version in versions
    ]
    exits = [
        Hop(EVERYTHING_V6 if ":" in gateway else EVERYTHING, gateway)
        for gateway in gateways
        if ip_interface(gateway).version in versions
    ]
    return Interface(
        name=name,
        mac=mac_of(primary(addresses_of(attachment))),
        addresses=attachment.addresses,
        routes=(*neighbours, *exits),
    )
