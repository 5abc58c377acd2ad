"""Sessions and heartbeats: the dispatcher's calls, made directly on the handlers."""

from __future__ import annotations

import asyncio
from contextlib import aclosing

import pytest
from msgspec.structs import replace

from swarmd.dispatcher.messages import ManagerPeer
from swarmd.dispatcher.service import (
    host_of,
)
from swarmd.model.cluster import DispatcherConfig
from swarmd.model.errors import Code, Rejection
from swarmd.model.ids import NodeId
from swarmd.model.instant import SECOND
from swarmd.model.states import Availability, NodeState
from swarmd.rpc.call import Call, Peer
from swarmd.rpc.pb import cluster as cluster_pb
from swarmd.rpc.pb import dispatcher as pb
from swarmd.store.changes import Update
from tests.support.desk import a_desk, at_work, call_of
from tests.support.manager import (
    a_cluster,
    no_quorum,
)


async def test_a_session_makes_the_node_ready_before_it_answers() -> None:
    async with a_desk("n1") as desk, aclosing(desk.session("n1")) as stream:
        message = await anext(stream)
        node = desk.store.get_node("n1")
        assert node.status.state is NodeState.READY
        assert node.status.addr == "10.0.0.1"
        assert node.hostname == "host-n1"
        assert len(message.session_id) == 25
        assert message.node.id == "n1"
        assert message.RootCA == b"root"
        assert message.leader_addr == "10.0.0.9:2377"
        assert [(peer.peer.addr, peer.weight) for peer in message.managers] == [
            ("10.0.0.9:2377", 10)
        ]


async def test_nodes_that_register_together_are_written_together() -> None:
    names = [f"n{number}" for number in range(200)]
    async with a_desk(*names) as desk:
        async with asyncio.TaskGroup() as group:
            for name in names:
                group.create_task(desk.open(name))
        assert {node.status.state for node in desk.store.nodes()} == {NodeState.READY}
        assert len(desk.writer.entries) <= 5


async def test_an_unknown_node_gets_no_session() -> None:
    async with a_desk() as desk:
        with pytest.raises(Rejection) as refusal:
            await desk.open("n1")
        assert refusal.value == Rejection(Code.UNKNOWN, "node not found")


async def test_a_session_is_resumed_under_its_id() -> None:
    async with a_desk("n1") as desk:
        session_id = await desk.open("n1")
        async with aclosing(desk.session("n1", session_id)) as stream:
            assert (await anext(stream)).session_id == session_id


async def test_a_new_session_ends_the_streams_of_the_old_one() -> None:
    async with a_desk("n1") as desk, aclosing(desk.session("n1")) as stream:
        await anext(stream)
        await desk.open("n1")
        with pytest.raises(Rejection, match="session invalid"):
            await anext(stream)


async def test_the_node_hears_of_its_own_changes_and_not_of_its_status() -> None:
    async with a_desk("n1") as desk, aclosing(desk.session("n1")) as stream:
        await anext(stream)
        node = desk.store.get_node("n1")
        described = replace(node, status=replace(node.status, message="fine"))
        desk.writer.write(Update(described, base=node.version))
        node = desk.store.get_node("n1")
        spec = replace(node.spec, availability=Availability.DRAIN)
        desk.writer.write(Update(replace(node, spec=spec), base=node.version))
        message = await anext(stream)
        assert message.node.spec.availability == 2


async def test_new_managers_are_announced() -> None:
    async with a_desk("n1") as desk, aclosing(desk.session("n1")) as stream:
        await anext(stream)
        desk.managers.append(ManagerPeer(NodeId("m2"), "10.0.0.8:2377"))
        desk.dispatcher.refresh()
        message = await anext(stream)
        assert [peer.peer.node_id for peer in message.managers] == ["leader", "m2"]


async def test_a_new_root_is_announced() -> None:
    async with a_desk("n1") as desk, aclosing(desk.session("n1")) as stream:
        await anext(stream)
        cluster = desk.store.cluster()
        rotated = replace(cluster, root_ca=a_cluster(b"other").root_ca)
        desk.writer.write(Update(rotated, base=cluster.version))
        assert (await anext(stream)).RootCA == b"other"


