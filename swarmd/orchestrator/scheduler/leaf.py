"""Choosing among nodes of one leaf of the spread tree, best first.

`Ranked` serves spread and binpack. Most nodes don't run the service and haven't failed it; they
come from the cells in the order that all services share, one at a time as needed. The others, and
nodes that were given a task, are in a heap by their full rank. `Drawn` serves the random strategy.

The caller counts the task on the node it was given before it takes again.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator
from typing import Any, Protocol

from swarmd.model.env import Rng
from swarmd.orchestrator.scheduler.node_info import NodeInfo

Rank = tuple[Any, ...]  # numbers, the lower the better; then the node's id and its NodeInfo
Level = tuple[int, int]  # wishes missed, failures

Takes = Callable[[NodeInfo], bool]


class Leaf(Protocol):
    def take(self) -> NodeInfo | None:
        """The best node that can take one more task; None when there is none left."""
        ...


class Ranked:
    """Nodes by rank.

    Args:
        fresh: ranks of nodes of which none changes by itself, best first.
        others: ranks of the other nodes, in any order.
        rank: a node's rank as it is now.
        takes: whether a node can take one more task now.
    """

    def __init__(
        self,
        fresh: Iterator[Rank],
        others: list[Rank],
        rank: Callable[[NodeInfo], Rank],
        takes: Takes,
    ) -> None:
        self._fresh = fresh
        self._next = next(fresh, None)
        self._heap = others
        self._rank = rank
        self._takes = takes
        self._given: NodeInfo | None = None
        heapq.heapify(self._heap)

    def take(self) -> NodeInfo | None:
        given = self._given
        if given is not None:  # whether it takes another is asked when its turn comes, if it does
            self._given = None
            heapq.heappush(self._heap, self._rank(given))
        while (rank := self._pop()) is not None:
            info: NodeInfo = rank[-1]
            if self._takes(info):
                self._given = info
                return info
        return None

    def _pop(self) -> Rank | None:
        following = self._next
        if following is None:
            return heapq.heappop(self._heap) if self._heap else None
        if self._heap and self._heap[0] < following:
            return heapq.heappop(self._heap)
        self._next = next(self._fresh, None)
        return following


class Drawn:
    """Nodes by lot among those of the best level that can take a task.

    Args:
        levels: the nodes by their levels; the lists are used up.
        level: a node's level as it is now.
    """

    def __init__(
        self,
        levels: dict[Level, list[NodeInfo]],
        level: Callable[[NodeInfo], Level],
        takes: Takes,
        rng: Rng,
    ) -> None:
        self._levels = levels
        self._level = level
        self._takes = takes
        self._rng = rng
        self._given: tuple[Level, int] | None = None

    def take(self) -> NodeInfo | None:
        self._settle()
        for level in sorted(self._levels):
            infos = self._levels[level]
            while infos:
                position = self._rng.randrange(0, len(infos))
                if self._takes(infos[position]):
                    self._given = (level, position)
                    return infos[position]
                _discard(infos, position)
        return None

    def _settle(self) -> None:
        """Move the node given last to the level it has now."""
        if self._given is None:
            return
        (before, position), self._given = self._given, None
        info = self._levels[before][position]
        level = self._level(info)
        if level != before:
            _discard(self._levels[before], position)
            self._levels.setdefault(level, []).append(info)


def _discard(infos: list[NodeInfo], position: int) -> None:
    infos[position] = infos[-1]
    infos.pop()
