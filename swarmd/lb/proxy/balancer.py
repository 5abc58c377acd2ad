"""The userspace back end: brings frontends in line with the table and keeps trying what failed.

A port somebody else holds is reported at once, with that program's name where it can be known, and
tried again every second until it frees. Everything else goes on meanwhile (docs/design/lb.md).
"""

from __future__ import annotations

import asyncio
import errno
import logging
import random
from collections.abc import Callable
from typing import NamedTuple

from swarmd.lb.core.locations import listening
from swarmd.lb.core.plan import Frontend, FrontendCache, PortKey, diff
from swarmd.lb.core.tables import Tables
from swarmd.lb.kernel import Balancer, BalancerReport, Choice, FrontendStats
from swarmd.lb.proxy.binding import explain, open_port
from swarmd.lb.proxy.ground import Ground, MakeSocket, make_socket
from swarmd.lb.proxy.holder import holder_of
from swarmd.lb.proxy.settings import Place, ProxySettings
from swarmd.lb.proxy.shortcomings import lowest_port, shortcomings
from swarmd.lb.proxy.tcp import TcpFrontend
from swarmd.lb.proxy.udp import UdpFrontend
from swarmd.model.instant import SECOND
from swarmd.model.states import Protocol
from swarmd.runtime.clock import Clock

log = logging.getLogger(__name__)

SEARCHES_PER_PASS = 8  # for the programs that hold ports; the other sentences go without a name
PROTOCOLS = frozenset({Protocol.TCP, Protocol.UDP})


class _Missing(NamedTuple):
    """Why an address of a port is not answered."""

    code: int | None  # errno
    sentence: str


class _Open:
    """A frontend, its addresses, and those of them that are not bound yet with the reason."""

    def __init__(
        self, wanted: Frontend, served: TcpFrontend | UdpFrontend, at: tuple[str, ...]
    ) -> None:
        self.wanted = wanted
        self.served = served
        self.at = at
        self.missing: dict[str, _Missing] = {}


