"""The way out for tasks whose network has none: their connections go on from the machine's own.

The kernel leads them to one socket and remembers where they were to go. A task's connection is
taken before it is known whether the other end takes it, too; if that doesn't, it is reset.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import struct

from swarmd.lb.core.plan import PortKey
from swarmd.lb.core.rotation import Rotation, Target
from swarmd.lb.proxy.ground import Counters, Ground
from swarmd.lb.proxy.link import Link, send_reset_on_close
from swarmd.lb.proxy.settings import Place, ProxySettings
from swarmd.lb.proxy.tcp import Dial, Listener
from swarmd.model.ids import TaskId
from swarmd.model.instant import SECOND
from swarmd.model.states import Protocol
from swarmd.runtime.clock import Clock

log = logging.getLogger(__name__)

# The other end is anywhere in the world.
CONNECT_TIMEOUT_NS = 30 * SECOND
# Silence means nothing out there: a task that waits for long is not to be cut off.
DEAD_PEER_NS = 7200 * SECOND
_SO_ORIGINAL_DST = 80
_SOCKADDR_IN = struct.Struct("!2xH4s8x")


class Outlet:
    """Passes on what comes to a listening socket. Make it inside the event loop it will use."""

    def __init__(self, listener: socket.socket, *, node_name: str, clock: Clock) -> None:
        """It owns `listener` from now on."""
        self.key = PortKey(Protocol.TCP, listener.getsockname()[1])
        self._own = listener.getsockname()[1]
        self.counters = Counters()
        settings = ProxySettings(connect_timeout_ns=CONNECT_TIMEOUT_NS, dead_peer_ns=DEAD_PEER_NS)
        self._ground = Ground(
            asyncio.get_running_loop(),
            clock=clock,
            place=Place(node_name=node_name),
            settings=settings,
        )
        self._passages: set[_Passage] = set()
        self._listener = Listener(self, self._ground, listener)
        self._listener.serve(True)

    def welcome(self, client: socket.socket, host: str) -> None:
        """A task, at `host`, has connected to somebody."""
        self.counters.accepted += 1
        self.counters.active += 1
        self._ground.gate.enter()
        try:
            found = client.getsockopt(socket.SOL_IP, _SO_ORIGINAL_DST, _SOCKADDR_IN.size)
            port, packed = _SOCKADDR_IN.unpack(found)
            if port == self._own:
                raise OSError("it was meant for nobody")
        except OSError as error:
            # It came here by itself; that leads nowhere.
            log.debug("outlet.refused client=%s reason=%s", host, error)
            send_reset_on_close(client)
            self._ground.reactor.retire(client)
            self.counters.refused += 1
            self.ended(None)
            return
        target = Target(TaskId(""), socket.inet_ntoa(packed), port)
        passage = _Passage(self, self._ground, target)
        self._passages.add(passage)
        passage.begin(client, host)

    def ended(self, passage: _Passage | None) -> None:
        """A connection is over."""
        if passage is not None:
            self._passages.discard(passage)
        self.counters.active -= 1
        self._ground.gate.leave()

    def close(self) -> None:
        """Take no more, and end what there is."""
        self._listener.close()
        for passage in tuple(self._passages):
            passage.end()
        self._ground.close()


class _Passage:
    """One connection of a task, and its only target."""

    def __init__(self, outlet: Outlet, ground: Ground, target: Target) -> None:
        self.key = outlet.key
        self.counters = outlet.counters
        self.rotation = Rotation((target,))
        self._outlet = outlet
        self._ground = ground
        self._dial: Dial | None = None
        self._link: Link | None = None

    def begin(self, client: socket.socket, host: str) -> None:
        self._dial = Dial(self, self._ground, client, host)
        self._dial.go_on()

    def end(self) -> None:
        if self._link is not None:
            self._link.end(reset=True)
        elif self._dial is not None:
            self._dial.give_up()

    def connected(self, dial: Dial, target: Target, backend: socket.socket) -> None:
        ground = self._ground
        self._link = Link(ground.reactor, ground.buffer, dial.client, backend, self._link_ended)

    def turned_away(self, dial: Dial) -> None:
        self.counters.refused += 1
        self._outlet.ended(self)

    def _link_ended(self, link: Link) -> None:
        self.counters.bytes_in += link.bytes_in
        self.counters.bytes_out += link.bytes_out
        self._outlet.ended(self)
