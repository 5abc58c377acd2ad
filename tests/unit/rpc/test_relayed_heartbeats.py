"""Heartbeats of a moment go to the leader together, and each gets the answer that is its own."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from swarmd.model.errors import Code
from swarmd.rpc.errors import RpcError, unavailable
from swarmd.rpc.pb import cluster as pb
from swarmd.rpc.relayed_heartbeats import RelayedHeartbeats


class Leader:
    """Answers with the request, but as told for single nodes; or fails."""

    def __init__(self) -> None:
        self.groups: list[list[str]] = []
        self.answers: dict[str, pb.HeartbeatAnswer] = {}
        self.error: RpcError | None = None
        self.answers_max = 100
        self.gate = asyncio.Event()
        self.gate.set()

    async def take(self, request: pb.RelayHeartbeatsRequest) -> pb.RelayHeartbeatsResponse:
        self.groups.append([heartbeat.node_id for heartbeat in request.heartbeats])
        await self.gate.wait()
        if self.error is not None:
            raise self.error
        answers = [
            self.answers.get(heartbeat.node_id, pb.HeartbeatAnswer(response=heartbeat.request))
            for heartbeat in request.heartbeats
        ]
        return pb.RelayHeartbeatsResponse(answers=answers[: self.answers_max])


@asynccontextmanager
async def a_relay(leader: Leader) -> AsyncIterator[RelayedHeartbeats]:
    relay = RelayedHeartbeats(leader.take)
    async with asyncio.timeout(20), asyncio.TaskGroup() as tasks:
        running = tasks.create_task(relay.run())
        yield relay
        running.cancel()


async def ask_for(relay: RelayedHeartbeats, *nodes: str) -> list[bytes | BaseException]:
    asked = (relay.ask(node, f"of {node}".encode()) for node in nodes)
    return await asyncio.gather(*asked, return_exceptions=True)


async def test_those_of_a_moment_are_one_group() -> None:
    leader = Leader()
    async with a_relay(leader) as relay:
        assert await ask_for(relay, "w1", "w2", "w3") == [b"of w1", b"of w2", b"of w3"]
        assert await ask_for(relay, "w2") == [b"of w2"]
    assert leader.groups == [["w1", "w2", "w3"], ["w2"]]


async def test_a_refusal_is_for_the_node_it_is_meant_for() -> None:
    leader = Leader()
    refusal = pb.HeartbeatAnswer(code=int(Code.NOT_FOUND), message="no such session")
    leader.answers["w2"] = refusal
    async with a_relay(leader) as relay:
        one, two, three = await ask_for(relay, "w1", "w2", "w3")
    assert (one, three) == (b"of w1", b"of w3")
    assert isinstance(two, RpcError)
    assert (two.code, two.message) == (Code.NOT_FOUND, "no such session")


async def test_when_the_leader_cannot_be_asked_all_are_told() -> None:
    leader = Leader()
    leader.error = unavailable("connection refused", unprocessed=True)
    async with a_relay(leader) as relay:
        assert await ask_for(relay, "w1", "w2") == [leader.error, leader.error]
        leader.error = None
        assert await ask_for(relay, "w1") == [b"of w1"]


async def test_a_heartbeat_left_without_an_answer_fails() -> None:
    leader = Leader()
    leader.answers_max = 1
    async with a_relay(leader) as relay:
        one, two = await ask_for(relay, "w1", "w2")
    assert one == b"of w1"
    assert isinstance(two, RpcError)
    assert two.code == Code.INTERNAL


async def test_who_leaves_while_the_leader_thinks_disturbs_nobody() -> None:
    leader = Leader()
    leader.gate.clear()
    async with a_relay(leader) as relay, asyncio.TaskGroup() as tasks:
        leaving = tasks.create_task(relay.ask("w1", b"1"))
        staying = tasks.create_task(relay.ask("w2", b"2"))
        while not leader.groups:
            await asyncio.sleep(0.005)
        leaving.cancel()
        late = tasks.create_task(relay.ask("w3", b"3"))
        while len(leader.groups) < 2:
            await asyncio.sleep(0.005)  # a leader that is slow keeps no later group waiting
        leader.gate.set()
        assert (await staying, await late) == (b"2", b"3")


async def test_when_the_relay_stops_those_under_way_are_told() -> None:
    leader = Leader()
    leader.gate.clear()
    async with a_relay(leader) as relay:
        waiting = asyncio.ensure_future(ask_for(relay, "w1"))
        while not leader.groups:
            await asyncio.sleep(0.005)
    (failure,) = await waiting
    assert isinstance(failure, RpcError)
    assert (failure.code, failure.message) == (Code.UNAVAILABLE, "this manager is stopping")