class ProxyBalancer:
    """A `Balancer` that needs nothing but sockets. Make it inside the event loop it will use."""

    name = "proxy"

    def __init__(
        self,
        *,
        place: Place,
        clock: Clock,
        rng: random.Random,
        settings: ProxySettings | None = None,
        on_report: Callable[[BalancerReport], None] = lambda report: None,
        make_socket: MakeSocket = make_socket,
    ) -> None:
        """
        Args:
            on_report: hears of every change of the report, also between tables.
            make_socket: makes sockets that reach targets, by their addresses.
        """
        self._place = place
        self._rng = rng
        self._settings = settings if settings is not None else ProxySettings()
        self._on_report = on_report
        self._loop = asyncio.get_running_loop()
        self._ground = Ground(
            self._loop, clock=clock, place=place, settings=self._settings, make_socket=make_socket
        )
        self._cache = FrontendCache()
        self._open: dict[PortKey, _Open] = {}
        self._closing: set[TcpFrontend | UdpFrontend] = set()
        self._report = BalancerReport(version=0)
        self._refused: tuple[str, ...] = ()
        self._retry: asyncio.TimerHandle | None = None
        self._searches_left = SEARCHES_PER_PASS
        self._closed = False

    async def apply(self, tables: Tables) -> BalancerReport:
        """Serve `tables` from now on; see `Balancer.apply`. Never waits for anything."""
        if self._closed:
            raise AssertionError("a closed balancer was handed a table")
        self._searches_left = SEARCHES_PER_PASS
        actual = {key: entry.wanted for key, entry in self._open.items()}
        plan = diff(self._cache.frontends(tables), actual, protocols=PROTOCOLS)
        for key in plan.close:
            self._close_port(key)
        for frontend in plan.open:
            self._open_port(frontend)
        for frontend in plan.change:
            self._change_port(frontend)
        self._refused = plan.refused
        self._publish(tables.version)
        return self._report

    @property
    def report(self) -> BalancerReport:
        """The latest report."""
        return self._report

    @property
    def unanswered(self) -> frozenset[PortKey]:
        """Ports that can't be had at any of the addresses."""
        return frozenset(
            key for key, entry in self._open.items() if len(entry.missing) == len(entry.at)
        )

    def stats(self) -> dict[PortKey, FrontendStats]:
        return {key: entry.served.counters.snapshot() for key, entry in self._open.items()}

    async def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        if self._retry is not None:
            self._retry.cancel()
        for served in (*(entry.served for entry in self._open.values()), *self._closing):
            served.abort()
        self._open.clear()
        self._closing.clear()
        self._ground.close()

    def _open_port(self, frontend: Frontend) -> None:
        kind = TcpFrontend if frontend.key.protocol is Protocol.TCP else UdpFrontend
        start = self._rng.randrange(max(len(frontend.targets), 1))
        at = listening(self._place.listen, frontend.addresses)
        entry = _Open(frontend, kind(self._ground, frontend, start=start), at)
        self._open[frontend.key] = entry
        for address in at:
            self._bind(entry, address)

    def _change_port(self, frontend: Frontend) -> None:
        entry = self._open[frontend.key]
        entry.wanted = frontend
        for address in entry.served.change(frontend):
            self._note_missing(entry, address, OSError(errno.EADDRINUSE, "address in use"))
        self._note_listening(entry)

    def _close_port(self, key: PortKey) -> None:
        served = self._open.pop(key).served
        self._ground.listening.discard(key)
        served.close_sockets()
        self._closing = {old for old in self._closing if old.counters.active}
        if served.counters.active:
            self._closing.add(served)

    def _bind(self, entry: _Open, address: str) -> None:
        key = entry.wanted.key
        try:
            sock = open_port(key, address)
            if sock is not None:
                entry.served.add_socket(address, sock)
            entry.missing.pop(address, None)
        except OSError as error:
            self._note_missing(entry, address, error)
        self._note_listening(entry)

    def _note_missing(self, entry: _Open, address: str, error: OSError) -> None:
        before = entry.missing.get(address)
        if before is not None and before.code == error.errno:
            return  # the same as at the last attempt
        holder = ""
        if error.errno == errno.EADDRINUSE and self._searches_left > 0:
            self._searches_left -= 1
            holder = holder_of(entry.wanted.key)
        sentence = explain(
            error, entry.wanted.key, address=address, node=self._place.node_name, holder=holder
        )
        entry.missing[address] = _Missing(error.errno, sentence)

    def _note_listening(self, entry: _Open) -> None:
        if len(entry.missing) < len(entry.at):
            self._ground.listening.add(entry.wanted.key)
        else:
            self._ground.listening.discard(entry.wanted.key)

    def _try_again(self) -> None:
        self._retry = None
        self._searches_left = SEARCHES_PER_PASS
        for entry in self._open.values():
            for address in tuple(entry.missing):
                self._bind(entry, address)
        self._publish(self._report.version)

    def _publish(self, version: int) -> None:
        """Make the report of the moment, tell who listens if it changed, arm the next attempt."""
        # A port missing at both 0.0.0.0 and :: is one problem with one sentence.
        problems = dict.fromkeys(
            missing.sentence for entry in self._open.values() for missing in entry.missing.values()
        )
        before = self._report
        self._report = BalancerReport(version, (*problems, *self._refused))
        for sentence in self._report.problems:
            if sentence not in before.problems:
                log.warning("proxy.port_unserved %s", sentence)
        if self._report != before:
            self._on_report(self._report)
        if problems and self._retry is None:
            delay_s = self._settings.bind_retry_ns / SECOND
            self._retry = self._loop.call_later(delay_s, self._try_again)


class ProxyCandidate:
    """The back end that works everywhere, so the last one to be asked."""

    def __init__(self, make: Callable[[], Balancer]) -> None:
        self._make = make

    def probe(self) -> Choice | str:
        return Choice(
            name=ProxyBalancer.name,
            reason="userspace balancing works everywhere, without privileges",
            make=self._make,
            lacking=shortcomings(lowest_port()),
        )
