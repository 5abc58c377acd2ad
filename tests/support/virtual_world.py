"""A network as the data plane makes it: a bridge, and tasks with a namespace each.

Every task answers on TCP and UDP with its name, and on TCP sends back what it is sent then.
"""

from __future__ import annotations

import contextlib
import socket
import subprocess
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from ipaddress import ip_interface
from pathlib import Path
from uuid import uuid4

from swarmd.model.ids import NetworkId, NodeId, ServiceId, TaskId
from swarmd.model.states import Balance
from swarmd.network.core.tables import Endpoint, NetworkTable, ServiceRow
from swarmd.network.kernel import netns
from swarmd.network.kernel.netlink import open_netlink
from swarmd.network.kernel.routing import settle

NETWORK = NetworkId("net")
PORT = 7000
ADDRESSES = ("10.66.0.2", "fd66::2")
PATIENCE_S = 5.0
REFUSAL_S = 1.0


class Task:
    """A task of the world and its two servers."""

    def __init__(self, name: str, path: Path, number: int) -> None:
        self.name = name
        self.path = path
        self.addresses = (f"10.66.0.{number}", f"fd66::{number}")
        self.accepted: list[socket.socket] = []
        self._sockets: list[socket.socket] = []
        self._threads: list[threading.Thread] = []

    def serve(self) -> None:
        def listen() -> None:
            for family in (socket.AF_INET, socket.AF_INET6):
                stream = socket.socket(family)
                datagram = socket.socket(family, socket.SOCK_DGRAM)
                for sock in (stream, datagram):
                    if family == socket.AF_INET6:
                        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
                    sock.bind(("", PORT))
                stream.listen(100)
                self._sockets += [stream, datagram]

        netns.inside(self.path, listen)
        for sock in self._sockets:
            serve = self._serve_tcp if sock.type == socket.SOCK_STREAM else self._serve_udp
            self._threads.append(threading.Thread(target=serve, args=(sock,)))
            self._threads[-1].start()

    def stop(self) -> None:
        for sock in self._sockets:
            with contextlib.suppress(OSError):  # a datagram socket has no peer, but is woken
                sock.shutdown(socket.SHUT_RDWR)
        for thread in self._threads[: len(self._sockets)]:
            thread.join()
        for sock in self.accepted:  # nobody accepts any more
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join()
        for sock in (*self._sockets, *self.accepted):
            sock.close()

    def _serve_tcp(self, sock: socket.socket) -> None:
        while True:
            try:
                accepted, _ = sock.accept()
            except OSError:
                return
            self.accepted.append(accepted)
            accepted.send(self.name.encode())
            self._threads.append(threading.Thread(target=_send_back, args=(accepted,)))
            self._threads[-1].start()

    def _serve_udp(self, sock: socket.socket) -> None:
        while True:
            _, sender = sock.recvfrom(100)
            if sender is None:  # shut down
                return
            sock.sendto(self.name.encode(), sender)


