"""Ports of the node handed to process tasks, which share the node's network.

A task gets its target port itself when nobody else has it, so that programs with a built-in port
work unchanged; otherwise one between the ports applications choose and those the kernel gives to
outgoing connections, where neither gets in the way. A port is tried by binding it. One that is
published in host mode on an address, or an interface, is tried there alone.
"""

from __future__ import annotations

import errno
import socket
from collections.abc import Callable, Iterable, Sequence

from swarmd.lb.core.locations import Interfaces, addresses_at
from swarmd.model.ids import TaskId
from swarmd.model.spec import PortConfig
from swarmd.model.states import Protocol, PublishMode
from swarmd.model.task import Task
from swarmd.network.local import addresses

FIRST = 20_000
END = 30_000  # published ports chosen by the swarm begin here
SPARE = range(32_768, 61_000)
PRIVILEGED_END = 1024
EVERYWHERE = ("0.0.0.0", "::")


class NoPortLeft(Exception):
    """Every port of the node that tasks may use is taken."""


class Ports:
    """Which port of the node belongs to which task.

    `publish` names ports that the node answers on for a service; they are never given to tasks.

    Args:
        start: where the search begins; None lets tasks have their target port itself first. Nodes
            that share one machine give a number of their own, so that they don't race for ports.
        interfaces: looks which addresses the node has.
    """

    def __init__(
        self, start: int | None = None, *, interfaces: Callable[[], Interfaces] = addresses
    ) -> None:
        self._interfaces = interfaces
        self._owners: dict[tuple[Protocol, int], TaskId] = {}
        self._held: dict[TaskId, list[tuple[Protocol, int]]] = {}
        self._published: dict[str, frozenset[tuple[Protocol, int]]] = {}
        self._takes_targets = start is None
        self._next = FIRST if start is None else start

    def publish(self, source: str, ports: Iterable[tuple[Protocol, int]]) -> None:
        """Replace the published ports that `source` has named before."""
        named = frozenset(ports)
        if named:
            self._published[source] = named
        else:
            self._published.pop(source, None)

    def adopt(self, task_id: TaskId, ports: Iterable[PortConfig]) -> None:
        """Note ports that a task got from an earlier run of the daemon."""
        for port in ports:
            self._take(task_id, port.protocol, port.published_port)

    def allocate(
        self, task_id: TaskId, wanted: tuple[PortConfig, ...], *, privileged: bool
    ) -> tuple[PortConfig, ...]:
        """One port of the node for each port wanted, as the task will report them.

        A port published in host mode is given as asked or not at all: its users come to this node.

        Args:
            privileged: the task may listen below 1024 if the daemon may.

        Raises:
            NoPortLeft: nothing was given out.
        """
        given: list[PortConfig] = []
        try:
            for port in wanted:
                number = self._asked(port) or self._find(
                    port.protocol, port.target_port, privileged
                )
                self._take(task_id, port.protocol, number)
                given.append(
                    PortConfig(
                        name=port.name,
                        protocol=port.protocol,
                        target_port=port.target_port,
                        published_port=number,
                        publish_mode=PublishMode.HOST,
                        address=_address(port),
                    )
                )
        except NoPortLeft:
            self.release(task_id)
            raise
        return tuple(given)

    def release(self, task_id: TaskId) -> None:
        for key in self._held.pop(task_id, []):
            del self._owners[key]

    def _take(self, task_id: TaskId, protocol: Protocol, number: int) -> None:
        if (protocol, number) not in self._owners:
            self._owners[protocol, number] = task_id
            self._held.setdefault(task_id, []).append((protocol, number))

    def _asked(self, port: PortConfig) -> int:
        """The port of the node that the service wants published there; 0 when it leaves it open."""
        number = port.published_port if port.publish_mode is PublishMode.HOST else 0
        at: Sequence[str] = EVERYWHERE
        if _address(port):
            at = addresses_at(port.address, self._interfaces())
            if not at:
                raise NoPortLeft(
                    f"port {port.target_port}/{port.protocol.value} is published in host mode on "
                    f"{port.address}, which the node hasn't got; constrain the service to nodes "
                    "that have it, or publish on another address"
                )
        if number and not self._free(port.protocol, number, at):
            raise NoPortLeft(
                f"port {number}/{port.protocol.value} of the node is taken, and the service is "
                "published on it in host mode; free the port or publish another one"
            )
        return number

    def _find(self, protocol: Protocol, target: int, privileged: bool) -> int:
        may_listen = privileged or target >= PRIVILEGED_END
        if self._takes_targets and may_listen and self._free(protocol, target):
            return target
        for step in range(END - FIRST):
            number = FIRST + (self._next - FIRST + step) % (END - FIRST)
            if self._free(protocol, number):
                self._next = number + 1
                return number
        for number in SPARE:
            if self._free(protocol, number):
                return number
        raise NoPortLeft(
            f"no free {protocol.value} port is left on the node between {FIRST} and {SPARE.stop}; "
            "stop something or place the task elsewhere"
        )

    def _free(self, protocol: Protocol, number: int, at: Sequence[str] = EVERYWHERE) -> bool:
        key = (protocol, number)
        if not 0 < number < 65_536 or key in self._owners:
            return False
        if any(key in ports for ports in self._published.values()):
            return False
        return can_bind(protocol, number, at)


def refused_address(task: Task) -> str:
    """Why a task that shares the node's network can't have its ports; empty when it can.

    It listens by itself, on whichever addresses it likes.
    """
    for port in task.ports:
        if _address(port):
            return (
                f"port {port.target_port} is published in host mode on {port.address} alone, but "
                "the task shares its node's network and listens there as it likes: put the service "
                "on a network, or leave the address out"
            )
    return ""


def _address(port: PortConfig) -> str:
    """The only address, or interface, that answers; empty: all do, or others see to it."""
    return port.address if port.publish_mode is PublishMode.HOST else ""


def can_bind(protocol: Protocol, number: int, at: Sequence[str] = EVERYWHERE) -> bool:
    """Whether a program started now could listen on the port on these addresses of the node."""
    kind = socket.SOCK_DGRAM if protocol is Protocol.UDP else socket.SOCK_STREAM
    for address in at:
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        try:
            with socket.socket(family, kind) as probe:
                if kind == socket.SOCK_STREAM:
                    # Connections that are winding down don't keep a server from starting.
                    probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                if family == socket.AF_INET6:
                    probe.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
                probe.bind((address, number))
        except OSError as error:
            if family == socket.AF_INET6 and error.errno in (
                errno.EAFNOSUPPORT,
                errno.EADDRNOTAVAIL,
            ):
                continue  # the node has no IPv6
            return False
    return True
