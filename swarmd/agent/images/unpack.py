"""From layers in the content store to a snapshot that containers start from.

Every stack of layers is a snapshot named by its chain id, shared by all images that begin with it.
A stack is committed only after what was unpacked had the digest the image configuration promises.
"""

from __future__ import annotations

import asyncio

from swarmd.agent.executors.containerd.client import Client, is_full, is_missing, is_there_already
from swarmd.agent.images.content import Content
from swarmd.agent.images.layers import check_layer
from swarmd.agent.images.manifest import Descriptor, chain_ids
from swarmd.agent.images.problems import BadImage
from swarmd.model.errors import Code
from swarmd.rpc.errors import RpcError
from swarmd.rpc.pb.containerd import diff_pb2, snapshots_pb2

SNAPSHOTTER = "overlayfs"
UNPACK_S_MAX = 1800.0


async def unpack(
    client: Client,
    content: Content,
    layers: tuple[Descriptor, ...],
    diff_ids: tuple[str, ...],
) -> str:
    """Make the snapshots of a stack of layers; returns the name of the topmost.

    Args:
        client: under a lease that holds the snapshots until something refers to them.

    Raises:
        BadImage: a layer is damaged, unsafe, or not what the configuration says.
    """
    parent = ""
    for layer, diff_id, chain_id in zip(layers, diff_ids, chain_ids(diff_ids), strict=True):
        await client.hold(f"snapshots/{SNAPSHOTTER}", chain_id)
        if not await has_snapshot(client, chain_id):
            await _unpack_layer(client, content, layer, diff_id, parent=parent, name=chain_id)
        parent = chain_id
    return parent


async def has_snapshot(client: Client, name: str) -> bool:
    request = snapshots_pb2.StatSnapshotRequest(snapshotter=SNAPSHOTTER, key=name)
    try:
        await client.snapshots.Stat(request)
    except RpcError as error:
        if is_missing(error):
            return False
        raise
    return True


async def remove_snapshot(client: Client, key: str) -> None:
    """Remove a snapshot; one that is gone already will do."""
    request = snapshots_pb2.RemoveSnapshotRequest(snapshotter=SNAPSHOTTER, key=key)
    try:
        await client.snapshots.Remove(request)
    except RpcError as error:
        if not is_missing(error):
            raise


async def _unpack_layer(
    client: Client,
    content: Content,
    layer: Descriptor,
    diff_id: str,
    *,
    parent: str,
    name: str,
) -> None:
    with await content.open(layer.digest) as file:
        await asyncio.to_thread(check_layer, file)
    key = f"extract {name}"
    await remove_snapshot(client, key)  # of a daemon that was killed while unpacking
    prepare = snapshots_pb2.PrepareSnapshotRequest(snapshotter=SNAPSHOTTER, key=key, parent=parent)
    prepared = await client.snapshots.Prepare(prepare)
    try:
        apply = diff_pb2.ApplyRequest(mounts=prepared.mounts)
        apply.diff.media_type = layer.media_type
        apply.diff.digest = layer.digest
        apply.diff.size = layer.size
        applied = await client.diff.Apply(apply, timeout_s=UNPACK_S_MAX)
        if applied.applied.digest != diff_id:
            raise BadImage(
                f"layer {layer.digest} unpacks to {applied.applied.digest}, "
                f"not to the {diff_id} its image configuration promises"
            )
        commit = snapshots_pb2.CommitSnapshotRequest(snapshotter=SNAPSHOTTER, name=name, key=key)
        try:
            await client.snapshots.Commit(commit)
        except RpcError as error:
            if not is_there_already(error):
                raise
            await remove_snapshot(client, key)
    except BaseException as error:
        await asyncio.shield(remove_snapshot(client, key))
        wrong = (Code.UNKNOWN, Code.INVALID_ARGUMENT)
        if isinstance(error, RpcError) and error.code in wrong and not is_full(error):
            raise BadImage(f"layer {layer.digest} cannot be unpacked: {error.message}") from None
        raise