async def test_heartbeats_tell_a_period_near_the_setting() -> None:
    async with a_desk("n1") as desk:
        session_id = await desk.open("n1")
        period = desk.beat("n1", session_id).period
        assert 1.25 * SECOND <= period.seconds * SECOND + period.nanos <= 1.501 * SECOND


async def test_a_changed_period_holds_from_the_next_heartbeat() -> None:
    async with a_desk("n1") as desk:
        session_id = await desk.open("n1")
        cluster = desk.store.cluster()
        spec = replace(cluster.spec, dispatcher=DispatcherConfig(heartbeat_period_ns=20 * SECOND))
        desk.writer.write(Update(replace(cluster, spec=spec), base=cluster.version))
        assert 18 <= desk.beat("n1", session_id).period.seconds <= 22


async def test_a_heartbeat_without_a_session_is_refused() -> None:
    async with a_desk("n1") as desk:
        with pytest.raises(Rejection, match="node not registered"):
            desk.beat("n1", "")
        await desk.open("n1")
        with pytest.raises(Rejection, match="session invalid"):
            desk.beat("n1", "other")


async def test_relayed_heartbeats_are_answered_one_by_one() -> None:
    async with a_desk("n1", "m2") as desk:
        sessions = {node: await desk.open(node) for node in ("n1", "m2")}
        request = cluster_pb.RelayHeartbeatsRequest()
        for node, session_id in (("n1", sessions["n1"]), ("n1", "other"), ("", sessions["m2"])):
            beat = pb.HeartbeatRequest(session_id=session_id).SerializeToString()
            request.heartbeats.add(node_id=node, request=beat)
        request.heartbeats.add(node_id="n1", request=b"rubbish")
        one, other, own, rubbish = desk.relays.RelayHeartbeats(call_of("m2"), request).answers
    for answer in (one, own):
        assert answer.code == 0
        assert pb.HeartbeatResponse.FromString(answer.response).period.ToTimedelta()
    assert (other.code, other.message) == (Code.INVALID_ARGUMENT, "session invalid")
    assert rubbish.code == Code.INVALID_ARGUMENT
    assert "cannot be decoded" in rubbish.message


async def test_a_stopped_dispatcher_ends_its_streams_and_refuses_calls() -> None:
    async with a_desk("n1") as desk:
        stream = desk.session("n1")
        session_id = (await anext(stream)).session_id
    with pytest.raises(Rejection) as refusal:
        await anext(stream)
    assert refusal.value == Rejection(Code.ABORTED, "node must disconnect")
    with pytest.raises(Rejection) as refusal:
        desk.beat("n1", session_id)
    assert refusal.value == Rejection(Code.ABORTED, "dispatcher is stopped")


async def test_a_node_that_waits_for_its_registration_is_told_when_the_leader_stops() -> None:
    async with a_desk("n1") as desk:
        desk.writer.refusing = no_quorum()
        opening = asyncio.ensure_future(desk.open("n1"))
        await asyncio.sleep(0.02)
    with pytest.raises(Rejection) as refusal:
        await opening
    assert refusal.value == Rejection(Code.ABORTED, "dispatcher is stopped")


async def test_a_dispatcher_that_runs_again_knows_no_session_of_before() -> None:
    async with a_desk("n1") as desk:
        session_id = await desk.open("n1")
    async with at_work(desk), aclosing(desk.session("n1", session_id)) as stream:
        assert (await anext(stream)).session_id != session_id


async def test_a_caller_without_a_name_is_this_node_only_by_its_own_socket() -> None:
    async with a_desk() as desk:
        request = pb.HeartbeatRequest()
        with pytest.raises(Rejection, match="needs a node certificate"):
            desk.service.Heartbeat(Call(Peer(address="10.0.0.1:1"), "a method"), request)
        with pytest.raises(Rejection, match="node not registered"):
            desk.service.Heartbeat(Call(Peer(local=True), "a method"), request)


@pytest.mark.parametrize(
    ("address", "host"),
    [("10.0.0.1:80", "10.0.0.1"), ("[fd00::1]:80", "fd00::1"), ("10.0.0.1", "10.0.0.1"), ("", "")],
)
def test_the_host_of_an_address(address: str, host: str) -> None:
    assert host_of(address) == host
