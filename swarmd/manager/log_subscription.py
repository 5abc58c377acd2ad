"""One client reading logs: the nodes it waits for, the lines on their way, and how it ends.

A subscription without following ends when every node has closed, went away or could not be asked;
it then says what is missing. One that follows says so when it happens, to clients that understand.
Few lines wait: a slow client slows its publishers down, and nobody else.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable

from swarmd.manager.log_order import Batch, Bulk, Messages, Order
from swarmd.manager.log_selection import Selector
from swarmd.model.errors import Code, Rejection
from swarmd.model.ids import NodeId, TaskId
from swarmd.model.instant import SECOND
from swarmd.model.log_progress import Progress, Reached
from swarmd.rpc.pb import logbroker as pb
from swarmd.rpc.pb.swarmd.v1.logs_pb2 import LogReached
from swarmd.runtime.timeouts import timeout

ANSWER_BYTES = 256 * 1024
NOTICES_MAX = 1000
RETURN_NS = 5 * SECOND  # within which nodes find a new leader


class Subscription:
    """State of one `SubscribeLogs` call. `order` is what the agents concerned are sent.

    Its options may name what the client has been shown by an earlier leader: then nodes continue
    from there, and have a moment to find this leader before they are called missing.
    """

    def __init__(self, order: pb.SubscriptionMessage, selector: Selector) -> None:
        self._progress = _progress_of(order.options.reached)
        self._absent: dict[NodeId, int] = {}  # when they are missing, if they haven't come by then
        self._is_resumed = bool(self._progress)
        order.options.ClearField("reached")
        self.order = order
        self.selector = selector
        self.id: str = order.id
        self.follow: bool = order.options.follow
        self.nodes: dict[NodeId, None] = {}  # asked, or found missing
        self._outstanding: dict[NodeId, None] = {}
        self._missing: dict[str, None] = {}
        self._order = Order(follow=self.follow)
        self._notices: list[str] = []
        self._changed = asyncio.Event()
        self._drained = asyncio.Event()
        self._ended = False
        self._aborted: Rejection | None = None
        self._cancelled = False

    def ask(self, node_id: NodeId, *, available: bool) -> bool:
        """Wait for a node too; the answer is whether it is to be sent the order now."""
        if node_id in self.nodes:
            return False
        self.nodes[node_id] = None
        self._absent.pop(node_id, None)
        if not available:
            self._miss(_not_available(node_id))
            return False
        self._outstanding[node_id] = None
        self._order.opened(node_id, _now())
        return True

    def absent(self, node_id: NodeId) -> None:
        """A node of a followed subscription that is asked as soon as it listens."""
        if node_id in self.nodes:
            return
        if self._is_resumed:
            self._absent.setdefault(node_id, _now() + RETURN_NS)
            self._changed.set()
        else:
            self._miss(_not_available(node_id))

    def order_for(self, node_id: NodeId) -> pb.SubscriptionMessage | None:
        """What to send a node that listens anew; None when it is not waited for."""
        if node_id in self._outstanding or (self.follow and node_id in self.nodes):
            return self.order_of(node_id)
        return None

    def order_of(self, node_id: NodeId) -> pb.SubscriptionMessage:
        """What to send a node: one that has sent lines before continues with what is missing."""
        progress = self._progress.get(node_id)
        since = progress.resume() if progress is not None else None
        if since is None:
            return self.order
        order = pb.SubscriptionMessage()
        order.CopyFrom(self.order)
        order.options.tail = 0
        order.options.since.seconds, order.options.since.nanos = divmod(since, SECOND)
        return order

    def unplaced(self, task_id: TaskId) -> None:
        self._miss(f"task {task_id} has not been scheduled")

    def placed(self, task_id: TaskId) -> None:
        """A task that had no node got one."""
        self._missing.pop(f"task {task_id} has not been scheduled", None)

    def close(self, node_id: NodeId, error: str = "") -> None:
        """The node sends no more; `error` says what is missing of it."""
        self._order.closed(node_id)
        if node_id in self._outstanding:
            del self._outstanding[node_id]
            if error:
                self._miss(error)
            self.settle()
        self._changed.set()

    def settle(self) -> None:
        """End the subscription if nobody is left to wait for."""
        if not self.follow and not self._outstanding:
            self._ended = True
            self._changed.set()

    def abort(self, reason: Rejection) -> None:
        """End at once, with `reason` after the lines that are here already."""
        self._aborted = reason
        self._ended = True
        self._changed.set()

    async def put(self, node_id: NodeId, request: pb.PublishLogsMessage) -> None:
        """Hand lines to the reader; waits while it is slow, and drops them once it is gone."""
        while self._order.is_full(node_id) and not self._cancelled:
            self._drained.clear()
            await self._drained.wait()
        if self._cancelled:
            return
        fresh = _fresh(self._progress.setdefault(node_id, Progress()), request)
        if self.follow:
            self._outstanding.setdefault(node_id, None)  # it may have been away
        now = _now()
        self._order.opened(node_id, now)
        for batch in fresh:
            self._order.add(node_id, batch, now)
        self._changed.set()

    async def lines(self) -> AsyncIterator[pb.SubscribeLogsMessage]:
        """Lines and notices until the end.

        Raises:
            Rejection: some lines are missing; the message names what, after all others came.
        """
        while True:
            self._changed.clear()
            answer = self._next()
            if answer is not None:
                self._drained.set()
                yield answer
            elif self._ended and self._order.is_empty:
                break
            else:
                await self._change()
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
        self._order.clear()
        self._drained.set()

    def _next(self) -> pb.SubscribeLogsMessage | None:
        """What can be told by now, in one message."""
        answer = pb.SubscribeLogsMessage()
        size, now = 0, _now()
        for node_id in [one for one, due in self._absent.items() if due <= now]:
            del self._absent[node_id]
            self._miss(_not_available(node_id))
        while size < ANSWER_BYTES:
            batch = self._order.take(now)
            if batch is None:
                break
            size += batch.size
            if isinstance(batch, Bulk):
                answer.bulk.append(batch.message)
            elif isinstance(batch, Messages):
                answer.messages.extend(batch.messages)
        answer.notices.extend(self._notices)
        self._notices.clear()
        return answer if size or answer.notices else None

    async def _change(self) -> None:
        """Return when something has happened, or something that waits is due."""
        times = (self._order.due(), *self._absent.values())
        due = min((time for time in times if time is not None), default=None)
        try:
            async with timeout(None if due is None else max(due - _now(), 0) / SECOND):
                await self._changed.wait()
        except TimeoutError:
            return

    def _miss(self, what: str) -> None:
        self._missing[what] = None
        if self.follow and self.order.options.bulk and len(self._notices) < NOTICES_MAX:
            self._notices.append(what)
            self._changed.set()


def _fresh(progress: Progress, request: pb.PublishLogsMessage) -> list[Batch]:
    """The lines of a node's message that did not come before."""
    batches: list[Batch] = []
    for bulk in request.bulk:
        said = bulk.lines  # each look at the field makes a copy
        lines = progress.fresh(bulk.task_id, said)
        if lines:
            if len(lines) < len(said):
                bulk.lines = lines
            batches.append(Bulk(bulk, lines))
    messages = []
    for message in request.messages:
        time = message.timestamp.seconds * SECOND + message.timestamp.nanos
        if progress.fresh(message.context.task_id, b"%019d \n" % time):
            messages.append(message)
    if messages:
        batches.append(Messages(messages))
    return batches


def _progress_of(reached: Iterable[LogReached]) -> dict[NodeId, Progress]:
    tasks: dict[NodeId, dict[str, Reached]] = {}
    for one in reached:
        tasks.setdefault(NodeId(one.node_id), {})[one.task_id] = Reached(one.time, one.lines)
    return {node_id: Progress(of_node) for node_id, of_node in tasks.items()}


def _not_available(node_id: NodeId) -> str:
    return f"node {node_id} is not available"


def _now() -> int:
    return int(asyncio.get_running_loop().time() * SECOND)
