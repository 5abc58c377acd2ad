"""Virtual time for Raft members: a queue of calls, workers that take time, and the core's clock."""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from random import Random

import pysyncobj.syncobj as library

from swarmd.sim.disk import Cut, SimDisk


class SimTimer:
    def __init__(self, callback: Callable[[], None]) -> None:
        self.callback: Callable[[], None] | None = callback

    def cancel(self) -> None:
        self.callback = None


class SimLoop:
    """Runs callbacks in the order of their time. The clock moves a little with every look at it."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.events = 0
        self._queue: list[tuple[float, int, SimTimer]] = []
        self._serial = 0

    def monotonic(self) -> float:
        self.now += 1e-7
        return self.now

    def call_soon(self, callback: Callable[[], None]) -> SimTimer:
        return self.call_later(0.0, callback)

    def call_later(self, delay: float, callback: Callable[[], None]) -> SimTimer:
        timer = SimTimer(callback)
        self._serial += 1
        heapq.heappush(self._queue, (self.now + delay, self._serial, timer))
        return timer

    def run_until(self, end: float, check: Callable[[], None]) -> None:
        while self._queue and self._queue[0][0] <= end:
            at, _, timer = heapq.heappop(self._queue)
            self.now = max(self.now, at)
            if timer.callback is not None:
                self.events += 1
                timer.callback()
                check()
        self.now = max(self.now, end)

    @contextmanager
    def installed(self) -> Iterator[None]:
        before = library.monotonicTime
        library.monotonicTime = self.monotonic
        try:
            yield
        finally:
            library.monotonicTime = before


class HostLoop:
    """The loop as one process sees it: nothing runs any more once the process is dead."""

    def __init__(self, loop: SimLoop) -> None:
        self._loop = loop
        self.alive = True
        self.frozen: list[Callable[[], None]] | None = None

    def call_soon(self, callback: Callable[[], None]) -> SimTimer:
        return self._loop.call_soon(lambda: self._run(callback))

    def call_later(self, delay: float, callback: Callable[[], None]) -> SimTimer:
        return self._loop.call_later(delay, lambda: self._run(callback))

    def _run(self, callback: Callable[[], None]) -> None:
        if not self.alive:
            return
        if self.frozen is not None:
            self.frozen.append(callback)
            return
        callback()

    def pause(self) -> None:
        self.frozen = []

    def resume(self) -> None:
        waiting, self.frozen = self.frozen or [], None
        for callback in waiting:
            self.call_soon(callback)


class SimWorker:
    """A worker whose calls take time and that dies in the middle of one with its process."""

    def __init__(self, loop: HostLoop, rng: Random, latency: Callable[[], float]) -> None:
        self._loop, self._rng, self._latency = loop, rng, latency
        self._queue: deque[tuple[Callable[[], object], Callable[[BaseException | None], None]]] = (
            deque()
        )
        self._busy = False

    def submit(
        self, call: Callable[[], object], done: Callable[[BaseException | None], None]
    ) -> None:
        self._queue.append((call, done))
        self._next()

    def _next(self) -> None:
        if self._busy or not self._queue:
            return
        self._busy = True
        self._loop.call_later(self._latency(), self._finish)

    def _finish(self) -> None:
        call, done = self._queue.popleft()
        error: BaseException | None = None
        try:
            call()
        except Exception as raised:
            error = raised
        self._busy = False
        done(error)
        self._next()

    def crash(self, disk: SimDisk) -> None:
        """Do a random part of the call under way, then nothing more."""
        if self._busy and self._queue:
            disk.cut_after = self._rng.randrange(0, 6)
            try:
                self._queue[0][0]()
            except (Cut, OSError):
                pass
            finally:
                disk.cut_after = None
        self._queue.clear()
        self._busy = True
