"""Images as `swarmd image ls` asks for them: of this node, or through a manager of others."""

from __future__ import annotations

from typing import NamedTuple

from swarmd.cli.absent import tell_absent
from swarmd.cli.client import Client
from swarmd.cli.lookup import find_node
from swarmd.rpc.pb import images as pb

LOCAL = "swarmd.v1.Images"
CLUSTER = "swarmd.v1.ClusterImages"
CALL_S_MAX = 60.0


class Placed(NamedTuple):
    """An image, and the node that has it; empty for this one."""

    image: pb.Image
    node: str


async def own_images(client: Client) -> list[Placed]:
    """The images of this node."""
    listed = await client.stub(LOCAL).List(pb.ListImagesRequest(), timeout_s=CALL_S_MAX)
    return [Placed(image, "") for image in listed.images]


async def images_of(client: Client, nodes: tuple[str, ...]) -> list[Placed]:
    """Images by name and node; nodes that don't answer are named on standard error.

    Args:
        nodes: names or ids; empty for all.
    """
    known = [node for node, _ in await client.nodes()]
    names = {str(node.id): node.hostname for node in known}
    request = pb.ListClusterImagesRequest(node_ids=[find_node(known, word).id for word in nodes])
    listed = await client.stub(CLUSTER).List(request, timeout_s=CALL_S_MAX)
    tell_absent(listed.absent, names, "images")
    found = [
        (row.image.name, names.get(row.node_id, row.node_id), row.node_id, row.image)
        for row in listed.images
    ]
    return [Placed(image, node) for _, node, _, image in sorted(found, key=lambda row: row[:3])]
