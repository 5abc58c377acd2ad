"""One client reading logs: the nodes it waits for, the lines on their way, and how it ends.

A subscription without following ends when every node has closed, went away or could not be asked;
it then says what is missing. Lines wait in a bounded queue: a slow client slows its publishers
down, and nobody else.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Sequence
from typing import Any

from swarmd.manager.log_selection import Selector
from swarmd.model.errors import Code, Rejection
from swarmd.model.ids import NodeId, TaskId
from swarmd.model.instant import SECOND
from swarmd.rpc.pb import logbroker as pb

BATCHES_WAITING_MAX = 16


class Subscription:
    """State of one `SubscribeLogs` call. `order` is what the agents concerned are sent."""

    def __init__(self, order: pb.SubscriptionMessage, selector: Selector) -> None:
        self.order = order
        self.selector = selector
        self.id: str = order.id
        self.follow: bool = order.options.follow
        self.nodes: dict[NodeId, None] = {}  # asked, or found missing
        self._outstanding: dict[NodeId, None] = {}
        self._missing: dict[str, None] = {}
        self._latest: dict[NodeId, tuple[int, int]] = {}  # seconds and nanoseconds
        self._batches: deque[Sequence[Any]] = deque()
        self._filled = asyncio.Event()
        self._drained = asyncio.Event()
        self._ended = False
        self._aborted: Rejection | None = None
        self._cancelled = False

    def ask(self, node_id: NodeId, *, available: bool) -> bool:
        """Wait for a node too; the answer is whether it is to be sent the order now."""
        if node_id in self.nodes:
            return False
        self.nodes[node_id] = None
        if not available:
            self._missing[f"node {node_id} is not available"] = None
            return False
        self._outstanding[node_id] = None
        return True

    def order_for(self, node_id: NodeId) -> pb.SubscriptionMessage | None:
        """What to send a node that listens anew; None when it is not waited for.

        A node that has sent lines before continues after the last of them.
        """
        if node_id not in self._outstanding and not (self.follow and node_id in self.nodes):
            return None
        latest = self._latest.get(node_id)
        if latest is None:
            return self.order
        order = pb.SubscriptionMessage()
        order.CopyFrom(self.order)
        order.options.tail = 0
        after = latest[0] * SECOND + latest[1] + 1
        order.options.since.seconds, order.options.since.nanos = divmod(after, SECOND)
        return order

    def unplaced(self, task_id: TaskId) -> None:
        self._missing[f"task {task_id} has not been scheduled"] = None

    def placed(self, task_id: TaskId) -> None:
        """A task that had no node got one."""
        self._missing.pop(f"task {task_id} has not been scheduled", None)

    def close(self, node_id: NodeId, error: str = "") -> None:
        """The node sends no more; `error` says what is missing of it."""
        if node_id in self._outstanding:
            del self._outstanding[node_id]
            if error:
                self._missing[error] = None
            self.settle()

    def settle(self) -> None:
        """End the subscription if nobody is left to wait for."""
        if not self.follow and not self._outstanding:
            self._ended = True
            self._filled.set()

    def abort(self, reason: Rejection) -> None:
        """End at once, with `reason` after the lines that are here already."""
        self._aborted = reason
        self._ended = True
        self._filled.set()

    async def put(self, node_id: NodeId, messages: Sequence[Any]) -> None:
        """Hand lines to the reader; waits while it is slow, and drops them once it is gone."""
        while len(self._batches) >= BATCHES_WAITING_MAX and not self._cancelled:
            self._drained.clear()
            await self._drained.wait()
        if not self._cancelled:
            self._batches.append(messages)
            last = messages[-1].timestamp
            self._latest[node_id] = (last.seconds, last.nanos)
            self._filled.set()

    async def lines(self) -> AsyncIterator[Sequence[Any]]:
        """Batches of lines until the end.

        Raises:
            Rejection: some lines are missing; the message names what, after all others came.
        """
        while True:
            while self._batches:
                batch = self._batches.popleft()
                self._drained.set()
                yield batch
            if self._ended:
                break
            self._filled.clear()
            await self._filled.wait()
        if self._aborted is not None:
            raise self._aborted
        if self._missing:
            raise Rejection(
                Code.UNKNOWN,
                "warning: incomplete log stream. some logs could not be retrieved for the "
                f"following reasons: {', '.join(self._missing)}",
            )

    def cancel(self) -> None:
        """The reader is gone: publishers that wait for it go on."""
        self._cancelled = True
        self._batches.clear()
        self._drained.set()
