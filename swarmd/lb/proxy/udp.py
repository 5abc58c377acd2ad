"""A published UDP port: one session per client address, each with its own connected socket.

A session stays with its target until it has been idle for a while, the target leaves, or the
target's machine says that nobody is there. Datagrams that come next begin a new session with the
target whose turn it is. Answers leave from the address the client had sent to, also on a machine
with several.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import struct
from collections import OrderedDict

from swarmd.lb.core.plan import Frontend, PortKey
from swarmd.lb.core.rotation import Rotation, Target
from swarmd.lb.proxy.binding import family_of, is_wildcard
from swarmd.lb.proxy.ground import Counters, Ground, Timeouts
from swarmd.lb.proxy.reactor import READ
from swarmd.model.instant import SECOND
from swarmd.model.states import Protocol

log = logging.getLogger(__name__)

DATAGRAMS_PER_TURN = 32
_ANCILLARY_BYTES = 64
_IP_PKTINFO = getattr(socket, "IP_PKTINFO", 8)

# A client, at the listener it talks to and the local address it used.
_Client = tuple[int, tuple[object, ...], bytes]


class UdpFrontend:
    """One published UDP port over all the sockets it is bound to."""

    def __init__(self, ground: Ground, frontend: Frontend, *, start: int) -> None:
        self.key: PortKey = frontend.key
        self.counters = Counters()
        self.service_name = frontend.service_name
        self.rotation = Rotation(
            frontend.targets, start=start, balance=frontend.balance, weights=frontend.weights
        )
        self._ground = ground
        self._listeners: list[_Listener] = []
        self._sessions: OrderedDict[_Client, _Session] = OrderedDict()  # longest idle first
        self._leaving: set[_Session] = set()
        self._linger = Timeouts(ground.loop, ground.clock, ground.settings.udp_linger_ns)
        self._sweeper: asyncio.TimerHandle | None = None
        self._crowded = False

    def add_socket(self, address: str, sock: socket.socket) -> None:
        """Answer on a socket bound to `address` from now on, and own it."""
        self._listeners.append(_Listener(self, self._ground, sock, address))

    def change(self, frontend: Frontend) -> tuple[str, ...]:
        """Use other targets; sessions with those that left begin anew with the next datagram.

        No address is ever lost by that, unlike with TCP.
        """
        self.service_name = frontend.service_name
        self.rotation.replace(frontend.targets, balance=frontend.balance, weights=frontend.weights)
        stay = set(frontend.targets)
        for client, session in tuple(self._sessions.items()):
            if session.target not in stay:
                del self._sessions[client]
                self._leaving.add(session)
                self._linger.add(session.close)
        return ()

    def close_sockets(self) -> None:
        """Free the port. Sessions end too: there is nowhere left to answer from."""
        self.abort()

    def abort(self) -> None:
        for session in (*self._sessions.values(), *self._leaving):
            session.close()
        for listener in self._listeners:
            listener.close()
        self._listeners.clear()
        self._linger.close()
        if self._sweeper is not None:
            self._sweeper.cancel()
            self._sweeper = None

    def datagram(self, listener: _Listener, client: _Client, data: memoryview) -> None:
        """Pass a client's datagram to its target, beginning a session where there is none.

        A target that has turned out to be absent is replaced at once, and the datagram repeated.
        """
        session = self._sessions.get(client)
        for _ in range(len(self.rotation) + 1):
            if session is None:
                session = self._begin(listener, client)
                if session is None:
                    self.counters.refused += 1
                    return
            else:
                self._sessions.move_to_end(client)
            if session.send(data):
                self.counters.bytes_in += len(data)
                return
            self.target_absent(session)
            session = None
        self.counters.refused += 1

    def target_absent(self, session: _Session) -> None:
        """A target's machine said that nobody listens there."""
        self.counters.failovers += 1
        self.rotation.failed(session.target, self._ground.clock.monotonic())
        session.close()

    def session_closed(self, session: _Session) -> None:
        self._leaving.discard(session)
        self.rotation.ended(session.target)
        if self._sessions.get(session.client) is session:
            del self._sessions[session.client]
        self.counters.active -= 1
        self._ground.gate.leave()

    def _begin(self, listener: _Listener, client: _Client) -> _Session | None:
        if self._ground.gate.full and not self._make_room():
            return None
        target = self._choose(str(client[1][0]))
        if target is None:
            return None
        try:
            kind = socket.SOCK_DGRAM | socket.SOCK_NONBLOCK
            sock = self._ground.make_socket(target.address, family_of(target.address), kind)
        except OSError as error:
            log.warning("proxy.udp_dropped port=%s error=%s", self.key, error.strerror)
            return None
        try:
            sock.connect((target.address, target.port))
        except OSError:
            sock.close()
            self.rotation.failed(target, self._ground.clock.monotonic())
            return None
        self._ground.gate.enter()
        self.counters.accepted += 1
        self.counters.active += 1
        session = _Session(self, self._ground, listener, client, target, sock)
        self._sessions[client] = session
        self.rotation.began(target)
        if self._sweeper is None:
            self._sweep_later(self._ground.settings.udp_idle_ns)
        return session

    def _choose(self, host: str) -> Target | None:
        tried: tuple[Target, ...] = ()
        while True:
            target = self.rotation.next(self._ground.clock.monotonic(), tried=tried, client=host)
            if target is None or not self._ground.leads_here(Protocol.UDP, target):
                return target
            tried = (*tried, target)

    def _make_room(self) -> bool:
        """At the limit the longest idle client of this port gives way; False without one."""
        if not self._crowded:
            self._crowded = True
            log.warning(
                "proxy.sessions_exhausted port=%s limit=%s: the longest idle clients give way",
                self.key,
                self._ground.gate.limit,
            )
        if not self._sessions:
            return False
        next(iter(self._sessions.values())).close()
        return True

    def _sweep_later(self, delay_ns: int) -> None:
        self._sweeper = self._ground.loop.call_later(max(delay_ns, 0) / SECOND, self._sweep)

    def _sweep(self) -> None:
        """End sessions that have been idle too long, and come back for the next one."""
        self._sweeper = None
        self._crowded = False
        oldest_ns = self._ground.clock.monotonic() - self._ground.settings.udp_idle_ns
        while self._sessions:
            client, session = next(iter(self._sessions.items()))
            if session.heard_ns <= oldest_ns:
                session.close()
            elif session.used_ns < session.heard_ns:
                # Only the target has been talking: in order of the client's datagrams it looks old.
                session.used_ns = session.heard_ns
                self._sessions.move_to_end(client)
            else:
                self._sweep_later(session.heard_ns - oldest_ns)
                return


