"""Calls whose two sides speak as they like, with our own and a stock client, led and relayed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import grpc
import pytest

from swarmd.model.errors import Code, Rejection
from swarmd.model.states import Role
from swarmd.rpc.call import Call
from swarmd.rpc.channel import Channel
from swarmd.rpc.errors import RpcError
from swarmd.rpc.methods import SERVICES
from swarmd.rpc.pb import exec_ as pb
from tests.support.rpc_server import Manager, pair_of, tls_of

EXEC = "swarmd.v1.Exec"
CHUNK = 50_000


class Echo:
    """Answers each message with itself; `taken` counts them, `ended` the calls."""

    def __init__(self) -> None:
        self.taken = 0
        self.ended = asyncio.Event()
        self.pause_s = 0.0

    async def Run(self, call: Call, requests: AsyncIterator[Any]) -> AsyncIterator[Any]:
        try:
            async for request in requests:
                self.taken += 1
                await asyncio.sleep(self.pause_s)
                if request.signal:
                    raise Rejection(Code.ABORTED, "told to stop")
                if request.end:
                    return
                yield pb.ExecOutput(stdout=request.data)
        finally:
            self.ended.set()


@asynccontextmanager
async def arranged(*, relayed: bool) -> AsyncIterator[tuple[Echo, str]]:
    """An echo at the leader, and the address to call it at."""
    echo = Echo()
    leader, follower = Manager({EXEC: echo}), Manager({}, "m2")
    async with asyncio.timeout(30), leader.running(), follower.running():
        follower.leadership.leader = leader.address
        yield echo, follower.address if relayed else leader.address


@pytest.fixture(params=[False, True], ids=["led", "relayed"])
async def setting(request: pytest.FixtureRequest) -> AsyncIterator[tuple[Echo, Channel]]:
    async with arranged(relayed=request.param) as (echo, address):
        channel = Channel(address, tls_of(pair_of("m3", Role.MANAGER)))
        try:
            yield echo, channel
        finally:
            await channel.close()


async def begin(channel: Channel) -> Any:
    return await channel.stub(EXEC).Run()


async def test_both_sides_take_turns(setting: tuple[Echo, Channel]) -> None:
    async with await begin(setting[1]) as call:
        for number in range(3):
            await call.send(pb.ExecInput(data=b"%d" % number))
            assert await call.receive() == pb.ExecOutput(stdout=b"%d" % number)
        call.done_sending()
        assert await call.receive() is None


async def test_the_server_may_end_first(setting: tuple[Echo, Channel]) -> None:
    async with await begin(setting[1]) as call:
        await call.send(pb.ExecInput(data=b"x"))
        await call.send(pb.ExecInput(end=True))
        assert [answer.stdout async for answer in call] == [b"x"]
        await call.send(pb.ExecInput(data=b"too late"))


async def test_a_refusal_comes_after_what_was_said_before(setting: tuple[Echo, Channel]) -> None:
    async with await begin(setting[1]) as call:
        await call.send(pb.ExecInput(data=b"x"))
        await call.send(pb.ExecInput(signal=1))
        assert (await call.receive()).stdout == b"x"
        with pytest.raises(RpcError, match="told to stop") as caught:
            await call.receive()
        assert caught.value.code is Code.ABORTED


async def test_leaving_the_block_ends_the_handler(setting: tuple[Echo, Channel]) -> None:
    echo, channel = setting
    async with await begin(channel) as call:
        await call.send(pb.ExecInput(data=b"x"))
        assert await call.receive() is not None
        assert not echo.ended.is_set()
    await echo.ended.wait()


async def test_who_does_not_read_slows_the_other_side_down(setting: tuple[Echo, Channel]) -> None:
    echo, channel = setting
    sent = 0

    async def send(call: Any) -> None:
        nonlocal sent
        for _ in range(400):
            await call.send(pb.ExecInput(data=bytes(CHUNK)))
            sent += 1
        call.done_sending()

    async with await begin(channel) as call, asyncio.TaskGroup() as tasks:
        tasks.create_task(send(call))
        before = -1
        while before != sent or sent == 0:
            before = sent
            await asyncio.sleep(0.3)
        # Windows and socket buffers on every hop hold some; the rest has not been sent.
        assert echo.taken < 400
        assert sent < 400
        assert sum([len(answer.stdout) async for answer in call]) == 400 * CHUNK


async def test_a_stock_client_can_do_it_too() -> None:
    async with arranged(relayed=False) as (_, address):
        pair = pair_of("m3", Role.MANAGER)
        credentials = grpc.ssl_channel_credentials(pair.root_pem, pair.key_pem, pair.cert_pem)
        options = (("grpc.ssl_target_name_override", "swarm-manager"),)
        method = SERVICES[EXEC]["Run"]
        async with grpc.aio.secure_channel(address, credentials, options=options) as channel:
            call = channel.stream_stream(
                method.path,
                request_serializer=method.request.SerializeToString,
                response_deserializer=method.response.FromString,
            )()
            for text in (b"a", b"b"):
                await call.write(pb.ExecInput(data=text))
                assert (await call.read()).stdout == text
            await call.done_writing()
            assert await call.read() == grpc.aio.EOF
            assert await call.code() == grpc.StatusCode.OK


async def test_workers_may_not_run_commands() -> None:
    async with arranged(relayed=False) as (echo, address):
        channel = Channel(address, tls_of(pair_of("w1")))
        async with await begin(channel) as call:
            with pytest.raises(RpcError) as caught:
                await call.receive()
        await channel.close()
    assert caught.value.code is Code.PERMISSION_DENIED
    assert echo.taken == 0
