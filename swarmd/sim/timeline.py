"""Virtual time: one queue of callbacks for all simulated processes, and the story of the run.

Nothing here waits. Time jumps to the next callback, and every callback costs a little, so that a
loop that spins moves the clock and can be noticed. The trace is hashed as it grows: two runs of a
seed are the same run exactly when their hashes are equal.
"""

from __future__ import annotations

import hashlib
import heapq
from collections import deque
from collections.abc import Callable
from random import Random
from typing import Protocol

# What one callback takes. It is small against everything a network or a disk does.
CALLBACK_S = 2e-6
STORY_LINES_MAX = 4_000
SPIN_MAX = 200_000


class Violation(AssertionError):
    """Something happened that must never happen, or something that must happen did not."""


class Handle(Protocol):
    """A scheduled callback; the part of `asyncio.Handle` that the timeline uses."""

    def cancelled(self) -> bool: ...


class Host(Protocol):
    """Whoever a callback belongs to."""

    def perform(self, handle: Handle) -> None:
        """Run the callback, unless there is nobody left to run it."""
        ...


class Timeline:
    """The queue, the clock, the generators and the story of one simulated world."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.now = 0.0
        self.callbacks = 0
        self.story: deque[str] = deque(maxlen=STORY_LINES_MAX)
        self.violations: list[Violation] = []
        self._trace = hashlib.blake2b(digest_size=8)
        self._queue: list[tuple[float, int, Host, Handle]] = []
        self._serial = 0
        self._stuck_at = 0.0
        self._stuck = 0

    def rng(self, purpose: str) -> Random:
        """A generator of its own for one purpose, so that draws elsewhere don't reshuffle it."""
        return Random(f"{self.seed}:{purpose}")

    def schedule(self, when: float, host: Host, handle: Handle) -> None:
        """Have `host` perform `handle` at `when`, after what was scheduled for that time before."""
        self._serial += 1
        heapq.heappush(self._queue, (max(when, self.now), self._serial, host, handle))

    def call_at(self, when: float, callback: Callable[[], None]) -> Call:
        """Run `callback` of the world itself, which no process owns."""
        call = Call(callback)
        self.schedule(when, _WORLD, call)
        return call

    def run_until(self, end: float, done: Callable[[], bool] = lambda: False) -> bool:
        """Let time pass until `end`, or until `done` after some callback; returns which it was.

        Raises:
            Violation: the first one that was reported.
        """
        queue = self._queue
        while queue and queue[0][0] <= end:
            at, _, host, handle = heapq.heappop(queue)
            if handle.cancelled():
                continue
            self.now = max(self.now, at) + CALLBACK_S
            self.callbacks += 1
            host.perform(handle)
            if self.violations:
                raise self.violations[0]
            if done():
                return True
            self._watch_for_spinning(at)
        self.now = max(self.now, end)
        return done()

    def tell(self, who: str, what: str) -> None:
        """Add a line to the story and to the trace."""
        line = f"{self.now:12.6f} {who:<10} {what}"
        self.story.append(line)
        self._trace.update(line.encode())

    def note(self, data: bytes) -> None:
        """Add to the trace what would only clutter the story."""
        self._trace.update(b"%.6f" % self.now)
        self._trace.update(data)

    def accuse(self, reason: str) -> None:
        """Report a violation; the run ends after the present callback."""
        self.tell("VIOLATION", reason)
        self.violations.append(Violation(reason))

    @property
    def trace_hash(self) -> str:
        return self._trace.hexdigest()

    def _watch_for_spinning(self, at: float) -> None:
        """Callbacks that only ever cause each other keep the queue from reaching a later time."""
        if at - self._stuck_at > 0.5:
            self._stuck_at, self._stuck = at, 0
        self._stuck += 1
        if self._stuck > SPIN_MAX:
            raise Violation(f"{SPIN_MAX} callbacks within half a second: something spins")


class Call:
    """A callback of the world."""

    __slots__ = ("_callback",)

    def __init__(self, callback: Callable[[], None]) -> None:
        self._callback: Callable[[], None] | None = callback

    def cancel(self) -> None:
        self._callback = None

    def cancelled(self) -> bool:
        return self._callback is None

    def run(self) -> None:
        if self._callback is not None:
            self._callback()


class _World:
    def perform(self, handle: Handle) -> None:
        assert isinstance(handle, Call)
        handle.run()


_WORLD = _World()
