"""The leader asks all nodes, each about some others, and tells what they have in force."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable

import pytest

from swarmd.manager import doctor as module
from swarmd.manager.acknowledgements import Acknowledgements
from swarmd.manager.doctor import Doctor
from swarmd.manager.endpoints_service import EndpointsService
from swarmd.manager.errands import Errands
from swarmd.model.errors import Rejection
from swarmd.model.ids import NodeId
from swarmd.model.instant import SECOND
from swarmd.model.node import Node, NodeDescription, NodeStatus
from swarmd.model.states import NodeState
from swarmd.rpc.call import Call, Peer
from swarmd.rpc.identity import WORKER, Identity
from swarmd.rpc.pb import doctor as pb
from swarmd.rpc.pb import endpoints, errands
from swarmd.runtime.clock import SystemClock
from swarmd.store.changes import Create
from swarmd.store.store import Store
from tests.support.api import CountedIds
from tests.support.endpoints import a_network, commit, take_part

LEADER = Call(Peer(local=True), "Examine")


class Swarm:
    """A store with nodes, and the doctor of their leader."""

    def __init__(self, nodes: Iterable[str], *, down: Iterable[str] = ()) -> None:
        self.store = Store()
        for number, name in enumerate(nodes, start=1):
            state = NodeState.DOWN if name in down else NodeState.READY
            commit(
                self.store,
                Create(
                    Node(
                        id=NodeId(name),
                        description=NodeDescription(hostname=name, data_addr=f"10.0.0.{number}"),
                        status=NodeStatus(state=state),
                    )
                ),
            )
        self.errands = Errands(ids=CountedIds(), own_node_id=NodeId("m1"))
        self.endpoints = EndpointsService(self.store, clock=SystemClock())
        self.acknowledgements = Acknowledgements(self.store, self.endpoints)
        self.asked: dict[str, list[str]] = {}
        self.doctor = Doctor(
            self.store,
            self.errands,
            self.endpoints,
            self.acknowledgements,
            managers=lambda: [(NodeId("m1"), "10.0.0.1:2377")],
            read_barrier=self._read,
            clock=SystemClock(),
        )

    async def _read(self) -> None:
        """Everything is here already."""

    def call(self, node_id: str) -> Call:
        return Call(Peer(Identity(node_id, "c1", (WORKER,))), "Listen")

    async def answer(self, node_id: str, *, ahead_ns: int = 0) -> None:
        """Be a node that carries out errands."""
        listening = self.errands.Listen(self.call(node_id), errands.ListenForErrandsRequest())
        async for errand in listening:
            request = pb.ExamineNodeRequest.FromString(errand.request)
            self.asked.setdefault(node_id, []).extend(one.node_id for one in request.neighbours)
            response = pb.ExamineNodeResponse(now=SystemClock().now() + ahead_ns)
            await self.errands.Answer(
                self.call(node_id),
                errands.ErrandAnswer(id=errand.id, response=response.SerializeToString()),
            )

    def close(self) -> None:
        self.errands.stop()
        self.acknowledgements.close()
        self.endpoints.close()


async def examined(swarm: Swarm, **ahead_ns: int) -> dict[str, pb.NodeFindings]:
    async with asyncio.TaskGroup() as group:
        nodes = [
            group.create_task(swarm.answer(node_id, ahead_ns=ahead))
            for node_id, ahead in ahead_ns.items()
        ]
        await asyncio.sleep(0)
        answer = await swarm.doctor.Examine(LEADER, pb.ExamineSwarmRequest())
        for node in nodes:
            node.cancel()
    swarm.close()
    return {node.node_id: node for node in answer.nodes}


async def test_clocks_are_compared_with_the_leaders() -> None:
    found = await examined(Swarm(["m1", "w1"]), m1=0, w1=5 * SECOND)
    assert abs(found["m1"].clock_ahead) < SECOND
    assert 4 * SECOND < found["w1"].clock_ahead < 6 * SECOND


async def test_nodes_that_do_not_answer_are_there_with_the_reason() -> None:
    found = await examined(Swarm(["m1", "w1", "w2"], down=["w2"]), m1=0)
    assert found["w1"].absent == "not connected to the leader just now"
    assert found["w2"].absent == "the node is down"
    assert not found["m1"].absent


async def test_a_node_tries_all_managers_and_those_next_to_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "NEIGHBOURS", 1)
    swarm = Swarm(["m1", "w1", "w2", "w3"], down=["w3"])
    await examined(swarm, m1=0, w1=0, w2=0)
    assert swarm.asked == {"m1": ["w1"], "w1": ["w2", "m1"], "w2": ["m1"]}


@pytest.fixture
async def swarm() -> AsyncIterator[Swarm]:
    swarm = Swarm(["m1"])
    a_network(swarm.store, "back")
    take_part(swarm.store, "w1", "back")
    take_part(swarm.store, "w2", "back")
    yield swarm
    swarm.close()


async def test_a_network_shows_what_each_of_its_nodes_has_in_force(swarm: Swarm) -> None:
    table = endpoints.AppliedTable(network_id="back", version=7, problems=["no vxlan"], repaired=2)
    swarm.acknowledgements.Acknowledge(
        swarm.call("w1"), endpoints.AcknowledgeRequest(tables=[table])
    )
    request = pb.InspectTableRequest(network_id="back")
    answer = await swarm.doctor.InspectTable(LEADER, request)
    first, second = answer.nodes
    assert (first.node_id, first.table.applied) == ("w1", table)
    assert first.table.changed_at == swarm.endpoints.changed_at(module.NetworkId("back"))
    assert second.node_id == "w2"
    assert not second.HasField("table")


async def test_a_network_that_is_not_there_is_refused(swarm: Swarm) -> None:
    with pytest.raises(Rejection, match="network front not found"):
        await swarm.doctor.InspectTable(LEADER, pb.InspectTableRequest(network_id="front"))
