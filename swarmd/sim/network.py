"""A simulated network of TCP connections: bytes in order, late, stuck, cut off, or gone.

What a connection guarantees is what TCP does: each direction delivers a prefix of what was
written, in order and once. Everything else is the faults' to decide. Loss shows as delay, for it
is retransmitted; a link that is down in one direction stalls that direction; a connection stalled
for longer than the kernel's patience breaks on both sides; a machine that died says nothing.
Two connections overtake each other freely: that is how old messages arrive after new ones.
"""

from __future__ import annotations

import asyncio
import ssl
from collections import deque
from random import Random
from typing import Any

from swarmd.rpc.sockets import UNANSWERED_MS
from swarmd.sim.loop import Factory, ProcessLoop
from swarmd.sim.timeline import Timeline

BUFFER_HIGH = 64 * 1024
STALL_S = UNANSWERED_MS / 1000


class SimContext(ssl.SSLContext):
    """Stands for a TLS context: who one is, and what is spoken."""

    certificate: bytes
    alpn: str

    @classmethod
    def make(cls, certificate: bytes, alpn: str) -> SimContext:
        context = cls(ssl.PROTOCOL_TLS_CLIENT)
        context.certificate, context.alpn = certificate, alpn
        return context


class SimTls:
    """What a transport tells about the other end, as an `ssl.SSLObject` does."""

    def __init__(self, certificate: bytes, alpn: str) -> None:
        self._certificate, self._alpn = certificate, alpn

    def getpeercert(self, binary: bool) -> bytes | None:
        return self._certificate or None

    def selected_alpn_protocol(self) -> str:
        return self._alpn


class Link:
    """One direction between two machines.

    Each draws for itself: the consensus library sends to its peers in the order of a set.
    """

    def __init__(self, rng: Random) -> None:
        self.rng = rng
        self.blocked = 0  # how many faults block it
        self.slow_s = 0.0
        self.loss = 0.0


class Network:
    """All machines' addresses, listeners, links and open connections."""

    def __init__(self, timeline: Timeline) -> None:
        self.timeline = timeline
        self.listeners: dict[tuple[str, int], Listener] = {}
        self.connections: dict[int, Connection] = {}
        self.opened = 0
        self.down: set[str] = set()  # hosts without power
        self._links: dict[tuple[str, str], Link] = {}

    def link(self, source: str, target: str) -> Link:
        """The direction from one host to another."""
        link = self._links.get((source, target))
        if link is None:
            rng = self.timeline.rng(f"link:{source}:{target}")
            link = self._links[source, target] = Link(rng)
        return link

    def passes(self, source: str, target: str) -> bool:
        return not (source in self.down or target in self.down or self.link(source, target).blocked)

    def delay_s(self, source: str, target: str) -> float:
        link = self.link(source, target)
        rng = link.rng
        if source == target:
            return rng.uniform(0.00002, 0.0001)
        delay = rng.uniform(0.0002, 0.003) + link.slow_s * rng.random()
        while link.loss and rng.random() < link.loss and delay < 3.0:
            delay += rng.uniform(0.2, 0.4)  # retransmitted
        return delay

    def block(self, source: str, target: str) -> None:
        """Let nothing through in one direction, until unblocked as often."""
        self.link(source, target).blocked += 1
        self._changed(source, target)

    def unblock(self, source: str, target: str) -> None:
        self.link(source, target).blocked -= 1
        self._changed(source, target)

    def _changed(self, one: str, other: str) -> None:
        """Links between two hosts have changed: stuck bytes move on, or the patience begins."""
        for connection in list(self.connections.values()):
            if {one, other} == {connection.client.host, connection.server.host}:
                connection.links_changed()

    def host_changed(self, host: str) -> None:
        """A host was switched off, or is back."""
        for connection in list(self.connections.values()):
            if host in (connection.client.host, connection.server.host):
                connection.links_changed()


