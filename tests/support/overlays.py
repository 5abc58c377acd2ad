"""Nodes on one underlay, as namespaces, and tables of networks that span them."""

from __future__ import annotations

import contextlib
import itertools
import os
import socket
from collections.abc import Iterator
from ipaddress import ip_interface
from pathlib import Path

from swarmd.model.ids import NetworkId, NodeId, ServiceId, TaskId
from swarmd.model.network import NetworkAttachment
from swarmd.network.core.overlay_plan import Underlay
from swarmd.network.core.tables import Endpoint, NetworkTable, Peer, Subnet
from swarmd.network.kernel import links, netns, routing
from swarmd.network.kernel.netlink import open_netlink

UNDERLAY_MTU = 1500
IP_MTU_DISCOVER, IP_PMTUDISC_DO = 10, 2
_RUNS = itertools.count()


class Nodes:
    """Namespaces `n1`, `n2`, … joined by a bridge in another one."""

    def __init__(self, directory: Path, count: int, *, ipv6: bool = False) -> None:
        self.directory = directory
        self.ipv6 = ipv6
        self.names = [f"n{number}" for number in range(1, count + 1)]

    def path(self, name: str) -> Path:
        return self.directory / name

    def underlay(self, name: str) -> Underlay:
        number = self.names.index(name) + 1
        address = f"fd99::{number}" if self.ipv6 else f"10.99.1.{number}"
        return Underlay(address=address, mtu=UNDERLAY_MTU)

    def make(self) -> None:
        netns.create(self.path("switch"))
        with open_netlink(self.path("switch")) as switch:
            switch.do(links.bridge("br0"))
            bridge = links.index_of(switch, "br0")
            for name in self.names:
                netns.create(self.path(name))
                with open(self.path(name)) as inside, open_netlink(self.path(name)) as node:
                    switch.do(
                        links.pair(
                            f"p{name}", peer="eth0", peer_namespace=inside.fileno(), master=bridge
                        )
                    )
                    index = links.index_of(node, "eth0")
                    address = self.underlay(name).address
                    prefix = 64 if self.ipv6 else 24
                    node.do(
                        links.change(1, up=True),
                        links.change(index, up=True),
                        routing.put_address(index, ip_interface(f"{address}/{prefix}")),
                    )
                    links.settle(node, "eth0")
                    links.settle(switch, f"p{name}")

    def remove(self) -> None:
        for name in (*self.names, "switch"):
            netns.remove(self.path(name))


@contextlib.contextmanager
def nodes(directory: Path, count: int, *, ipv6: bool = False) -> Iterator[Nodes]:
    made = Nodes(directory, count, ipv6=ipv6)
    try:
        made.make()
        yield made
    finally:
        made.remove()


def a_table(
    made: Nodes,
    tasks: dict[str, tuple[str, tuple[str, ...]]],
    *,
    version: int = 1,
    subnets: tuple[Subnet, ...] | None = None,
    number: int = 4096,
    peers: dict[str, tuple[str, ...]] | None = None,
    ingress: bool = False,
    internal: bool = False,
    mtu: int = 0,
) -> NetworkTable:
    """A network of the nodes; `tasks` gives each its node and addresses."""
    given = peers or {
        name: (f"10.0.{number % 256}.{200 + n}",) for n, name in enumerate(made.names)
    }
    return NetworkTable(
        network_id=NetworkId(f"net{number}"),
        name=f"web{number}",
        version=version,
        subnets=subnets or (Subnet(f"10.0.{number % 256}.0/24", vxlan_id=number),),
        ingress=ingress,
        internal=internal,
        mtu=mtu,
        peers={
            NodeId(name): Peer(NodeId(name), made.underlay(name).address, given.get(name, ()))
            for name in made.names
        },
        endpoints={
            TaskId(task): Endpoint(TaskId(task), ServiceId("s"), NodeId(node), addresses)
            for task, (node, addresses) in tasks.items()
        },
    )


def an_attachment(table: NetworkTable, *addresses: str) -> NetworkAttachment:
    return NetworkAttachment(network_id=table.network_id, addresses=addresses)


def reaches(
    source: Path, target: Path, address: str, *, size: int = 1, within_s: float = 10
) -> bool:
    """Whether datagrams from one namespace arrive at an address of another, and answers return.

    They are as large as said, headers excluded, and may not be cut into pieces.
    """
    family = socket.AF_INET6 if ":" in address else socket.AF_INET

    def a_socket() -> socket.socket:
        sock = socket.socket(family, socket.SOCK_DGRAM)
        sock.settimeout(within_s)
        if family == socket.AF_INET:
            sock.setsockopt(socket.IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_DO)
        return sock

    with netns.inside(target, a_socket) as server, netns.inside(source, a_socket) as client:
        try:
            server.bind((address, 0))
            client.sendto(b"x" * size, server.getsockname())
            data, sender = server.recvfrom(65536)
            server.sendto(data, sender)
            return len(client.recv(65536)) == size
        except OSError:
            return False


def run_id() -> str:
    """A prefix that no other test on this machine has."""
    return f"t{os.getpid()}x{next(_RUNS)}"