def _send_back(sock: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := sock.recv(100):
            sock.send(data)
        sock.shutdown(socket.SHUT_RDWR)


class World:
    """A network with tasks a, b, c, … and a client without servers, all on one bridge."""

    def __init__(self, directory: Path, tasks: str) -> None:
        self._directory = directory
        self._bridge = directory / "bridge"
        self.client = directory / "client"
        self.tasks = {
            name: Task(name, directory / name, 11 + number) for number, name in enumerate(tasks)
        }

    def build(self) -> None:
        netns.create(self._bridge)
        ip_commands(self._bridge, "link add br0 type bridge", "link set br0 up")
        self._attach(self.client, ("10.66.0.10", "fd66::10"))
        for task in self.tasks.values():
            self._attach(task.path, task.addresses)
            task.serve()

    def destroy(self) -> None:
        for task in self.tasks.values():
            task.stop()
        for path in (*(task.path for task in self.tasks.values()), self.client, self._bridge):
            netns.remove(path)
        self._directory.rmdir()

    def more_clients(self, count: int, *, ipv6: bool) -> list[str]:
        """Further addresses of the client."""
        if ipv6:
            found = [f"fd66::1:{number}" for number in range(1, count + 1)]
            ip_commands(self.client, *(f"addr add {one}/64 dev eth0 nodad" for one in found))
        else:
            found = [f"10.66.0.{100 + number}" for number in range(1, count + 1)]
            ip_commands(self.client, *(f"addr add {one}/24 dev eth0" for one in found))
        settled(self.client, found)
        return found

    @property
    def members(self) -> Mapping[Path, tuple[NetworkId, ...]]:
        paths = (self.client, *(task.path for task in self.tasks.values()))
        return dict.fromkeys(paths, (NETWORK,))

    def _attach(self, path: Path, addresses: tuple[str, ...]) -> None:
        netns.create(path)
        name = f"v{path.name}"[:15]
        ip_commands(
            self._bridge,
            f"link add {name} type veth peer name eth0 netns {path}",
            f"link set {name} master br0 up",
        )
        ip_commands(
            path,
            "link set lo up",
            "link set eth0 up",
            f"addr add {addresses[0]}/24 dev eth0",
            f"addr add {addresses[1]}/64 dev eth0 nodad",
        )
        settled(path, addresses)


def ip_commands(path: Path, *commands: str) -> None:
    batch = "".join(f"{command}\n" for command in commands)

    def run() -> None:
        subprocess.run(["ip", "-batch", "-"], input=batch.encode(), check=True, capture_output=True)

    netns.inside(path, run)


def settled(path: Path, addresses: Iterable[str]) -> None:
    """Wait until addresses take packets: the kernel finishes those of IPv6 in the background."""
    with open_netlink(path) as netlink:
        for address in addresses:
            assert settle(netlink, ip_interface(address)), f"{address} takes no packets"


@contextmanager
def world(tasks: str = "abc") -> Iterator[World]:
    made = World(Path("/run") / f"swarmd-test-{uuid4().hex[:8]}", tasks)
    try:
        made.build()
        yield made
    finally:
        made.destroy()


def table(
    world: World,
    *,
    ready: str,
    present: str | None = None,
    weights: Mapping[str, int] = {},
    balance: Balance = Balance.ROUND_ROBIN,
    version: int = 1,
    more: int = 0,
) -> Mapping[NetworkId, NetworkTable]:
    """One service at 10.66.0.2 and fd66::2 over the tasks of the world.

    `present` are those that still exist (default: all). Of `more` further services every second has
    no tasks, the others one that is elsewhere.
    """
    service = ServiceRow(ServiceId("s"), "web", virtual_ips=ADDRESSES, balance=balance)
    others = (
        ServiceRow(ServiceId(f"o{n}"), f"o{n}", virtual_ips=(f"10.67.{n // 250}.{n % 250}",))
        for n in range(more)
    )
    elsewhere = (
        Endpoint(
            TaskId(f"t{n}"),
            ServiceId(f"o{n}"),
            NodeId("m"),
            (f"10.68.{n // 250}.{n % 250}",),
            ready=True,
        )
        for n in range(0, more, 2)
    )
    return {
        NETWORK: NetworkTable(
            network_id=NETWORK,
            name="net",
            version=version,
            services={row.service_id: row for row in (service, *others)},
            endpoints={
                TaskId(task.name): Endpoint(
                    TaskId(task.name),
                    ServiceId("s"),
                    NodeId("n"),
                    task.addresses,
                    ready=task.name in ready,
                    weight=weights.get(task.name, 1),
                )
                for task in world.tasks.values()
                if present is None or task.name in present
            }
            | {endpoint.task_id: endpoint for endpoint in elsewhere},
        )
    }


def connect(path: Path, address: str, source: str = "") -> socket.socket:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    sock = netns.inside(path, lambda: socket.socket(family))
    sock.settimeout(PATIENCE_S)
    try:
        if source:
            sock.bind((source, 0))
        sock.connect((address, PORT))
    except OSError:
        sock.close()
        raise
    return sock


def ask(path: Path, address: str, source: str = "") -> str:
    """The name of whoever answers a new connection."""
    with connect(path, address, source) as sock:
        return sock.recv(100).decode()
