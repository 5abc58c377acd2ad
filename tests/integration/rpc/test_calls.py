"""Every kind of call, over every pairing of our own and a stock gRPC client with our server.

The same tests run against a manager that leads and through one that passes everything on.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing, asynccontextmanager
from typing import Any, NamedTuple

import grpc
import pytest

from swarmd.model.errors import Code
from swarmd.rpc import pb
from swarmd.rpc.channel import Channel
from swarmd.rpc.errors import RpcError
from swarmd.rpc.methods import SERVICES
from tests.support.certs import NodePair
from tests.support.grpc_channel import StockChannel
from tests.support.rpc_server import Manager, pair_of, tls_of
from tests.support.rpc_services import (
    DISPATCHER,
    LOG_BROKER,
    SENTENCE,
    TestDispatcher,
    TestLogBroker,
    services,
)

MIB = 1024 * 1024


class Setting(NamedTuple):
    """A channel of worker w1 and the handlers at the end of it."""

    channel: Any
    dispatcher: TestDispatcher
    broker: TestLogBroker
    stock: bool
    address: str

    def dispatch(self) -> Any:
        return self.channel.stub(DISPATCHER)


def own(address: str, pair: NodePair) -> Channel:
    return Channel(address, tls_of(pair))


@asynccontextmanager
async def arranged(client: str, *, relayed: bool, node: str = "w1") -> AsyncIterator[Setting]:
    handlers = services()
    leader = Manager(handlers)
    follower = Manager({}, "m2")
    pair = pair_of(node)
    async with asyncio.timeout(30), leader.running(), follower.running():
        follower.leadership.leader = leader.address
        address = follower.address if relayed else leader.address
        channel: Any = (own if client == "own" else StockChannel)(address, pair)
        try:
            dispatcher, broker = handlers[DISPATCHER], handlers[LOG_BROKER]
            assert isinstance(dispatcher, TestDispatcher)
            assert isinstance(broker, TestLogBroker)
            yield Setting(channel, dispatcher, broker, client != "own", address)
        finally:
            await channel.close()


@pytest.fixture(
    params=[("own", False), ("stock", False), ("own", True), ("stock", True)],
    ids=["own", "stock", "own relayed", "stock relayed"],
)
async def setting(request: pytest.FixtureRequest) -> AsyncIterator[Setting]:
    client, relayed = request.param
    async with arranged(client, relayed=relayed) as made:
        yield made


async def error_of(call: Awaitable[Any]) -> RpcError:
    with pytest.raises(RpcError) as caught:
        await call
    return caught.value


async def collect(stream: AsyncIterator[Any], into: list[Any]) -> None:
    async for message in stream:
        into.append(message)  # noqa: PERF401 - what came before an error is to be seen


def beat(session_id: str = "") -> Any:
    return pb.dispatcher.HeartbeatRequest(session_id=session_id)


async def eventually(condition: Callable[[], bool]) -> None:
    while not condition():
        await asyncio.sleep(0.01)


async def test_a_plain_handler_answers(setting: Setting) -> None:
    answer = await setting.dispatch().Heartbeat(beat())
    assert answer.period.seconds == 5
    call = setting.dispatcher.calls[0]
    assert call.node_id == "w1"
    assert call.peer.address.startswith("127.0.0.1:")


async def test_an_async_handler_answers(setting: Setting) -> None:
    await setting.dispatch().UpdateTaskStatus(pb.dispatcher.UpdateTaskStatusRequest())
    assert len(setting.dispatcher.calls) == 1


async def test_many_calls_at_once_get_their_own_answers(setting: Setting) -> None:
    async with asyncio.TaskGroup() as tasks:
        for _ in range(200):
            tasks.create_task(setting.dispatch().Heartbeat(beat()))
            tasks.create_task(
                setting.dispatch().UpdateTaskStatus(pb.dispatcher.UpdateTaskStatusRequest())
            )
    assert len(setting.dispatcher.calls) == 400


async def test_a_server_stream_arrives_in_order_and_ends(setting: Setting) -> None:
    setting.dispatcher.messages = 500
    got = [m.session_id async for m in setting.dispatch().Session(pb.dispatcher.SessionRequest())]
    assert got == [str(number) for number in range(500)]


async def test_large_messages_of_a_stream_pass_the_windows(setting: Setting) -> None:
    setting.dispatcher.payload = bytes(3 * MIB)
    sizes = [
        len(m.RootCA) async for m in setting.dispatch().Session(pb.dispatcher.SessionRequest())
    ]
    assert sizes == [3 * MIB] * 3


async def test_a_client_stream_is_taken_whole(setting: Setting) -> None:
    async def messages() -> AsyncIterator[Any]:
        for _ in range(30):
            yield log_message(MIB // 2)

    await setting.channel.stub(LOG_BROKER).PublishLogs(messages())
    assert (setting.broker.messages, setting.broker.bytes) == (30, 15 * MIB)


def log_message(size: int, subscription: str = "") -> Any:
    return pb.logbroker.PublishLogsMessage(
        subscription_id=subscription, messages=[pb.logbroker.LogMessage(data=bytes(size))]
    )


async def test_a_client_stream_may_be_refused_midway(setting: Setting) -> None:
    async def messages() -> AsyncIterator[Any]:
        yield log_message(10)
        yield log_message(10, "reject")
        # The stock client reports a write that fails as its own INTERNAL, whatever the server's
        # status was; so it gets the time to see the status first.
        await asyncio.sleep(0.3)
        for _ in range(100):
            yield log_message(100_000)

    error = await error_of(setting.channel.stub(LOG_BROKER).PublishLogs(messages()))
    assert (error.code, error.message) == (Code.NOT_FOUND, "no such subscription")


@pytest.mark.parametrize("method", ["Heartbeat", "UpdateTaskStatus"])
async def test_a_rejection_arrives_with_code_and_sentence(setting: Setting, method: str) -> None:
    request = beat("reject")
    code = Code.NOT_FOUND
    if method == "UpdateTaskStatus":
        request = pb.dispatcher.UpdateTaskStatusRequest(session_id="reject")
        code = Code.ABORTED
    error = await error_of(getattr(setting.dispatch(), method)(request))
    assert (error.code, error.message) == (code, SENTENCE)


async def test_a_stream_may_be_rejected_after_messages(setting: Setting) -> None:
    stream = setting.dispatch().Session(pb.dispatcher.SessionRequest(session_id="reject"))
    got: list[Any] = []
    error = await error_of(collect(stream, got))
    assert [message.session_id for message in got] == ["0", "1", "2"]
    assert (error.code, error.message) == (Code.INVALID_ARGUMENT, SENTENCE)


async def test_a_crash_tells_the_caller_nothing_but_that_it_happened(
    setting: Setting, caplog: pytest.LogCaptureFixture
) -> None:
    error = await error_of(setting.dispatch().Heartbeat(beat("crash")))
    assert error.code == Code.INTERNAL
    assert "secret" not in error.message
    assert "secret detail" in caplog.text


async def test_a_method_nobody_implements_says_so(setting: Setting) -> None:
    request = pb.dispatcher.UpdateVolumeStatusRequest()
    error = await error_of(setting.dispatch().UpdateVolumeStatus(request))
    assert error.code == Code.UNIMPLEMENTED


async def test_leaving_a_stream_early_cancels_its_handler(setting: Setting) -> None:
    stream = setting.dispatch().Session(pb.dispatcher.SessionRequest(session_id="wait"))
    async with aclosing(stream):
        await anext(stream)
    await eventually(lambda: setting.dispatcher.cancelled == 1)


async def test_cancelling_a_call_cancels_its_handler(setting: Setting) -> None:
    setting.dispatcher.pause_s = 3_600
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.3):
            await setting.dispatch().UpdateTaskStatus(pb.dispatcher.UpdateTaskStatusRequest())
    await eventually(lambda: setting.dispatcher.cancelled == 1)
    assert setting.dispatcher.calls[0].cancelled


@pytest.mark.parametrize("relayed", [False, True], ids=["direct", "relayed"])
async def test_losing_the_connection_cancels_the_handlers(relayed: bool) -> None:
    async with arranged("own", relayed=relayed) as setting, asyncio.TaskGroup() as tasks:
        setting.dispatcher.pause_s = 3_600
        request = pb.dispatcher.UpdateTaskStatusRequest()
        waiting = tasks.create_task(error_of(setting.dispatch().UpdateTaskStatus(request)))
        await eventually(lambda: bool(setting.dispatcher.calls))
        await setting.channel.close()
        assert (await waiting).code == Code.UNAVAILABLE
        await eventually(lambda: setting.dispatcher.cancelled == 1)


@pytest.mark.parametrize("relayed", [False, True], ids=["direct", "relayed"])
async def test_trailers_of_a_success_arrive(relayed: bool) -> None:
    async with arranged("own", relayed=relayed) as setting:
        call = await setting.channel.start(
            f"/{DISPATCHER}/Heartbeat", beat("trailer").SerializeToString()
        )
        while await call.receive() is not None:
            pass
        assert call.trailers.get("x-note") == "noted"


@pytest.mark.parametrize("relayed", [False, True], ids=["direct", "relayed"])
async def test_a_deadline_ends_the_call_on_both_sides(relayed: bool) -> None:
    async with arranged("own", relayed=relayed) as setting:
        setting.dispatcher.pause_s = 3_600
        request = pb.dispatcher.UpdateTaskStatusRequest()
        error = await error_of(setting.dispatch().UpdateTaskStatus(request, timeout_s=0.2))
        assert error.code == Code.DEADLINE_EXCEEDED
        await eventually(lambda: setting.dispatcher.cancelled == 1)
        assert setting.dispatcher.calls[0].deadline_ns is not None


async def test_a_stock_clients_deadline_is_honoured() -> None:
    async with arranged("stock", relayed=False) as setting:
        setting.dispatcher.pause_s = 3_600
        method = SERVICES[DISPATCHER]["UpdateTaskStatus"]
        call = setting.channel._channel.unary_unary(
            method.path, method.request.SerializeToString, method.response.FromString
        )
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await call(pb.dispatcher.UpdateTaskStatusRequest(), timeout=0.2)
        assert caught.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
        await eventually(lambda: setting.dispatcher.cancelled == 1)


@pytest.mark.parametrize("client", ["own", "stock"])
async def test_a_request_of_almost_four_mebibytes_is_taken_and_a_larger_one_refused(
    client: str,
) -> None:
    def request(size: int) -> Any:
        return pb.dispatcher.HeartbeatRequest(session_id="x" * size)

    async with arranged(client, relayed=False) as setting:
        await setting.dispatch().Heartbeat(request(4 * MIB - 100))
        error = await error_of(setting.dispatch().Heartbeat(request(4 * MIB)))
        assert error.code == Code.RESOURCE_EXHAUSTED
        # The connection is as good as before.
        await setting.dispatch().Heartbeat(request(1))


async def test_a_fast_client_stream_waits_for_a_slow_handler() -> None:
    async with arranged("own", relayed=False) as setting:
        setting.broker.slow_s = 0.02
        sent = 0
        ahead = 0

        async def messages() -> AsyncIterator[Any]:
            nonlocal sent, ahead
            for _ in range(40):
                yield log_message(100_000)
                sent += 1
                ahead = max(ahead, sent - setting.broker.messages)

        await setting.channel.stub(LOG_BROKER).PublishLogs(messages())
        assert setting.broker.messages == 40
        # Windows and socket buffers hold some; the rest stays with the client.
        assert ahead < 38


async def test_our_client_understands_a_stock_server() -> None:
    method = SERVICES[DISPATCHER]["Session"]

    async def session(request: Any, context: Any) -> AsyncIterator[Any]:
        for number in range(3):
            yield pb.dispatcher.SessionMessage(session_id=str(number), RootCA=bytes(MIB))
        await context.abort(grpc.StatusCode.NOT_FOUND, SENTENCE)

    async def heartbeat(request: Any, context: Any) -> Any:
        return pb.dispatcher.HeartbeatResponse()

    async def publish(requests: AsyncIterator[Any], context: Any) -> Any:
        got.extend([len(r.messages[0].data) async for r in requests])
        return pb.logbroker.PublishLogsResponse()

    got: list[int] = []
    server = grpc.aio.server()
    beats = SERVICES[DISPATCHER]["Heartbeat"]
    logs = SERVICES[LOG_BROKER]["PublishLogs"]
    server.add_generic_rpc_handlers(
        (
            grpc.method_handlers_generic_handler(
                DISPATCHER,
                {
                    "Session": grpc.unary_stream_rpc_method_handler(
                        session, method.request.FromString, method.response.SerializeToString
                    ),
                    "Heartbeat": grpc.unary_unary_rpc_method_handler(
                        heartbeat, beats.request.FromString, beats.response.SerializeToString
                    ),
                },
            ),
            grpc.method_handlers_generic_handler(
                LOG_BROKER,
                {
                    "PublishLogs": grpc.stream_unary_rpc_method_handler(
                        publish, logs.request.FromString, logs.response.SerializeToString
                    )
                },
            ),
        )
    )
    pair = pair_of("m1")
    credentials = grpc.ssl_server_credentials(
        [(pair.key_pem, pair.cert_pem)], pair.root_pem, require_client_auth=True
    )
    port = server.add_secure_port("127.0.0.1:0", credentials)
    await server.start()
    channel = Channel(f"127.0.0.1:{port}", tls_of(pair_of("w1"), "m1"))
    try:
        async with asyncio.timeout(30):
            await channel.stub(DISPATCHER).Heartbeat(beat())

            async def messages() -> AsyncIterator[Any]:
                for _ in range(5):
                    yield log_message(MIB)

            await channel.stub(LOG_BROKER).PublishLogs(messages())
            sessions: list[Any] = []
            stream = channel.stub(DISPATCHER).Session(pb.dispatcher.SessionRequest())
            ended = await error_of(collect(stream, sessions))
            error = await error_of(
                channel.stub(DISPATCHER).UpdateTaskStatus(pb.dispatcher.UpdateTaskStatusRequest())
            )
        assert got == [MIB] * 5
        assert [len(message.RootCA) for message in sessions] == [MIB] * 3
        assert (ended.code, ended.message) == (Code.NOT_FOUND, SENTENCE)
        assert error.code == Code.UNIMPLEMENTED
    finally:
        await channel.close()
        await server.stop(0)
