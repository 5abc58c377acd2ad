"""What every back end for virtual addresses must do: one suite, on real namespaces and sockets.

A `World` is one network as the data plane makes it: a bridge, and tasks with a namespace each.
Every task answers on TCP and UDP with its name. A back end's tests derive from `VirtualContract`.
"""

from __future__ import annotations

import contextlib
import socket
import subprocess
import threading
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

import pytest
from msgspec.structs import replace

from swarmd.lb.virtual import VirtualBalancer
from swarmd.model.ids import NetworkId, NodeId, ServiceId, TaskId
from swarmd.network.core.tables import Endpoint, NetworkTable, ServiceRow
from swarmd.network.kernel import netns

NETWORK = NetworkId("net")
PORT = 7000
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
        for thread in self._threads:
            thread.join()
        for sock in self._sockets:
            sock.close()
        for sock in self.accepted:
            sock.close()

    def _serve_tcp(self, sock: socket.socket) -> None:
        while True:
            try:
                accepted, _ = sock.accept()
            except OSError:
                return
            self.accepted.append(accepted)
            accepted.send(self.name.encode())

    def _serve_udp(self, sock: socket.socket) -> None:
        while True:
            _, sender = sock.recvfrom(100)
            if sender is None:  # shut down
                return
            sock.sendto(self.name.encode(), sender)


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

    @property
    def members(self) -> Mapping[Path, tuple[NetworkId, ...]]:
        paths = (self.client, *(task.path for task in self.tasks.values()))
        return dict.fromkeys(paths, (NETWORK,))

    def _attach(self, path: Path, addresses: tuple[str, ...]) -> None:
        netns.create(path)
        name = f"v{path.name}"[:15]
        ip_commands(self._bridge, f"link add {name} type veth peer name eth0 netns {path}")
        ip_commands(self._bridge, f"link set {name} master br0 up")
        ip_commands(path, "link set lo up", "link set eth0 up")
        ip_commands(
            path,
            f"addr add {addresses[0]}/24 dev eth0",
            f"addr add {addresses[1]}/64 dev eth0 nodad",
        )


def ip_commands(path: Path, *commands: str) -> None:
    batch = "".join(f"{command}\n" for command in commands)

    def run() -> None:
        subprocess.run(["ip", "-batch", "-"], input=batch.encode(), check=True, capture_output=True)

    netns.inside(path, run)


@contextmanager
def world(tasks: str = "abc") -> Iterator[World]:
    made = World(Path("/run") / f"swarmd-test-{uuid4().hex[:8]}", tasks)
    try:
        made.build()
        yield made
    finally:
        made.destroy()


def table(
    world: World, *, ready: str, present: str | None = None, version: int = 1, more: int = 0
) -> Mapping[NetworkId, NetworkTable]:
    """One service at 10.66.0.2 and fd66::2 over the tasks of the world.

    `present` are those that still exist (default: all); `more` further services have no tasks.
    """
    service = ServiceRow(ServiceId("s"), "web", virtual_ips=("10.66.0.2", "fd66::2"))
    others = (
        ServiceRow(ServiceId(f"o{n}"), f"o{n}", virtual_ips=(f"10.67.{n // 250}.{n % 250}",))
        for n in range(more)
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
                )
                for task in world.tasks.values()
                if present is None or task.name in present
            },
        )
    }


def connect(path: Path, address: str) -> socket.socket:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    sock = netns.inside(path, lambda: socket.socket(family))
    sock.settimeout(PATIENCE_S)
    try:
        sock.connect((address, PORT))
    except OSError:
        sock.close()
        raise
    return sock


def ask(path: Path, address: str) -> str:
    """The name of whoever answers a new connection."""
    with connect(path, address) as sock:
        return sock.recv(100).decode()


