"""`swarmd.v1.Endpoints`: hands the endpoint table and its changes to every node that watches.

Each manager serves it from its own committed state. Changes are gathered for some milliseconds
(longer the more there is to send), serialized once, and kept as a chain of steps. A watcher is
nothing but its place in that chain: one that lags behind catches up step by step, and one that has
lagged beyond the oldest step kept gets the complete table again. So a slow node costs no memory.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable

from msgspec import Struct

from swarmd.dispatcher.core.batching import Pacer
from swarmd.lb.core.desired import EndpointCatalogue
from swarmd.lb.core.portions import portions
from swarmd.lb.core.tables import Delta, complete
from swarmd.model.errors import Code, Rejection
from swarmd.model.instant import MILLISECOND, SECOND, Instant
from swarmd.rpc.call import Call
from swarmd.rpc.convert.endpoints import delta_to_pb
from swarmd.rpc.pb import endpoints as pb
from swarmd.runtime.clock import Clock
from swarmd.store.changes import Committed
from swarmd.store.store import Store

ENDPOINTS = "swarmd.v1.Endpoints"
STEPS_KEPT = 128
# A change waits 5 ms for others of the same moment; sending 20,000 of them is followed by 100 ms.
QUICK_NS = 5 * MILLISECOND
SLOW_NS = 100 * MILLISECOND
BUSY_ITEMS = 20_000


class _Step(Struct, frozen=True):
    results_in: int
    messages: tuple[bytes, ...]


class EndpointsService:
    """The watchers of one manager. Make it when the manager starts, `close` it when it ends."""

    def __init__(self, store: Store, *, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._loop = asyncio.get_running_loop()
        self._catalogue = EndpointCatalogue(store)
        self._pacer = Pacer(QUICK_NS, SLOW_NS, BUSY_ITEMS)
        self._steps: OrderedDict[int, _Step] = OrderedDict()  # by the version they build on
        self._complete: _Step | None = None  # of the present version, once somebody asked
        self._news = asyncio.Event()
        self._watchers = 0
        self._timer: asyncio.TimerHandle | None = None
        self._closed = False
        self._unsubscribe: Callable[[], None] = store.subscribe(self._observe)

    @property
    def watchers(self) -> int:
        """How many nodes are watching now."""
        return self._watchers

    async def Watch(self, call: Call, request: pb.WatchEndpointsRequest) -> AsyncIterator[bytes]:
        """The complete table at once, then every change until the caller goes."""
        self._watchers += 1
        try:
            version = -1
            while not self._closed:
                news = self._news
                step = self._next_step(version)
                if step is None:
                    await news.wait()
                    continue
                for message in step.messages:
                    yield message
                version = step.results_in
        finally:
            self._watchers -= 1
        raise Rejection(Code.UNAVAILABLE, "this node is no manager any more; ask another one")

    def close(self) -> None:
        """Stop observing and end all watches; safe to call twice."""
        if self._closed:
            return
        self._closed = True
        self._unsubscribe()
        if self._timer is not None:
            self._timer.cancel()
        self._news.set()

    def _next_step(self, version: int) -> _Step | None:
        """What brings a watcher on from `version`; None when it has everything."""
        step = self._steps.get(version)
        if step is not None:
            return step
        if version == self._catalogue.version:
            return None
        if self._catalogue.changed:
            self._publish()
        if self._complete is None:
            self._complete = _step(complete(self._catalogue.tables()))
        return self._complete

    def _observe(self, committed: Committed) -> None:
        self._catalogue.observe(committed)
        if self._catalogue.changed and self._timer is None:
            now = Instant(self._clock.monotonic())
            delay_ns = self._pacer.due(now) - now
            self._timer = self._loop.call_later(max(delay_ns, 0) / SECOND, self._publish)

    def _publish(self) -> None:
        """Make one step of all that has changed, and wake the watchers."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        delta = self._catalogue.take_delta()
        if delta is None:
            return
        self._complete = None
        self._steps[delta.applies_to] = _step(delta)
        if len(self._steps) > STEPS_KEPT:
            self._steps.popitem(last=False)
        self._pacer.sent(_weight(delta) * self._watchers, Instant(self._clock.monotonic()))
        self._news.set()
        self._news = asyncio.Event()


def _step(delta: Delta) -> _Step:
    return _Step(
        results_in=delta.results_in,
        messages=tuple(delta_to_pb(part).SerializeToString() for part in portions(delta)),
    )


def _weight(delta: Delta) -> int:
    """How many rows a delta carries."""
    return (
        sum(1 + len(row.backends) for row in delta.services)
        + sum(len(change.backends) + len(change.removed) for change in delta.changes)
        + len(delta.removed)
    )
