"""`swarmd.v1.ClusterVolumes`: the volumes of all nodes, asked of the nodes one beside the other."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from swarmd.manager.asked_nodes import ask_each
from swarmd.manager.errands import Errands
from swarmd.model.errors import invalid
from swarmd.model.ids import NodeId
from swarmd.model.node import Node
from swarmd.rpc.call import Call
from swarmd.rpc.pb import volumes as pb
from swarmd.store.view import View

CLUSTER_VOLUMES = "swarmd.v1.ClusterVolumes"
VOLUMES = "/swarmd.v1.Volumes"
LIST_S = 5.0
# Removing deletes what is in a volume.
CHANGE_S = 60.0


class ClusterVolumes:
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
        self, call: Call, request: pb.ListClusterVolumesRequest
    ) -> pb.ListClusterVolumesResponse:
        """The volumes of nodes that answer, and the names of those that don't."""
        await self._read_barrier()
        answer = pb.ListClusterVolumesResponse()

        async def ask(node_id: NodeId) -> None:
            listed: pb.ListVolumesResponse = await self._errands.call(
                node_id, f"{VOLUMES}/List", pb.ListVolumesRequest(), within_s=LIST_S
            )
            for volume in listed.volumes:
                answer.volumes.add(node_id=node_id, volume=volume)

        answer.absent.extend(await ask_each(self._view, request.node_ids, ask))
        return answer

    async def Create(
        self, call: Call, request: pb.CreateClusterVolumeRequest
    ) -> pb.CreateVolumeResponse:
        node = await self._node(request.node_id)
        answer: pb.CreateVolumeResponse = await self._errands.call(
            node.id, f"{VOLUMES}/Create", request.volume, within_s=CHANGE_S
        )
        return answer

    async def Remove(
        self, call: Call, request: pb.RemoveClusterVolumeRequest
    ) -> pb.RemoveVolumeResponse:
        node = await self._node(request.node_id)
        answer: pb.RemoveVolumeResponse = await self._errands.call(
            node.id, f"{VOLUMES}/Remove", request.volume, within_s=CHANGE_S
        )
        return answer

    async def _node(self, node_id: str) -> Node:
        if not node_id:
            raise invalid("invalid argument: the node is missing")
        await self._read_barrier()
        return self._view.get_node(NodeId(node_id))
