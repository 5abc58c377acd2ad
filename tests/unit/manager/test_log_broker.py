"""Logs on their way through the leader."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from typing import Any

import pytest
from msgspec.structs import replace

from swarmd.manager.log_broker import SUBSCRIPTIONS_MAX, LogBroker
from swarmd.manager.log_order import WAITING_BYTES_MAX
from swarmd.model.errors import Code, Rejection
from swarmd.model.ids import NodeId
from swarmd.model.instant import SECOND
from swarmd.model.states import NodeState, TaskState
from swarmd.rpc.call import Call, Peer
from swarmd.rpc.identity import WORKER, Identity
from swarmd.rpc.pb import logbroker as pb
from swarmd.rpc.pb.swarmd.v1.logs_pb2 import LogBulk
from swarmd.runtime.chance import RandomIds
from swarmd.store.changes import Create, Update
from tests.support.manager import LEADER, a_manager, a_node, a_task

CLIENT = Call(Peer(local=True), "a method")


def call_of(node: str) -> Call:
    return Call(Peer(identity=Identity(node, "c1", (WORKER,))), "a method")


def a_request(follow: bool = False, tail: int = 0, **selected: list[str]) -> Any:
    return pb.SubscribeLogsRequest(
        selector=pb.LogSelector(**selected),
        options=pb.LogSubscriptionOptions(follow=follow, tail=tail),
    )


class Agent:
    """A node that listens for orders and publishes what a test tells it to."""

    def __init__(self, broker: LogBroker, node: str) -> None:
        self.node = node
        self._broker = broker
        self.orders = broker.ListenSubscriptions(call_of(node), pb.ListenSubscriptionsRequest())

        self.first_order: asyncio.Future[Any]

    def line(self, text: str, second: int = 1) -> pb.LogMessage:
        message = pb.LogMessage(data=text.encode())
        message.context.node_id = self.node
        message.timestamp.seconds = second
        return message

    async def publish(self, subscription_id: str, *lines: str, close: bool = True) -> None:
        async def requests() -> AsyncIterator[pb.PublishLogsMessage]:
            for number, text in enumerate(lines):
                yield pb.PublishLogsMessage(
                    subscription_id=subscription_id, messages=[self.line(text, number + 1)]
                )
            if close:
                yield pb.PublishLogsMessage(subscription_id=subscription_id, close=True)

        await self._broker.PublishLogs(call_of(self.node), requests())


class Scene:
    def __init__(self, *nodes: str) -> None:
        self.store, self.writer = a_manager(*nodes)
        self.broker = LogBroker(self.store, ids=RandomIds(random.Random(1)), own_node_id=LEADER)
        self.broker.start()

    @asynccontextmanager
    async def listening(self, node: str) -> AsyncIterator[Agent]:
        """An agent whose stream is open."""
        agent = Agent(self.broker, node)
        async with aclosing(agent.orders), asyncio.TaskGroup() as tasks:
            agent.first_order = tasks.create_task(anext(agent.orders))
            await asyncio.sleep(0)
            try:
                yield agent
            finally:
                agent.first_order.cancel()

    def subscribe(self, request: Any) -> Any:
        return self.broker.SubscribeLogs(CLIENT, request)


async def texts_of(stream: Any) -> list[str]:
    return [message.data.decode() async for answer in stream for message in answer.messages]


async def test_lines_of_a_service_come_from_every_node_that_runs_it() -> None:
    scene = Scene("n1", "n2")
    scene.writer.write(
        Create(a_task("t1", node="n1", state=TaskState.RUNNING)),
        Create(a_task("t2", node="n2", state=TaskState.RUNNING)),
    )
    async with asyncio.timeout(10), scene.listening("n1") as one, scene.listening("n2") as two:
        async with asyncio.TaskGroup() as tasks:
            read = tasks.create_task(texts_of(scene.subscribe(a_request(service_ids=["s1"]))))
            for agent in (one, two):
                order = await agent.first_order
                assert order.selector.service_ids == ["s1"]
                assert order.HasField("options")
                await agent.publish(order.id, f"from {agent.node}", "end")
        assert sorted(read.result()) == ["end", "end", "from n1", "from n2"]


async def test_a_task_that_never_ran_is_asked_about_only_when_following() -> None:
    scene = Scene("n1")
    scene.writer.write(Create(a_task("t1", node="n1", state=TaskState.STARTING)))
    async with asyncio.timeout(10), scene.listening("n1"):
        assert await texts_of(scene.subscribe(a_request(service_ids=["s1"]))) == []


async def test_what_is_missing_is_named_at_the_end() -> None:
    scene = Scene("n1", "n2")
    scene.writer.write(
        Create(a_task("t1", node="n1", state=TaskState.RUNNING)),
        Create(a_task("t2", node="n2", state=TaskState.RUNNING)),
        Create(a_task("t3", node="", state=TaskState.PENDING)),
    )
    request = a_request(task_ids=["t1", "t2", "t3"])
    lines: list[str] = []
    stream = scene.subscribe(request)
    async with asyncio.timeout(10), scene.listening("n1") as agent, aclosing(stream):
        first = asyncio.ensure_future(anext(stream))
        order = await agent.first_order
        await agent.publish(order.id, "here")
        lines += [message.data.decode() for message in (await first).messages]
        with pytest.raises(Rejection) as refusal:
            await anext(stream)
    assert lines == ["here"]
    assert refusal.value.message == (
        "warning: incomplete log stream. some logs could not be retrieved for the following "
        "reasons: node n2 is not available, task t3 has not been scheduled"
    )


async def test_a_node_that_drops_out_is_named() -> None:
    scene = Scene("n1")
    scene.writer.write(Create(a_task("t1", node="n1", state=TaskState.RUNNING)))
    async with asyncio.timeout(10):
        async with scene.listening("n1"):
            stream = scene.subscribe(a_request(task_ids=["t1"]))
            first = asyncio.ensure_future(anext(stream))
            await asyncio.sleep(0)
        with pytest.raises(Rejection, match="node n1 disconnected unexpectedly"):
            await first


async def test_a_node_that_goes_down_is_not_waited_for() -> None:
    scene = Scene("n1")
    scene.writer.write(Create(a_task("t1", node="n1", state=TaskState.RUNNING)))
    async with asyncio.timeout(10), scene.listening("n1"):
        first = asyncio.ensure_future(anext(scene.subscribe(a_request(task_ids=["t1"]))))
        await asyncio.sleep(0)
        node = scene.store.get_node("n1")
        down = replace(node, status=replace(node.status, state=NodeState.DOWN))
        scene.writer.write(Update(down, base=node.version))
        with pytest.raises(Rejection, match="node n1 disconnected unexpectedly"):
            await first


async def test_a_publisher_that_breaks_off_is_named() -> None:
    scene = Scene("n1")
    scene.writer.write(Create(a_task("t1", node="n1", state=TaskState.RUNNING)))
    async with asyncio.timeout(10), scene.listening("n1") as agent:
        stream = scene.subscribe(a_request(task_ids=["t1"]))
        first = asyncio.ensure_future(anext(stream))
        order = await agent.first_order
        await agent.publish(order.id, "half", close=False)
        assert (await first).messages[0].data == b"half"
        with pytest.raises(Rejection, match="node n1 disconnected unexpectedly"):
            await anext(stream)


async def test_following_goes_on_with_tasks_that_come_later() -> None:
    scene = Scene("n1")
    scene.writer.write(Create(a_task("t0", node="", state=TaskState.PENDING)))
    stream = scene.subscribe(a_request(follow=True, service_ids=["s1"]))
    async with asyncio.timeout(10), scene.listening("n1") as agent, aclosing(stream):
        first = asyncio.ensure_future(anext(stream))
        await asyncio.sleep(0)
        scene.writer.write(Create(a_task("t1", node="n1")))
        order = await agent.first_order
        await agent.publish(order.id, "late")
        assert (await first).messages[0].data == b"late"


async def test_a_node_that_listens_again_continues_a_moment_before_its_last_line() -> None:
    scene = Scene("n1")
    scene.writer.write(Create(a_task("t1", node="n1", state=TaskState.RUNNING)))
    async with asyncio.timeout(10):
        stream = scene.subscribe(a_request(follow=True, task_ids=["t1"]))
        async with scene.listening("n1") as agent:
            first = asyncio.ensure_future(anext(stream))
            order = await agent.first_order
            await agent.publish(order.id, "one", "two", close=False)
            await first
        async with scene.listening("n1") as agent:
            again = await agent.first_order
        await stream.aclose()
    assert again.id == order.id
    assert (again.options.since.seconds, again.options.since.nanos) == (1, 0)  # a second before


async def test_the_agents_are_told_when_the_reader_goes() -> None:
    scene = Scene("n1")
    scene.writer.write(Create(a_task("t1", node="n1", state=TaskState.RUNNING)))
    async with asyncio.timeout(10), scene.listening("n1") as agent:
        stream = scene.subscribe(a_request(follow=True, task_ids=["t1"]))
        first = asyncio.ensure_future(anext(stream))
        order = await agent.first_order
        first.cancel()
        await asyncio.wait([first])
        await stream.aclose()
        closing = await anext(agent.orders)
        assert (closing.id, closing.close) == (order.id, True)
        with pytest.raises(Rejection) as refusal:
            await agent.publish(order.id, "too late")
        assert refusal.value.code is Code.NOT_FOUND


async def test_a_slow_reader_slows_the_publisher_down_and_loses_nothing() -> None:
    scene = Scene("n1")
    scene.writer.write(Create(a_task("t1", node="n1", state=TaskState.RUNNING)))
    lines = [f"{number} {'x' * 20_000}" for number in range(4 * WAITING_BYTES_MAX // 20_000)]
    async with asyncio.timeout(10), scene.listening("n1") as agent:
        stream = scene.subscribe(a_request(task_ids=["t1"]))
        first = asyncio.ensure_future(anext(stream))
        order = await agent.first_order
        publishing = asyncio.ensure_future(agent.publish(order.id, *lines))
        read = [message.data.decode() for message in (await first).messages]
        for _ in range(100):
            await asyncio.sleep(0)
        assert not publishing.done()
        read += await texts_of(stream)
        await publishing
    assert read == lines


async def test_whoever_follows_in_bulk_is_told_what_is_missing_when_it_is() -> None:
    scene = Scene("n1")
    scene.writer.write(Create(a_task("t1", node="n1", state=TaskState.RUNNING)))
    request = a_request(follow=True, task_ids=["t1"])
    request.options.bulk = True
    stream = scene.subscribe(request)
    async with asyncio.timeout(10), aclosing(stream):
        assert (await anext(stream)).notices == ["node n1 is not available"]
        following = asyncio.ensure_future(anext(stream))
        async with scene.listening("n1") as agent:
            order = await agent.first_order
            bulk = LogBulk(node_id="n1", task_id="t1", lines=b"%019d o here\n" % 5)

            async def requests() -> AsyncIterator[pb.PublishLogsMessage]:
                yield pb.PublishLogsMessage(subscription_id=order.id, bulk=[bulk])

            await scene.broker.PublishLogs(call_of("n1"), requests())
        answer = await following
        assert list(answer.bulk) == [bulk]
        assert answer.notices == ["node n1 disconnected unexpectedly"]


async def test_nobody_publishes_in_bulk_for_another_node() -> None:
    scene = Scene("n1", "n2")
    scene.writer.write(Create(a_task("t1", node="n1", state=TaskState.RUNNING)))

    async def forged(subscription_id: str) -> AsyncIterator[pb.PublishLogsMessage]:
        bulk = [LogBulk(node_id="n1", lines=b"forged")]
        yield pb.PublishLogsMessage(subscription_id=subscription_id, bulk=bulk)

    async with asyncio.timeout(10), scene.listening("n1") as agent:
        stream = scene.subscribe(a_request(follow=True, task_ids=["t1"]))
        first = asyncio.ensure_future(anext(stream))
        order = await agent.first_order
        with pytest.raises(Rejection, match="may not publish logs of node n1"):
            await scene.broker.PublishLogs(call_of("n2"), forged(order.id))
        first.cancel()
        await asyncio.wait([first])


async def test_a_publisher_is_not_stuck_when_its_reader_goes() -> None:
    scene = Scene("n1")
    scene.writer.write(Create(a_task("t1", node="n1", state=TaskState.RUNNING)))
    async with asyncio.timeout(10), scene.listening("n1") as agent:
        stream = scene.subscribe(a_request(follow=True, task_ids=["t1"]))
        first = asyncio.ensure_future(anext(stream))
        order = await agent.first_order
        publishing = asyncio.ensure_future(agent.publish(order.id, *("x" * 100)))
        await first
        await stream.aclose()
        await publishing


async def test_nobody_publishes_for_another_node() -> None:
    scene = Scene("n1", "n2")
    scene.writer.write(Create(a_task("t1", node="n1", state=TaskState.RUNNING)))

    async def forged(subscription_id: str) -> AsyncIterator[pb.PublishLogsMessage]:
        message = pb.LogMessage(data=b"forged")
        message.context.node_id = "n1"
        yield pb.PublishLogsMessage(subscription_id=subscription_id, messages=[message])

    async with asyncio.timeout(10), scene.listening("n1") as agent:
        stream = scene.subscribe(a_request(follow=True, task_ids=["t1"]))
        first = asyncio.ensure_future(anext(stream))
        order = await agent.first_order
        with pytest.raises(Rejection) as refusal:
            await scene.broker.PublishLogs(call_of("n2"), forged(order.id))
        assert refusal.value.code is Code.PERMISSION_DENIED
        first.cancel()
        await asyncio.wait([first])


async def test_a_log_stream_names_its_subscription_and_keeps_to_it() -> None:
    scene = Scene("n1")

    async def requests(*names: str) -> AsyncIterator[pb.PublishLogsMessage]:
        for name in names:
            yield pb.PublishLogsMessage(subscription_id=name)

    with pytest.raises(Rejection, match="missing subscription ID"):
        await scene.broker.PublishLogs(call_of("n1"), requests(""))
    with pytest.raises(Rejection) as refusal:
        await scene.broker.PublishLogs(call_of("n1"), requests("unknown"))
    assert refusal.value.code is Code.NOT_FOUND


@pytest.mark.parametrize(
    ("request_message", "code"),
    [
        pytest.param(a_request(), Code.INVALID_ARGUMENT, id="nothing selected"),
        pytest.param(a_request(service_ids=["gone"]), Code.NOT_FOUND, id="an unknown service"),
        pytest.param(a_request(task_ids=["gone"]), Code.NOT_FOUND, id="an unknown task"),
        pytest.param(a_request(node_ids=["gone"]), Code.NOT_FOUND, id="an unknown node"),
        pytest.param(a_request(node_ids=["n1"], tail=5), Code.INVALID_ARGUMENT, id="tail"),
    ],
)
async def test_a_bad_selection_is_refused(request_message: Any, code: Code) -> None:
    scene = Scene("n1")
    with pytest.raises(Rejection) as refusal:
        await anext(scene.subscribe(request_message))
    assert refusal.value.code is code


async def test_the_readers_are_limited() -> None:
    scene = Scene("n1")
    scene.writer.write(Create(a_node("n2")))
    streams = [
        scene.subscribe(a_request(follow=True, node_ids=["n1"])) for _ in range(SUBSCRIPTIONS_MAX)
    ]
    waiting = [asyncio.ensure_future(anext(stream)) for stream in streams]
    await asyncio.sleep(0)
    with pytest.raises(Rejection) as refusal:
        await anext(scene.subscribe(a_request(follow=True, node_ids=[NodeId("n1")])))
    assert refusal.value.code is Code.RESOURCE_EXHAUSTED
    for reader in waiting:
        reader.cancel()
    await asyncio.wait(waiting)


async def test_a_broker_that_stops_sends_everyone_to_the_next_leader() -> None:
    scene = Scene("n1")
    scene.writer.write(Create(a_task("t1", node="n1", state=TaskState.RUNNING)))
    async with asyncio.timeout(10), scene.listening("n1") as agent:
        stream = scene.subscribe(a_request(follow=True, task_ids=["t1"]))
        first = asyncio.ensure_future(anext(stream))
        await agent.first_order
        scene.broker.stop()
        with pytest.raises(Rejection, match="leader of the swarm has changed"):
            await first
        with pytest.raises(Rejection, match="leader of the swarm has changed"):
            await anext(agent.orders)


async def test_a_reader_of_an_earlier_leader_continues_where_it_was() -> None:
    scene = Scene("n1", "n2")
    scene.writer.write(
        Create(a_task("t1", node="n1", state=TaskState.RUNNING)),
        Create(a_task("t2", node="n2", state=TaskState.RUNNING)),
    )
    request = a_request(follow=True, tail=-6, service_ids=["s1"])
    request.options.bulk = True
    request.options.reached.add(node_id="n1", task_id="t1", time=9 * SECOND, lines=1)
    stream = scene.subscribe(request)
    async with asyncio.timeout(10), aclosing(stream):
        following = asyncio.ensure_future(anext(stream))
        await asyncio.sleep(0)
        assert not following.done()  # the nodes have a moment to come
        async with scene.listening("n1") as known, scene.listening("n2") as new:
            order, other = await known.first_order, await new.first_order
            assert (order.options.since.seconds, order.options.tail) == (8, 0)
            assert (other.options.HasField("since"), other.options.tail) == (False, -6)
            assert not order.options.reached
            lines = b"".join(b"%019d o %d\n" % (9 * SECOND, number) for number in (1, 2))
            bulk = LogBulk(node_id="n1", task_id="t1", lines=lines)

            async def requests() -> AsyncIterator[pb.PublishLogsMessage]:
                yield pb.PublishLogsMessage(subscription_id=order.id, bulk=[bulk])

            await scene.broker.PublishLogs(call_of("n1"), requests())
            answer = await following
            while not answer.bulk:  # the end of the stream is told at once
                answer = await anext(stream)
    assert [bulk.lines[-2:] for bulk in answer.bulk] == [b"2\n"]
    assert len(answer.bulk[0].lines) == len(lines) // 2
