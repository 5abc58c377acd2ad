"""Nodes with an ingress namespace each, tasks behind them, a client: as the data plane has them.

The nodes' ingress namespaces share one segment, as their overlay makes it look. Every task answers
a connection with its name and the address it sees. All have addresses of both families.
"""

from __future__ import annotations

import contextlib
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

from swarmd.lb.core.mesh import MeshPort, MeshSide, Source, mesh_state
from swarmd.lb.core.plan import PortKey
from swarmd.lb.mesh_kernel import MeshKernel
from swarmd.model.ids import NetworkId, NodeId, ServiceId, TaskId
from swarmd.model.states import Balance, Protocol
from swarmd.network import ingress
from swarmd.network.core.dual import DualStack, six_of
from swarmd.network.core.tables import Endpoint, NetworkTable, Peer, Subnet, mac_of
from swarmd.network.kernel import netns

PUBLISHED = 8080
TARGET = 80
PATIENCE_S = 5.0
CLIENT, CLIENT_V6 = "192.0.2.99", "2001:db8::99"
WORLD_V6 = "2001:db8:1::1"  # an address of the client's behind no link of the nodes
SERVICE = ServiceId("s")

Make = Callable[[Path, Path], MeshKernel]  # of an ingress namespace and its node's own


class Task:
    def __init__(self, name: str, node: str, number: int, path: Path) -> None:
        self.name = name
        self.node = node
        self.address = f"10.77.0.{number}"
        self.path = path
        self.ready = True
        self.ended = False
        self._sockets: list[socket.socket] = []
        self._threads: list[threading.Thread] = []

    def serve(self) -> None:
        def listen() -> None:
            for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
                sock = socket.socket(socket.AF_INET6, kind)
                sock.bind(("::", TARGET))
                self._sockets.append(sock)
            self._sockets[0].listen(100)

        netns.inside(self.path, listen)
        for sock, serve in zip(self._sockets, (self._tcp, self._udp), strict=True):
            self._threads.append(threading.Thread(target=serve, args=(sock,)))
            self._threads[-1].start()

    def stop(self) -> None:
        for sock in self._sockets:
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join()
        for sock in self._sockets:
            sock.close()
        self._sockets.clear()
        self._threads.clear()

    def _tcp(self, sock: socket.socket) -> None:
        while True:
            try:
                accepted, sender = sock.accept()
            except OSError:
                return
            with accepted:
                accepted.send(f"{self.name} {plain(sender[0])}".encode())

    def _udp(self, sock: socket.socket) -> None:
        while True:
            _, sender = sock.recvfrom(100)
            if sender is None:
                return
            sock.sendto(f"{self.name} {plain(sender[0])}".encode(), sender)


class Node:
    def __init__(self, name: str, number: int, directory: Path, make: Make) -> None:
        self.name = name
        self.number = number
        self.underlay = f"192.0.2.{number}"
        self.underlay_v6 = f"2001:db8::{number}"
        self.ingress_address = f"10.77.0.{number + 1}"
        self.path = directory / f"{name}-node"
        self.ingress = directory / f"{name}-ingress"
        self.mesh = make(self.ingress, self.path)


