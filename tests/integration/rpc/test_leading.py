"""Followers and leaders: who answers, and what happens around an election."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator
from contextlib import aclosing
from typing import Any

import pytest

from swarmd.model.errors import Code, Rejection
from swarmd.rpc import pb
from swarmd.rpc.call import Call
from swarmd.rpc.errors import RpcError
from swarmd.rpc.line import TcpLine
from swarmd.rpc.methods import SERVICES
from swarmd.rpc.relayed_line import RelayedLine
from tests.support.rpc_server import Manager, credentials_of, pair_of
from tests.support.rpc_services import DISPATCHER, RELAYS, TestDispatcher, services

BEAT = pb.dispatcher.HeartbeatRequest


@pytest.fixture
def nobody() -> Iterator[str]:
    """An address that refuses connections, and that nobody else is given meanwhile."""
    with socket.socket() as reserved:
        reserved.bind(("127.0.0.1", 0))
        yield f"127.0.0.1:{reserved.getsockname()[1]}"


def a_leader() -> tuple[Manager, TestDispatcher]:
    handlers = services()
    dispatcher = handlers[DISPATCHER]
    assert isinstance(dispatcher, TestDispatcher)
    return Manager(handlers), dispatcher


async def test_the_leader_sees_the_caller_and_not_the_follower() -> None:
    leader, dispatcher = a_leader()
    follower = Manager({}, "m2")
    async with asyncio.timeout(30), leader.running(), follower.running():
        follower.leadership.leader = leader.address
        async with follower.channel(pair_of("w1")) as channel:
            await channel.stub(DISPATCHER).Heartbeat(BEAT(), metadata=(("x-kept", "1"),))
    call = dispatcher.calls[0]
    assert call.node_id == "w1"
    assert call.peer.forwarded
    assert call.peer.via == "m2"
    assert call.peer.address.startswith("127.0.0.1:")
    assert call.metadata.get("x-kept") == "1"


async def test_heartbeats_of_several_nodes_reach_the_leader_as_one_call() -> None:
    class Relays:
        def __init__(self) -> None:
            self.heard: list[tuple[str, list[tuple[str, str]]]] = []

        def RelayHeartbeats(
            self, call: Call, request: pb.cluster.RelayHeartbeatsRequest
        ) -> pb.cluster.RelayHeartbeatsResponse:
            response = pb.cluster.RelayHeartbeatsResponse()
            group = []
            for heartbeat in request.heartbeats:
                session_id = BEAT.FromString(heartbeat.request).session_id
                group.append((heartbeat.node_id, session_id))
                if session_id == "s3":
                    response.answers.add(code=int(Code.NOT_FOUND), message="no session s3")
                else:
                    answer = pb.dispatcher.HeartbeatResponse()
                    answer.period.seconds = int(session_id[1:])
                    response.answers.add(response=answer.SerializeToString())
            self.heard.append((call.node_id, sorted(group)))
            return response

    relays = Relays()
    leader, follower = Manager({RELAYS: relays}), Manager({}, "m2")

    async def beat(number: int) -> int | str:
        async with follower.channel(pair_of(f"w{number}")) as channel:
            stub = channel.stub(DISPATCHER)
            await stub.Heartbeat(BEAT(session_id="s9"))  # connected from here on
            await ready.wait()
            try:
                answer = await stub.Heartbeat(BEAT(session_id=f"s{number}"))
            except RpcError as error:
                return error.message
            return int(answer.period.seconds)

    async with asyncio.timeout(30), leader.running(), follower.running():
        follower.leadership.leader = leader.address
        ready = asyncio.Barrier(3)
        assert await asyncio.gather(*map(beat, (1, 2, 3))) == [1, 2, "no session s3"]
    assert {by for by, _ in relays.heard} == {"m2"}
    assert relays.heard[-1] == ("m2", [("w1", "s1"), ("w2", "s2"), ("w3", "s3")])


async def test_only_a_direct_call_shows_the_line_to_the_callers_machine() -> None:
    leader, dispatcher = a_leader()
    follower = Manager({}, "m2")
    async with asyncio.timeout(30), leader.running(), follower.running():
        follower.leadership.leader = leader.address
        for manager in (follower, leader):
            async with manager.channel(pair_of("w1")) as channel:
                await channel.stub(DISPATCHER).Heartbeat(BEAT())
    relayed, direct = dispatcher.calls
    assert relayed.line is None
    assert direct.line is not None
    assert direct.line.heard_at() is not None


async def test_a_relayed_session_shows_a_line_that_the_follower_watches() -> None:
    leader, dispatcher = a_leader()
    follower = Manager({}, "m2")
    async with asyncio.timeout(30), leader.running(), follower.running():
        follower.leadership.leader = leader.address
        async with follower.channel(pair_of("w1")) as channel:
            request = pb.dispatcher.SessionRequest(session_id="wait")
            pretended = (("swarmd-line", "of-another"),)
            stream = channel.stub(DISPATCHER).Session(request, metadata=pretended)
            async with aclosing(stream):
                await anext(stream)
    (call,) = dispatcher.calls
    assert isinstance(call.line, RelayedLine)
    assert call.line.heard_at() is not None
    assert not call.line.is_called("of-another", via="m2")
    assert call.line.is_called(call.peer.line, via="m2")


async def test_a_line_that_a_worker_claims_for_itself_is_its_own() -> None:
    leader, dispatcher = a_leader()
    async with asyncio.timeout(30), leader.running(), leader.channel(pair_of("w1")) as channel:
        await channel.stub(DISPATCHER).Heartbeat(BEAT(), metadata=(("swarmd-line", "1"),))
    assert isinstance(dispatcher.calls[0].line, TcpLine)


async def test_the_leader_checks_the_caller_itself() -> None:
    leader, _ = a_leader()
    follower = Manager({}, "m2")
    async with asyncio.timeout(30), leader.running(), follower.running():
        follower.leadership.leader = leader.address
        leader.removed.add("w1")
        async with follower.channel(pair_of("w1")) as channel:
            with pytest.raises(RpcError, match="node w1 was removed") as caught:
                await channel.stub(DISPATCHER).Heartbeat(BEAT())
    assert caught.value.code == Code.PERMISSION_DENIED


async def test_two_followers_that_point_at_each_other_do_not_loop() -> None:
    one, two = Manager({}, "m2"), Manager({}, "m3")
    async with asyncio.timeout(30), one.running(), two.running():
        one.leadership.leader, two.leadership.leader = two.address, one.address
        async with one.channel(pair_of("w1")) as channel:
            with pytest.raises(RpcError, match="more than one redirect") as caught:
                await channel.stub(DISPATCHER).Heartbeat(BEAT())
    assert caught.value.code == Code.RESOURCE_EXHAUSTED


async def test_a_call_passed_on_to_a_manager_about_to_lead_is_answered_once_it_does() -> None:
    class Elected:
        def __init__(self) -> None:
            self.ready = asyncio.Event()

        def is_leader(self) -> bool:
            return self.ready.is_set()

        async def find_leader(self) -> str:
            await self.ready.wait()
            return ""

    elected, dispatcher = a_leader()
    leading = Elected()
    elected.router.leadership = leading
    follower = Manager({}, "m2")
    async with asyncio.timeout(30), elected.running(), follower.running():
        follower.leadership.leader = elected.address
        async with follower.channel(pair_of("w1")) as channel, asyncio.TaskGroup() as tasks:
            waiting = tasks.create_task(channel.stub(DISPATCHER).Heartbeat(BEAT()))
            await asyncio.sleep(0.1)
            assert not waiting.done()
            leading.ready.set()
            assert (await waiting).period.seconds == 5
    assert dispatcher.calls[0].node_id == "w1"


@pytest.mark.parametrize("method", ["Heartbeat", "Session"])
async def test_a_caller_that_wants_to_be_redirected_is_told_the_leader(method: str) -> None:
    follower = Manager({}, "m2")
    wanted = (("swarmd-redirect", "1"),)
    async with asyncio.timeout(30), follower.running():
        follower.leadership.leader = "192.0.2.1:2377"
        async with follower.channel(pair_of("w1")) as channel:
            stub = channel.stub(DISPATCHER)
            request = SERVICES[DISPATCHER][method].request()
            answer = getattr(stub, method)(request, metadata=wanted)
            with pytest.raises(RpcError) as caught:
                await (answer if method == "Heartbeat" else anext(answer))
    assert caught.value.code == Code.UNAVAILABLE
    assert caught.value.trailers.get("swarmd-leader") == "192.0.2.1:2377"


async def test_a_leader_does_not_redirect() -> None:
    leader, dispatcher = a_leader()
    async with asyncio.timeout(30), leader.running(), leader.channel(pair_of("w1")) as channel:
        await channel.stub(DISPATCHER).Heartbeat(BEAT(), metadata=(("swarmd-redirect", "1"),))
    assert len(dispatcher.calls) == 1


async def test_a_call_to_a_leader_that_is_gone_waits_for_the_next_one(nobody: str) -> None:
    leader, dispatcher = a_leader()
    follower = Manager({}, "m2")
    async with asyncio.timeout(30), leader.running(), follower.running():
        follower.leadership.leader = nobody
        async with follower.channel(pair_of("w1")) as channel, asyncio.TaskGroup() as tasks:
            waiting = tasks.create_task(channel.stub(DISPATCHER).Heartbeat(BEAT()))
            await asyncio.sleep(0.2)
            assert not waiting.done()
            follower.leadership.leader = leader.address
            assert (await waiting).period.seconds == 5
    assert len(dispatcher.calls) == 1


async def test_a_call_that_waits_is_answered_here_when_this_manager_is_elected(
    nobody: str,
) -> None:
    follower, dispatcher = a_leader()
    async with asyncio.timeout(30), follower.running():
        follower.leadership.leader = nobody
        async with follower.channel(pair_of("w1")) as channel, asyncio.TaskGroup() as tasks:
            waiting = tasks.create_task(channel.stub(DISPATCHER).Heartbeat(BEAT()))
            await asyncio.sleep(0.2)
            follower.leadership.leader = ""
            assert (await waiting).period.seconds == 5
    assert dispatcher.calls[0].node_id == "w1"


async def test_without_a_leader_the_reason_is_told() -> None:
    class Leaderless:
        def is_leader(self) -> bool:
            return False

        async def find_leader(self) -> str:
            raise Rejection(Code.UNAVAILABLE, "the swarm has no leader")

    follower = Manager({}, "m2")
    follower.router.leadership = Leaderless()
    async with (
        asyncio.timeout(30),
        follower.running(),
        follower.channel(pair_of("w1")) as channel,
    ):
        with pytest.raises(RpcError, match="the swarm has no leader"):
            await channel.stub(DISPATCHER).Heartbeat(BEAT())


async def test_losing_the_leader_ends_relayed_streams_as_unavailable() -> None:
    leader, _ = a_leader()
    follower = Manager({}, "m2")
    async with asyncio.timeout(30), follower.running(), leader.running():
        follower.leadership.leader = leader.address
        async with follower.channel(pair_of("w1")) as channel:
            request = pb.dispatcher.SessionRequest(session_id="wait")
            stream = channel.stub(DISPATCHER).Session(request)
            await anext(stream)
            for connection in list(leader.server._connections):
                connection.abort()
            with pytest.raises(RpcError) as caught:
                await drain(stream)
    assert caught.value.code == Code.UNAVAILABLE


async def drain(stream: Any) -> None:
    async for _ in stream:
        pass


async def test_a_stopping_server_finishes_answers_and_ends_streams() -> None:
    leader, dispatcher = a_leader()
    dispatcher.pause_s = 0.3
    async with (
        asyncio.timeout(30),
        leader.running(),
        leader.channel(pair_of("w1")) as channel,
        asyncio.TaskGroup() as tasks,
    ):
        stub = channel.stub(DISPATCHER)
        stream = stub.Session(pb.dispatcher.SessionRequest(session_id="wait"))
        await anext(stream)
        request = pb.dispatcher.UpdateTaskStatusRequest()
        answer = tasks.create_task(stub.UpdateTaskStatus(request))
        while len(dispatcher.calls) < 2:
            await asyncio.sleep(0.01)
        stopping = tasks.create_task(leader.server.stop())
        with pytest.raises(RpcError, match="stopping") as caught:
            await drain(stream)
        assert caught.value.code == Code.UNAVAILABLE
        assert await answer == pb.dispatcher.UpdateTaskStatusResponse()
        await stopping


async def test_the_port_can_be_closed_and_opened_again(tmp_path: Any) -> None:
    manager, _ = a_leader()
    async with asyncio.timeout(30), manager.running(local=str(tmp_path / "s.sock")):
        await manager.server.unlisten()
        async with manager.channel(pair_of("w1")) as channel:
            with pytest.raises(RpcError, match="cannot connect"):
                await channel.stub(DISPATCHER).Heartbeat(BEAT())
        port = await manager.server.listen("127.0.0.1", 0, credentials_of(manager.pair))
        manager.address = f"127.0.0.1:{port}"
        async with manager.channel(pair_of("w1")) as channel:
            await channel.stub(DISPATCHER).Heartbeat(BEAT())
