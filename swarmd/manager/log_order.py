"""Lines of several nodes put in the order of their times, without waiting for ever. Pure.

Each node sends its lines in order. The earliest of all is known once every node that still sends
has something waiting, so a silent node holds the others up, but only for a moment: the window.
Whoever reads what was written long ago gets exact order; whoever follows gets lines that are at
most a window late, and at once when there are so many that waiting would make them pile up.
"""

from __future__ import annotations

from collections import deque
from typing import Any, NamedTuple, Protocol

from swarmd.model.ids import NodeId
from swarmd.model.instant import SECOND
from swarmd.model.log_lines import first_time, last_time, split_after
from swarmd.rpc.pb.swarmd.v1.logs_pb2 import LogBulk

WINDOW_NS = SECOND // 4
PATIENCE_NS = 2 * SECOND  # with lines that are there already
WAITING_BYTES_MAX = 512 * 1024  # of a node
MESSAGE_BYTES = 256  # what a line costs beside its data


class Batch(Protocol):
    """Lines of one node, in order."""

    @property
    def first(self) -> int: ...

    @property
    def last(self) -> int: ...

    @property
    def size(self) -> int: ...

    def split_after(self, instant: int) -> tuple[Batch | None, Batch | None]:
        """The lines up to `instant` and those after it."""
        ...


class Bulk:
    """Lines of one task in bulk.

    Args:
        lines: those of the message; each look at its field makes a copy.
    """

    def __init__(self, message: LogBulk, lines: bytes) -> None:
        self.message = message
        self.first, self.last = first_time(lines), last_time(lines)
        self.size = len(lines) + MESSAGE_BYTES

    def split_after(self, instant: int) -> tuple[Batch | None, Batch | None]:
        early, late = split_after(self.message.lines, instant)
        return self._with(early), self._with(late)

    def _with(self, lines: bytes) -> Bulk | None:
        if not lines:
            return None
        part = LogBulk(
            service_id=self.message.service_id,
            node_id=self.message.node_id,
            task_id=self.message.task_id,
            lines=lines,
        )
        return Bulk(part, lines)


class Messages:
    """Lines that are messages of their own."""

    def __init__(self, messages: list[Any]) -> None:
        self.messages = messages
        self.first, self.last = _time(messages[0]), _time(messages[-1])
        self.size = sum(len(message.data) + MESSAGE_BYTES for message in messages)

    def split_after(self, instant: int) -> tuple[Batch | None, Batch | None]:
        count = next(
            (number for number, one in enumerate(self.messages) if _time(one) > instant),
            len(self.messages),
        )
        early, late = self.messages[:count], self.messages[count:]
        return (Messages(early) if early else None, Messages(late) if late else None)


def _time(message: Any) -> int:
    return int(message.timestamp.seconds * SECOND + message.timestamp.nanos)


class Arrived(NamedTuple):
    at: int
    batch: Batch


class Order:
    """What has arrived and was not handed on yet."""

    def __init__(self, *, follow: bool) -> None:
        self._follow = follow
        self._patience_ns = WINDOW_NS if follow else PATIENCE_NS
        self._queues: dict[NodeId, deque[Arrived]] = {}
        self._sizes: dict[NodeId, int] = {}
        self._sending: set[NodeId] = set()
        self._silent_since: dict[NodeId, int] = {}  # those of which nothing waits

    def opened(self, node_id: NodeId, now: int) -> None:
        """The node is going to send."""
        self._sending.add(node_id)
        if node_id not in self._queues:
            self._silent_since.setdefault(node_id, now)

    def closed(self, node_id: NodeId) -> None:
        """The node sends no more."""
        self._sending.discard(node_id)
        self._silent_since.pop(node_id, None)

    def add(self, node_id: NodeId, batch: Batch, now: int) -> None:
        self._silent_since.pop(node_id, None)
        self._queues.setdefault(node_id, deque()).append(Arrived(now, batch))
        self._sizes[node_id] = self._sizes.get(node_id, 0) + batch.size

    def is_full(self, node_id: NodeId) -> bool:
        """Whether so much of the node waits that it should wait, too."""
        return self._sizes.get(node_id, 0) >= WAITING_BYTES_MAX

    @property
    def is_empty(self) -> bool:
        return not self._queues

    def due(self) -> int | None:
        """When the next batch is to be handed on if nothing else arrives; None if nothing waits."""
        if not self._queues:
            return None
        if not self._silent_since:
            return 0
        patient = max(self._silent_since.values()) + self._patience_ns
        if not self._follow or any(self.is_full(node_id) for node_id in self._queues):
            return patient
        return max(patient, self._queues[self._earliest()][0].at + WINDOW_NS)

    def take(self, now: int) -> Batch | None:
        """The next batch, if it is due."""
        due = self.due()
        if due is None or due > now:
            return None
        node_id = self._earliest()
        queue = self._queues[node_id]
        arrived = queue.popleft()
        batch: Batch = arrived.batch
        self._sizes[node_id] -= batch.size
        others = [other[0].batch.first for other in self._queues.values() if other]
        if others and batch.last > min(others):
            early, late = batch.split_after(min(others))
            if early is not None and late is not None:
                batch = early
                self._sizes[node_id] += late.size
                queue.appendleft(Arrived(arrived.at, late))
        if not queue:
            del self._queues[node_id], self._sizes[node_id]
            if node_id in self._sending:
                self._silent_since[node_id] = now
        return batch

    def clear(self) -> None:
        self._queues.clear()
        self._sizes.clear()

    def _earliest(self) -> NodeId:
        return min(
            self._queues, key=lambda node_id: (self._queues[node_id][0].batch.first, node_id)
        )
