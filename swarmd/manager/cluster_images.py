"""`swarmd.v1.ClusterImages`: the images of all nodes, asked of the nodes one beside the other."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from swarmd.manager.asked_nodes import ask_each
from swarmd.manager.errands import Errands
from swarmd.model.errors import Code, Rejection
from swarmd.model.ids import NodeId
from swarmd.model.registry_login import login_id_for
from swarmd.model.secret import Secret
from swarmd.rpc.call import Call
from swarmd.rpc.pb import images as pb
from swarmd.store.changes import Kind
from swarmd.store.view import View

CLUSTER_IMAGES = "swarmd.v1.ClusterImages"
IMAGES = "/swarmd.v1.Images"
# A node may have to start its containerd first.
LIST_S = 10.0
REMOVE_S = 60.0
PRUNE_S = 1800.0
PULL_S = 3600.0


class ClusterImages:
    """Asks nodes that are connected to this leader.

    Args:
        read_barrier: returns once the replica holds everything acknowledged before the call.
    """

    def __init__(
        self,
        view: View,
        errands: Errands,
        *,
        read_barrier: Callable[[], Awaitable[object]],
    ) -> None:
        self._view = view
        self._errands = errands
        self._read_barrier = read_barrier

    async def List(
        self, call: Call, request: pb.ListClusterImagesRequest
    ) -> pb.ListClusterImagesResponse:
        """The images of nodes that answer, and the names of those that don't."""
        await self._read_barrier()
        answer = pb.ListClusterImagesResponse()

        async def ask(node_id: NodeId) -> None:
            listed: pb.ListImagesResponse = await self._errands.call(
                node_id, f"{IMAGES}/List", pb.ListImagesRequest(), within_s=LIST_S
            )
            for image in listed.images:
                answer.images.add(node_id=node_id, image=image)

        answer.absent.extend(await ask_each(self._view, request.node_ids, ask))
        return answer

    async def Pull(
        self, call: Call, request: pb.PullClusterImageRequest
    ) -> pb.ListClusterImagesResponse:
        await self._read_barrier()
        wanted = request.image
        if not (wanted.username or wanted.registry_auth):
            # Workers know the swarm's logins for images of their tasks only.
            wanted.registry_auth = self._login(wanted.name)
        answer = pb.ListClusterImagesResponse()

        async def ask(node_id: NodeId) -> None:
            fetched: pb.FetchImageResponse = await self._errands.call(
                node_id, f"{IMAGES}/Fetch", wanted, within_s=PULL_S
            )
            answer.images.add(node_id=node_id, image=fetched.image)

        answer.absent.extend(await ask_each(self._view, request.node_ids, ask))
        return answer

    async def Remove(
        self, call: Call, request: pb.RemoveClusterImageRequest
    ) -> pb.ListClusterImagesResponse:
        await self._read_barrier()
        answer = pb.ListClusterImagesResponse()

        async def ask(node_id: NodeId) -> None:
            try:
                await self._errands.call(
                    node_id, f"{IMAGES}/Remove", request.image, within_s=REMOVE_S
                )
            except Rejection as rejection:
                if rejection.code is not Code.NOT_FOUND or request.node_ids:
                    raise
            else:
                answer.images.add(node_id=node_id, image=pb.Image(name=request.image.name))

        answer.absent.extend(await ask_each(self._view, request.node_ids, ask))
        if not answer.images and not answer.absent:
            raise Rejection(Code.NOT_FOUND, f"no node has an image {request.image.name}")
        return answer

    async def Prune(
        self, call: Call, request: pb.PruneClusterImagesRequest
    ) -> pb.ListClusterImagesResponse:
        await self._read_barrier()
        answer = pb.ListClusterImagesResponse()

        async def ask(node_id: NodeId) -> None:
            pruned: pb.PruneImagesResponse = await self._errands.call(
                node_id, f"{IMAGES}/Prune", request.images, within_s=PRUNE_S
            )
            for name in pruned.names:
                answer.images.add(node_id=node_id, image=pb.Image(name=name))

        answer.absent.extend(await ask_each(self._view, request.node_ids, ask))
        return answer

    def _login(self, image: str) -> str:
        """The swarm's login to an image's registry, as specs carry one; empty for none."""
        secret = self._view.find(Kind.SECRET, login_id_for(image) or "")
        if not isinstance(secret, Secret) or not secret.internal:
            return ""
        return secret.spec.data.decode()
