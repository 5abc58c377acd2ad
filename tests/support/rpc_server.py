"""A real server with mutual TLS on loopback, and clients of every kind for it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import lru_cache
from typing import Any

from swarmd.model.states import Role
from swarmd.rpc.channel import Channel
from swarmd.rpc.relay import LeaderRelay
from swarmd.rpc.router import Router
from swarmd.rpc.server import Server, ServerLimits
from swarmd.rpc.tls import ClientTls, Credentials
from swarmd.runtime.clock import SystemClock
from swarmd.runtime.supervise import Supervisor
from tests.support.certs import CLUSTER, NodePair, issue, shared_ca

MANAGER_NODE = "m1"


@lru_cache(maxsize=16)
def pair_of(node_id: str, role: Role = Role.WORKER, cluster_id: str = CLUSTER) -> NodePair:
    return issue(shared_ca(), node_id, role, cluster_id)


def credentials_of(pair: NodePair) -> Credentials:
    return Credentials(pair.root_pem, pair.cert_pem, pair.key_pem)


def tls_of(pair: NodePair, server_name: str = "swarm-manager") -> ClientTls:
    return ClientTls(pair.root_pem, pair.cert_pem, pair.key_pem, server_name)


class Leading:
    """Leadership that a test sets: "" means that this manager leads."""

    def __init__(self, leader: str = "") -> None:
        self.leader = leader

    def is_leader(self) -> bool:
        return not self.leader

    async def find_leader(self) -> str:
        return self.leader


class Manager:
    """A manager's server with the given services, and what a test may turn on it."""

    def __init__(
        self,
        services: dict[str, object],
        node_id: str = MANAGER_NODE,
        server_limits: ServerLimits | None = None,
    ) -> None:
        self.removed: set[str] = set()
        self.leadership = Leading()
        self.router = Router(
            cluster_id=lambda: CLUSTER, is_removed=lambda node_id: node_id in self.removed
        )
        self.router.leadership = self.leadership
        for name, implementation in services.items():
            self.router.register(name, implementation)
        self.pair = pair_of(node_id, Role.MANAGER)
        self.relay = LeaderRelay(
            router=self.router,
            connect=lambda address: Channel(address, tls_of(self.pair)),
            own_address=lambda: self.address,
            clock=SystemClock(),
        )
        self.server = Server(
            router=self.router,
            relay=self.relay,
            clock=SystemClock(),
            server_limits=server_limits,
        )
        self.address = ""

    @asynccontextmanager
    async def running(self, *, local: str | None = None) -> AsyncIterator[Manager]:
        """Serve on a free port of loopback, and on the socket `local`."""
        port = await self.server.listen("127.0.0.1", 0, credentials_of(self.pair))
        self.address = f"127.0.0.1:{port}"
        if local is not None:
            await self.server.listen_local(local)
        tasks = Supervisor("manager")
        tasks.keep(self.relay.run, name="relay")
        try:
            yield self
        finally:
            await tasks.stop()
            await self.relay.reconnect()
            await self.server.stop()

    @asynccontextmanager
    async def channel(
        self, pair: NodePair | None = None, make: Callable[..., Any] = Channel
    ) -> AsyncIterator[Any]:
        """A channel of the node that `pair` certifies; of a manager if it is not given."""
        channel = make(self.address, tls_of(pair or pair_of("m9", Role.MANAGER)))
        try:
            yield channel
        finally:
            await channel.close()
