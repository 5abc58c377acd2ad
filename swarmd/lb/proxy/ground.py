"""What all frontends of one proxy share: readiness, a buffer, time, and the limit on sessions."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections import deque
from collections.abc import Callable

from swarmd.lb.core.plan import PortKey
from swarmd.lb.core.rotation import Target
from swarmd.lb.kernel import FrontendStats
from swarmd.lb.proxy.link import BUFFER_BYTES
from swarmd.lb.proxy.reactor import Reactor
from swarmd.lb.proxy.settings import Place, ProxySettings
from swarmd.model.instant import SECOND
from swarmd.model.states import Protocol
from swarmd.runtime.clock import Clock

log = logging.getLogger(__name__)

MakeSocket = Callable[[str, int, int], socket.socket]  # for an address, of a family and a kind


def make_socket(_address: str, family: int, kind: int) -> socket.socket:
    """A socket of this process's own network."""
    return socket.socket(family, kind)


class Ground:
    """Shared by the frontends of one `ProxyBalancer`; owns the reactor."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        *,
        clock: Clock,
        place: Place,
        settings: ProxySettings,
        make_socket: MakeSocket = make_socket,
    ) -> None:
        """`make_socket` makes those that targets are reached by."""
        self.loop = loop
        self.make_socket = make_socket
        self.clock = clock
        self.place = place
        self.settings = settings
        self.reactor = Reactor(loop)
        self.buffer = memoryview(bytearray(BUFFER_BYTES))
        self.gate = Gate(settings.sessions_max)
        self.dial_timeouts = Timeouts(loop, clock, settings.connect_timeout_ns)
        self.listening: set[PortKey] = set()  # ports this node really answers

    def leads_here(self, protocol: Protocol, target: Target) -> bool:
        """Whether a target is one of our own listeners, so that dialling it would be a circle."""
        return target.address in self.place.own and PortKey(protocol, target.port) in self.listening

    def close(self) -> None:
        self.dial_timeouts.close()
        self.reactor.close()


class Gate:
    """Counts sessions against their limit.

    At the limit TCP listeners stop accepting, so that clients wait in the kernel's queue, and go
    on once a twentieth of the sessions has ended.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.active = 0
        self._resume_at = limit - max(limit // 20, 1)
        self._waiting: dict[int, Callable[[], None]] = {}

    @property
    def full(self) -> bool:
        return self.active >= self.limit

    @property
    def holding_back(self) -> bool:
        """Whether somebody waits for sessions to end."""
        return bool(self._waiting)

    def enter(self) -> None:
        self.active += 1

    def leave(self) -> None:
        self.active -= 1
        if self._waiting and self.active <= self._resume_at:
            waiting, self._waiting = self._waiting, {}
            log.info("proxy.sessions_resumed active=%s limit=%s", self.active, self.limit)
            for resume in waiting.values():
                resume()

    def wait(self, waiter: object, resume: Callable[[], None]) -> None:
        """Call `resume` once when there is room again; one call per waiter."""
        if not self._waiting:
            log.warning(
                "proxy.sessions_exhausted limit=%s: new connections wait until others end; "
                "raise the limit on open files of the daemon to serve more",
                self.limit,
            )
        self._waiting[id(waiter)] = resume

    def stop_waiting(self, waiter: object) -> None:
        self._waiting.pop(id(waiter), None)


class Timeouts:
    """Deadlines that are all the same length, so that the oldest is always the next.

    A finished wait is not taken out, it is found finished when its time comes.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, clock: Clock, length_ns: int) -> None:
        self._loop = loop
        self._clock = clock
        self._length_ns = length_ns
        self._waits: deque[tuple[int, Callable[[], None]]] = deque()
        self._timer: asyncio.TimerHandle | None = None

    def add(self, expire: Callable[[], None]) -> None:
        """Call `expire` after the length; it must do nothing if there is nothing left to do."""
        self._waits.append((self._clock.monotonic() + self._length_ns, expire))
        if self._timer is None:
            self._arm()

    def close(self) -> None:
        self._waits.clear()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _arm(self) -> None:
        delay_ns = self._waits[0][0] - self._clock.monotonic()
        self._timer = self._loop.call_later(max(delay_ns, 0) / SECOND, self._fire)

    def _fire(self) -> None:
        self._timer = None
        now = self._clock.monotonic()
        while self._waits and self._waits[0][0] <= now:
            self._waits.popleft()[1]()
        if self._waits:
            self._arm()


class Counters:
    """The counters of one frontend while it changes; `snapshot` is what others see."""

    __slots__ = ("accepted", "active", "bytes_in", "bytes_out", "failovers", "refused")

    def __init__(self) -> None:
        self.accepted = self.active = self.refused = self.failovers = 0
        self.bytes_in = self.bytes_out = 0

    def snapshot(self) -> FrontendStats:
        return FrontendStats(
            active=self.active,
            accepted=self.accepted,
            refused=self.refused,
            failovers=self.failovers,
            bytes_in=self.bytes_in,
            bytes_out=self.bytes_out,
        )
