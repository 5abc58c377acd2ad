"""Watching the machines behind relayed calls for the leader.

The leader cannot see these machines: between it and them there are two connections, and only the
relaying manager's kernel knows when the far one was last acknowledged. So the relay names that line
with the call, and says when it falls silent and when it is heard again. While all is well it says
nothing, which is the point: the leader is not woken (docs/design/dispatcher.md).

Reports are of states, not of events. A silent line is reported at every look, one heard again until
the leader has taken it, so a lost report costs a second. They carry durations: the clocks of two
machines differ.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager

from swarmd.model.instant import SECOND
from swarmd.rpc.call import Line
from swarmd.rpc.errors import RpcError
from swarmd.rpc.pb import cluster as pb
from swarmd.runtime.clock import Clock

log = logging.getLogger(__name__)

LOOK_NS = SECOND
# A line that works is silent for little more than a second, or two when a probe was lost.
SILENT_NS_MIN = 2 * SECOND
# When we wake so late, silence may be our own machine's. Probes are answered at once when it goes
# on, so a moment later the lines tell the truth again.
_LATE_NS = SECOND // 2
_TRUTH_S = 0.25

Report = Callable[[pb.ReportSilenceRequest], Awaitable[None]]


class _Watched:
    __slots__ = ("line", "node_id", "told")

    def __init__(self, node_id: str, line: Line) -> None:
        self.node_id = node_id
        self.line = line
        self.told = False  # the leader may take it for silent


class SilenceWatch:
    """The lines of relayed calls, as long as these last.

    Args:
        report: tells the leader; it may fail with `RpcError`.
    """

    def __init__(self, report: Report, clock: Clock) -> None:
        self._report = report
        self._clock = clock
        self._names = itertools.count(1)
        self._lines: dict[str, _Watched] = {}
        self._some = asyncio.Event()

    @contextmanager
    def watching(self, node_id: str, line: Line) -> Iterator[str]:
        """Watch a node's line within the block; the value is the leader's name for it."""
        name = str(next(self._names))
        self._lines[name] = _Watched(node_id, line)
        self._some.set()
        try:
            yield name
        finally:
            del self._lines[name]
            if not self._lines:
                self._some.clear()

    async def run(self) -> None:
        """Look after the lines each second while there are any, until cancelled."""
        while True:
            await self._some.wait()
            begun = self._clock.monotonic()
            await asyncio.sleep(LOOK_NS / SECOND)
            if self._clock.monotonic() - begun > LOOK_NS + _LATE_NS:
                await asyncio.sleep(_TRUTH_S)
            await self.look()

    async def look(self) -> None:
        """Tell the leader of lines that are silent, and of those that were and are no longer."""
        request = self._news()
        if not request.lines:
            return
        try:
            await self._report(request)
        except RpcError as error:
            log.info("relay.silence_not_told lines=%d reason=%s", len(request.lines), error)
            return
        for line in request.lines:
            watched = self._lines.get(line.line)
            if watched is not None and not line.silent_ns:
                watched.told = False

    def _news(self) -> pb.ReportSilenceRequest:
        request = pb.ReportSilenceRequest()
        now = self._clock.monotonic()
        for name, watched in self._lines.items():
            heard = watched.line.heard_at()
            if heard is None:
                continue  # its connection is about to end, and the call with it
            silent_ns = now - heard
            if silent_ns > SILENT_NS_MIN:
                watched.told = True
                request.lines.add(node_id=watched.node_id, line=name, silent_ns=silent_ns)
            elif watched.told:
                request.lines.add(node_id=watched.node_id, line=name)
        return request
