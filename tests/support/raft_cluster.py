"""Raft members on loopback with real certificates, sockets and disks.

The port is served by a plain TLS listener that does what the daemon's shared listener does for
ALPN `swarmd-raft`: read the verified certificate and hand the connection to the node.
"""

from __future__ import annotations

import asyncio
import random
import ssl
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from swarmd.model.states import Role
from swarmd.raft import founding as raft
from swarmd.raft.config import RaftConfig
from swarmd.raft.members import Member
from swarmd.raft.node import RaftNode
from swarmd.rpc.identity import from_certificate
from tests.support import certs

MS = 1_000_000
FAST = RaftConfig(
    heartbeat_ns=30 * MS,
    election_min_ns=150 * MS,
    election_max_ns=300 * MS,
    fallback_ns=500 * MS,
    lost_link_wait_ns=50 * MS,
    segment_bytes=256 << 10,
    reserve_bytes=64 << 10,
)


class Frozen:
    def __init__(self, log: list[bytes]) -> None:
        self._log = log

    def chunks(self) -> Iterator[bytes]:
        for start in range(0, len(self._log), 500):
            part = self._log[start : start + 500]
            yield b"".join(len(item).to_bytes(4, "big") + item for item in part)


class ListMachine:
    """Remembers every entry it was given, in order; answers with how many there are."""

    def __init__(self) -> None:
        self.log: list[bytes] = []
        self.index = 0

    def apply(self, index: int, data: bytes) -> object:
        assert index > self.index, "indexes only grow"
        self.index = index
        self.log.append(data)
        return len(self.log)

    def freeze(self) -> Frozen:
        return Frozen(list(self.log))

    def restore(self, index: int, chunks: Iterable[bytes]) -> None:
        log: list[bytes] = []
        for chunk in chunks:
            position = 0
            while position < len(chunk):
                length = int.from_bytes(chunk[position : position + 4], "big")
                log.append(chunk[position + 4 : position + 4 + length])
                position += 4 + length
        self.log, self.index = log, index


class Listener:
    """A TLS port in front of one node, as the daemon has it."""

    def __init__(self, pair: certs.NodePair) -> None:
        self._context = certs.server_context(pair, alpn=("swarmd-raft",))
        self._server: asyncio.Server | None = None
        self.port = 0

    async def start(self, node: RaftNode, port: int = 0, host: str = "127.0.0.1") -> None:
        self._server = await asyncio.get_running_loop().create_server(
            lambda: Switch(node), host, port or self.port, ssl=self._context
        )
        self.port = self._server.sockets[0].getsockname()[1]

    def stop(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None


class Switch(asyncio.Protocol):
    """Hands a connection to the node once the certificate is known."""

    def __init__(self, node: RaftNode) -> None:
        self._node = node

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        tls: ssl.SSLObject = transport.get_extra_info("ssl_object")
        der = tls.getpeercert(True)
        identity = from_certificate(der) if der else None
        if identity is None:
            transport.abort()
            return
        protocol = self._node.accept(identity)
        transport.set_protocol(protocol)
        protocol.connection_made(transport)


class Cluster:
    """Members of one cluster, each with its directory, port and state machine."""

    def __init__(self, directory: Path, config: RaftConfig = FAST, seed: int = 0) -> None:
        self.directory, self.config = directory, config
        self.rng = random.Random(seed or time.time_ns())
        self.ca = certs.shared_ca()
        self.nodes: dict[str, RaftNode] = {}
        self.machines: dict[str, ListMachine] = {}
        self.listeners: dict[str, Listener] = {}
        self.pairs: dict[str, certs.NodePair] = {}
        self.fatal: dict[str, str] = {}

    def pair(self, node_id: str) -> certs.NodePair:
        if node_id not in self.pairs:
            self.pairs[node_id] = certs.issue(self.ca, node_id, Role.MANAGER)
        return self.pairs[node_id]

    async def found(self, node_id: str, *, kek: bytes | None = None) -> RaftNode:
        member = self._member(node_id, 0)
        raft.bootstrap(self.directory / node_id, member, kek=kek, config=self.config)
        node = await self.start(node_id, kek=kek)
        await self.until(lambda: node.is_leader)
        return node

    async def join(self, node_id: str, generation: int = 0) -> RaftNode:
        member = self._member(node_id, generation)
        raft.prepare_join(self.directory / node_id, member, config=self.config)
        node = await self.start(node_id)
        leader = await self.leader()
        await leader.add_member(node.member)
        return node

    async def start(
        self,
        node_id: str,
        *,
        kek: bytes | None = None,
        move: bool = False,
        machine: ListMachine | None = None,
    ) -> RaftNode:
        pair = self.pair(node_id)
        listener = self.listeners.get(node_id)
        if listener is None or move:
            listener = self.listeners[node_id] = Listener(pair)
        machine = machine or ListMachine()
        node = RaftNode(
            self.directory / node_id,
            machine,
            client_ssl=lambda: certs.client_context(pair.root_pem, pair, alpn=("swarmd-raft",)),
            rng=random.Random(self.rng.random()),
            config=self.config,
            kek=kek,
            on_fatal=lambda reason: self.fatal.__setitem__(node_id, reason),
        )
        await listener.start(node)
        node._address = f"127.0.0.1:{listener.port}"
        await node.start()
        self.nodes[node_id], self.machines[node_id] = node, machine
        return node

    async def stop(self, node_id: str) -> None:
        self.listeners[node_id].stop()
        await self.nodes.pop(node_id).stop()

    async def close(self) -> None:
        for node_id in list(self.nodes):
            await self.stop(node_id)

    async def leader(self) -> RaftNode:
        found: list[RaftNode] = []

        def look() -> bool:
            found[:] = [n for n in self.nodes.values() if n.is_leader]
            return bool(found)

        await self.until(look)
        return max(found, key=lambda n: n.term)

    async def until(self, condition: Callable[[], bool], seconds: float = 20.0) -> None:
        async with asyncio.timeout(seconds):
            while not condition():
                await asyncio.sleep(0.005)

    def _member(self, node_id: str, generation: int) -> Member:
        listener = self.listeners.get(node_id)
        if listener is None:
            listener = self.listeners[node_id] = Listener(self.pair(node_id))
        return Member(f"{node_id}.{generation}", node_id, f"127.0.0.1:{listener.port}")
