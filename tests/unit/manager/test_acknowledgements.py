"""Whoever stops a task learns when all nodes have stopped sending to it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from msgspec.structs import replace

from swarmd.manager.acknowledgements import Acknowledgements
from swarmd.manager.endpoints_service import EndpointsService
from swarmd.model.errors import Code, Rejection
from swarmd.model.ids import TaskId
from swarmd.model.node import NodeStatus
from swarmd.model.states import NodeState, TaskState
from swarmd.rpc.call import Call, Peer
from swarmd.rpc.identity import WORKER, Identity
from swarmd.rpc.pb import endpoints as pb
from swarmd.runtime.clock import SystemClock
from swarmd.store.changes import Delete, Kind, SetDesiredState, Update
from swarmd.store.store import Store
from tests.support.endpoints import (
    a_network,
    a_published_service,
    a_running_task,
    commit,
    take_part,
)


class Leader:
    """A store with nodes n1 and n2, a published service with one task, and those who ask."""

    def __init__(self) -> None:
        self.store = Store()
        a_published_service(self.store)
        take_part(self.store, "n2")
        for node_id in ("n1", "n2"):
            self.state(node_id, NodeState.READY)
        self.endpoints = EndpointsService(self.store, clock=SystemClock())
        self.service = Acknowledgements(self.store, self.endpoints)
        a_running_task(self.store, "a")
        for node_id in ("n1", "n2"):
            self.acknowledge(node_id, self.store.index)

    def state(self, node_id: str, state: NodeState) -> None:
        node = self.store.get_node(node_id)
        update = Update(replace(node, status=NodeStatus(state=state)), base=node.version)
        commit(self.store, update)

    def stop_task(self) -> int:
        commit(self.store, SetDesiredState(TaskId("a"), TaskState.SHUTDOWN))
        return self.store.index

    def acknowledge(
        self, node_id: str, version: int, network_id: str = "", *, moving: int = 0
    ) -> int:
        request = pb.AcknowledgeRequest(
            tables=[pb.AppliedTable(network_id=network_id, version=version, moving=moving)]
        )
        peer = Peer(Identity(node_id, "c1", (WORKER,)))
        return self.service.Acknowledge(Call(peer, "Acknowledge"), request).pause

    @asynccontextmanager
    async def asking(
        self, version: int, *network_ids: str, moved: bool = False
    ) -> AsyncIterator[asyncio.Task[pb.SettledResponse]]:
        request = pb.SettledRequest(
            version=version, published=not network_ids, network_ids=network_ids, moved=moved
        )
        async with asyncio.TaskGroup() as group:
            asking = group.create_task(self.service.Settled(Call(Peer(), "Settled"), request))
            await asyncio.sleep(0)
            yield asking


@pytest.fixture
async def leader() -> AsyncIterator[Leader]:
    leader = Leader()
    yield leader
    leader.service.close()
    leader.endpoints.close()


async def test_the_answer_comes_when_the_last_node_has_acknowledged(leader: Leader) -> None:
    version = leader.stop_task()
    async with leader.asking(version) as asking:
        leader.acknowledge("n1", version)
        await asyncio.sleep(0)
        assert not asking.done()
        leader.acknowledge("n2", version + 7)
        assert list((await asking).late_node_ids) == []


async def test_udp_clients_are_waited_for_where_that_is_asked_for(leader: Leader) -> None:
    version = leader.stop_task()
    leader.acknowledge("n1", version + 3, moving=version + 1)  # of a task that left later
    leader.acknowledge("n2", version, moving=version)
    async with leader.asking(version) as asking:
        assert list((await asking).late_node_ids) == []
    async with leader.asking(version, moved=True) as asking:
        assert not asking.done()
        leader.acknowledge("n2", version, moving=0)
        assert list((await asking).late_node_ids) == []


async def test_what_has_not_changed_since_needs_no_word(leader: Leader) -> None:
    take_part(leader.store, "n9")
    async with leader.asking(leader.store.index) as asking:
        assert list((await asking).late_node_ids) == []


async def test_a_node_that_goes_down_is_not_waited_for(leader: Leader) -> None:
    version = leader.stop_task()
    async with leader.asking(version) as asking:
        leader.acknowledge("n1", version)
        leader.state("n2", NodeState.DOWN)
        assert list((await asking).late_node_ids) == []


async def test_a_node_that_is_removed_is_not_waited_for(leader: Leader) -> None:
    version = leader.stop_task()
    async with leader.asking(version) as asking:
        leader.acknowledge("n1", version)
        commit(leader.store, Delete(Kind.NODE, "n2"))
        assert list((await asking).late_node_ids) == []


async def test_a_version_that_is_still_to_come_is_waited_for(leader: Leader) -> None:
    version = leader.store.index + 1
    async with leader.asking(version) as asking:
        assert leader.stop_task() == version
        await asyncio.sleep(0)
        assert not asking.done()
        for node_id in ("n1", "n2"):
            leader.acknowledge(node_id, version)
        assert list((await asking).late_node_ids) == []


async def test_only_the_tables_asked_about_count_and_only_where_they_are(leader: Leader) -> None:
    a_network(leader.store, "back")
    leader.acknowledge("n1", leader.store.index, "back")
    take_part(leader.store, "n2", "back")
    leader.stop_task()
    version = leader.store.index
    async with leader.asking(version, "back") as asking:
        assert not asking.done()
        leader.acknowledge("n1", version, "back")
        assert list((await asking).late_node_ids) == []


async def test_nodes_that_are_late_are_named_in_the_end(
    leader: Leader, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("swarmd.manager.acknowledgements.PATIENCE_NS", 1_000_000)
    version = leader.stop_task()
    async with leader.asking(version) as asking:
        leader.acknowledge("n1", version)
        assert list((await asking).late_node_ids) == ["n2"]


async def test_the_end_of_a_term_sends_everybody_to_the_next_leader(leader: Leader) -> None:
    version = leader.stop_task()
    request = pb.SettledRequest(version=version, published=True)
    asking = leader.service.Settled(Call(Peer(), "Settled"), request)

    async def stop_soon() -> None:
        leader.service.stop()

    async with asyncio.TaskGroup() as group:
        waiting = group.create_task(_refusal(asking))
        await asyncio.sleep(0)
        group.create_task(stop_soon())
    assert waiting.result().code is Code.UNAVAILABLE
    async with leader.asking(version) as asking_anew:
        assert list((await asking_anew).late_node_ids) == []


async def _refusal(asking: object) -> Rejection:
    with pytest.raises(Rejection) as refusal:
        await asking  # type: ignore[misc]
    return refusal.value


async def test_the_more_nodes_there_are_the_longer_each_is_silent(leader: Leader) -> None:
    pauses = [leader.acknowledge(f"w{number}", 1) for number in range(100)]
    assert pauses == sorted(pauses)
    assert pauses[-1] > 10 * pauses[0]


async def test_callers_that_are_no_nodes_have_nothing_to_acknowledge(leader: Leader) -> None:
    with pytest.raises(Rejection, match="only a node"):
        leader.service.Acknowledge(Call(Peer(local=True), "x"), pb.AcknowledgeRequest())
