"""Images as `swarmd image` asks for them: of this node, or through a manager of others."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import click

from swarmd.cli.absent import tell_absent
from swarmd.cli.client import Client
from swarmd.cli.errors import CliError
from swarmd.cli.lookup import find_node
from swarmd.model.node import Node
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
    request = pb.ListClusterImagesRequest(node_ids=_ids(known, nodes))
    listed = await client.stub(CLUSTER).List(request, timeout_s=CALL_S_MAX)
    tell_absent(listed.absent, _hostnames(known), "images")
    return _placed(listed.images, known)


async def change(
    client: Client,
    nodes: tuple[str, ...],
    method: str,
    request: Any,
    *,
    says: Callable[[Placed], str],
    timeout_s: float,
) -> None:
    """Have nodes do something with images, and print what they did.

    Args:
        nodes: names or ids; empty for all.
        method: of `swarmd.v1.ClusterImages`.
        request: its, but for the nodes.
        says: a line for each image that it was done with.

    Raises:
        CliError: some nodes have not done it, by name and reason; the others have all the same.
    """
    known = [node for node, _ in await client.nodes()]
    request.node_ids.extend(_ids(known, nodes))
    answer = await getattr(client.stub(CLUSTER), method)(request, timeout_s=timeout_s)
    for row in _placed(answer.images, known):
        click.echo(says(row))
    names = _hostnames(known)
    absent = [f"node {names.get(row.node_id, row.node_id)}: {row.reason}" for row in answer.absent]
    if absent:
        raise CliError("not done everywhere: " + "; ".join(sorted(absent)))


def _ids(known: list[Node], words: tuple[str, ...]) -> list[str]:
    return [find_node(known, word).id for word in words]


def _hostnames(known: list[Node]) -> dict[str, str]:
    return {str(node.id): node.hostname for node in known}


def _placed(rows: Iterable[pb.NodeImage], known: list[Node]) -> list[Placed]:
    names = _hostnames(known)
    found = [
        (row.image.name, names.get(row.node_id, row.node_id), row.node_id, row.image)
        for row in rows
    ]
    return [Placed(image, node) for _, node, _, image in sorted(found, key=lambda row: row[:3])]
