"""Two nodes with an encrypted network and a task each; what every mechanism must do for them."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from collections.abc import AsyncIterator, Callable
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

from msgspec.structs import replace

from swarmd.model.ids import NodeId, TaskId
from swarmd.model.network import Mechanism
from swarmd.model.network_keys import IPSEC, NetworkKey
from swarmd.network import plugging
from swarmd.network.core.encryption import Peer
from swarmd.network.core.interfaces import attached
from swarmd.network.core.tables import NetworkTable
from swarmd.network.crypt.encryption import Encryption
from swarmd.network.crypt.tunnel import Tunnel
from swarmd.network.kernel import links, netns
from swarmd.network.kernel.netlink import open_netlink
from swarmd.network.overlay import Overlay
from swarmd.rpc.tls import TUNNEL_ALPN, ClientTls, Credentials, ServerTls, client_context
from tests.support.certs import NodePair, issue, make_ca, shared_ca
from tests.support.overlays import Nodes, a_table, an_attachment, nodes, reaches, run_id
from tests.support.sniffing import sniffing

TEXT = b"nobody must read this"
VXLAN_PORT = 4789
TUNNEL_PORT = 2377
PATIENCE_S = 20.0


def ring(first: int) -> tuple[NetworkKey, ...]:
    """Three keys that follow each other; the next ring begins one later."""
    return tuple(
        NetworkKey(subsystem=IPSEC, key=bytes([number]) * 16, lamport_time=number)
        for number in range(first, first + 3)
    )


class Member:
    """A node: its part in the network, and a task."""

    def __init__(self, name: str, made: Nodes, table: NetworkTable, *, pair: NodePair) -> None:
        self.name = name
        self.path = made.path(name)
        self.task = made.directory / f"task-{name}"
        self.pair = pair
        self.underlay = made.underlay(name)
        self.tunnel = Tunnel(
            NodeId(name),
            self.underlay,
            dial=self.dial,
            rng=Random(name),
            namespace=made.directory / f"tunnels-{name}",
        )
        self.encryption = Encryption(
            NodeId(name), name, self.underlay, self.tunnel, lacking={}, node=self.path
        )
        self.overlay = Overlay(
            table,
            path=made.directory / f"{name}-{table.network_id}",
            node_id=NodeId(name),
            underlay=self.underlay,
            node=self.tunnel.namespace if table.mechanism is Mechanism.TUNNEL else self.path,
        )
        self._server: asyncio.Server | None = None

    async def serve(self) -> None:
        """Take tunnels as the daemon does, at the remote port."""

        def listen() -> socket.socket:
            sock = self._socket()
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            sock.bind((self.underlay.address, TUNNEL_PORT))
            return sock

        tls = ServerTls(
            Credentials(self.pair.root_pem, self.pair.cert_pem, self.pair.key_pem),
            alpn=(TUNNEL_ALPN,),
        )
        self._server = await asyncio.get_running_loop().create_server(
            lambda: _Accepting(self.tunnel), sock=netns.inside(self.path, listen), ssl=tls.context
        )

    async def dial(self, peer: Peer, serve: Callable[[], asyncio.Protocol]) -> None:
        loop = asyncio.get_running_loop()
        sock = netns.inside(self.path, self._socket)
        sock.setblocking(False)
        try:
            await loop.sock_connect(sock, (peer.underlay, TUNNEL_PORT))
            tls = ClientTls(self.pair.root_pem, self.pair.cert_pem, self.pair.key_pem, peer.node_id)
            await loop.create_connection(
                serve,
                sock=sock,
                ssl=client_context(tls, alpn=TUNNEL_ALPN),
                server_hostname=peer.node_id,
            )
        except BaseException:
            sock.close()
            raise

    def _socket(self) -> socket.socket:
        is_v6 = ":" in self.underlay.address
        return socket.socket(socket.AF_INET6 if is_v6 else socket.AF_INET)

    async def apply(self, table: NetworkTable) -> None:
        allowed = await self.encryption.apply({table.network_id: table})
        if table.network_id in allowed:
            await self.overlay.apply(table)

    async def close(self) -> None:
        await self.encryption.close(keep=False)
        if self._server is not None:
            self._server.close()


class _Accepting(asyncio.Protocol):
    def __init__(self, tunnel: Tunnel) -> None:
        self._tunnel = tunnel

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        subject = transport.get_extra_info("peercert")["subject"]
        [name] = [value for part in subject for key, value in part if key == "commonName"]
        protocol = self._tunnel.accept(NodeId(name))
        transport.set_protocol(protocol)
        protocol.connection_made(transport)


class CryptWorld:
    def __init__(self, made: Nodes, table: NetworkTable, strangers: frozenset[str]) -> None:
        self.table = table
        other = make_ca() if strangers else shared_ca()
        self.members = {
            name: Member(
                name,
                made,
                table,
                pair=issue(other if name in strangers else shared_ca(), name),
            )
            for name in made.names
        }
        self._switch = made.path("switch")

    async def build(self) -> None:
        for name, member in self.members.items():
            await member.serve()
            member.encryption.use_keys(ring(1))
            await member.apply(self.table)
            plugging.prepare(member.task, ipv6=False)
            endpoint = self.table.endpoints[TaskId(name)]
            interfaces = attached(
                [an_attachment(self.table, f"{endpoint.addresses[0]}/24")],
                {self.table.network_id: self.table},
                NodeId(name),
                None,
            )
            await member.overlay.attach(
                TaskId(name), member.task, interfaces.networks[self.table.network_id]
            )

    async def destroy(self) -> None:
        for member in self.members.values():
            await member.close()
            await member.overlay.remove()
            netns.remove(member.task)

    async def reaches(self, source: str = "n1", target: str = "n2", **options: Any) -> bool:
        """Whether the task of one node reaches that of the other, and the answer comes back."""
        [address] = self.table.endpoints[TaskId(target)].addresses
        call = partial(
            reaches, self.members[source].task, self.members[target].task, address, **options
        )
        return await asyncio.to_thread(call)

    async def settle(self) -> None:
        """Until both reach each other."""
        async with asyncio.timeout(PATIENCE_S):
            while not (await self.reaches(within_s=0.3) and await self.reaches("n2", "n1")):
                await asyncio.sleep(0.05)

    async def rotate(self, first: int) -> None:
        """All nodes learn a new ring, one after the other."""
        for member in self.members.values():
            member.encryption.use_keys(ring(first))
            await member.encryption.apply({self.table.network_id: self.table})
            await asyncio.sleep(0.2)

    def cut(self, name: str, *, off: bool) -> None:
        """Pull a node's cable, or put it back."""
        with open_netlink(self._switch) as netlink:
            netlink.do(links.change(links.index_of(netlink, f"p{name}"), up=not off))


