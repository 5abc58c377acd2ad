"""Sending logs of this node's tasks to whoever subscribed to them, through the leader.

Each order of the broker is served by a stream of its own: lines in the order of their times, then
a closing message. Readers that take lines in bulk are sent them as they lie in the files; for
others each becomes a message. The stream's flow control slows reading down to what the reader
takes. A log that can't be sent costs its reader some lines, and nothing else here.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from typing import Any, Protocol

from swarmd.agent.log_reader import LogOptions, LogRecord, LogStream, records_of
from swarmd.agent.logs import LogSelector, Portion
from swarmd.model.errors import Code
from swarmd.model.ids import NodeId, ServiceId, TaskId
from swarmd.model.instant import SECOND, Instant
from swarmd.rpc.errors import RpcError
from swarmd.rpc.pb import logbroker as pb
from swarmd.rpc.pb.swarmd.v1.logs_pb2 import LogBulk

log = logging.getLogger(__name__)

MESSAGES_MAX = 512  # in one of the stream's

_STREAMS = {
    pb.LOG_STREAM_STDOUT: LogStream.STDOUT,
    pb.LOG_STREAM_STDERR: LogStream.STDERR,
}
_NUMBERS = {stream: number for number, stream in _STREAMS.items()}


class LogSource(Protocol):
    """Where the lines come from; see `swarmd.agent.worker.Worker`."""

    def logs(self, selector: LogSelector, options: LogOptions) -> AsyncIterator[list[Portion]]:
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
        portions = self._source.logs(selector_of(order.selector), options_of(order.options))
        try:
            await broker.PublishLogs(self._messages(order, portions))
        except RpcError as error:
            if error.code is not Code.NOT_FOUND:
                log.warning("logs.not_sent subscription=%s reason=%s", order.id, error.message)
        finally:
            if isinstance(portions, AsyncGenerator):
                await portions.aclose()

    async def _messages(
        self, order: pb.SubscriptionMessage, turns: AsyncIterator[list[Portion]]
    ) -> AsyncIterator[pb.PublishLogsMessage]:
        async for portions in turns:
            if order.options.bulk:
                yield pb.PublishLogsMessage(
                    subscription_id=order.id, bulk=[self._bulk(portion) for portion in portions]
                )
                continue
            records = [
                record for task_id, lines in portions for record in records_of(lines, task_id)
            ]
            for start in range(0, len(records), MESSAGES_MAX):
                yield pb.PublishLogsMessage(
                    subscription_id=order.id,
                    messages=[self._message(one) for one in records[start : start + MESSAGES_MAX]],
                )
        yield pb.PublishLogsMessage(subscription_id=order.id, close=True)

    def _bulk(self, portion: Portion) -> LogBulk:
        return LogBulk(
            service_id=self._service_of(portion.task_id),
            node_id=self._node_id,
            task_id=portion.task_id,
            lines=portion.lines,
        )

    def _message(self, record: LogRecord) -> pb.LogMessage:
        message = pb.LogMessage(stream=_NUMBERS[record.stream], data=record.data)
        message.context.service_id = self._service_of(record.task_id)
        message.context.node_id = self._node_id
        message.context.task_id = record.task_id
        message.timestamp.seconds, message.timestamp.nanos = divmod(record.timestamp, SECOND)
        return message


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
        until=(
            Instant(message.until.seconds * SECOND + message.until.nanos)
            if message.HasField("until")
            else None
        ),
    )
