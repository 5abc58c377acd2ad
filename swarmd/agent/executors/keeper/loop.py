"""A tiny event loop: readable descriptors and timers, nothing else.

asyncio would cost several megabytes in a process that lives as long as any task and is forked for
each of them.
"""

from __future__ import annotations

import heapq
import select
import sys
import time
import traceback
from collections.abc import Callable


class Timer:
    """A call in the future; `cancel` makes it never happen."""

    def __init__(self, call: Callable[[], None]) -> None:
        self.call: Callable[[], None] | None = call

    def cancel(self) -> None:
        self.call = None


class Loop:
    def __init__(self) -> None:
        self._poll = select.epoll()
        self._readers: dict[int, Callable[[], None]] = {}
        self._writers: dict[int, Callable[[], None]] = {}
        self._timers: list[tuple[int, int, Timer]] = []
        self._sequence = 0
        self._stopped = False

    def reads(self, descriptor: int, call: Callable[[], None]) -> None:
        """Call `call` whenever `descriptor` is readable or at its end."""
        self._readers[descriptor] = call
        self._poll.register(descriptor, select.EPOLLIN)

    def writes(self, descriptor: int, call: Callable[[], None] | None) -> None:
        """Also call `call` when `descriptor`, which is being read, takes data; None ends that."""
        events = select.EPOLLIN
        if call is None:
            self._writers.pop(descriptor, None)
        else:
            self._writers[descriptor] = call
            events |= select.EPOLLOUT
        self._poll.modify(descriptor, events)

    def forget(self, descriptor: int) -> None:
        """Stop watching a descriptor; to be called before it is closed."""
        self._writers.pop(descriptor, None)
        if self._readers.pop(descriptor, None) is not None:
            self._poll.unregister(descriptor)

    def after(self, delay_ns: int, call: Callable[[], None]) -> Timer:
        timer = Timer(call)
        self._sequence += 1
        heapq.heappush(self._timers, (time.monotonic_ns() + delay_ns, self._sequence, timer))
        return timer

    def stop(self) -> None:
        self._stopped = True

    def run(self) -> None:
        """Serve until `stop` is called."""
        while not self._stopped:
            for descriptor, events in self._poll.poll(self._wait_s()):
                if events & select.EPOLLOUT:
                    self._guarded(self._writers.get(descriptor), descriptor)
                if events & ~select.EPOLLOUT:
                    self._guarded(self._readers.get(descriptor), descriptor)
            self._fire()

    def _guarded(self, call: Callable[[], None] | None, descriptor: int | None) -> None:
        """Call, and survive what it raises.

        Letting go here would end every task of the node for a fault in the handling of one. The
        descriptor is dropped, lest it be served in vain for ever.
        """
        if call is None:
            return
        try:
            call()
        except Exception:
            traceback.print_exc(file=sys.stderr)
            if descriptor is not None:
                self.forget(descriptor)

    def _wait_s(self) -> float:
        while self._timers and self._timers[0][2].call is None:
            heapq.heappop(self._timers)
        if not self._timers:
            return -1
        return max(self._timers[0][0] - time.monotonic_ns(), 0) / 1e9

    def _fire(self) -> None:
        now = time.monotonic_ns()
        while self._timers and self._timers[0][0] <= now:
            call = heapq.heappop(self._timers)[2].call
            self._guarded(call, None)
