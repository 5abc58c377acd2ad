"""Nodes in cells: equal in everything that a placement asks about, so that one answer serves all.

What tasks may ask of a node is whether it is ready, its taints, platform and plugins, and the
attributes (labels, role, name, …) named in constraints and preferences. Each set of attributes that
services name gets a partition of its own, so that labels nobody asks about never split a cell, and
a thousand services that ask the same share one. Within a cell nodes are sorted by an `Order`.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Collection, Iterable, Mapping
from typing import Any, NamedTuple

from swarmd.model.ids import NodeId
from swarmd.model.node import Node
from swarmd.orchestrator.constraints import attribute
from swarmd.orchestrator.scheduler.node_info import NodeInfo
from swarmd.orchestrator.scheduler.order import Order
from swarmd.orchestrator.scheduler.statics import Statics, Verdict, judge

JUDGED_MAX = 4096  # static requirements whose verdicts are kept
_RESORT_SHARE = 4  # sorting anew beats moving more than one in so many nodes

Values = tuple[Any, ...]
Entry = tuple[Any, ...]  # the order's key, the node's id, its NodeInfo


class Cell:
    """Nodes with equal values, best first."""

    __slots__ = ("entries", "values")

    def __init__(self, values: Values) -> None:
        self.values = values
        self.entries: list[Entry] = []

    @property
    def sample(self) -> NodeInfo:
        """Some node of the cell, which stands for all in static questions."""
        info: NodeInfo = self.entries[0][-1]
        return info


class _Place(NamedTuple):
    """Where a node is, and the record of it that put it into this cell."""

    cell: Cell
    entry: Entry
    node: Node


class _Answers(NamedTuple):
    """What the cells say to one requirement."""

    all: tuple[tuple[Cell, Verdict], ...]
    fit: dict[Cell, int]


class Partition:
    """All nodes of a fleet by some attributes; `cursor` belongs to the fleet."""

    def __init__(
        self, attributes: tuple[str, ...], order: Order, infos: Iterable[NodeInfo]
    ) -> None:
        self.cursor = 0
        self._attributes = attributes
        self._order = order
        self._cells: dict[Values, Cell] = {}
        self._places: dict[NodeId, _Place] = {}
        self._judged: dict[Statics, _Answers] = {}
        self._fill(infos)

    def reordered(self, order: Order) -> Partition:
        """The same cells with their nodes in another order; cheaper than making it anew."""
        other = Partition(self._attributes, order, ())
        for values, cell in self._cells.items():
            twin = other._cells[values] = Cell(values)
            twin.entries = sorted(other._entry(entry[-1]) for entry in cell.entries)
            for entry in twin.entries:
                other._places[entry[-2]] = _Place(twin, entry, entry[-1].node)
        return other

    def judged(self, statics: Statics) -> tuple[tuple[Cell, Verdict], ...]:
        """Every cell with the answer it gives to a requirement."""
        return self._answers(statics).all

    def fit(self, statics: Statics) -> Mapping[Cell, int]:
        """The cells that can take tasks, and how many wishes each of them misses."""
        return self._answers(statics).fit

    def _answers(self, statics: Statics) -> _Answers:
        known = self._judged.get(statics)
        if known is None:
            if len(self._judged) >= JUDGED_MAX:
                self._judged.clear()
            judged = tuple((cell, judge(cell.sample, statics)) for cell in self._cells.values())
            fit = {cell: verdict.misses for cell, verdict in judged if verdict.fit}
            known = self._judged[statics] = _Answers(judged, fit)
        return known

    def cell_of(self, node_id: NodeId) -> Cell:
        return self._places[node_id].cell

    def by_cell(self, infos: Collection[NodeInfo]) -> dict[Cell, list[NodeInfo]]:
        """Nodes of this partition, sorted into their cells."""
        if len(self._cells) == 1:
            return {cell: list(infos) for cell in self._cells.values()}
        found: dict[Cell, list[NodeInfo]] = {}
        places = self._places
        for info in infos:
            found.setdefault(places[info.id].cell, []).append(info)
        return found

    def refresh(self, changed: Iterable[NodeInfo], present: Mapping[NodeId, NodeInfo]) -> None:
        """Put nodes that changed, came or went where they belong now.

        Args:
            present: all nodes by id; a changed node that isn't among them has gone.
        """
        loaded: list[NodeInfo] = []  # nothing but the load on them has changed
        for info in changed:
            place = self._places.get(info.id)
            if present.get(info.id) is not info:
                self._remove(info.id)
            elif place is not None and place.node is info.node:
                loaded.append(info)
            else:
                self._remove(info.id)
                self._insert(info)
        if len(loaded) * _RESORT_SHARE > len(present):
            self._sort_anew()
        else:
            for info in loaded:
                self._shift(info)

    def _fill(self, infos: Iterable[NodeInfo]) -> None:
        for info in infos:
            cell, entry = self._cell(info), self._entry(info)
            cell.entries.append(entry)
            self._places[info.id] = _Place(cell, entry, info.node)
        for cell in self._cells.values():
            cell.entries.sort()

    def _sort_anew(self) -> None:
        for cell in self._cells.values():
            cell.entries = sorted(self._entry(entry[-1]) for entry in cell.entries)
            for entry in cell.entries:
                self._places[entry[-2]] = _Place(cell, entry, entry[-1].node)

    def _shift(self, info: NodeInfo) -> None:
        """Move a node within its cell."""
        place, entry = self._places[info.id], self._entry(info)
        if entry != place.entry:
            _take_out(place)
            insort(place.cell.entries, entry)
            self._places[info.id] = _Place(place.cell, entry, info.node)

    def _insert(self, info: NodeInfo) -> None:
        cell, entry = self._cell(info), self._entry(info)
        insort(cell.entries, entry)
        self._places[info.id] = _Place(cell, entry, info.node)

    def _cell(self, info: NodeInfo) -> Cell:
        """The cell of nodes like this one, made if it is the first."""
        values = self._values(info)
        cell = self._cells.get(values)
        if cell is None:
            cell = self._cells[values] = Cell(values)
            self._judged.clear()
        return cell

    def _remove(self, node_id: NodeId) -> None:
        place = self._places.pop(node_id, None)
        if place is None:
            return
        _take_out(place)
        if not place.cell.entries:
            del self._cells[place.cell.values]
            self._judged.clear()

    def _entry(self, info: NodeInfo) -> Entry:
        return (*self._order.key(info), info.id, info)

    def _values(self, info: NodeInfo) -> Values:
        node = info.node
        description = node.description
        return (
            info.ready,
            node.spec.taints,
            description.platform if description else None,
            description.engine.plugins if description and description.engine else None,
            *(attribute(node, name) for name in self._attributes),
        )


def _take_out(place: _Place) -> None:
    entries = place.cell.entries
    position = bisect_left(entries, place.entry)
    if entries[position] is not place.entry:
        raise AssertionError(f"node {place.node.id} is not where its cell should have it")
    del entries[position]
