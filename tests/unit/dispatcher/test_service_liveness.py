"""Which nodes the dispatcher takes for alive, and what it does about the others."""

from __future__ import annotations

from contextlib import aclosing

import pytest

from swarmd.model.errors import Rejection
from swarmd.model.instant import MILLISECOND, SECOND, Instant
from swarmd.model.states import NodeState, TaskState
from swarmd.rpc.pb import cluster as cluster_pb
from swarmd.rpc.relayed_line import RelayedLine
from swarmd.store.changes import Create, Delete, Kind
from tests.support.desk import Desk, SetLine, a_desk, at_work, call_of, until
from tests.support.manager import (
    a_manager,
    a_node,
    a_task,
)


async def test_a_session_over_a_watched_connection_needs_half_the_heartbeats() -> None:
    async with a_desk("n1") as desk:
        async with aclosing(desk.session("n1", line=SetLine(desk.clock))) as stream:
            session_id = (await anext(stream)).session_id
            period = desk.beat("n1", session_id).period
            assert 2.75 * SECOND <= period.seconds * SECOND + period.nanos <= 3.001 * SECOND
        period = desk.beat("n1", session_id).period
        assert 1.25 * SECOND <= period.seconds * SECOND + period.nanos <= 1.501 * SECOND


async def test_a_machine_that_falls_silent_takes_its_node_down_before_heartbeats_are_missed() -> (
    None
):
    async with a_desk("n1") as desk:
        line = SetLine(desk.clock)
        async with aclosing(desk.session("n1", line=line)) as stream:
            desk.beat("n1", (await anext(stream)).session_id)
            line.silent_since = Instant(desk.clock.monotonic())
            desk.clock.ahead_ns += 4500 * MILLISECOND
            await until(lambda: desk.store.get_node("n1").status.state is NodeState.DOWN)


def a_relayed_line(desk: Desk) -> RelayedLine:
    return RelayedLine(SetLine(desk.clock), via="m2", name="7", clock=desk.clock)


async def test_a_machine_that_its_manager_calls_silent_takes_its_node_down() -> None:
    async with a_desk("n1") as desk:
        line = a_relayed_line(desk)
        async with aclosing(desk.session("n1", line=line)) as stream:
            desk.beat("n1", (await anext(stream)).session_id)
            desk.clock.ahead_ns += 4500 * MILLISECOND
            desk.tell_silence("m2", "n1", "7", 4500 * MILLISECOND)
            await until(lambda: desk.store.get_node("n1").status.state is NodeState.DOWN)


async def test_a_relayed_node_is_not_silent_on_the_word_of_others() -> None:
    async with a_desk("n1") as desk:
        line = a_relayed_line(desk)
        async with aclosing(desk.session("n1", line=line)) as stream:
            await anext(stream)
            desk.tell_silence("m3", "n1", "7", 10 * SECOND)
            desk.tell_silence("m2", "n1", "6", 10 * SECOND)
            desk.tell_silence("m2", "n2", "7", 10 * SECOND)
            heard = line.heard_at()
            assert heard is not None
            assert heard > desk.clock.monotonic() - 5 * SECOND
            desk.tell_silence("m2", "n1", "7", 10 * SECOND)
            heard = line.heard_at()
            assert heard is not None
            assert heard < desk.clock.monotonic() - 9 * SECOND


async def test_a_stream_that_took_over_the_session_keeps_it_when_the_former_ends() -> None:
    async with a_desk("n1") as desk:
        former, line = desk.session("n1", line=SetLine(desk.clock)), SetLine(desk.clock)
        session_id = (await anext(former)).session_id
        async with aclosing(desk.session("n1", session_id, line=line)) as stream:
            await anext(stream)
            await former.aclose()
            assert desk.beat("n1", session_id).period.seconds >= 2


async def test_a_silent_node_is_written_down_and_its_streams_end() -> None:
    async with a_desk("n1") as desk, aclosing(desk.session("n1")) as stream:
        await anext(stream)
        desk.clock.ahead_ns += 5 * SECOND
        with pytest.raises(Rejection, match="session invalid"):
            await anext(stream)
        await until(lambda: desk.store.get_node("n1").status.state is NodeState.DOWN)
        assert desk.store.get_node("n1").status.message == "heartbeat failure"


async def test_a_node_that_came_back_is_ready_again() -> None:
    async with a_desk("n1") as desk:
        await desk.open("n1")
        desk.clock.ahead_ns += 5 * SECOND
        await until(lambda: desk.store.get_node("n1").status.state is NodeState.DOWN)
        await desk.open("n1")
        assert desk.store.get_node("n1").status.state is NodeState.READY


async def test_a_node_of_the_former_leader_goes_unknown_and_then_down() -> None:
    store, writer = a_manager()
    writer.write(Create(a_node("n1", NodeState.READY)))
    desk = Desk(store, writer)
    async with at_work(desk):
        desk.clock.ahead_ns += 1100 * MILLISECOND
        await until(lambda: store.get_node("n1").status.state is NodeState.UNKNOWN)
        desk.clock.ahead_ns += 5 * SECOND
        await until(lambda: store.get_node("n1").status.state is NodeState.DOWN)


async def test_a_ready_node_that_comes_back_to_a_new_leader_costs_no_write() -> None:
    store, writer = a_manager("n1")
    first = Desk(store, writer)
    async with at_work(first):
        await first.open("n1")
    written = len(writer.entries)
    second = Desk(store, writer)
    async with at_work(second):
        await second.open("n1")
    assert len(writer.entries) == written


async def test_tasks_of_a_node_that_is_down_for_a_day_are_orphaned() -> None:
    async with a_desk("n1") as desk:
        desk.writer.write(Create(a_task("t1", node="n1", state=TaskState.RUNNING)))
        await desk.open("n1")
        desk.clock.ahead_ns += 5 * SECOND
        await until(lambda: desk.store.get_node("n1").status.state is NodeState.DOWN)
        desk.clock.ahead_ns += 24 * 3600 * SECOND
        await until(lambda: desk.store.get_task("t1").status.state is TaskState.ORPHANED)
        assert desk.store.get_task("t1").status.err == "node n1 has been down for 24 hours"


async def test_a_node_that_leaves_is_down_when_the_call_returns() -> None:
    async with a_desk("n1") as desk, aclosing(desk.session("n1")) as stream:
        await anext(stream)
        await desk.lifecycle.Leave(call_of("n1"), cluster_pb.LeaveClusterRequest())
        node = desk.store.get_node("n1")
        assert (node.status.state, node.status.message) == (NodeState.DOWN, "left the swarm")
        with pytest.raises(Rejection, match="session invalid"):
            await anext(stream)
        with pytest.raises(Rejection, match="just left"):
            await desk.open("n1")


async def test_a_removed_node_is_cut_off() -> None:
    async with a_desk("n1") as desk, aclosing(desk.session("n1")) as stream:
        session_id = (await anext(stream)).session_id
        desk.writer.write(Delete(Kind.NODE, "n1"))
        with pytest.raises(Rejection, match="node not registered"):
            await anext(stream)
        with pytest.raises(Rejection, match="node not registered"):
            desk.beat("n1", session_id)
