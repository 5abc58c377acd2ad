"""Choosing nodes one after another for the tasks of one service version.

Spread preferences come first: cells form a tree with one level per preference and one branch per
label value, and every task goes to the branch with the fewest tasks of the service. Within a leaf
come nodes that meet most wishes (soft constraints and affinities, taints that ask to be avoided),
then those that failed the service version least (from five times in five minutes on), then what the
strategy says: with spread, the fewest tasks of the service and then the fewest in all.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator, Mapping
from operator import itemgetter
from typing import TypeAlias

from swarmd.model.env import Rng
from swarmd.model.ids import NodeId
from swarmd.model.instant import Instant
from swarmd.model.states import Strategy
from swarmd.orchestrator.constraints import label_value
from swarmd.orchestrator.scheduler.filters import Filters
from swarmd.orchestrator.scheduler.fleet import Fleet
from swarmd.orchestrator.scheduler.leaf import Drawn, Leaf, Level, Rank, Ranked
from swarmd.orchestrator.scheduler.node_info import NodeInfo
from swarmd.orchestrator.scheduler.order import Order, order_for
from swarmd.orchestrator.scheduler.partition import Cell, Entry
from swarmd.orchestrator.scheduler.requirement import Requirement

Judged: TypeAlias = tuple[Cell, int]  # a cell that can take tasks, and the wishes it misses
Path: TypeAlias = tuple[str, ...]  # label values, one per level


class Placer:
    """Hands out nodes for tasks of one service version, best first.

    The caller counts each task on the node it was given before taking again, and counts no others
    meanwhile. One placer is used to its end before the next is made for the same fleet.
    """

    def __init__(self, fleet: Fleet, filters: Filters, *, now: Instant, rng: Rng) -> None:
        requirement = filters.requirement
        self._filters = filters
        company = filters.company
        self._wished = company if company is not None and company.wished_for else None
        self._only = company.only if company is not None else None
        self._rng = rng
        self._service_id = filters.kind.service_id
        self._strategy = requirement.strategy or fleet.scheduling.strategy
        self._failing = fleet.failing(filters.kind.version, now)
        self._serving = fleet.serving(self._service_id)
        self._order = self._order_of_choice(fleet, requirement)
        self._partition = fleet.partition(requirement.attributes, self._order)
        self._misses: Mapping[Cell, int] = self._partition.fit(requirement.statics)
        self._touched = self._by_cell(fleet)
        levels = requirement.preferences
        judged = tuple(self._misses.items())
        self._root = self._tree(judged, levels, (), self._counts(levels)) if judged else None

    def take(self) -> NodeInfo | None:
        """The best node that can take one more task; None when there is none left."""
        return self._root.take() if self._root is not None else None

    def _order_of_choice(self, fleet: Fleet, requirement: Requirement) -> Order:
        """Ranking every node that a common service is on costs more than keeping them in order."""
        if self._strategy is Strategy.SPREAD and fleet.is_common(self._service_id):
            return Order(self._strategy, service_id=self._service_id)
        return order_for(self._strategy, requirement.size)

    def _by_cell(self, fleet: Fleet) -> dict[Cell, list[NodeInfo]]:
        """Nodes whose rank is their own: they failed the service, run it, or have company.

        Where only some nodes may suit, it is those, so that the others aren't looked at.
        """
        ranked_apart = self._strategy is Strategy.SPREAD and self._order.service_id is None
        touched: dict[NodeId, NodeInfo] = {}
        others: Iterable[NodeId] = self._failing
        if self._only is not None:
            others = self._only
        else:
            if ranked_apart:
                touched.update(self._serving)
            if self._wished is not None:
                others = (*self._failing, *self._wished.exceptions())
        for node_id in others:
            info = fleet.find(node_id)
            if info is not None:
                touched[node_id] = info
        self._apart = touched
        return self._partition.by_cell(touched.values())

    def _counts(self, levels: tuple[str, ...]) -> dict[Path, int]:
        """Tasks of the service in every branch of the tree, whether or not it can take more."""
        counts: dict[Path, int] = {}
        if not levels:
            return counts
        for info in self._serving.values():
            path: Path = ()
            for descriptor in levels:
                path = (*path, label_value(info.node, descriptor) or "")
                counts[path] = counts.get(path, 0) + info.active_of[self._service_id]
        return counts

    def _tree(
        self,
        judged: tuple[Judged, ...],
        levels: tuple[str, ...],
        path: Path,
        counts: dict[Path, int],
    ) -> Leaf:
        if not levels:
            return self._leaf(judged)
        by_value: dict[str, list[Judged]] = {}
        for cell, misses in judged:
            value = label_value(cell.sample.node, levels[0]) or ""
            by_value.setdefault(value, []).append((cell, misses))
        return _Fork(
            [
                (
                    counts.get((*path, value), 0),
                    value,
                    self._tree(tuple(members), levels[1:], (*path, value), counts),
                )
                for value, members in sorted(by_value.items(), key=itemgetter(0))
            ]
        )

    def _leaf(self, judged: tuple[Judged, ...]) -> Leaf:
        takes = self._filters.takes
        if self._strategy is Strategy.RANDOM:
            return Drawn(self._levels(judged), self._level, takes, self._rng)
        others = [
            rank
            for cell, misses in judged
            if cell in self._touched
            for rank in self._ranks(self._touched[cell], misses)
        ]
        return Ranked(self._fresh(judged), others, self._rank, takes)

    def _levels(self, judged: tuple[Judged, ...]) -> dict[Level, list[NodeInfo]]:
        """Nodes by wishes missed and failures; those that are like any other with their cell."""
        apart, wished = self._apart, self._wished
        usual = wished.usual_misses if wished is not None else 0
        levels: dict[Level, list[NodeInfo]] = {}
        for cell, misses in judged:
            if self._only is None:
                alike = levels.setdefault((misses + usual, 0), [])
                alike += [entry[-1] for entry in cell.entries if entry[-2] not in apart]
            for info in self._touched.get(cell, ()):
                levels.setdefault(self._level(info), []).append(info)
        return levels

    def _ranks(self, touched: list[NodeInfo], misses: int) -> list[Rank]:
        """Ranks of the touched nodes of a cell; in the common case without a call for each."""
        if self._wished is not None or self._strategy is not Strategy.SPREAD:
            return [self._rank(info) for info in touched]
        failures, service_id = self._failing, self._service_id
        return [
            (
                misses,
                failures.get(info.id, 0) if failures else 0,
                info.active_of.get(service_id, 0),
                info.active,
                info.id,
                info,
            )
            for info in touched
        ]

    def _fresh(self, judged: tuple[Judged, ...]) -> Iterator[Rank]:
        """Ranks of the nodes that are like any other, best first."""
        if self._only is not None:
            return
        apart, wished = self._apart, self._wished
        usual = wished.usual_misses if wished is not None else 0
        own_apart = self._strategy is Strategy.SPREAD and self._order.service_id is None
        prefix = (0, 0) if own_apart else (0,)  # no failures, and no tasks of the service
        for misses in sorted({misses for _, misses in judged}):
            orders = [cell.entries for cell, missed in judged if missed == misses]
            for entry in orders[0] if len(orders) == 1 else _merged(orders):
                if entry[-2] not in apart:
                    yield (misses + usual, *prefix, *entry)

    def _level(self, info: NodeInfo) -> Level:
        misses = self._misses[self._partition.cell_of(info.id)]
        if self._wished is not None:
            misses += self._wished.misses(info)
        return (misses, self._failing.get(info.id, 0))

    def _rank(self, info: NodeInfo) -> Rank:
        level = self._level(info)
        if self._strategy is Strategy.SPREAD:
            own = info.active_of.get(self._service_id, 0)
            return (*level, own, info.active, info.id, info)
        return (*level, *self._order.key(info), info.id, info)


def _merged(orders: list[list[Entry]]) -> Iterator[Entry]:
    """All entries in order; quicker to begin than `heapq.merge`, as few of them will be taken."""
    heads = [(entries[0], 1, entries) for entries in orders]  # entries differ, the rest isn't asked
    heapq.heapify(heads)
    while heads:
        entry, following, entries = heads[0]
        yield entry
        if following < len(entries):
            heapq.heapreplace(heads, (entries[following], following + 1, entries))
        else:
            heapq.heappop(heads)


class _Fork:
    """Branches by label value; the one with the fewest tasks of the service is asked first."""

    def __init__(self, branches: list[tuple[int, str, Leaf]]) -> None:
        self._heap = branches
        heapq.heapify(self._heap)

    def take(self) -> NodeInfo | None:
        while self._heap:
            count, value, branch = self._heap[0]
            info = branch.take()
            if info is not None:
                heapq.heapreplace(self._heap, (count + 1, value, branch))
                return info
            heapq.heappop(self._heap)  # full: it leaves the pool
        return None
