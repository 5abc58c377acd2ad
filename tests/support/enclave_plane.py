"""The data plane of an ordinary user's node, put to use: a program for a user without any rights.

The network it is started in has the addresses `OWN`, of the node, and `PEER`, where it plays
another node by hand. Nothing is left of it afterwards but its directory.
"""

from __future__ import annotations

import asyncio
import errno
import random
import socket
import struct
import sys
from pathlib import Path

from swarmd.agent.dataplane.making import NodeParts
from swarmd.lb.core.tables import Backend, PublishedPort, ServiceEndpoints, Tables
from swarmd.model.ids import NetworkId, NodeId, ServiceId, TaskId
from swarmd.model.network import NetworkAttachment
from swarmd.model.spec import ContainerSpec, EndpointSpec, PortConfig, TaskSpec
from swarmd.model.states import Protocol
from swarmd.model.task import Task
from swarmd.network.core.encapsulated import datagram
from swarmd.network.core.overlay_plan import VXLAN_PORT
from swarmd.network.core.tables import Endpoint, NetworkTable, Peer, ServiceRow, Subnet, mac_of
from swarmd.network.kernel import netns
from swarmd.runtime import enclave
from swarmd.runtime.clock import SystemClock
from swarmd.runtime.timeouts import timeout

OWN, PEER, STRANGER = "10.9.9.1", "10.9.9.2", "10.9.9.3"
DONE = "all as on other nodes"
ME, OTHER = NodeId("me"), NodeId("other")
WEB, SERVICE = TaskId("web1"), ServiceId("web")
ASKER, FAR, SHUT = TaskId("asker1"), TaskId("far1"), TaskId("shut1")
FRONT, VIP = NetworkId("front"), "10.20.0.2"
NUMBER = 4097
AT = {WEB: "10.20.0.5", ASKER: "10.20.0.6", FAR: "10.20.0.9"}
PUBLISHED = 8080
NOWHERE = "198.51.100.1"


def a_table(name: NetworkId, subnet: str, number: int, **fields: object) -> NetworkTable:
    return NetworkTable(
        network_id=name, name=name, version=1, subnets=(Subnet(subnet, vxlan_id=number),), **fields
    )  # type: ignore[arg-type]


def tables() -> dict[NetworkId, NetworkTable]:
    front = a_table(
        FRONT,
        "10.20.0.0/24",
        NUMBER,
        peers={ME: Peer(ME, OWN, ("10.20.0.200",)), OTHER: Peer(OTHER, PEER, ("10.20.0.201",))},
        services={SERVICE: ServiceRow(SERVICE, "web", virtual_ips=(VIP,))},
        endpoints={
            task: Endpoint(
                task,
                SERVICE if task == WEB else ServiceId(task),
                OTHER if task == FAR else ME,
                (address,),
                ready=True,
            )
            for task, address in AT.items()
        },
    )
    ingress = a_table(
        NetworkId("ingress"),
        "10.30.0.0/24",
        NUMBER + 1,
        ingress=True,
        peers={ME: Peer(ME, OWN, ("10.30.0.200",))},
        endpoints={WEB: Endpoint(WEB, SERVICE, ME, ("10.30.0.5",), ready=True)},
    )
    shut = a_table(NetworkId("shut"), "10.40.0.0/24", NUMBER + 2, internal=True)
    return {table.network_id: table for table in (ingress, front, shut)}


def published() -> Tables:
    backend = Backend(WEB, ME, OWN, ingress_address="10.30.0.5")
    port = PublishedPort(Protocol.TCP, PUBLISHED, 80)
    return Tables(1, {SERVICE: ServiceEndpoints(SERVICE, "web", (port,), (backend,))})


def a_task(task_id: TaskId, *places: tuple[str, str], **fields: object) -> Task:
    networks = tuple(NetworkAttachment(NetworkId(name), (address,)) for name, address in places)
    spec = TaskSpec(container_spec=ContainerSpec())
    return Task(id=task_id, networks=networks, spec=spec, **fields)  # type: ignore[arg-type]


def make_parts(directory: Path) -> NodeParts:
    return NodeParts(
        node_id=ME,
        hostname="here",
        data_addr=OWN,
        listen=("127.0.0.1",),
        directory=directory,
        balancer="",
        on_report=lambda report: None,
        dial=no_tunnel,
        clock=SystemClock(),
        rng=random.Random(1),
    )


async def use_networks(directory: Path) -> None:
    parts = make_parts(directory)
    plane = parts.plane
    assert parts.balancing.name == "nft", parts.balancing
    assert "user namespace" in parts.balancing.reason
    try:
        async with asyncio.TaskGroup() as group:
            running = group.create_task(plane.run())
            reports = await plane.apply(published(), tables())
            assert not any(report.problems for report in reports.values()), reports
            ports = EndpointSpec(ports=(PortConfig(target_port=80, published_port=PUBLISHED),))
            homes = [
                await plane.attach(one)
                for one in (
                    a_task(
                        WEB,
                        ("ingress", "10.30.0.5/24"),
                        ("front", "10.20.0.5/24"),
                        endpoint_spec=ports,
                    ),
                    a_task(ASKER, ("front", "10.20.0.6/24")),
                    a_task(SHUT, ("shut", "10.40.0.5/24")),
                )
            ]
            web, asker, shut = (home.place.namespace for home in homes)
            with answering(web, "", 80):
                await look(asker, web, shut)
            await at_other_nodes(asker)
            assert not plane.problems, plane.problems
            running.cancel()
    finally:
        for task in (WEB, ASKER, SHUT):
            await plane.detach(task)
        await parts.close(keep_tasks=False)
        await plane.remove()
    assert not directory.exists(), list(directory.iterdir())


