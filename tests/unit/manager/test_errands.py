"""Calls of the leader to nodes, carried out by what listens there."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from swarmd.agent.errands import ErrandServer
from swarmd.manager.cluster_images import ClusterImages
from swarmd.manager.cluster_volumes import ClusterVolumes
from swarmd.manager.errands import Errands
from swarmd.model.errors import Code, Rejection
from swarmd.model.ids import NodeId
from swarmd.model.registry_login import Credentials, encode_credentials, login_secret
from swarmd.rpc.call import Call, Peer
from swarmd.rpc.errors import RpcError
from swarmd.rpc.identity import WORKER, Identity
from swarmd.rpc.pb import errands as pb
from swarmd.rpc.pb import images, volumes
from swarmd.runtime.chance import RandomIds
from swarmd.runtime.supervise import Supervisor
from swarmd.store.changes import Create, Transaction
from tests.support.manager import LEADER, a_manager

N1, N2 = NodeId("n1"), NodeId("n2")
LIST = "/swarmd.v1.Volumes/List"
RETURN_S = 0.05
LOCAL = Call(Peer(local=True), "a method")


class Volumes:
    """The volumes of one node."""

    def __init__(self, *names: str) -> None:
        self.names = list(names)

    async def List(self, call: Call, request: volumes.ListVolumesRequest) -> Any:
        return volumes.ListVolumesResponse(volumes=[volumes.Volume(name=n) for n in self.names])

    async def Remove(self, call: Call, request: volumes.RemoveVolumeRequest) -> Any:
        if request.name not in self.names:
            raise Rejection(Code.NOT_FOUND, f"this node has no volume {request.name}")
        self.names.remove(request.name)
        return volumes.RemoveVolumeResponse()


class Images:
    """The part of a node's images that managers may ask."""

    def __init__(self, *names: str) -> None:
        self.names = list(names)
        self.logins: list[str] = []

    async def List(self, call: Call, request: images.ListImagesRequest) -> Any:
        found = [images.Image(name=name, size_bytes=7) for name in self.names]
        return images.ListImagesResponse(images=found)

    async def Fetch(self, call: Call, request: images.PullImageRequest) -> Any:
        self.names.append(request.name)
        self.logins.append(request.username or request.registry_auth)
        return images.FetchImageResponse(image=images.Image(name=request.name, digest="sha256:1"))

    async def Remove(self, call: Call, request: images.RemoveImageRequest) -> Any:
        if request.name not in self.names:
            raise Rejection(Code.NOT_FOUND, f"this node has no image {request.name}")
        self.names.remove(request.name)
        return images.RemoveImageResponse()

    async def Prune(self, call: Call, request: images.PruneImagesRequest) -> Any:
        pruned, self.names = self.names, []
        return images.PruneImagesResponse(names=pruned)


class Stub:
    """The broker as one node reaches it."""

    def __init__(self, broker: Errands, node: str) -> None:
        self._broker = broker
        self._call = Call(Peer(identity=Identity(node, "c1", (WORKER,))), "a method")
        self.deaf = False

    async def Listen(self, request: Any) -> AsyncIterator[Any]:
        try:
            async for errand in self._broker.Listen(self._call, request):
                if not self.deaf:
                    yield errand
        except Rejection as rejection:
            raise RpcError(rejection.code, rejection.message) from None

    async def Answer(self, request: pb.ErrandAnswer) -> pb.ErrandAnswerResponse:
        return await self._broker.Answer(self._call, request)


