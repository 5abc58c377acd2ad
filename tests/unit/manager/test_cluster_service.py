"""Explain over the API: what names a subject, and what is refused."""

from __future__ import annotations

import pytest

from swarmd.manager.cluster_service import ClusterService
from swarmd.model.errors import Code, Rejection
from swarmd.rpc.call import Call, Peer
from swarmd.rpc.pb import cluster as pb
from tests.support.cluster import Swarm, a_service_spec, a_task_spec
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
