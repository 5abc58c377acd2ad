"""Scaling a replicated service: which slots to add and which to give up."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from itertools import count

from swarmd.model.ids import NodeId
from swarmd.model.states import TaskState
from swarmd.orchestrator.slots import Slot, SlotKey


def free_slots(taken: Collection[SlotKey]) -> Iterator[int]:
    """Slot numbers not taken, lowest first, without end."""
    return (number for number in count(1) if number not in taken)


def surplus(slots: list[Slot], replicas: int) -> list[Slot]:
    """The slots to give up so that `replicas` remain, the least wanted first.

    Nodes with most copies of the service give up theirs first; on a node, slots that are not
    running go before running ones and high numbers before low ones. Slots without a node, or in
    the middle of an update, are the least wanted of all.
    """
    ordered = sorted(slots, key=lambda slot: (not _runs(slot), slot.key))
    copies: dict[NodeId, int] = {}
    ranked: list[tuple[int, int, Slot]] = []
    for position, slot in enumerate(ordered):
        node_id = slot.current[0].node_id if len(slot.current) == 1 else NodeId("")
        nth = len(slots)  # without a node: after every copy on a node
        if node_id:
            nth = copies.get(node_id, 0)
            copies[node_id] = nth + 1
        ranked.append((nth, position, slot))
    ranked.sort(key=lambda item: item[:2])
    return [slot for _, _, slot in reversed(ranked[replicas:])]


def _runs(slot: Slot) -> bool:
    return any(task.status.state is TaskState.RUNNING for task in slot.current)