class Scene:
    def __init__(self) -> None:
        self.store, self.writer = a_manager("n1", "n2")
        self.errands = Errands(
            ids=RandomIds(random.Random(1)), own_node_id=LEADER, return_s=RETURN_S
        )
        self.tasks = Supervisor("test")

        async def barrier() -> None:
            await asyncio.sleep(0)

        self.volumes = ClusterVolumes(self.store, self.errands, read_barrier=barrier)
        self.images = ClusterImages(self.store, self.errands, read_barrier=barrier)

    async def join(self, node: str, service: object, *, name: str = "swarmd.v1.Volumes") -> Stub:
        stub = Stub(self.errands, node)
        server = ErrandServer({name: service}, rng=random.Random(1))
        server.follow(stub)
        self.tasks.keep(server.run, name=node)
        for _ in range(20):
            await asyncio.sleep(0)
        return stub

    async def leave(self) -> None:
        """All nodes listen no more."""
        await self.tasks.stop()
        self.tasks = Supervisor("test")

    async def ask(self, node: NodeId, path: str = LIST, within_s: float = 5.0) -> Any:
        return await self.errands.call(node, path, volumes.ListVolumesRequest(), within_s=within_s)


@asynccontextmanager
async def a_scene() -> AsyncIterator[Scene]:
    scene = Scene()
    try:
        yield scene
    finally:
        await scene.tasks.stop()


async def test_a_node_answers_what_it_serves_and_nothing_else() -> None:
    async with a_scene() as scene:
        await scene.join("n1", Volumes("a"))
        assert [row.name for row in (await scene.ask(N1)).volumes] == ["a"]
        for path in ("/swarmd.v1.Local/StopDaemon", "/swarmd.v1.Images/Load"):
            with pytest.raises(Rejection) as refused:
                await scene.ask(N1, path)
            assert refused.value.code is Code.UNIMPLEMENTED


async def test_a_node_that_is_away_or_silent_is_told_apart_and_waited_for_no_longer() -> None:
    async with a_scene() as scene:
        with pytest.raises(Rejection, match="not connected"):
            await scene.ask(N1)
        stub = await scene.join("n1", Volumes())
        stub.deaf = True
        with pytest.raises(Rejection, match=r"did not answer within 0\.01 s"):
            await scene.ask(N1, within_s=0.01)
        asking = asyncio.ensure_future(scene.ask(N1))
        await asyncio.sleep(0.01)
        scene.errands.stop()
        with pytest.raises(Rejection, match="leader of the swarm has changed"):
            await asking


async def test_errands_of_a_node_that_goes_away_are_given_up_unless_it_returns() -> None:
    async with a_scene() as scene:
        stub = await scene.join("n1", Volumes())
        stub.deaf = True
        asking = asyncio.ensure_future(scene.ask(N1, within_s=3600))
        await asyncio.sleep(0.01)
        await scene.leave()
        stub = await scene.join("n1", Volumes())
        stub.deaf = True
        await asyncio.sleep(2 * RETURN_S)
        assert not asking.done()
        await scene.leave()
        with pytest.raises(Rejection, match="went away; whether it has done"):
            await asking


async def test_no_node_answers_for_another() -> None:
    async with a_scene() as scene:
        stub = await scene.join("n1", Volumes())
        stub.deaf = True
        other = Stub(scene.errands, "n2")
        asking = asyncio.ensure_future(scene.ask(N1, within_s=0.2))
        await asyncio.sleep(0.01)
        for errand_id in scene.errands.under_way():
            await other.Answer(pb.ErrandAnswer(id=errand_id, response=b""))
        with pytest.raises(Rejection, match="did not answer"):
            await asking


async def test_volumes_of_all_nodes_are_listed_with_the_names_of_those_that_are_away() -> None:
    async with a_scene() as scene:
        await scene.join("n1", Volumes("a", "b"))
        listed = await scene.volumes.List(LOCAL, volumes.ListClusterVolumesRequest())
        assert [(row.node_id, row.volume.name) for row in listed.volumes] == [
            ("n1", "a"),
            ("n1", "b"),
        ]
        assert [(row.node_id, row.reason) for row in listed.absent] == [
            ("n2", "not connected to the leader just now")
        ]
        only = volumes.ListClusterVolumesRequest(node_ids=["n1"])
        assert not (await scene.volumes.List(LOCAL, only)).absent
        remove = volumes.RemoveClusterVolumeRequest(
            node_id="n1", volume=volumes.RemoveVolumeRequest(name="a")
        )
        await scene.volumes.Remove(LOCAL, remove)
        with pytest.raises(Rejection, match="this node has no volume a"):
            await scene.volumes.Remove(LOCAL, remove)
        remove.node_id = "n9"
        with pytest.raises(Rejection) as refused:
            await scene.volumes.Remove(LOCAL, remove)
        assert refused.value.code is Code.NOT_FOUND


