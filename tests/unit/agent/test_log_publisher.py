"""Lines on their way from a node's tasks to the leader."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from swarmd.agent.log_publisher import MESSAGES_MAX, LogPublisher, options_of
from swarmd.agent.log_reader import LogOptions, LogRecord, LogStream
from swarmd.agent.logs import LogSelector, Portion
from swarmd.manager.log_broker import LOG_BROKER, LogBroker
from swarmd.model.ids import NodeId, ServiceId, TaskId
from swarmd.model.instant import SECOND, Instant
from swarmd.model.states import TaskState
from swarmd.rpc.call import Call, Peer
from swarmd.rpc.pb import logbroker as pb
from swarmd.runtime.chance import RandomIds
from swarmd.store.changes import Create
from tests.support.manager import LEADER, a_manager, a_task
from tests.support.wire import DirectChannel
from tests.support.worker import PaperWorker, portion_of


def a_line(text: str, stream: LogStream = LogStream.STDOUT, at: int = 7) -> LogRecord:
    return LogRecord(
        task_id=TaskId("t1"), stream=stream, timestamp=Instant(at * SECOND + 5), data=text.encode()
    )


class Scene:
    def __init__(self) -> None:
        self.store, self.writer = a_manager("n1")
        self.writer.write(Create(a_task("t1", node="n1", state=TaskState.RUNNING)))
        self.broker = LogBroker(self.store, ids=RandomIds(random.Random(1)), own_node_id=LEADER)
        self.worker = PaperWorker()
        self.publisher = LogPublisher(
            self.worker, node_id=NodeId("n1"), service_of=lambda _: ServiceId("s1")
        )

    @asynccontextmanager
    async def publishing(self) -> AsyncIterator[None]:
        stub = DirectChannel("n1", {LOG_BROKER: self.broker}).stub(LOG_BROKER)
        async with asyncio.timeout(10), asyncio.TaskGroup() as tasks:
            running = tasks.create_task(self.publisher.run(stub))
            await asyncio.sleep(0.01)
            yield
            running.cancel()

    async def read(self, **options: Any) -> list[pb.LogMessage]:
        request = pb.SubscribeLogsRequest(
            selector=pb.LogSelector(task_ids=["t1"]),
            options=pb.LogSubscriptionOptions(**options),
        )
        answers = self.broker.SubscribeLogs(Call(Peer(local=True), "a method"), request)
        return [message async for answer in answers for message in answer.messages]


async def test_lines_arrive_with_their_origin_and_in_order() -> None:
    scene = Scene()
    scene.worker.lines = [a_line("one"), a_line("two", LogStream.STDERR, at=8)]
    async with scene.publishing():
        first, second = await scene.read()
    assert (first.data, first.stream) == (b"one", pb.LOG_STREAM_STDOUT)
    assert (first.context.service_id, first.context.node_id, first.context.task_id) == (
        "s1",
        "n1",
        "t1",
    )
    assert (first.timestamp.seconds, first.timestamp.nanos) == (7, 5)
    assert (second.data, second.stream) == (b"two", pb.LOG_STREAM_STDERR)


async def test_many_lines_arrive_complete() -> None:
    scene = Scene()
    scene.worker.lines = [a_line(str(number)) for number in range(20_000)]
    async with scene.publishing():
        lines = await scene.read()
    assert [line.data for line in lines] == [str(number).encode() for number in range(20_000)]


async def test_a_log_without_lines_ends_without_an_error() -> None:
    scene = Scene()
    async with scene.publishing():
        assert await scene.read() == []


async def test_several_readers_are_served_at_once() -> None:
    scene = Scene()
    scene.worker.lines = [a_line("one")]
    async with scene.publishing(), asyncio.TaskGroup() as tasks:
        readers = [tasks.create_task(scene.read()) for _ in range(5)]
    assert [len(reader.result()) for reader in readers] == [1] * 5


async def test_the_wish_of_the_reader_reaches_the_worker() -> None:
    scene = Scene()
    async with scene.publishing():
        await scene.read(tail=-11, streams=[pb.LOG_STREAM_STDERR])
    (selector, options) = scene.worker.orders[0]
    assert selector == LogSelector(task_ids=(TaskId("t1"),))
    assert options == LogOptions(streams=(LogStream.STDERR,), tail=10)


async def test_reading_stops_when_the_reader_goes() -> None:
    scene = Scene()
    ended = asyncio.Event()

    async def endless(selector: LogSelector, options: LogOptions) -> AsyncIterator[list[Portion]]:
        try:
            while True:
                yield [portion_of(a_line("again"))]
                await asyncio.sleep(0.001)
        finally:
            ended.set()

    scene.worker.logs = endless  # type: ignore[method-assign]
    request = pb.SubscribeLogsRequest(
        selector=pb.LogSelector(task_ids=["t1"]), options=pb.LogSubscriptionOptions(follow=True)
    )
    async with scene.publishing():
        answers = scene.broker.SubscribeLogs(Call(Peer(local=True), "a method"), request)
        assert (await anext(answers)).messages[0].data == b"again"
        await answers.aclose()
        await ended.wait()


def test_the_tail_on_the_wire_counts_from_minus_one() -> None:
    tails = [options_of(pb.LogSubscriptionOptions(tail=tail)).tail for tail in (0, -1, -2, -101)]
    assert tails == [None, 0, 1, 100]


async def test_a_message_of_the_stream_holds_few_lines() -> None:
    scene = Scene()
    scene.worker.lines = [a_line("x")] * (MESSAGES_MAX + 1)
    order = pb.SubscriptionMessage(id="s")
    portions = scene.worker.logs(LogSelector(), LogOptions())
    sizes = [len(m.messages) async for m in scene.publisher._messages(order, portions)]
    assert sizes == [MESSAGES_MAX, 1, 0]


async def test_readers_that_take_lines_in_bulk_get_them_as_they_are_kept() -> None:
    scene = Scene()
    scene.worker.lines = [a_line("one\n"), a_line("two\n", LogStream.STDERR, at=8)]
    request = pb.SubscribeLogsRequest(
        selector=pb.LogSelector(task_ids=["t1"]), options=pb.LogSubscriptionOptions(bulk=True)
    )
    async with scene.publishing():
        answers = scene.broker.SubscribeLogs(Call(Peer(local=True), "a method"), request)
        bulk = [one async for answer in answers for one in answer.bulk]
    assert b"".join(one.lines for one in bulk) == (
        b"0000000007000000005 o one\n0000000008000000005 e two\n"
    )
    assert {(one.service_id, one.node_id, one.task_id) for one in bulk} == {("s1", "n1", "t1")}


def test_lines_are_wanted_until_an_instant() -> None:
    options = pb.LogSubscriptionOptions()
    options.until.seconds, options.until.nanos = 3, 4
    assert options_of(options).until == 3 * SECOND + 4
    assert options_of(pb.LogSubscriptionOptions()).until is None
