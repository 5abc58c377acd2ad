"""In which order nodes are tried: the part of it that all tasks of a certain size share.

Spread: nodes with few tasks first; for a service that is nearly everywhere, those with few tasks of
it before that. Binpack: nodes in use before idle ones, so that idle ones stay
idle; among those in use the one with least room for tasks of this size, among idle ones the one
with most room, so that equal tasks end up on as few nodes as possible. Random: any fixed order.
"""

from __future__ import annotations

from typing import NamedTuple

from swarmd.model.ids import ServiceId
from swarmd.model.states import Strategy
from swarmd.orchestrator.generic import Wanted
from swarmd.orchestrator.scheduler.node_info import NodeInfo

Key = tuple[int, ...]


class Size(NamedTuple):
    """What one task reserves on its node."""

    nano_cpus: int = 0
    memory_bytes: int = 0
    generic: Wanted = ()


class Order(NamedTuple):
    """An order of nodes.

    `size` matters to binpack only and is that of the tasks to be placed. `service_id` matters to
    spread only and is that of a service with tasks on so many nodes that an order of its own pays.
    """

    strategy: Strategy
    size: Size = Size()
    service_id: ServiceId | None = None

    def key(self, info: NodeInfo) -> Key:
        """Nodes with a smaller key are tried first; the caller settles ties by id."""
        if self.service_id is not None:
            return (info.active_of.get(self.service_id, 0), info.active)
        if self.strategy is not Strategy.BINPACK:
            return (info.active,)
        room = room_for(info, self.size)
        return (0, room, -info.active) if info.active else (1, -room, 0)


def order_for(strategy: Strategy, size: Size) -> Order:
    return Order(strategy, size) if strategy is Strategy.BINPACK else Order(strategy)


def room_for(info: NodeInfo, size: Size) -> int:
    """How many more tasks of this size fit; 0 for tasks without a size, which always fit."""
    rooms = []
    if size.nano_cpus:
        rooms.append((info.cpus_total - info.cpus) // size.nano_cpus)
    if size.memory_bytes:
        rooms.append((info.memory_total - info.memory) // size.memory_bytes)
    rooms += (info.stock.free(kind) // count for kind, count in size.generic if count)
    return max(min(rooms, default=0), 0)


def has_room(info: NodeInfo, size: Size) -> bool:
    """Whether one more task of this size fits."""
    if size.nano_cpus and info.cpus + size.nano_cpus > info.cpus_total:
        return False
    if size.memory_bytes and info.memory + size.memory_bytes > info.memory_total:
        return False
    return not size.generic or info.stock.has(size.generic)