class _Listener:
    """One bound socket. `answer` sends from the address the client used."""

    def __init__(
        self, frontend: UdpFrontend, ground: Ground, sock: socket.socket, address: str
    ) -> None:
        self._frontend = frontend
        self._ground = ground
        self._sock = sock
        self._buffer = ground.buffer
        self._wildcard = is_wildcard(address)
        self._level = socket.IPPROTO_IPV6 if ":" in address else socket.IPPROTO_IP
        self._control = socket.IPV6_PKTINFO if ":" in address else _IP_PKTINFO
        ground.reactor.watch(sock.fileno(), READ, self)

    def ready(self, _events: int) -> None:
        descriptor = self._sock.fileno()
        for _ in range(DATAGRAMS_PER_TURN):
            local = b""
            try:
                if self._wildcard:
                    size, controls, _, address = self._sock.recvmsg_into(
                        [self._buffer], _ANCILLARY_BYTES
                    )
                    for level, kind, data in controls:
                        if level == self._level and kind == self._control:
                            local = self._reply_control(data)
                else:
                    size, address = self._sock.recvfrom_into(self._buffer)
            except OSError:
                return  # nothing more to read, or an error that concerned an earlier answer
            client = (descriptor, address, local)
            self._frontend.datagram(self, client, self._buffer[:size])

    def abandon(self) -> None:
        """A datagram brought something down; the next one is received all the same."""

    def answer(self, client: _Client, data: memoryview) -> bool:
        """Send to a client; False when it was lost, as datagrams may be."""
        _, address, local = client
        try:
            if local:
                self._sock.sendmsg([data], [(self._level, self._control, local)], 0, address)
            else:
                self._sock.sendto(data, address)
        except OSError:
            return False
        return True

    def close(self) -> None:
        self._ground.reactor.retire(self._sock)

    def _reply_control(self, info: bytes) -> bytes:
        """The control message that makes an answer leave from where the datagram arrived."""
        if self._level == socket.IPPROTO_IPV6:
            return info
        _, specific_destination, _ = struct.unpack("i4s4s", info)
        return struct.pack("i4s4s", 0, specific_destination, b"\0\0\0\0")


class _Session:
    """One client and its target. `used_ns` is the client's last datagram, `heard_ns` anyone's."""

    __slots__ = (
        "_closed",
        "_frontend",
        "_ground",
        "_listener",
        "_sock",
        "client",
        "heard_ns",
        "target",
        "used_ns",
    )

    def __init__(
        self,
        frontend: UdpFrontend,
        ground: Ground,
        listener: _Listener,
        client: _Client,
        target: Target,
        sock: socket.socket,
    ) -> None:
        self.client = client
        self.target = target
        self.used_ns = self.heard_ns = ground.clock.monotonic()
        self._frontend = frontend
        self._ground = ground
        self._listener = listener
        self._sock = sock
        self._closed = False
        ground.reactor.watch(sock.fileno(), READ, self)

    def send(self, data: memoryview) -> bool:
        """Send to the target; False when its machine says that nobody is there."""
        self.used_ns = self.heard_ns = self._ground.clock.monotonic()
        try:
            self._sock.send(data)
        except BlockingIOError:
            return True  # the queue is full: the datagram is lost, as datagrams may be
        except OSError:
            return False
        return True

    def ready(self, _events: int) -> None:
        buffer = self._ground.buffer
        for _ in range(DATAGRAMS_PER_TURN):
            try:
                size = self._sock.recv_into(buffer)
            except BlockingIOError:
                return
            except OSError:
                self._frontend.target_absent(self)
                return
            self.heard_ns = self._ground.clock.monotonic()
            self._frontend.rotation.answered(self.target)
            if self._listener.answer(self.client, buffer[:size]):
                self._frontend.counters.bytes_out += size

    def abandon(self) -> None:
        self.close()

    def close(self) -> None:
        """End the session; does nothing the second time."""
        if self._closed:
            return
        self._closed = True
        self._ground.reactor.retire(self._sock)
        self._frontend.session_closed(self)
