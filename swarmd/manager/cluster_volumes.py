"""`swarmd.v1.ClusterVolumes`: the volumes of all nodes, asked of the nodes one beside the other."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable

from swarmd.manager.errands import Errands
from swarmd.model.errors import Code, Rejection, invalid
from swarmd.model.ids import NodeId
from swarmd.model.node import Node
from swarmd.model.states import NodeState
from swarmd.rpc.call import Call
from swarmd.rpc.pb import volumes as pb
from swarmd.store.view import View

CLUSTER_VOLUMES = "swarmd.v1.ClusterVolumes"
VOLUMES = "/swarmd.v1.Volumes"
LIST_S = 5.0
# Removing deletes what is in a volume.
CHANGE_S = 60.0
AT_ONCE = 64


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
        at_once = asyncio.Semaphore(AT_ONCE)

        async def ask(node: Node) -> None:
            async with at_once:
                try:
                    volumes = await self._volumes_of(node)
                except Rejection as rejection:
                    answer.absent.add(node_id=node.id, reason=rejection.message)
                    return
            for volume in volumes:
                answer.volumes.add(node_id=node.id, volume=volume)

        async with asyncio.TaskGroup() as tasks:
            for node in self._nodes(request.node_ids):
                tasks.create_task(ask(node))
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

    async def _volumes_of(self, node: Node) -> Iterable[pb.Volume]:
        if node.status.state is NodeState.DOWN:
            raise Rejection(Code.UNAVAILABLE, "the node is down")
        answer: pb.ListVolumesResponse = await self._errands.call(
            node.id, f"{VOLUMES}/List", pb.ListVolumesRequest(), within_s=LIST_S
        )
        return answer.volumes

    def _nodes(self, node_ids: Iterable[str]) -> Iterable[Node]:
        wanted = tuple(node_ids)
        return tuple(map(self._view.get_node, wanted)) if wanted else self._view.nodes()

    async def _node(self, node_id: str) -> Node:
        if not node_id:
            raise invalid("invalid argument: the node is missing")
        await self._read_barrier()
        return self._view.get_node(NodeId(node_id))
