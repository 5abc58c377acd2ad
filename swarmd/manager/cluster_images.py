"""`swarmd.v1.ClusterImages`: the images of all nodes, asked of the nodes one beside the other."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from swarmd.manager.asked_nodes import ask_each
from swarmd.manager.errands import Errands
from swarmd.model.ids import NodeId
from swarmd.rpc.call import Call
from swarmd.rpc.pb import images as pb
from swarmd.store.view import View

CLUSTER_IMAGES = "swarmd.v1.ClusterImages"
LIST_IMAGES = "/swarmd.v1.Images/List"
# A node may have to start its containerd first.
LIST_S = 10.0


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
                node_id, LIST_IMAGES, pb.ListImagesRequest(), within_s=LIST_S
            )
            for image in listed.images:
                answer.images.add(node_id=node_id, image=image)

        answer.absent.extend(await ask_each(self._view, request.node_ids, ask))
        return answer
