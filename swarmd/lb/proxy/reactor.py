"""Readiness of many sockets through one epoll that the event loop watches as a single file.

The event loop's own selector spends several microseconds per event on handles, keys and contexts.
Behind a proxy each request is four events, so the proxy keeps its own epoll and the loop only
learns that there is something to do. One turn handles a bounded batch; whatever is left makes the
file ready again at once, so other tasks of the loop get their share in between.

A socket that is given up during a batch is closed at the end of it. Otherwise its descriptor could
be handed out again at once, and the newcomer would receive events meant for the old one.
"""

from __future__ import annotations

import asyncio
import logging
import select
import socket
from typing import Protocol

log = logging.getLogger(__name__)

EVENTS_PER_TURN = 128
READ = select.EPOLLIN
WRITE = select.EPOLLOUT


class Watcher(Protocol):
    """Receiver of the readiness of one socket."""

    def ready(self, events: int) -> None:
        """`events` may be spurious or outdated; sockets never block, so trying is harmless."""
        ...

    def abandon(self) -> None:
        """`ready` raised: let go of everything that belongs to this socket."""
        ...


class Reactor:
    """One epoll instance. Belongs to one event loop and is not thread-safe."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._epoll = select.epoll()
        self._watchers: dict[int, Watcher] = {}
        self._retired: list[socket.socket] = []
        self._turning = False
        loop.add_reader(self._epoll.fileno(), self._turn)

    def watch(self, descriptor: int, events: int, watcher: Watcher) -> None:
        """Report `events` of a descriptor, level-triggered, until `forget` or `retire`."""
        self._watchers[descriptor] = watcher
        self._epoll.register(descriptor, events)

    def change(self, descriptor: int, events: int) -> None:
        """Report other events of a watched descriptor."""
        self._epoll.modify(descriptor, events)

    def forget(self, descriptor: int) -> None:
        """Report nothing more; does nothing for a descriptor that is not watched."""
        if self._watchers.pop(descriptor, None) is not None:
            self._epoll.unregister(descriptor)

    def retire(self, sock: socket.socket) -> None:
        """Forget a socket and close it, now or at the end of the current batch."""
        self.forget(sock.fileno())
        if self._turning:
            self._retired.append(sock)
        else:
            sock.close()

    def close(self) -> None:
        """Stop delivering. Sockets still watched stay open; they are their owners' to close."""
        if self._epoll.closed:
            return
        self._loop.remove_reader(self._epoll.fileno())
        self._epoll.close()
        self._watchers.clear()

    def _turn(self) -> None:
        watchers = self._watchers
        self._turning = True
        try:
            for descriptor, events in self._epoll.poll(0, EVENTS_PER_TURN):
                watcher = watchers.get(descriptor)
                if watcher is None:
                    continue
                try:
                    watcher.ready(events)
                except Exception:
                    # A bug must cost one connection, not the port and everybody on it.
                    log.exception("proxy.connection_crashed fd=%s", descriptor)
                    watcher.abandon()
        finally:
            self._turning = False
            for sock in self._retired:
                sock.close()
            self._retired.clear()
