"""`swarmd.v1.Endpoints`: hands every node that watches the tables that concern it.

Each manager serves them from its own committed state: the table of published ports to all, that of
a network to the nodes that take part in it. Changes are gathered for some milliseconds (longer the
more there is to send), serialized once, and kept as a chain of steps per table. A watcher is
nothing but its place in those chains and a list of tables that have news for it, so a slow node
costs no memory, and a change wakes only those it concerns.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from typing import TypeVar

from swarmd.dispatcher.core.batching import Pacer
from swarmd.lb.core.desired import EndpointCatalogue
from swarmd.lb.core.tables import complete as complete_published
from swarmd.manager.endpoint_steps import (
    Chain,
    Step,
    left_part,
    messages,
    network_step,
    published_step,
)
from swarmd.model.errors import Code, Rejection
from swarmd.model.ids import NetworkId
from swarmd.model.instant import MILLISECOND, SECOND, Instant
from swarmd.network.core.catalogue import NetworkCatalogue
from swarmd.network.core.deltas import complete
from swarmd.rpc.call import Call
from swarmd.rpc.pb import endpoints as pb
from swarmd.runtime.clock import Clock
from swarmd.store.changes import Committed, Kind
from swarmd.store.store import Store

ENDPOINTS = "swarmd.v1.Endpoints"
# The table of published ports, among the ids of networks.
PUBLISHED = NetworkId("")
# A change waits 5 ms for others of the same moment; sending 20,000 of them is followed by 100 ms.
QUICK_NS = 5 * MILLISECOND
SLOW_NS = 100 * MILLISECOND
BUSY_ITEMS = 20_000
# Every node compares its kernel with its tables at each step: a swarm that never stops changing
# has them do so twenty times a second. The promise is that 100 ms after a change it is in force.
# What there is to compare, and who is sent it, grows with the nodes, and so does the distance.
STEADY_NS = 50 * MILLISECOND
STEADY_NS_MAX = SECOND // 2
NODES_AT_FULL_PACE = 100

K = TypeVar("K")


class _Watcher:
    """A place in the chain of every table that concerns one caller."""

    def __init__(self, node_id: str) -> None:
        self.node_id = node_id
        self.versions: dict[NetworkId, int] = {}  # -1: nothing was sent yet
        self.news: dict[NetworkId, None] = {}
        self.left: dict[NetworkId, None] = {}
        self.wake = asyncio.Event()

    def tell(self, table: NetworkId) -> None:
        self.news[table] = None
        self.wake.set()


class EndpointsService:
    """The watchers of one manager. Make it when the manager starts, `close` it when it ends."""

    def __init__(self, store: Store, *, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._loop = asyncio.get_running_loop()
        self._published = EndpointCatalogue(store)
        self._networks = NetworkCatalogue(store)
        self._pacer = Pacer(QUICK_NS, SLOW_NS, BUSY_ITEMS)
        self._chains: dict[NetworkId, Chain] = {PUBLISHED: Chain(self._published.version)}
        for network in store.networks():
            if self._networks.has(network.id):
                self._chains[network.id] = Chain(self._networks.version(network.id))
        self._watchers: dict[_Watcher, None] = {}
        self._by_table: dict[NetworkId, dict[_Watcher, None]] = {}
        self._by_node: dict[str, dict[_Watcher, None]] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._closed = False
        self._unsubscribe: Callable[[], None] = store.subscribe(self._observe)

    @property
    def watchers(self) -> int:
        """How many nodes are watching now."""
        return len(self._watchers)

    def changed_at(self, table: NetworkId) -> int:
        """The log index of the last change of a table; 0: none that this manager saw."""
        if table == PUBLISHED:
            return self._published.changed_at
        return self._networks.changed_at(table)

    def tables_of(self, node_id: str) -> tuple[NetworkId, ...]:
        """The tables that concern a node."""
        node = self._store.find_node(node_id) if node_id else None
        attachments = node.attachments if node is not None else ()
        networks = (attachment.network_id for attachment in attachments)
        return (PUBLISHED, *(one for one in networks if self._networks.has(one)))

    async def Watch(self, call: Call, request: pb.WatchEndpointsRequest) -> AsyncIterator[bytes]:
        """The complete tables at once, then every change until the caller goes."""
        watcher = _Watcher(call.node_id)
        self._enter(watcher)
        try:
            while not self._closed:
                watcher.wake.clear()
                if not watcher.news and not watcher.left:
                    await watcher.wake.wait()
                    continue
                for message in messages(self._parts(watcher)):
                    yield message
        finally:
            self._leave(watcher)
        raise Rejection(Code.UNAVAILABLE, "this node is no manager any more; ask another one")

    def close(self) -> None:
        """Stop observing and end all watches; safe to call twice."""
        if self._closed:
            return
        self._closed = True
        self._unsubscribe()
        if self._timer is not None:
            self._timer.cancel()
        for watcher in self._watchers:
            watcher.wake.set()

    # --- who watches what

    def _enter(self, watcher: _Watcher) -> None:
        self._watchers[watcher] = None
        self._by_node.setdefault(watcher.node_id, {})[watcher] = None
        self._concern(watcher)

    def _leave(self, watcher: _Watcher) -> None:
        del self._watchers[watcher]
        _discard(self._by_node, watcher.node_id, watcher)
        for table in watcher.versions:
            _discard(self._by_table, table, watcher)

    def _concern(self, watcher: _Watcher) -> None:
        """Bring a watcher's tables in line with the networks its node takes part in."""
        wanted = dict.fromkeys(self.tables_of(watcher.node_id))
        for table in [table for table in watcher.versions if table not in wanted]:
            if watcher.versions.pop(table) >= 0:
                watcher.left[table] = None
            watcher.news.pop(table, None)
            watcher.wake.set()
            _discard(self._by_table, table, watcher)
        for table in wanted:
            if table not in watcher.versions:
                watcher.versions[table] = -1
                watcher.left.pop(table, None)
                self._by_table.setdefault(table, {})[watcher] = None
                watcher.tell(table)

    # --- what is sent

    def _parts(self, watcher: _Watcher) -> Iterator[bytes]:
        """Everything that brings a watcher up to date, as one step; all of it is taken at once."""
        steps: list[Step] = []
        if any(self._steps(table, watcher) is None for table in watcher.news):
            self._publish()  # whole tables are of one moment with the changes told to nobody yet
        for table in watcher.news:
            known = self._steps(table, watcher)
            chosen = (self._whole(table),) if known is None else known
            steps.extend(chosen)
            watcher.versions[table] = self._chains[table].version
        left = tuple(watcher.left)
        watcher.news.clear()
        watcher.left.clear()
        if left:
            yield left_part(left)
        for step in steps:
            yield from step.parts

    def _steps(self, table: NetworkId, watcher: _Watcher) -> tuple[Step, ...] | None:
        chain = self._chains.get(table)
        return chain.since(watcher.versions[table]) if chain is not None else None

    def _whole(self, table: NetworkId) -> Step:
        chain = self._chains[table]
        if chain.whole is None:
            if table == PUBLISHED:
                chain.whole = published_step(complete_published(self._published.tables()))
            else:
                network = self._networks.table(table)
                assert network is not None
                chain.whole = network_step(complete(network))
        return chain.whole

    # --- what happens

    def _observe(self, committed: Committed) -> None:
        self._published.observe(committed)
        self._networks.observe(committed)
        for change in committed.changes:
            if change.kind is Kind.NODE:
                for watcher in self._by_node.get(change.id, ()):
                    self._concern(watcher)
        changed = self._published.changed or self._networks.changed
        if changed and self._timer is None:
            now = Instant(self._clock.monotonic())
            delay_ns = self._pacer.due(now) - now
            self._timer = self._loop.call_later(max(delay_ns, 0) / SECOND, self._publish)

    def _publish(self) -> None:
        """Make one step per table of all that has changed, and wake whom it concerns."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        weight = 0
        delta = self._published.take_delta()
        if delta is not None:
            weight += self._append(PUBLISHED, published_step(delta)) * delta.rows
        for network_id in self._networks.changed:
            change = self._networks.take(network_id)
            if change is None:
                self._chains.pop(network_id, None)
                for watcher in tuple(self._by_table.get(network_id, ())):
                    self._concern(watcher)
            elif network_id not in self._chains:
                self._chains[network_id] = Chain(change.results_in)
            else:
                weight += self._append(network_id, network_step(change)) * change.rows
        if weight:
            steady_ns = steady_distance_ns(self._store.node_count())
            self._pacer.sent(weight, Instant(self._clock.monotonic()), steady_ns=steady_ns)

    def _append(self, table: NetworkId, step: Step) -> int:
        """Returns how many watchers it is for."""
        self._chains[table].append(step)
        watchers = self._by_table.get(table, {})
        for watcher in watchers:
            watcher.tell(table)
        return len(watchers)


def steady_distance_ns(nodes: int) -> int:
    """How far apart steps are while changes don't end, in a swarm of so many nodes."""
    return min(STEADY_NS * max(nodes, NODES_AT_FULL_PACE) // NODES_AT_FULL_PACE, STEADY_NS_MAX)


def _discard(index: dict[K, dict[_Watcher, None]], key: K, watcher: _Watcher) -> None:
    watchers = index[key]
    del watchers[watcher]
    if not watchers:
        del index[key]
