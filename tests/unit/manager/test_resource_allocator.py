"""Nodes attach what they run by themselves to networks, and give the places up again."""

from __future__ import annotations

import pytest

from swarmd.manager.resource_allocator import ResourceAllocator
from swarmd.model.errors import Code, Rejection
from swarmd.model.states import TaskState
from swarmd.rpc.call import Call, Peer
from swarmd.rpc.convert import task_to_pb
from swarmd.rpc.identity import WORKER, Identity
from swarmd.rpc.pb import resource as pb
from swarmd.rpc.pb import types
from tests.support.api import CountedIds
from tests.support.cluster import Swarm
from tests.support.daemon import SwarmWriter
from tests.support.hand_clock import HandClock
from tests.support.networks import add_network


class Scene:
    def __init__(self) -> None:
        self.swarm = Swarm(nodes=2)
        add_network(self.swarm, "open", attachable=True)
        add_network(self.swarm, "closed")
        self.service = ResourceAllocator(
            self.swarm.store,
            SwarmWriter(self.swarm),
            clock=HandClock(self.swarm.now),
            ids=CountedIds(),
            read_barrier=self._barrier,
        )

    async def _barrier(self) -> None:
        self.swarm.settle()

    async def attach(self, target: str, node: str = "n1", **fields: object) -> str:
        config = types.NetworkAttachmentConfig(target=target, **fields)  # type: ignore[arg-type]
        request = pb.AttachNetworkRequest(config=config, container_id="c1")
        answer = await self.service.AttachNetwork(a_call(node), request)
        return answer.attachment_id

    async def detach(self, attachment_id: str, node: str = "n1") -> None:
        request = pb.DetachNetworkRequest(attachment_id=attachment_id)
        await self.service.DetachNetwork(a_call(node), request)


def a_call(node: str) -> Call:
    identity = Identity(node_id=node, cluster_id="cluster", roles=(WORKER,)) if node else None
    return Call(Peer(identity=identity, local=not node), "/docker.swarmkit.v1.ResourceAllocator/x")


async def test_a_node_is_attached_with_what_it_asked_for_and_detached_again():
    scene = Scene()
    attachment_id = await scene.attach("open", aliases=["db"], addresses=["10.0.0.77"])
    scene.swarm.converge()
    task = scene.swarm.store.get_task(attachment_id)
    assert (task.node_id, task.service_id) == ("n1", "")
    assert (task.status.state, task.desired_state) == (TaskState.RUNNING, TaskState.RUNNING)
    (place,) = task.networks
    assert (place.addresses, place.aliases) == (("10.0.0.77/24",), ("db",))
    message = task_to_pb(task)
    assert message.spec.WhichOneof("runtime") == "attachment"
    assert message.spec.attachment.container_id == "c1"
    await scene.detach(attachment_id)
    scene.swarm.converge()
    assert scene.swarm.store.tasks() == ()
    assert scene.swarm.store.get_node("n1").attachments == ()


@pytest.mark.parametrize(
    ("target", "node", "fields", "code", "words"),
    [
        pytest.param("", "n1", {}, Code.INVALID_ARGUMENT, "network to attach to", id="no target"),
        pytest.param("else", "n1", {}, Code.NOT_FOUND, "network else not found", id="unknown"),
        pytest.param(
            "closed", "n1", {}, Code.PERMISSION_DENIED, "is for services only", id="closed"
        ),
        pytest.param("open", "n9", {}, Code.NOT_FOUND, "node n9 not found", id="unknown node"),
        pytest.param("open", "", {}, Code.PERMISSION_DENIED, "certificates", id="no node"),
        pytest.param(
            "open", "n1", {"addresses": ["1.1.1.1"] * 3}, Code.INVALID_ARGUMENT, "2 addresses",
            id="addresses",
        ),
        pytest.param(
            "open", "n1", {"aliases": ["a"] * 65}, Code.INVALID_ARGUMENT, "64 aliases", id="aliases"
        ),
    ],
)  # fmt: skip
async def test_attaching_is_refused_by_name(target, node, fields, code, words):
    with pytest.raises(Rejection, match=words) as refusal:
        await Scene().attach(target, node, **fields)
    assert refusal.value.code is code


async def test_a_node_gives_up_only_what_is_its_own():
    scene = Scene()
    attachment_id = await scene.attach("open")
    for word, node, code in (
        ("", "n1", Code.INVALID_ARGUMENT),
        ("nothing", "n1", Code.NOT_FOUND),
        (attachment_id, "n2", Code.PERMISSION_DENIED),
        (attachment_id, "", Code.PERMISSION_DENIED),
    ):
        with pytest.raises(Rejection) as refusal:
            await scene.detach(word, node)
        assert refusal.value.code is code
    assert scene.swarm.store.find_task(attachment_id) is not None
