"""Volumes as commands ask for them: of all nodes through a manager, of its own from a worker."""

from __future__ import annotations

from typing import NamedTuple

from swarmd.cli.absent import tell_absent
from swarmd.cli.client import Client
from swarmd.cli.errors import CliError
from swarmd.cli.lookup import find_node
from swarmd.model.node import Node
from swarmd.rpc.pb import volumes as pb

LOCAL = "swarmd.v1.Volumes"
CLUSTER = "swarmd.v1.ClusterVolumes"
CALL_S_MAX = 90.0


class Placed(NamedTuple):
    """A volume, and the node it is on; the id is empty for this node, asked directly."""

    volume: pb.Volume
    node_id: str
    node: str  # as people know it


async def volumes(client: Client, nodes: tuple[str, ...]) -> list[Placed]:
    """Volumes by name and node; nodes that don't answer are named on standard error.

    Args:
        nodes: names or ids; empty for all.
    """
    if not await _is_manager(client, nodes):
        answer = await client.stub(LOCAL).List(pb.ListVolumesRequest(), timeout_s=CALL_S_MAX)
        return [Placed(volume, "", "this node") for volume in answer.volumes]
    known = await _nodes(client)
    names = {str(node.id): node.hostname for node in known}
    request = pb.ListClusterVolumesRequest(node_ids=[find_node(known, word).id for word in nodes])
    listed = await client.stub(CLUSTER).List(request, timeout_s=CALL_S_MAX)
    tell_absent(listed.absent, names, "volumes")
    found = [
        Placed(row.volume, row.node_id, names.get(row.node_id, row.node_id))
        for row in listed.volumes
    ]
    return sorted(found, key=lambda row: (row.volume.name, row.node, row.node_id))


async def create(client: Client, request: pb.CreateVolumeRequest, nodes: tuple[str, ...]) -> None:
    if not nodes or not await _is_manager(client, nodes):
        await client.stub(LOCAL).Create(request, timeout_s=CALL_S_MAX)
        return
    known = await _nodes(client)
    for node in [find_node(known, word) for word in nodes]:
        asked = pb.CreateClusterVolumeRequest(node_id=node.id, volume=request)
        await client.stub(CLUSTER).Create(asked, timeout_s=CALL_S_MAX)


async def remove(client: Client, placed: Placed) -> None:
    request = pb.RemoveVolumeRequest(name=placed.volume.name)
    if not placed.node_id:
        await client.stub(LOCAL).Remove(request, timeout_s=CALL_S_MAX)
        return
    asked = pb.RemoveClusterVolumeRequest(node_id=placed.node_id, volume=request)
    await client.stub(CLUSTER).Remove(asked, timeout_s=CALL_S_MAX)


async def _is_manager(client: Client, nodes: tuple[str, ...]) -> bool:
    if (await client.info()).is_manager:
        return True
    if nodes:
        raise CliError(
            "this node is not a manager, so it knows its own volumes only",
            hint="run the command on a manager, or without --node",
        )
    return False


async def _nodes(client: Client) -> list[Node]:
    return [node for node, _ in await client.nodes()]