class VirtualContract:
    """Derive, and implement `balancer`."""

    def balancer(self) -> VirtualBalancer:
        raise NotImplementedError

    @pytest.mark.parametrize("address", ["10.66.0.2", "fd66::2"])
    async def test_connections_go_round_the_tasks_exactly(self, address: str) -> None:
        with world() as w:
            assert await self.balancer().apply(table(w, ready="abc"), w.members) == ()
            names = [ask(w.client, address) for _ in range(9)]
        assert names[:3] == names[3:6] == names[6:]
        assert sorted(names[:3]) == ["a", "b", "c"]

    @pytest.mark.parametrize("address", ["10.66.0.2", "fd66::2"])
    async def test_a_task_that_leaves_gets_no_new_connections_and_keeps_its_old(
        self, address: str
    ) -> None:
        with world() as w:
            balancer = self.balancer()
            await balancer.apply(table(w, ready="abc"), w.members)
            open_ = [connect(w.client, address) for _ in range(3)]
            assert sorted(sock.recv(10) for sock in open_) == [b"a", b"b", b"c"]
            await balancer.apply(table(w, ready="bc"), w.members)
            assert Counter(ask(w.client, address) for _ in range(4)) == {"b": 2, "c": 2}
            for task in w.tasks.values():
                task.accepted[0].send(b"more")
            assert [sock.recv(10) for sock in open_] == [b"more"] * 3
            for sock in open_:
                sock.close()

    async def test_a_task_reaches_itself_by_the_address_of_its_service(self) -> None:
        with world("a") as w:
            await self.balancer().apply(table(w, ready="a"), w.members)
            assert ask(w.tasks["a"].path, "10.66.0.2") == "a"

    @pytest.mark.parametrize("address", ["10.66.0.2", "fd66::2"])
    async def test_without_tasks_clients_are_refused_at_once_until_there_are_some(
        self, address: str
    ) -> None:
        with world("a") as w:
            balancer = self.balancer()
            await balancer.apply(table(w, ready=""), w.members)
            with pytest.raises(ConnectionRefusedError):
                ask(w.client, address)
            await balancer.apply(table(w, ready="a", version=2), w.members)
            assert ask(w.client, address) == "a"
            await balancer.apply(table(w, ready="", version=3), w.members)
            with pytest.raises(ConnectionRefusedError):
                ask(w.client, address)

    async def test_datagrams_of_one_client_stay_with_a_task_until_it_is_gone(self) -> None:
        with world("ab") as w:
            balancer = self.balancer()
            await balancer.apply(table(w, ready="ab"), w.members)
            with netns.inside(
                w.client, lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            ) as sock:
                sock.settimeout(PATIENCE_S)
                sock.connect(("10.66.0.2", PORT))

                def answer() -> str:
                    sock.send(b"?")
                    return sock.recv(10).decode()

                first = answer()
                assert {answer() for _ in range(5)} == {first}
                other = "b" if first == "a" else "a"
                await balancer.apply(table(w, ready=other, present=other), w.members)
                await balancer.forget()
                assert {answer() for _ in range(5)} == {other}

    async def test_a_thousand_services_stand_beside_each_other(self) -> None:
        with world("ab") as w:
            balancer = self.balancer()
            members = {w.client: (NETWORK,)}
            assert await balancer.apply(table(w, ready="a", more=1000), members) == ()
            assert ask(w.client, "10.66.0.2") == "a"
            await balancer.apply(table(w, ready="b", more=1000, version=2), members)
            assert ask(w.client, "10.66.0.2") == "b"

    async def test_a_service_that_is_removed_leaves_nothing(self) -> None:
        with world("a") as w:
            balancer = self.balancer()
            await balancer.apply(table(w, ready="a"), w.members)
            empty = {NETWORK: replace(table(w, ready="a")[NETWORK], services={}, endpoints={})}
            await balancer.apply(empty, w.members)
            with pytest.raises(OSError, match=r"[Nn]o route|timed out|unreachable"):
                ask(w.client, "10.66.0.2")
