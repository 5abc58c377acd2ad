"""The leader's answers over the API: explanations, what-if questions, moves."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from swarmd.manager.cluster_service import ClusterService
from swarmd.model.errors import Code, Rejection
from swarmd.rpc.call import Call, Peer
from swarmd.rpc.convert import service_spec_to_pb
from swarmd.rpc.pb import cluster as pb
from tests.support.cluster import Swarm, a_node, a_service_spec, a_task_spec
from tests.support.daemon import SwarmWriter
from tests.support.hand_clock import HandClock

CALL = Call(Peer(local=True), "/swarmd.v1.Cluster/Explain")


class Scene:
    def __init__(self) -> None:
        self.swarm = Swarm(nodes=2)
        self.barriers = 0
        self.web = self.swarm.create(a_service_spec("web", replicas=2, task=a_task_spec(cpus=3)))
        self.swarm.converge()
        self.service = ClusterService(
            self.swarm.store,
            SwarmWriter(self.swarm),
            clock=HandClock(self.swarm.now),
            read_barrier=self._barrier,
            env=lambda: self.swarm.env,
        )

    async def _barrier(self) -> None:
        self.barriers += 1

    async def simulate(self, *hypotheses: pb.Hypothesis) -> pb.SimulateResponse:
        return await self.service.Simulate(CALL, pb.SimulateRequest(hypotheses=hypotheses))

    async def rebalance(self, **fields: Any) -> pb.RebalanceResponse:
        return await self.service.Rebalance(CALL, pb.RebalanceRequest(**fields))

    async def explain(self, **subject: str) -> pb.ExplainResponse:
        return await self.service.Explain(CALL, pb.ExplainRequest(**subject))


@pytest.mark.parametrize("word", ["web", "s-web", "WEB"])
async def test_a_service_is_found_by_id_or_name(word):
    scene = Scene()
    answer = await scene.explain(service_id=word)
    assert (answer.service_id, answer.running, answer.wanted) == ("s-web", 2, 2)
    (verdict,) = answer.verdicts
    assert (verdict.filter, verdict.count, sorted(verdict.nodes)) == ("resources", 2, ["n1", "n2"])
    assert scene.barriers == 1


async def test_a_task_is_explained_before_its_service():
    scene = Scene()
    task = scene.swarm.tasks(scene.web)[0]
    answer = await scene.explain(task_id=task.id)
    assert answer.reasons[0].startswith(f"task web.1 ({task.id}) is running on")
    assert answer.service_name == "web"


@pytest.mark.parametrize(
    ("subject", "code"),
    [
        pytest.param({}, Code.INVALID_ARGUMENT, id="nothing named"),
        pytest.param({"service_id": "db"}, Code.NOT_FOUND, id="no such service"),
        pytest.param({"task_id": "t"}, Code.NOT_FOUND, id="no such task"),
    ],
)
async def test_what_cannot_be_found_is_refused(subject, code):
    with pytest.raises(Rejection) as refusal:
        await Scene().explain(**subject)
    assert refusal.value.code is code


async def test_a_question_is_refused_as_the_request_itself_would_be():
    scene = Scene()
    spec = service_spec_to_pb(a_service_spec("web"))
    with pytest.raises(Rejection, match="web"):
        await scene.simulate(pb.Hypothesis(service_created=spec))
    bad = service_spec_to_pb(a_service_spec("a/b"))
    with pytest.raises(Rejection, match="a/b"):
        await scene.simulate(pb.Hypothesis(service_created=bad))
    renamed = pb.ServiceUpdated(service="web", spec=service_spec_to_pb(a_service_spec("other")))
    with pytest.raises(Rejection, match="cannot be renamed"):
        await scene.simulate(pb.Hypothesis(service_updated=renamed))


@pytest.mark.parametrize(
    "hypotheses",
    [
        pytest.param([], id="none"),
        pytest.param([pb.Hypothesis()], id="an empty one"),
        pytest.param([pb.Hypothesis(node_down="n1")] * 101, id="too many"),
        pytest.param([pb.Hypothesis(service_updated=pb.ServiceUpdated(service="web"))], id="bare"),
    ],
)
async def test_a_question_without_sense_is_refused(hypotheses):
    with pytest.raises(Rejection):
        await Scene().simulate(*hypotheses)


async def test_questions_take_turns_and_too_many_are_refused():
    scene = Scene()
    answers = []

    async def ask() -> None:
        try:
            answers.append(await scene.simulate(pb.Hypothesis(node_down="n1")))
        except Rejection as rejection:
            answers.append(rejection.code)

    async with asyncio.TaskGroup() as group:
        for _ in range(6):
            group.create_task(ask())
    refused = [answer for answer in answers if answer is Code.RESOURCE_EXHAUSTED]
    assert len(refused) == 2
    assert all(answer.pending == 1 for answer in answers if answer not in refused)


async def test_moves_begin_only_as_many_as_may_be_under_way():
    scene = Scene()
    small = scene.swarm.create(a_service_spec("small", replicas=8))
    scene.swarm.converge()
    scene.swarm.put_node(a_node("n3"))
    dry = await scene.rebalance(dry_run=True)
    assert (len(dry.moves), dry.started, dry.under_way) == (3, 0, 0)
    first = await scene.rebalance()
    assert (first.started, first.under_way) == (1, 1)
    second = await scene.rebalance()
    assert (len(second.moves), second.started, second.under_way) == (0, 0, 1)
    scene.swarm.converge()
    assert scene.swarm.nodes_of(small)["n3"] == 1
    with pytest.raises(Rejection, match="nothing"):
        await scene.rebalance(services=["nothing"])
