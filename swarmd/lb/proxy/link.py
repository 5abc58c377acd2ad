"""One proxied TCP connection: bytes both ways, half-close, back-pressure, resets passed on.

A link has two ends. Each end reads from its socket and writes to the other's, one read per event,
through a buffer shared by all links. What the other side does not take is kept (at most one
buffer's worth per direction) and reading stops until it has gone: a slow receiver slows its sender
down and costs no memory.

An end's direction (what it reads, towards its peer) is open until its source has ended and
everything has been passed on. The end of the stream is passed on as a half-close; the link is over
when both directions are. If the receiver breaks, its direction is over at once, but what it had
sent before is still delivered: a server may answer early and hang up on an upload.
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Callable

from swarmd.lb.proxy.reactor import READ, WRITE, Reactor

BUFFER_BYTES = 128 * 1024
_RESET = struct.pack("ii", 1, 0)  # SO_LINGER of zero seconds


def send_reset_on_close(sock: socket.socket) -> None:
    """Make closing `sock` send a reset instead of a regular end of stream."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)


class Link:
    """Both ends of a connection, once both are connected."""

    __slots__ = ("_on_end", "_reactor", "backend", "client", "over")

    def __init__(
        self,
        reactor: Reactor,
        buffer: memoryview,
        client: socket.socket,
        backend: socket.socket,
        on_end: Callable[[Link], None],
    ) -> None:
        """Start passing bytes. `on_end` is called exactly once, after both sockets are let go."""
        self._reactor = reactor
        self._on_end = on_end
        self.over = False
        self.client = _End(self, reactor, buffer, client)
        self.backend = _End(self, reactor, buffer, backend)
        self.client.peer = self.backend
        self.backend.peer = self.client
        self.client.watch(READ)
        self.backend.watch(READ)

    @property
    def bytes_in(self) -> int:
        """Bytes the client has sent."""
        return self.client.received

    @property
    def bytes_out(self) -> int:
        """Bytes the backend has sent."""
        return self.backend.received

    def end(self, *, reset: bool = False) -> None:
        """Let go of both sockets, with resets when the connection did not end well."""
        if self.over:
            return
        self.over = True
        for end in (self.client, self.backend):
            if reset:
                send_reset_on_close(end.sock)
            self._reactor.retire(end.sock)
        self._on_end(self)


class _End:
    """One socket of a link, and the direction from it to its peer."""

    __slots__ = (
        "_buffer",
        "_descriptor",
        "_events",
        "_kept",
        "_link",
        "_reactor",
        "closed",
        "ended",
        "peer",
        "received",
        "sock",
    )

    peer: _End

    def __init__(
        self, link: Link, reactor: Reactor, buffer: memoryview, sock: socket.socket
    ) -> None:
        self.sock = sock
        self.received = 0
        self.ended = False  # the source of this direction has said all it will
        self.closed = False  # and all of it was passed on, or cannot be
        self._link = link
        self._reactor = reactor
        self._buffer = buffer
        self._descriptor = sock.fileno()
        self._events = 0
        self._kept = b""  # read from the peer, not yet taken by our socket

    def watch(self, events: int) -> None:
        """Ask for exactly `events`. Without any the socket is not watched at all, since the
        kernel would report a hang-up over and over."""
        if events == self._events:
            return
        if self._events == 0:
            self._reactor.watch(self._descriptor, events, self)
        elif events == 0:
            self._reactor.forget(self._descriptor)
        else:
            self._reactor.change(self._descriptor, events)
        self._events = events

    def ready(self, events: int) -> None:
        # Errors and hang-ups come as events of their own; the next read or write tells which.
        if self._events & WRITE and events & ~READ:
            self._flush()
        if self._events & READ and events & ~WRITE and not self._link.over:
            self._pump()

    def abandon(self) -> None:
        self._link.end(reset=True)

    def _pump(self) -> None:
        try:
            count = self.sock.recv_into(self._buffer)
        except BlockingIOError:
            return
        except OSError:
            if not self.peer.closed:
                self._link.end(reset=True)
                return
            count = 0  # the other direction broke before; what is kept is still to be delivered
        peer = self.peer
        if count == 0:
            self.ended = True
            self.watch(self._events & ~READ)
            if not peer._kept:
                self._finish()
            return
        self.received += count
        try:
            sent = peer.sock.send(self._buffer[:count])
        except BlockingIOError:
            sent = 0
        except OSError:
            self._break()
            return
        if sent < count:
            peer._kept = bytes(self._buffer[sent:count])
            self.watch(self._events & ~READ)
            peer.watch(peer._events | WRITE)

    def _flush(self) -> None:
        """Pass on what was kept for our socket, then let the peer read again."""
        peer = self.peer
        try:
            sent = self.sock.send(self._kept)
        except BlockingIOError:
            return
        except OSError:
            peer._break()
            return
        self._kept = self._kept[sent:]
        if self._kept:
            return
        self.watch(self._events & ~WRITE)
        if peer.ended:
            peer._finish()
        else:
            peer.watch(peer._events | READ)

    def _finish(self) -> None:
        """Everything this end's source said was passed on: tell the peer there is no more."""
        self.closed = True
        peer = self.peer
        if peer.closed:
            self._link.end()
            return
        try:
            peer.sock.shutdown(socket.SHUT_WR)
        except OSError:
            self._link.end(reset=True)

    def _break(self) -> None:
        """The peer takes nothing more. What it sent earlier is still to be delivered here."""
        self.ended = self.closed = True
        self.watch(self._events & ~READ)
        peer = self.peer
        peer._kept = b""
        peer.watch(peer._events & ~WRITE)
        if peer.closed:
            self._link.end(reset=True)
