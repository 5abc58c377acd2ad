"""The daemon's listeners: the remote port and the local socket.

Both lead to the same router. On the remote port TLS decides who the caller is, and ALPN what is
spoken: gRPC, or a protocol that another component registered. Whoever may open the local socket
(mode 0600) is trusted with everything; there gRPC comes in plain or, as stock clients do it,
within TLS, told apart by the first byte.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

import msgspec

from swarmd.model.errors import Rejection
from swarmd.rpc import identity, sockets
from swarmd.rpc.accepting import LocalListener, Switch
from swarmd.rpc.call import Peer
from swarmd.rpc.h2 import limits
from swarmd.rpc.h2.hpack_decoder import BlockCache
from swarmd.rpc.h2.limits import Limits
from swarmd.rpc.identity import Identity
from swarmd.rpc.line import TcpLine, watch
from swarmd.rpc.router import Router
from swarmd.rpc.server_connection import Relay, ServerConnection
from swarmd.rpc.tls import GRPC_ALPN, Credentials, ServerTls, shrink_read_buffers
from swarmd.runtime.clock import Clock
from swarmd.runtime.supervise import Supervisor
from swarmd.runtime.timeouts import timeout

log = logging.getLogger(__name__)

ProtocolFactory = Callable[[Identity], asyncio.Protocol]


class ServerLimits(msgspec.Struct, frozen=True):
    """What strangers may take of the remote port, and how long a stop may take.

    The kernel caps the backlog by somaxconn; it is deep because agents come back all at once after
    an election. `anonymous` counts connections without a certificate; one of these that has had no
    call for `anonymous_idle_s` is closed.
    """

    backlog: int = 4096
    handshake_s: float = 10.0
    anonymous: int = 4096
    anonymous_idle_s: float = 30.0
    stop_s: float = 8.0


class Server:
    """Serves one router. Start listeners as they are needed; `stop` ends everything.

    A worker serves the local socket only; on promotion `listen` adds the remote port, on demotion
    `unlisten` closes it, and calls by the socket notice nothing.
    """

    def __init__(
        self,
        *,
        router: Router,
        relay: Relay,
        clock: Clock,
        server_limits: ServerLimits | None = None,
    ) -> None:
        self._limits = server_limits if server_limits is not None else ServerLimits()
        self._router = router
        self._relay = relay
        self._clock = clock
        self._tasks = Supervisor("rpc")
        self._cache = BlockCache()
        self._tls: ServerTls | None = None
        self._remote: asyncio.Server | None = None
        self._local: LocalListener | None = None
        self._connections: set[ServerConnection] = set()
        self._idle_timers: dict[ServerConnection, asyncio.TimerHandle] = {}  # of the anonymous
        self._foreign: dict[asyncio.BaseTransport, str] = {}
        self._factories: dict[str, ProtocolFactory] = {}
        self._from_workers: frozenset[str] = frozenset()
        self._one_lost = asyncio.Event()
        self._anonymous = 0

    def register_protocol(
        self, alpn: str, factory: ProtocolFactory, *, from_workers: bool = False
    ) -> None:
        """Serve `alpn` on the remote port, to managers of this cluster, or all of its nodes.

        Register before `listen`: clients learn in the handshake what there is.
        """
        self._factories[alpn] = factory
        if from_workers:
            self._from_workers |= {alpn}

    async def listen(self, host: str, port: int, credentials: Credentials) -> int:
        """Open the remote port; returns its number, which matters when `port` is 0.

        An empty `host` is every address of the machine.

        Raises:
            OSError: the address or the port cannot be had.
        """
        shrink_read_buffers()
        self._tls = ServerTls(credentials, alpn=(GRPC_ALPN, *self._factories))
        self._remote = await asyncio.get_running_loop().create_server(
            lambda: Switch(self._greet),
            host or None,
            port,
            ssl=self._tls.context,
            backlog=self._limits.backlog,
            ssl_handshake_timeout=self._limits.handshake_s,
            reuse_address=True,
        )
        bound: int = self._remote.sockets[0].getsockname()[1]
        log.info("rpc.listening host=%s port=%d", host or "*", bound)
        return bound

    async def listen_local(self, path: str) -> None:
        """Open the local socket, replacing a stale file of that name.

        Raises:
            OSError: the path cannot be had; EADDRINUSE when another daemon answers there.
        """
        listener = LocalListener(path, serve=self._serve_local, context=self._local_context)
        await listener.open(self._tasks)
        self._local = listener

    def replace_credentials(self, credentials: Credentials) -> None:
        """Show and trust `credentials` from the next connection on; open ones go on."""
        if self._tls is not None:
            self._tls.replace(credentials)

    def close_node(self, node_id: str) -> None:
        """Cut all connections of a node at once: it was removed."""
        for connection in list(self._connections):
            known = connection.peer.identity
            if known is not None and known.node_id == node_id:
                connection.abort()
        for transport, owner in list(self._foreign.items()):
            if owner == node_id and isinstance(transport, asyncio.Transport):
                transport.abort()

    async def unlisten(self) -> None:
        """Close the remote port and its connections; calls under way are treated as in `stop`."""
        if self._remote is not None:
            self._remote.close()
            self._remote = None
            await self._drain([c for c in self._connections if not c.peer.local])
            for transport in list(self._foreign):
                _close(transport)
            self._tls = None

    async def stop(self) -> None:
        """Stop serving. Single answers get 8 s (by default) to be finished, streams end at once."""
        if self._local is not None:
            self._local.close()
        await self.unlisten()
        await self._drain(list(self._connections))
        await self._tasks.stop()

    async def _drain(self, connections: list[ServerConnection]) -> None:
        for connection in connections:
            connection.stop()
        try:
            async with timeout(self._limits.stop_s):
                while not self._connections.isdisjoint(connections):
                    self._one_lost.clear()
                    await self._one_lost.wait()
        except TimeoutError:
            log.warning("rpc.stop_forced connections=%d", len(self._connections))
            for connection in connections:
                connection.abort()

    # --- accepting

    def _greet(self, transport: asyncio.Transport) -> asyncio.Protocol | None:
        """Who serves a connection whose handshake is done; None to close it."""
        if self._remote is None:
            return None  # the port was closed during the handshake
        tls = transport.get_extra_info("ssl_object")
        der = tls.getpeercert(True)
        peer = Peer(
            identity=identity.from_certificate(der) if der else None,
            address=sockets.format_address(transport.get_extra_info("peername")),
        )
        line = watch(transport.get_extra_info("socket"), self._clock)
        spoken = tls.selected_alpn_protocol()
        if spoken == GRPC_ALPN:
            return self._serve_grpc(transport, peer, line)
        if spoken in self._factories:
            return self._serve_foreign(transport, peer, spoken)
        log.info("rpc.refused peer=%s reason=no common protocol", peer.address)
        return None

    def _serve_grpc(
        self, transport: asyncio.Transport, peer: Peer, line: TcpLine | None
    ) -> ServerConnection | None:
        if peer.identity is not None:
            chosen = limits.MANAGER if peer.identity.is_manager else limits.WORKER
            return self._connect(peer, chosen, line)
        if self._anonymous >= self._limits.anonymous:
            log.warning("rpc.refused peer=%s reason=too many without certificate", peer.address)
            return None
        self._anonymous += 1
        connection = self._connect(peer, limits.ANONYMOUS)
        self._watch_idle(transport, connection)
        return connection

    def _serve_foreign(
        self, transport: asyncio.Transport, peer: Peer, alpn: str
    ) -> asyncio.Protocol | None:
        try:
            self._router.check_member(peer)
        except Rejection as rejection:
            log.warning("rpc.refused peer=%s reason=%s", peer.address, rejection.message)
            return None
        if peer.identity is None:
            log.warning("rpc.refused peer=%s reason=%s is for members", peer.address, alpn)
            return None
        if not peer.identity.is_manager and alpn not in self._from_workers:
            log.warning("rpc.refused peer=%s reason=%s is for managers", peer.address, alpn)
            return None
        self._foreign = {t: owner for t, owner in self._foreign.items() if not t.is_closing()}
        self._foreign[transport] = peer.identity.node_id
        return self._factories[alpn](peer.identity)

    def _serve_local(self) -> asyncio.Protocol:
        return self._connect(Peer(local=True), limits.TRUSTED)

    def _local_context(self) -> ServerTls | None:
        return self._tls

    def _connect(self, peer: Peer, chosen: Limits, line: TcpLine | None = None) -> ServerConnection:
        connection = ServerConnection(
            router=self._router,
            relay=self._relay,
            peer=peer,
            line=line,
            limits=chosen,
            cache=self._cache,
            tasks=self._tasks,
            clock=self._clock,
            on_lost=self._forget,
        )
        self._connections.add(connection)
        return connection

    def _forget(self, connection: ServerConnection) -> None:
        self._connections.discard(connection)
        self._one_lost.set()
        if connection.peer.identity is None and not connection.peer.local:
            self._anonymous -= 1
            # It holds the connection with its buffers, and machines that join come in hundreds.
            self._idle_timers.pop(connection).cancel()

    def _watch_idle(self, transport: asyncio.Transport, connection: ServerConnection) -> None:
        """Close a connection without certificate once it has had no call for a while."""

        def check(served_before: int) -> None:
            if not connection.calls and connection.served == served_before:
                _close(transport)
            else:
                check_later(connection.served)

        def check_later(served: int) -> None:
            timer = loop.call_later(self._limits.anonymous_idle_s, check, served)
            self._idle_timers[connection] = timer

        loop = asyncio.get_running_loop()
        check_later(0)


def _close(transport: asyncio.BaseTransport) -> None:
    """Close a connection that may be closing: a TLS transport closed twice can't be aborted."""
    if not transport.is_closing():
        transport.close()
