"""Where on one node its published ports are answered. Pure.

A port may be published on one address, or on the addresses of one interface; what that comes to
is each node's business, and changes with its interfaces. A node that has no such address doesn't
answer the port, and leaves it to other programs.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from ipaddress import ip_address

from msgspec.structs import replace

from swarmd.lb.core.tables import PublishedPort, ServiceEndpoints, Tables
from swarmd.model.ids import ServiceId

Interfaces = Mapping[str, tuple[str, ...]]  # the addresses of each interface of a node


def is_located(published: Tables) -> bool:
    """Whether any port is published on less than all addresses."""
    return any(port.address for row in published.services.values() for port in row.ports)


def located(published: Tables, interfaces: Interfaces) -> Tables:
    """The table with the addresses of this node that answer each port."""
    if not is_located(published):
        return published
    services: dict[ServiceId, ServiceEndpoints] = {}
    for service_id, row in published.services.items():
        ports = tuple(_located(port, interfaces) for port in row.ports)
        services[service_id] = row if ports == row.ports else replace(row, ports=ports)
    return Tables(published.version, services)


def addresses_at(address: str, interfaces: Interfaces) -> tuple[str, ...]:
    """What an address, or the name of an interface, comes to on a node; empty: it isn't there."""
    if address in interfaces:
        return interfaces[address]
    try:
        plain = str(ip_address(address))
    except ValueError:
        return ()  # an interface that isn't there
    is_ours = any(plain in held for held in interfaces.values())
    return (plain,) if is_ours else ()


def listening(at: tuple[str, ...], addresses: Collection[str] | None) -> tuple[str, ...]:
    """Where to listen for a port that is answered on `addresses` (None: all of them).

    Args:
        at: where one may listen at all, as single addresses or as all those of a family.
    """
    if addresses is None:
        return at
    return tuple(one for one in addresses if one in at or _all_like(one) in at)


def _located(port: PublishedPort, interfaces: Interfaces) -> PublishedPort:
    if not port.address:
        return port
    return replace(port, addresses=addresses_at(port.address, interfaces))


def _all_like(address: str) -> str:
    return "::" if ":" in address else "0.0.0.0"