class Endpoint:
    """One process's access to the network."""

    def __init__(self, network: Network, host: str, certificate: bytes) -> None:
        self.network, self.host, self.certificate = network, host, certificate
        self.loop: ProcessLoop
        self._transports: dict[int, SimTransport] = {}
        self._listeners: list[Listener] = []

    def listen(self, factory: Factory, host: str, port: int) -> Listener:
        listener = Listener(self, factory, (host, port))
        self.network.listeners[host, port] = listener
        self._listeners.append(listener)
        return listener

    async def connect(
        self, factory: Factory, host: str, port: int, context: object
    ) -> tuple[asyncio.Transport, asyncio.BaseProtocol]:
        """Three ways there and back for the handshakes; hangs while nothing gets through."""
        network = self.network
        assert isinstance(context, SimContext)
        for _ in range(2):
            if not (network.passes(self.host, host) and network.passes(host, self.host)):
                # Only the caller's own patience ends this.
                await asyncio.sleep(3600.0)
            await asyncio.sleep(network.delay_s(self.host, host) + network.delay_s(host, self.host))
        listener = network.listeners.get((host, port))
        if listener is None:
            raise ConnectionRefusedError(f"nobody listens at {host}:{port}")
        connection = Connection(network, self, listener, context.alpn)
        protocol = factory()
        connection.client.begin(protocol)
        connection.server.begin_at(listener)
        return connection.client, protocol

    def adopt(self, transport: SimTransport) -> None:
        self._transports[transport.serial] = transport

    def forget(self, transport: SimTransport) -> None:
        self._transports.pop(transport.serial, None)

    @property
    def open_connections(self) -> int:
        return len(self._transports)

    def cut(self) -> None:
        """The process has died; its kernel closes what it had open, if it still runs."""
        for listener in self._listeners:
            listener.close()
        for transport in list(self._transports.values()):
            transport.vanish()
        self._transports.clear()


class Listener:
    """A listening port. Looks enough like an `asyncio.Server`."""

    def __init__(self, endpoint: Endpoint, factory: Factory, name: tuple[str, int]) -> None:
        self.endpoint, self.factory, self.name = endpoint, factory, name
        self.sockets = (self,)

    def getsockname(self) -> tuple[str, int]:
        return self.name

    def close(self) -> None:
        listeners = self.endpoint.network.listeners
        if listeners.get(self.name) is self:
            del listeners[self.name]


class Connection:
    """Two transports and the two directions between them."""

    def __init__(self, network: Network, caller: Endpoint, listener: Listener, alpn: str) -> None:
        network.opened += 1
        self.serial = network.opened
        self.network = network
        self.stalled_since: float | None = None
        called = listener.endpoint
        client_name = (caller.host, 30_000 + self.serial % 30_000)
        self.client = SimTransport(self, caller, SimTls(called.certificate, alpn), listener.name)
        self.server = SimTransport(self, called, SimTls(caller.certificate, alpn), client_name)
        self.client.peer, self.server.peer = self.server, self.client
        network.connections[self.serial] = self

    def links_changed(self) -> None:
        network, one, other = self.network, self.client.host, self.server.host
        if network.passes(one, other) and network.passes(other, one):
            self.stalled_since = None
        elif self.stalled_since is None:
            since = self.stalled_since = network.timeline.now
            wait = STALL_S * network.link(one, other).rng.uniform(0.9, 1.1)
            network.timeline.call_at(since + wait, lambda: self._lose_patience(since))
        self.client.flow()
        self.server.flow()

    def _lose_patience(self, since: float) -> None:
        if self.stalled_since == since:
            for transport in (self.client, self.server):
                transport.lose(TimeoutError("the peer has silently gone"))

    def over(self) -> None:
        if self.client.lost and self.server.lost:
            self.network.connections.pop(self.serial, None)


