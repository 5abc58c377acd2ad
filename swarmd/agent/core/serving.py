"""What a task serves, and what that asks of its start and its end. Pure.

A task is balanced to on the ports it publishes through the mesh, and on its networks by the
virtual addresses and names of its service.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Set
from ipaddress import ip_interface

from msgspec import Struct

from swarmd.agent.core.sockets import Sockets
from swarmd.lb.core.tables import Tables
from swarmd.model import defaults
from swarmd.model.ids import NetworkId, ServiceId
from swarmd.model.instant import SECOND
from swarmd.model.spec import PortConfig
from swarmd.model.states import Protocol, PublishMode
from swarmd.model.task import DRAINING, Task
from swarmd.network.core.dual import six_of
from swarmd.network.core.tables import NetworkTable

# A connection on which nothing has been said for so long is not waited for: its client has got its
# answer, and one that asks no more may keep it open for ever. Longer than clients take between two
# requests that belong together, shorter than the least time that servers keep idle connections.
IDLE_NS = 5 * SECOND


class Service(Struct, frozen=True):
    """Where others come to a task from, and how long it may go on with those it has."""

    service_id: ServiceId
    published: bool
    network_ids: tuple[NetworkId, ...]
    drain_timeout_ns: int


def service_of(task: Task) -> Service | None:
    """What the task serves; None when nobody is balanced to it."""
    published = any(port.publish_mode is PublishMode.INGRESS for port in task.ports)
    networks = tuple(one.network_id for one in task.networks if one.addresses)
    if not published and not networks:
        return None
    timeout_ns = task.endpoint_spec.drain_timeout_ns if task.endpoint_spec else None
    if timeout_ns is None:
        timeout_ns = defaults.stop_grace_period_ns(task.spec)
    return Service(task.service_id, published, networks, timeout_ns)


def is_known(
    service: Service, published: Tables, networks: Mapping[NetworkId, NetworkTable]
) -> bool:
    """Whether this node's tables have the service: one that was removed is nobody's any more."""
    return (service.published and service.service_id in published.services) or any(
        service.service_id in networks[one].services
        for one in service.network_ids
        if one in networks
    )


def has_tcp_ports(task: Task) -> bool:
    """Whether the task says on which TCP ports it will listen."""
    return any(port.protocol is Protocol.TCP for port in task.ports)


def tcp_ports(task: Task, at: Iterable[PortConfig], *, own_namespace: bool) -> frozenset[int]:
    """The TCP ports that the task declares, as they are numbered where it runs.

    Args:
        at: on which port of the node a target port is found, where it isn't the same number.
        own_namespace: whether the task has a network namespace of its own, where it is the same.
    """
    targets = {port.target_port for port in task.ports if port.protocol is Protocol.TCP}
    if own_namespace:
        return frozenset(targets)
    moved = {port.target_port: port.published_port for port in at if port.protocol is Protocol.TCP}
    return frozenset(moved.get(target, target) for target in targets)


def ipv6_ports(task: Task, sockets: Sockets, addresses: Set[str]) -> tuple[PortConfig, ...]:
    """Target ports behind published ones at which a task answers over IPv6 in its own namespace.

    Args:
        addresses: of IPv6 that it has. Without one on the ingress network there are none.
    """
    own = [str(ip_interface(one).ip) for row in task.networks for one in row.addresses]
    if not any((one if ":" in one else six_of(one)) in addresses for one in own):
        return ()
    answering = {Protocol.TCP: sockets.ipv6, Protocol.UDP: sockets.ipv6_datagrams}
    return tuple(
        PortConfig(protocol=protocol, target_port=target)
        for protocol, target in dict.fromkeys(
            (port.protocol, port.target_port)
            for port in task.ports
            if port.publish_mode is PublishMode.INGRESS
        )
        if target in answering.get(protocol, ())
    )


def open_connections(sockets: Sockets, ports: frozenset[int], *, own_namespace: bool) -> int:
    """How many connections come to the task from elsewhere and are not idle.

    In a namespace of its own every port that is listened on counts, as networks reach them all.
    There its connections with itself are left out.
    """
    return sum(
        connection.port in ports
        or (own_namespace and connection.port in sockets.listening and not connection.internal)
        for connection in sockets.connections
        if connection.idle_ns < IDLE_NS
    )


def has_datagrams(task: Task, sockets: Sockets, *, own_namespace: bool) -> bool:
    """Whether UDP clients may come to the task, which no socket of its tells of.

    In a namespace of its own it is enough that a port takes datagrams: networks reach them all.
    """
    if own_namespace:
        return bool(sockets.datagrams)
    return any(port.protocol is Protocol.UDP for port in task.ports)


def draining(connections: int) -> str:
    """What people read while a task goes on with the connections it has."""
    return f"{DRAINING}: {connections} connection{'' if connections == 1 else 's'}"