async def no_tunnel(peer: object, serve: object) -> None:
    raise OSError("there are no tunnels here")


class answering:
    """A server in a namespace that says who has called."""

    def __init__(self, space: Path | None, host: str, port: int) -> None:
        self._listener = a_socket(space)
        self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._listener.bind((host, port))
        self._listener.listen()

    def __enter__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(self._listener, self._answer)

    def __exit__(self, *_: object) -> None:
        self._loop.remove_reader(self._listener)
        self._listener.close()

    def _answer(self) -> None:
        sock, (host, *_) = self._listener.accept()
        with sock:
            sock.sendall(host.encode())


def a_socket(space: Path | None, kind: int = socket.SOCK_STREAM) -> socket.socket:
    sock = netns.inside(space, lambda: socket.socket(socket.AF_INET, kind))
    sock.setblocking(False)
    return sock


async def ask(space: Path | None, host: str, port: int) -> str:
    """What a server says; the name of the error that came instead."""
    loop = asyncio.get_running_loop()
    with a_socket(space) as sock:
        try:
            async with timeout(5):
                await loop.sock_connect(sock, (host, port))
                return (await loop.sock_recv(sock, 100)).decode()
        except OSError as error:
            return errno.errorcode[error.errno or 0]


async def look(asker: Path, web: Path, shut: Path) -> None:
    # Each other, under their own addresses.
    assert await ask(asker, AT[WEB], 80) == AT[ASKER]
    assert await ask(asker, VIP, 80) == AT[ASKER]
    # From outside, by the proxy and the mesh.
    assert (await ask(None, "127.0.0.1", PUBLISHED)).startswith("169.254.")
    # The world, of which the machine itself is part.
    with answering(None, PEER, 9000), answering(None, OWN, 9001):
        for space in (asker, web):
            assert await ask(space, PEER, 9000) in (OWN, PEER)
            assert await ask(space, OWN, 9001) in (OWN, PEER)
        assert await ask(shut, PEER, 9000) == "ENETUNREACH"
    assert await ask(asker, PEER, 9009) == "ECONNRESET"
    assert await ask(asker, NOWHERE, 80) == "ECONNRESET"
    # What doesn't leave says so at once.
    with a_socket(asker, socket.SOCK_DGRAM) as sock:
        sock.connect((NOWHERE, 9))
        sock.send(b"x")
        refused = 0
        try:
            async with timeout(5):
                await asyncio.get_running_loop().sock_recv(sock, 100)
        except OSError as error:
            refused = error.errno or 0
    assert refused in (errno.ENETUNREACH, errno.EHOSTUNREACH), refused


async def at_other_nodes(asker: Path) -> None:
    """As another node, get what is for one of its tasks, and answer; as nobody, be ignored."""
    loop = asyncio.get_running_loop()
    with (
        a_socket(None, socket.SOCK_DGRAM) as peer,
        a_socket(None, socket.SOCK_DGRAM) as stranger,
        a_socket(asker, socket.SOCK_DGRAM) as task,
    ):
        peer.bind((PEER, VXLAN_PORT))
        stranger.bind((STRANGER, VXLAN_PORT))
        task.bind((AT[ASKER], 7777))
        task.sendto(b"there?", (AT[FAR], 7777))
        async with timeout(5):
            while True:
                packet = await loop.sock_recv(peer, 2000)
                if packet.endswith(b"there?"):
                    break
        assert packet[:8] == vxlan(NUMBER)
        frame = bytes.fromhex((mac_of(AT[ASKER]) + mac_of(AT[FAR])).replace(":", "")) + b"\x08\0"

        def send(sock: socket.socket, number: int, data: bytes) -> None:
            sock.sendto(vxlan(number) + frame + inner_datagram(data), (OWN, VXLAN_PORT))

        send(stranger, NUMBER, b"not of a peer")
        send(peer, NUMBER + 2, b"not of a network of its")
        send(peer, NUMBER, b"here")
        async with timeout(5):
            assert await loop.sock_recv(task, 100) == b"here"


def vxlan(number: int) -> bytes:
    return struct.pack("!II", 0x0800_0000, number << 8)


def inner_datagram(data: bytes) -> bytes:
    source, target = (socket.inet_aton(AT[task]) for task in (FAR, ASKER))
    return datagram(data, source=source, target=target, ports=(7777, 7777))


if __name__ == "__main__":
    assert enclave.is_needed()
    assert not enclave.is_inside()
    enclave.enter()
    assert enclave.is_inside()
    assert not enclave.is_needed()
    assert not enclave.owns_network()
    asyncio.run(use_networks(Path(sys.argv[1])))
    sys.stdout.write(f"{DONE}\n")