class SimTransport(asyncio.Transport):
    """One end of a connection."""

    peer: SimTransport

    def __init__(
        self, connection: Connection, endpoint: Endpoint, tls: SimTls, peername: tuple[str, int]
    ) -> None:
        super().__init__({"ssl_object": tls, "peername": peername, "socket": None})
        self.connection, self.endpoint = connection, endpoint
        self.host = endpoint.host
        self.serial = connection.serial
        self.lost = False
        self._protocol: Any = None
        self._closing = False
        self._sent: deque[tuple[float, bytes]] = deque()  # to the peer, with times of arrival
        self._sent_bytes = 0
        self._moving = False
        self._high, self._low = BUFFER_HIGH, BUFFER_HIGH // 4
        self._protocol_paused = False
        self._reading = True
        self._held: deque[bytes] = deque()  # arrived while reading was paused
        self._ends: Exception | bool = False  # how the peer ended, once that has arrived
        endpoint.adopt(self)

    def begin(self, protocol: Any) -> None:
        self._protocol = protocol
        protocol.connection_made(self)

    def begin_at(self, listener: Listener) -> None:
        loop = self.endpoint.loop
        if not loop.alive:
            self.vanish()
            return

        def accept() -> None:
            if not self.lost:
                self.begin(listener.factory())
                self._deliver_held()

        loop.call_soon(accept)

    # --- asyncio.Transport

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        self._protocol = protocol

    def get_protocol(self) -> asyncio.BaseProtocol:
        protocol: asyncio.BaseProtocol = self._protocol
        return protocol

    def is_closing(self) -> bool:
        return self._closing

    def is_reading(self) -> bool:
        return self._reading

    def pause_reading(self) -> None:
        self._reading = False

    def resume_reading(self) -> None:
        if not self._reading:
            self._reading = True
            self.endpoint.loop.call_soon(self._deliver_held)

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        self._high = BUFFER_HIGH if high is None else high
        self._low = self._high // 4 if low is None else low

    def get_write_buffer_size(self) -> int:
        return self._sent_bytes

    def can_write_eof(self) -> bool:
        return False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        if self._closing or self.lost or not data:
            return
        self._send(bytes(data))

    def close(self) -> None:
        """End after what was written has arrived."""
        if not self._closing and not self.lost:
            self._closing = True
            self._send(b"")
            self.endpoint.loop.call_soon(self.lose, None)

    def abort(self) -> None:
        """End at once; what is under way is thrown away."""
        if not self.lost:
            self._closing = True
            self._sent.clear()
            self._send(b"")
            self.endpoint.loop.call_soon(self.lose, None)

    # --- the wire

    def _send(self, data: bytes) -> None:
        network = self.connection.network
        arrival = network.timeline.now + network.delay_s(self.host, self.peer.host)
        if self._sent:
            arrival = max(arrival, self._sent[-1][0])
        self._sent.append((arrival, data))
        self._sent_bytes += len(data)
        if self._sent_bytes > self._high and not self._protocol_paused:
            self._protocol_paused = True
            self._protocol.pause_writing()
        self.flow()

    def flow(self) -> None:
        """Have the next segment arrive in its time, unless the link is down."""
        network = self.connection.network
        if self._moving or not self._sent or not network.passes(self.host, self.peer.host):
            return
        self._moving = True
        at = max(self._sent[0][0], network.timeline.now)
        network.timeline.call_at(at, self._arrive)

    def _arrive(self) -> None:
        self._moving = False
        network = self.connection.network
        if not self._sent or not network.passes(self.host, self.peer.host):
            return
        if self._sent[0][0] > network.timeline.now:
            self.flow()
            return
        _, data = self._sent.popleft()
        self._sent_bytes -= len(data)
        peer = self.peer
        if data:
            network.timeline.note(b"%d:%d" % (self.serial, len(data)))
            peer.endpoint.loop.call_soon(peer._receive, data)
        else:
            self._sent.clear()
            peer.endpoint.loop.call_soon(peer._receive_end)
        if self._protocol_paused and self._sent_bytes <= self._low and not self.lost:
            self._protocol_paused = False
            self.endpoint.loop.call_soon(self._room)
        self.flow()

    def _room(self) -> None:
        if not self.lost and not self._protocol_paused:
            self._protocol.resume_writing()

    def _receive(self, data: bytes) -> None:
        if self.lost or self._closing:
            return
        self._held.append(data)
        self._deliver_held()

    def _receive_end(self) -> None:
        self._ends = True
        self._deliver_held()

    def _deliver_held(self) -> None:
        while self._held and self._reading and not self.lost and self._protocol is not None:
            self._protocol.data_received(self._held.popleft())
        if self._ends and not self._held:
            self._closing = True
            self.lose(None)

    def lose(self, reason: Exception | None) -> None:
        """The connection is over at this end."""
        if self.lost:
            return
        self.lost = self._closing = True
        self.endpoint.forget(self)
        self.connection.over()
        if self._protocol is not None:
            self.endpoint.loop.call_soon(self._protocol.connection_lost, reason)

    def vanish(self) -> None:
        """The process at this end is gone: its kernel says so to the peer, if it has power."""
        if self.lost:
            return
        self.lost = self._closing = True
        self._sent.clear()
        self._send(b"")
        self.connection.over()