async def test_images_of_all_nodes_are_listed_and_those_that_are_away_named() -> None:
    async with a_scene() as scene:
        await scene.join("n2", Images("a:1"), name="swarmd.v1.Images")
        listed = await scene.images.List(LOCAL, images.ListClusterImagesRequest())
        assert [(row.node_id, row.image.name, row.image.size_bytes) for row in listed.images] == [
            ("n2", "a:1", 7)
        ]
        assert [row.node_id for row in listed.absent] == ["n1"]
        with pytest.raises(Rejection, match="does not serve"):
            await scene.ask(N2, "/swarmd.v1.Images/CheckLogin")
        with pytest.raises(Rejection) as refused:
            await scene.images.List(LOCAL, images.ListClusterImagesRequest(node_ids=["n9"]))
        assert refused.value.code is Code.NOT_FOUND


async def test_images_are_removed_from_whichever_nodes_have_them() -> None:
    async with a_scene() as scene:
        await scene.join("n1", Images("a:1", "b:1"), name="swarmd.v1.Images")
        await scene.join("n2", Images("b:1"), name="swarmd.v1.Images")

        async def remove(name: str, *node_ids: str) -> tuple[list[str], list[str]]:
            image = images.RemoveImageRequest(name=name)
            request = images.RemoveClusterImageRequest(node_ids=node_ids, image=image)
            answer = await scene.images.Remove(LOCAL, request)
            return [row.node_id for row in answer.images], [row.reason for row in answer.absent]

        assert await remove("a:1", "n2") == ([], ["this node has no image a:1"])
        assert await remove("a:1") == (["n1"], [])
        assert await remove("b:1") == (["n1", "n2"], [])
        with pytest.raises(Rejection, match="no node has an image b:1"):
            await remove("b:1")


async def test_pruning_asks_all_nodes_or_those_that_are_named() -> None:
    async with a_scene() as scene:
        await scene.join("n1", Images("a:1"), name="swarmd.v1.Images")
        await scene.join("n2", Images("b:1", "c:1"), name="swarmd.v1.Images")
        request = images.PruneClusterImagesRequest(node_ids=["n1"])
        pruned = await scene.images.Prune(LOCAL, request)
        assert [(row.node_id, row.image.name) for row in pruned.images] == [("n1", "a:1")]
        pruned = await scene.images.Prune(LOCAL, images.PruneClusterImagesRequest())
        assert [row.image.name for row in pruned.images] == ["b:1", "c:1"]


async def test_nodes_pull_with_the_credentials_of_the_caller_or_else_of_the_swarm() -> None:
    async with a_scene() as scene:
        node = Images()
        await scene.join("n1", node, name="swarmd.v1.Images")
        login = login_secret("reg.test", Credentials("me", "pw"))
        await scene.writer.submit(Transaction((Create(login, "test"),)))
        for image in (
            images.PullImageRequest(name="reg.test/a:1"),
            images.PullImageRequest(name="other.test/a:1"),
            images.PullImageRequest(name="reg.test/a:1", username="you", password="x"),
            images.PullImageRequest(name="reg.test/a:1", registry_auth="given"),
        ):
            request = images.PullClusterImageRequest(node_ids=["n1"], image=image)
            answer = await scene.images.Pull(LOCAL, request)
            assert [(row.node_id, row.image.digest) for row in answer.images] == [
                ("n1", "sha256:1")
            ]
        kept = encode_credentials(Credentials("me", "pw"))
        assert node.logins == [kept, "", "you", "given"]
