"""Who acts on which version of which table, and for whom it matters that they do.

A node that has no table balances to nobody by it, and one that has acknowledged nothing yet is not
waited for: after an election every node says anew what it has in force.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from msgspec import Struct

from swarmd.model.ids import NetworkId, NodeId


class TableState(Struct, frozen=True, gc=False):
    """One table as a node has it in force.

    `problems` are sentences on what could not be done; `repaired` counts how often the node was
    found to differ from the table and was brought back in line. At `moving`, or later, a task left
    whose UDP clients the node may still lead to it; 0: there is none.
    """

    version: int
    problems: tuple[str, ...] = ()
    repaired: int = 0
    moving: int = 0


class Waiting:
    """Somebody waits until nodes act on `needed`; `late` are those that don't yet.

    Args:
        moved: at which version tasks left whose UDP clients are to be with others; 0: at none.
    """

    def __init__(self, needed: Mapping[NetworkId, int], *, moved: int = 0) -> None:
        self.needed = needed
        self.moved = moved
        self.late: dict[NodeId, None] = {}

    def is_late(self, states: Mapping[NetworkId, TableState]) -> bool:
        """Whether a node with these tables has to be waited for."""
        return any(
            table in states
            and (states[table].version < version or 0 < states[table].moving <= self.moved)
            for table, version in self.needed.items()
        )


class Acknowledged:
    """What the nodes have said, and who waits for which of them. One acknowledgement costs the work
    for those who wait for that node, however many nodes there are."""

    def __init__(self) -> None:
        self._states: dict[NodeId, Mapping[NetworkId, TableState]] = {}
        self._waiting: dict[NodeId, dict[Waiting, None]] = {}

    def __len__(self) -> int:
        return len(self._states)

    def states(self, node_id: NodeId) -> Mapping[NetworkId, TableState] | None:
        """The tables a node has in force; None when it has said nothing."""
        return self._states.get(node_id)

    def nodes(self) -> tuple[NodeId, ...]:
        """Nodes that have said something."""
        return tuple(self._states)

    def wait(self, waiting: Waiting, nodes: Iterable[NodeId]) -> None:
        """Begin to wait for those of `nodes` that are late; `end` it when it is over."""
        waiting.late = {one: None for one in nodes if waiting.is_late(self._states.get(one, {}))}
        for node_id in waiting.late:
            self._waiting.setdefault(node_id, {})[waiting] = None

    def end(self, waiting: Waiting) -> None:
        for node_id in waiting.late:
            self._forget(node_id, waiting)

    def acknowledge(
        self, node_id: NodeId, states: Mapping[NetworkId, TableState]
    ) -> tuple[Waiting, ...]:
        """Take a node's word; returns those who waited for it last and need wait no more."""
        self._states[node_id] = states
        return self._settle(node_id)

    def drop(self, node_id: NodeId) -> tuple[Waiting, ...]:
        """Wait for this node no more: it is down, or gone. The answer is as above."""
        self._states.pop(node_id, None)
        return self._settle(node_id)

    def _settle(self, node_id: NodeId) -> tuple[Waiting, ...]:
        over = []
        for waiting in tuple(self._waiting.get(node_id, ())):
            if not waiting.is_late(self._states.get(node_id, {})):
                del waiting.late[node_id]
                self._forget(node_id, waiting)
                if not waiting.late:
                    over.append(waiting)
        return tuple(over)

    def _forget(self, node_id: NodeId, waiting: Waiting) -> None:
        found = self._waiting[node_id]
        del found[waiting]
        if not found:
            del self._waiting[node_id]
