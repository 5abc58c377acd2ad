"""A published TCP port: accept, choose a target, connect, hand over to a `Link`.

Without targets the socket is bound but does not listen. The kernel then refuses clients at once,
as if nothing were there, while no other program can take the port.

A connection is passed on only after a target has accepted it. A target that refuses or does not
answer in time is left to rest and the next one is tried, each at most once; no byte of the client
is lost by that, because none has been read.
"""

from __future__ import annotations

import errno
import logging
import socket
from functools import partial
from typing import Protocol as Typed

from swarmd.lb.core.plan import Frontend, PortKey
from swarmd.lb.core.rotation import Rotation, Target
from swarmd.lb.proxy.binding import family_of
from swarmd.lb.proxy.ground import Counters, Ground
from swarmd.lb.proxy.link import Link, send_reset_on_close
from swarmd.lb.proxy.reactor import READ, WRITE
from swarmd.model.instant import MILLISECOND, SECOND
from swarmd.model.states import Protocol

log = logging.getLogger(__name__)

ACCEPTS_PER_TURN = 32
PAUSE_WITHOUT_DESCRIPTORS_S = 0.2
# Errors that say something about this machine and nothing about the target.
_OUR_OWN_ERRORS = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.EADDRNOTAVAIL})
_OUT_OF_DESCRIPTORS = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})


class Host(Typed):
    """Who is told of the clients of a listener."""

    key: PortKey

    def welcome(self, client: socket.socket, host: str) -> None: ...


class Caller(Typed):
    """For whom a dial tries targets, and who is told how that went."""

    key: PortKey
    counters: Counters
    rotation: Rotation

    def connected(self, dial: Dial, target: Target, backend: socket.socket) -> None: ...

    def turned_away(self, dial: Dial) -> None: ...


class TcpFrontend:
    """One published port over all the sockets it is bound to."""

    def __init__(self, ground: Ground, frontend: Frontend, *, start: int) -> None:
        self.key: PortKey = frontend.key
        self.counters = Counters()
        self.service_name = frontend.service_name
        self.rotation = Rotation(
            frontend.targets, start=start, balance=frontend.balance, weights=frontend.weights
        )
        self._ground = ground
        self._listeners: dict[str, Listener] = {}  # by address
        self._dials: set[Dial] = set()
        self._links: dict[Link, Target] = {}

    def add_socket(self, address: str, sock: socket.socket) -> None:
        """Answer on a socket bound to `address` from now on, and own it.

        Raises:
            OSError: it can't listen, because another program does; the socket is closed.
        """
        listener = Listener(self, self._ground, sock)
        try:
            listener.serve(len(self.rotation) > 0)
        except OSError:
            listener.close()
            raise
        self._listeners[address] = listener

    def change(self, frontend: Frontend) -> tuple[str, ...]:
        """Use other targets for new connections; open ones stay.

        The answer names addresses lost meanwhile to another program that listens there.
        """
        self.service_name = frontend.service_name
        self.rotation.replace(frontend.targets, balance=frontend.balance, weights=frontend.weights)
        lost = []
        for address, listener in tuple(self._listeners.items()):
            try:
                listener.serve(len(self.rotation) > 0)
            except OSError:
                listener.close()
                del self._listeners[address]
                lost.append(address)
        return tuple(lost)

    def close_sockets(self) -> None:
        """Stop answering and free the port; open connections go on."""
        for listener in self._listeners.values():
            listener.close()
        self._listeners.clear()

    def abort(self) -> None:
        """Stop answering and end all connections."""
        self.close_sockets()
        for dial in tuple(self._dials):
            dial.give_up()
        for link in tuple(self._links):
            link.end(reset=True)

    def welcome(self, client: socket.socket, host: str) -> None:
        """Find a target for a new client, which is at `host`."""
        self.counters.accepted += 1
        self.counters.active += 1
        self._ground.gate.enter()
        dial = Dial(self, self._ground, client, host)
        self._dials.add(dial)
        dial.go_on()

    def connected(self, dial: Dial, target: Target, backend: socket.socket) -> None:
        self._dials.discard(dial)
        ground = self._ground
        link = Link(ground.reactor, ground.buffer, dial.client, backend, self._link_ended)
        self._links[link] = target

    def turned_away(self, dial: Dial) -> None:
        self._dials.discard(dial)
        self.counters.refused += 1
        self._session_ended()

    def _link_ended(self, link: Link) -> None:
        self.rotation.ended(self._links.pop(link))
        self.counters.bytes_in += link.bytes_in
        self.counters.bytes_out += link.bytes_out
        self._session_ended()

    def _session_ended(self) -> None:
        self.counters.active -= 1
        self._ground.gate.leave()


