"""Sending logs of this node's tasks to whoever subscribed to them, through the leader.

Each order of the broker is served by a stream of its own: lines in batches, then a closing message.
The stream's flow control slows reading down to what the reader takes. A log that can't be sent
costs its reader some lines, and nothing else here.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from typing import Any, Protocol, TypeAlias

from swarmd.agent.logs import LogOptions, LogRecord, LogSelector, LogStream
from swarmd.model.errors import Code
from swarmd.model.ids import NodeId, ServiceId, TaskId
from swarmd.model.instant import SECOND, Instant
from swarmd.rpc.errors import RpcError
from swarmd.rpc.pb import logbroker as pb

log = logging.getLogger(__name__)

Lines: TypeAlias = "asyncio.Queue[LogRecord | None]"

BATCH_BYTES_MAX = 64 * 1024
BATCH_RECORDS_MAX = 512
GATHER_S = 0.05

_STREAMS = {
    pb.LOG_STREAM_STDOUT: LogStream.STDOUT,
    pb.LOG_STREAM_STDERR: LogStream.STDERR,
}
_NUMBERS = {stream: number for number, stream in _STREAMS.items()}


class LogSource(Protocol):
    """Where the lines come from; see `swarmd.agent.worker.Worker`."""

    def logs(self, selector: LogSelector, options: LogOptions) -> AsyncIterator[LogRecord]:
        """Lines of matching tasks; with `follow`, also of tasks that come later."""
        ...


class LogPublisher:
    """Follows the broker's orders over one session.

    Args:
        service_of: the service of a task of this node.
    """

    def __init__(
        self,
        source: LogSource,
        *,
        node_id: NodeId,
        service_of: Callable[[TaskId], ServiceId],
    ) -> None:
        self._source = source
        self._node_id = node_id
        self._service_of = service_of

    async def run(self, broker: Any) -> None:
        """Serve orders until the stream ends; `broker` is a stub of the LogBroker service.

        Returns at once from a manager that doesn't broker logs.
        """
        publishing: dict[str, asyncio.Task[None]] = {}
        async with asyncio.TaskGroup() as streams:
            try:
                async for order in broker.ListenSubscriptions(pb.ListenSubscriptionsRequest()):
                    if order.close:
                        ended = publishing.pop(order.id, None)
                        if ended is not None:
                            ended.cancel()
                    elif order.id not in publishing:
                        publishing[order.id] = streams.create_task(self._publish(broker, order))
                    for order_id in [key for key, task in publishing.items() if task.done()]:
                        del publishing[order_id]
            except RpcError as error:
                if error.code is not Code.UNIMPLEMENTED:
                    raise
                log.warning("logs.not_brokered reason=%s", error.message)

    async def _publish(self, broker: Any, order: pb.SubscriptionMessage) -> None:
        records = self._source.logs(selector_of(order.selector), options_of(order.options))
        lines: Lines = asyncio.Queue(BATCH_RECORDS_MAX)
        async with asyncio.TaskGroup() as tasks:
            reading = tasks.create_task(read(records, lines))
            try:
                await broker.PublishLogs(self._messages(order.id, lines))
            except RpcError as error:
                if error.code is not Code.NOT_FOUND:
                    log.warning("logs.not_sent subscription=%s reason=%s", order.id, error.message)
            finally:
                reading.cancel()

    async def _messages(
        self, subscription_id: str, lines: Lines
    ) -> AsyncIterator[pb.PublishLogsMessage]:
        over = False
        while not over:
            batch, over = await gather(lines)
            yield pb.PublishLogsMessage(
                subscription_id=subscription_id,
                messages=[self._message(record) for record in batch],
                close=over,
            )

    def _message(self, record: LogRecord) -> pb.LogMessage:
        message = pb.LogMessage(stream=_NUMBERS[record.stream], data=record.data)
        message.context.service_id = self._service_of(record.task_id)
        message.context.node_id = self._node_id
        message.context.task_id = record.task_id
        message.timestamp.seconds, message.timestamp.nanos = divmod(record.timestamp, SECOND)
        return message


async def read(records: AsyncIterator[LogRecord], lines: Lines) -> None:
    """Queue all records and, after the last, None."""
    try:
        async for record in records:
            await lines.put(record)
    finally:
        if isinstance(records, AsyncGenerator):
            await records.aclose()
    await lines.put(None)


async def gather(lines: Lines) -> tuple[list[LogRecord], bool]:
    """The next batch, and whether it is the last one.

    It is handed on when it is full, or a moment after its first record: lines come at once while
    they are few, and in bulk when they are many.
    """
    record = await lines.get()
    batch: list[LogRecord] = []
    size = 0
    try:
        async with asyncio.timeout(GATHER_S):
            while record is not None:
                batch.append(record)
                size += len(record.data)
                if size >= BATCH_BYTES_MAX or len(batch) >= BATCH_RECORDS_MAX:
                    return batch, False
                record = await lines.get()
    except TimeoutError:
        return batch, False
    return batch, True


def selector_of(message: pb.LogSelector) -> LogSelector:
    return LogSelector(
        service_ids=tuple(ServiceId(name) for name in message.service_ids),
        node_ids=tuple(NodeId(name) for name in message.node_ids),
        task_ids=tuple(TaskId(name) for name in message.task_ids),
    )


def options_of(message: pb.LogSubscriptionOptions) -> LogOptions:
    """On the wire a tail of 0 is everything and -(n+1) the last n; unknown streams are ignored."""
    return LogOptions(
        streams=tuple(_STREAMS[number] for number in message.streams if number in _STREAMS),
        follow=message.follow,
        tail=None if message.tail >= 0 else -message.tail - 1,
        since=Instant(message.since.seconds * SECOND + message.since.nanos),
    )