@contextlib.asynccontextmanager
async def crypt_world(
    mechanism: Mechanism | None,
    *,
    strangers: frozenset[str] = frozenset(),
    ipv6: bool = False,
    mtu: int = 0,
) -> AsyncIterator[CryptWorld]:
    """Without a mechanism the network is in the clear."""
    directory = Path("/run") / f"swarmd-test-{run_id()}"
    with nodes(directory, 2, ipv6=ipv6) as made:
        table = a_table(made, {"n1": ("n1", ("10.0.0.11",)), "n2": ("n2", ("10.0.0.12",))})
        table = replace(
            table,
            encrypted=mechanism is not None,
            mtu=mtu,
            mechanism=mechanism,
            peers={
                key: replace(row, stream=f"{row.underlay}:{TUNNEL_PORT}")
                for key, row in table.peers.items()
            },
        )
        world = CryptWorld(made, table, strangers)
        try:
            await world.build()
            yield world
        finally:
            await world.destroy()
    directory.rmdir()


class Flow(threading.Thread):
    """Numbered datagrams from one task to another, and which of them have arrived."""

    def __init__(self, world: CryptWorld) -> None:
        super().__init__()
        [self._address] = world.table.endpoints[TaskId("n2")].addresses
        self._source = netns.inside(world.members["n1"].task, _datagrams)
        self._target = netns.inside(world.members["n2"].task, _datagrams)
        self._target.bind((self._address, 0))
        self._ends = threading.Event()
        self.sent = 0
        self.arrived: set[int] = set()

    def run(self) -> None:
        where = self._target.getsockname()
        while not self._ends.wait(0.002):
            self._source.sendto(TEXT + self.sent.to_bytes(4, "big"), where)
            self.sent += 1
            self._receive(wait_s=0)
        self._receive(wait_s=1)

    def end(self) -> None:
        self._ends.set()
        self.join()
        self._source.close()
        self._target.close()

    def _receive(self, wait_s: float) -> None:
        self._target.settimeout(wait_s)
        with contextlib.suppress(BlockingIOError, TimeoutError):
            while len(self.arrived) < self.sent:
                data = self._target.recv(2048)
                self.arrived.add(int.from_bytes(data[-4:], "big"))


def _datagrams() -> socket.socket:
    sock = socket.socket(type=socket.SOCK_DGRAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
    return sock


class CryptContract:
    """What every mechanism must do."""

    mechanism: Mechanism

    async def test_tasks_reach_each_other_and_nobody_else_reads_it(self) -> None:
        async with crypt_world(self.mechanism) as w:
            await w.settle()
            with sniffing(w.members["n2"].path, "eth0") as tap:
                flow = Flow(w)
                flow.start()
                await asyncio.sleep(0.3)
                await asyncio.to_thread(flow.end)
                assert await w.reaches(size=w.members["n1"].overlay.mtu - 28)
            assert flow.arrived == set(range(flow.sent))
            assert len(tap.packets) > flow.sent / 100
            assert not tap.saw(TEXT)
            assert VXLAN_PORT not in tap.udp_ports()

    async def test_keys_are_replaced_while_packets_are_under_way_and_all_arrive(self) -> None:
        async with crypt_world(self.mechanism) as w:
            await w.settle()
            flow = Flow(w)
            flow.start()
            with sniffing(w.members["n2"].path, "eth0") as tap:
                for first in range(2, 7):
                    await w.rotate(first)
                await asyncio.to_thread(flow.end)
            assert flow.sent > 100
            assert flow.arrived == set(range(flow.sent))
            assert not tap.saw(TEXT)

    async def test_a_node_that_was_cut_off_is_back_with_its_cable(self) -> None:
        async with crypt_world(self.mechanism) as w:
            await w.settle()
            w.cut("n2", off=True)
            assert not await w.reaches(within_s=0.3)
            w.cut("n2", off=False)
            await w.settle()

    async def test_what_encrypts_is_taken_away_and_nothing_passes_until_it_is_back(self) -> None:
        async with crypt_world(self.mechanism) as w:
            await w.settle()
            await asyncio.to_thread(self.break_it, w.members["n1"])
            with sniffing(w.members["n2"].path, "eth0") as tap:
                flow = Flow(w)
                flow.start()
                await asyncio.sleep(0.2)
                await asyncio.to_thread(flow.end)
            assert not flow.arrived
            assert not tap.saw(TEXT)
            await w.members["n1"].encryption.tend()
            await w.settle()
            assert w.members["n1"].encryption.repaired > 0

    def break_it(self, member: Member) -> None:
        """Take away what encrypts on a node, as a careless person would."""
        raise NotImplementedError