class Listener:
    """One bound socket, listening or not."""

    def __init__(self, frontend: Host, ground: Ground, sock: socket.socket) -> None:
        self._frontend = frontend
        self._ground = ground
        self._sock = sock
        self._listening = False
        self._watched = False

    def serve(self, wanted: bool) -> None:
        """Listen, or let the kernel refuse clients."""
        if wanted == self._listening:
            return
        if wanted:
            self._sock.listen(self._ground.settings.backlog)
            self._listening = True
            self._watch()
        else:
            self._listening = False
            self._unwatch()
            self._sock.shutdown(socket.SHUT_RD)  # keeps the port, and may listen again

    def close(self) -> None:
        self._ground.gate.stop_waiting(self)
        self._listening = self._watched = False
        self._ground.reactor.retire(self._sock)

    def abandon(self) -> None:
        """Accepting failed in a way nobody foresaw; the socket goes on after a pause."""
        self._pause()

    def ready(self, _events: int) -> None:
        gate = self._ground.gate
        for _ in range(ACCEPTS_PER_TURN):
            if gate.full:
                self._unwatch()
                gate.wait(self, self._watch)
                return
            try:
                client, address = self._sock.accept()
            except BlockingIOError:
                return
            except OSError as error:
                self._accept_failed(error)
                return
            client.setblocking(False)
            self._frontend.welcome(client, address[0])
            if not self._watched:
                return

    def _accept_failed(self, error: OSError) -> None:
        """Pause when there are no descriptors left; anything else concerns that client only."""
        if error.errno in _OUT_OF_DESCRIPTORS:
            log.warning(
                "proxy.accept_paused port=%s error=%s: raise the limit on open files",
                self._frontend.key,
                error.strerror,
            )
            self._pause()

    def _pause(self) -> None:
        self._unwatch()
        self._ground.loop.call_later(PAUSE_WITHOUT_DESCRIPTORS_S, self._watch)

    def _watch(self) -> None:
        if self._listening and not self._watched:
            self._ground.reactor.watch(self._sock.fileno(), READ, self)
            self._watched = True

    def _unwatch(self) -> None:
        if self._watched:
            self._ground.reactor.forget(self._sock.fileno())
            self._watched = False


class Dial:
    """A client that waits while targets are tried, one after the other."""

    __slots__ = (
        "_attempt",
        "_frontend",
        "_ground",
        "_host",
        "_sock",
        "_target",
        "_tried",
        "client",
    )

    def __init__(self, frontend: Caller, ground: Ground, client: socket.socket, host: str) -> None:
        self.client = client
        self._host = host
        self._frontend = frontend
        self._ground = ground
        self._tried: tuple[Target, ...] = ()
        self._sock: socket.socket | None = None
        self._target: Target | None = None
        self._attempt = 0

    def go_on(self) -> None:
        """Try the next target; without one the client is refused."""
        frontend, ground = self._frontend, self._ground
        while True:
            target = frontend.rotation.next(
                ground.clock.monotonic(), tried=self._tried, client=self._host
            )
            if target is None:
                self.give_up()
                return
            if ground.leads_here(Protocol.TCP, target):
                self._tried = (*self._tried, target)
                continue
            try:
                sock = _connecting(target, ground)
            except OSError as error:
                self._note_failure(target, error.errno)
                continue
            self._sock, self._target = sock, target
            frontend.rotation.began(target)
            self._attempt += 1
            attempt = self._attempt
            ground.reactor.watch(sock.fileno(), WRITE, self)
            ground.dial_timeouts.add(partial(self._timed_out, attempt))
            return

    def ready(self, _events: int) -> None:
        sock, target = self._sock, self._target
        if sock is None or target is None:
            raise AssertionError("a dial is only watched while it connects")
        error = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if error:
            self._drop_attempt()
            self._note_failure(target, error)
            self.go_on()
            return
        self._ground.reactor.forget(sock.fileno())
        self._sock = None
        self._attempt += 1
        self._frontend.rotation.answered(target)
        self._frontend.connected(self, target, sock)

    def abandon(self) -> None:
        self.give_up()

    def give_up(self) -> None:
        """Refuse the client."""
        self._drop_attempt()
        send_reset_on_close(self.client)
        self._ground.reactor.retire(self.client)
        self._frontend.turned_away(self)

    def _timed_out(self, attempt: int) -> None:
        if attempt != self._attempt or self._target is None:
            return
        self._drop_attempt()
        self._note_failure(self._target, errno.ETIMEDOUT)
        self.go_on()

    def _drop_attempt(self) -> None:
        self._attempt += 1
        if self._sock is not None and self._target is not None:
            self._ground.reactor.retire(self._sock)
            self._sock = None
            self._frontend.rotation.ended(self._target)

    def _note_failure(self, target: Target, code: int | None) -> None:
        self._tried = (*self._tried, target)
        self._frontend.counters.failovers += 1
        if code not in _OUR_OWN_ERRORS:
            self._frontend.rotation.failed(target, self._ground.clock.monotonic())
        log.debug(
            "proxy.target_failed port=%s task.id=%s address=%s:%s error=%s",
            self._frontend.key,
            target.task_id,
            target.address,
            target.port,
            errno.errorcode.get(code or 0, code),
        )


def _connecting(target: Target, ground: Ground) -> socket.socket:
    """A socket on its way to `target`.

    Raises:
        OSError: the target can't be reached from here, which is known at once.
    """
    kind = socket.SOCK_STREAM | socket.SOCK_NONBLOCK
    sock = ground.make_socket(target.address, family_of(target.address), kind)
    try:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        watch_for_dead_peer(sock, ground.settings.dead_peer_ns)
        code = sock.connect_ex((target.address, target.port))
        if code not in (0, errno.EINPROGRESS):
            raise OSError(code, errno.errorcode.get(code, "connect failed"))
    except OSError:
        sock.close()
        raise
    return sock


def watch_for_dead_peer(sock: socket.socket, silence_ns: int) -> None:
    """Let the kernel give up a connection whose other machine has been silent for so long."""
    seconds = max(silence_ns // SECOND, 3)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, seconds // 3)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, seconds // 3)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, silence_ns // MILLISECOND)