class MeshWorld:
    """Three nodes n1, n2, n3; `tasks` says on which node each task is, as in `{"a": "n1"}`."""

    def __init__(self, directory: Path, tasks: dict[str, str], make: Make) -> None:
        self._directory = directory
        self._wire = directory / "wire"
        self.client = directory / "client"
        self.nodes = {f"n{n}": Node(f"n{n}", n, directory, make) for n in (1, 2, 3)}
        self.tasks = {
            name: Task(name, node, 11 + n, directory / f"task-{name}")
            for n, (name, node) in enumerate(tasks.items())
        }

    def build(self) -> None:
        netns.create(self._wire)
        run(self._wire, "link add out type bridge", "link set out up")
        run(self._wire, "link add in type bridge", "link set in up")
        netns.create(self.client)
        self._plug(self.client, "eth0", "out", f"{CLIENT}/24", f"{CLIENT_V6}/64")
        run(self.client, f"addr add {WORLD_V6}/128 dev lo")
        for node in self.nodes.values():
            self._build_node(node)
        for task in self.tasks.values():
            self._build_task(task)

    def destroy(self) -> None:
        for task in self.tasks.values():
            task.stop()
        for path in self._directory.iterdir():
            netns.remove(path)
        self._directory.rmdir()

    def apply(
        self,
        *names: str,
        source: Source = Source.KEEP,
        protocols: tuple[Protocol, ...] = (Protocol.TCP, Protocol.UDP),
        addresses: tuple[str, ...] | None = None,
        weights: Mapping[str, int] = {},
        balance: Balance = Balance.ROUND_ROBIN,
    ) -> None:
        """Have these nodes (all when none is named) follow what the tasks are like now.

        Those that have ended are out of the tables, and their nodes remember them.

        Args:
            addresses: of the nodes, that answer; None: all.
            weights: of tasks; 1 where there is none.
        """
        table = self.table()
        stopped = {
            address: self._endpoint(task)
            for task in self.tasks.values()
            if task.ended
            for address in (task.address, six_of(task.address))
        }
        targets = tuple(task.address for task in self.tasks.values() if task.ready)
        ports = tuple(
            MeshPort(
                PortKey(protocol, PUBLISHED),
                TARGET,
                targets,
                source,
                addresses,
                ipv6=True,
                balance=balance,
                weights=tuple(
                    weights.get(name, 1) for name, task in self.tasks.items() if task.ready
                ),
            )
            for protocol in protocols
            if targets
        )
        for name in names or self.nodes:
            mesh = self.nodes[name].mesh
            states = (
                mesh_state(ports, table, NodeId(name), stopped, version=version)
                for version in ((4, 6) if mesh.has_ipv6 else (4,))
            )
            mesh.apply(*(MeshSide(state, state.ports) for state in states if state is not None))

    def more_clients(self, count: int) -> list[str]:
        """Further addresses of the client, of both families."""
        found = [f"192.0.2.{100 + n}" for n in range(count)]
        found += [f"2001:db8::1:{n}" for n in range(1, count + 1)]
        run(
            self.client,
            *(
                f"addr add {one}/{64 if ':' in one else 24} dev eth0{_at_once(one)}"
                for one in found
            ),
        )
        return found

    def table(self) -> NetworkTable:
        table = NetworkTable(
            network_id=NetworkId("ingress"),
            name="ingress",
            ingress=True,
            subnets=(Subnet("10.77.0.0/24"),),
            peers={
                NodeId(node.name): Peer(NodeId(node.name), node.underlay, (node.ingress_address,))
                for node in self.nodes.values()
            },
            endpoints={
                TaskId(task.name): self._endpoint(task)
                for task in self.tasks.values()
                if not task.ended
            },
        )
        return DualStack().widen(table)

    def _endpoint(self, task: Task) -> Endpoint:
        return Endpoint(
            TaskId(task.name), SERVICE, NodeId(task.node), (task.address,), ready=task.ready
        )

    def _build_node(self, node: Node) -> None:
        netns.create(node.path)
        netns.create(node.ingress)
        run(
            self._wire,
            f"link add {node.name} type veth peer name vx0 netns {node.ingress}",
            f"link set {node.name} master in up",
        )
        self._plug(node.path, "eth0", "out", f"{node.underlay}/24", f"{node.underlay_v6}/64")
        run(
            node.path,
            f"route add {WORLD_V6}/128 via {CLIENT_V6}",
            f"link add ing0 type veth peer name gw0 netns {node.ingress}",
            "addr add 169.254.77.1/30 dev ing0",
            f"addr add {ingress.NODE_ADDRESS_V6} dev ing0 nodad",
            "link set ing0 up",
        )
        run(
            node.ingress,
            "link set lo up",
            f"link add br0 address {mac_of(node.ingress_address)} type bridge",
            "link set br0 up",
            f"addr add {node.ingress_address}/24 dev br0",
            f"addr add {six_of(node.ingress_address)}/120 dev br0 nodad",
            "link set vx0 master br0 up",
            "addr add 169.254.77.2/30 dev gw0",
            "link set gw0 up",
            "route add default via 169.254.77.1",
            f"addr add {ingress.NAMESPACE_ADDRESS_V6} dev gw0 nodad",
            f"route add default via {ingress.NODE_ADDRESS_V6.ip}",
        )

    def _build_task(self, task: Task) -> None:
        node = self.nodes[task.node]
        netns.create(task.path)
        run(
            node.ingress,
            f"link add t{task.name} type veth "
            f"peer name eth0 address {mac_of(task.address)} netns {task.path}",
            f"link set t{task.name} master br0 up",
        )
        run(
            task.path,
            "link set lo up",
            "link set eth0 up",
            f"addr add {task.address}/24 dev eth0",
            f"route add default via {node.ingress_address}",
            f"addr add {six_of(task.address)}/120 dev eth0 nodad",
            f"route add default via {six_of(node.ingress_address)}",
        )
        task.serve()

    def _plug(self, path: Path, name: str, bridge: str, *addresses: str) -> None:
        end = f"p{path.name[:12]}"
        run(
            self._wire,
            f"link add {end} type veth peer name {name} netns {path}",
            f"link set {end} master {bridge} up",
        )
        run(
            path,
            "link set lo up",
            f"link set {name} up",
            *(f"addr add {one} dev {name}{_at_once(one)}" for one in addresses),
        )


def run(path: Path, *commands: str) -> None:
    batch = "".join(f"{command}\n" for command in commands).encode()
    netns.inside(
        path,
        lambda: subprocess.run(["ip", "-batch", "-"], input=batch, check=True, capture_output=True),
    )


@contextmanager
def mesh_world(make: Make, **tasks: str) -> Iterator[MeshWorld]:
    made = MeshWorld(Path("/run") / f"swarmd-test-{uuid4().hex[:8]}", tasks, make)
    try:
        made.build()
        yield made
    finally:
        made.destroy()


def _at_once(address: str) -> str:
    """Without IPv6 finding out first whether somebody else has the address."""
    return " nodad" if ":" in address else ""


def plain(address: str) -> str:
    """An address as it is known outside of sockets for both families."""
    return address.removeprefix("::ffff:")


def family_of(address: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in address else socket.AF_INET


def ask(
    path: Path,
    address: str,
    *,
    port: int = PUBLISHED,
    source: str = "",
    source_port: int = 0,
    patience_s: float = PATIENCE_S,
) -> tuple[str, str]:
    """Who answers a new connection, and which address it saw."""

    def connect() -> socket.socket:
        sock = socket.socket(family_of(address))
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.settimeout(patience_s)
        try:
            if source or source_port:
                sock.bind((source, source_port))
            sock.connect((address, port))
        except OSError:
            sock.close()
            raise
        return sock

    with netns.inside(path, connect) as sock:
        name, saw = sock.recv(100).decode().split()
    return name, saw
