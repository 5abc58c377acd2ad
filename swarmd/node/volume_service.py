"""`swarmd.v1.Volumes`: the volumes of this node, asked on its control socket or by a manager."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from swarmd.agent.volumes import Volume, VolumeProblem, VolumeStore
from swarmd.model.errors import Code, Rejection, failed_precondition, invalid
from swarmd.rpc.call import Call
from swarmd.rpc.pb import volumes as pb

VOLUMES = "swarmd.v1.Volumes"


class VolumeService:
    """Answers for one node; whoever reaches it may ask everything.

    Args:
        store: finds the node's volumes; raises a `Rejection` where it has none.
    """

    def __init__(self, store: Callable[[], VolumeStore]) -> None:
        self._store = store

    async def Create(self, call: Call, request: pb.CreateVolumeRequest) -> pb.CreateVolumeResponse:
        store = self._store()
        try:
            volume = await store.create(
                request.name, labels=dict(request.labels), options=dict(request.options)
            )
        except VolumeProblem as error:
            raise invalid(str(error)) from None
        return pb.CreateVolumeResponse(volume=_message(store, volume))

    async def List(self, call: Call, request: pb.ListVolumesRequest) -> pb.ListVolumesResponse:
        store = self._store()
        try:
            volumes = await asyncio.to_thread(store.all)
        except VolumeProblem as error:
            raise failed_precondition(str(error)) from None
        return pb.ListVolumesResponse(volumes=[_message(store, volume) for volume in volumes])

    async def Remove(self, call: Call, request: pb.RemoveVolumeRequest) -> pb.RemoveVolumeResponse:
        try:
            removed = await self._store().remove(request.name)
        except VolumeProblem as error:
            raise failed_precondition(str(error)) from None
        if not removed:
            raise Rejection(Code.NOT_FOUND, f"this node has no volume {request.name}")
        return pb.RemoveVolumeResponse()


def _message(store: VolumeStore, volume: Volume) -> pb.Volume:
    message = pb.Volume(
        name=volume.name,
        labels=dict(volume.labels),
        options=dict(volume.options),
        mountpoint=str(store.path(volume.name)),
        task_ids=store.users(volume.name),
    )
    message.created_at.FromNanoseconds(volume.created_at)
    return message
