"""`swarmd.v1.Images`: the images of this node, asked on its control socket."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import TYPE_CHECKING

from swarmd.agent.executors.containerd.engine import EngineDown
from swarmd.agent.executors.node import NodeExecutor
from swarmd.agent.images.auth import Credentials
from swarmd.agent.images.problems import BadImage, NoSuchImage, Unreachable
from swarmd.agent.images.store import Image, ImageStore
from swarmd.model.errors import Code, Rejection, failed_precondition, invalid
from swarmd.model.reference import BadReference, parse
from swarmd.rpc.call import Call
from swarmd.rpc.errors import RpcError
from swarmd.rpc.pb import images as pb

if TYPE_CHECKING:
    from .daemon import Daemon

IMAGES = "swarmd.v1.Images"


class ImageService:
    """Answers for one daemon; everybody who reaches the socket may ask everything."""

    def __init__(self, daemon: Daemon) -> None:
        self._daemon = daemon

    async def List(self, call: Call, request: pb.ListImagesRequest) -> pb.ListImagesResponse:
        try:
            images = await self._store().images()
        except (EngineDown, RpcError) as error:
            raise Rejection(Code.UNAVAILABLE, str(error)) from None
        return pb.ListImagesResponse(images=map(_message, images))

    async def Load(
        self, call: Call, requests: AsyncIterator[pb.LoadImagesRequest]
    ) -> pb.LoadImagesResponse:
        store = self._store()
        name = ""
        # On the disk of the state: /tmp may be small, and an image large.
        spool = self._daemon.paths.worker
        try:
            with tempfile.NamedTemporaryFile(dir=spool, prefix="image-", suffix=".tar") as file:
                async for request in requests:
                    name = name or request.name
                    await asyncio.to_thread(file.write, request.data)
                await asyncio.to_thread(file.flush)
                images = await store.import_archive(Path(file.name), name=name)
        except (BadImage, BadReference) as error:
            raise invalid(str(error)) from None
        except OSError as error:
            raise failed_precondition(
                f"the archive cannot be stored below {spool}: {error.strerror or error}"
            ) from None
        except (EngineDown, RpcError) as error:
            raise Rejection(Code.UNAVAILABLE, str(error)) from None
        return pb.LoadImagesResponse(images=map(_message, images))

    async def Pull(self, call: Call, request: pb.PullImageRequest) -> pb.PullImageResponse:
        self._store()
        puller = self._executor().puller
        assert puller is not None
        credentials = Credentials(request.username, request.password)
        try:
            image = await puller.pull(parse(request.name), credentials)
        except (BadImage, BadReference) as error:
            raise invalid(str(error)) from None
        except NoSuchImage as error:
            raise Rejection(Code.NOT_FOUND, str(error)) from None
        except (Unreachable, EngineDown, RpcError, OSError) as error:
            raise Rejection(Code.UNAVAILABLE, str(error)) from None
        return pb.PullImageResponse(image=_message(image))

    async def Remove(self, call: Call, request: pb.RemoveImageRequest) -> pb.RemoveImageResponse:
        try:
            removed = await self._store().remove(parse(request.name))
        except BadReference as error:
            raise invalid(str(error)) from None
        except (EngineDown, RpcError) as error:
            raise Rejection(Code.UNAVAILABLE, str(error)) from None
        if not removed:
            raise Rejection(Code.NOT_FOUND, f"this node has no image {request.name}")
        return pb.RemoveImageResponse()

    def _store(self) -> ImageStore:
        executor = self._executor()
        if executor.images is None:
            raise failed_precondition(f"this node can't use images: {executor.why_no_images}")
        return executor.images

    def _executor(self) -> NodeExecutor:
        member = self._daemon.member
        if member is None:
            raise failed_precondition(
                "this node is not part of a swarm; `swarmd init` or `swarmd join` first"
            )
        return member.agent.executor


def _message(image: Image) -> pb.Image:
    message = pb.Image(
        name=parse(image.name).familiar,
        digest=image.digest,
        id=image.config_digest,
        size_bytes=image.size_bytes,
    )
    message.created_at.FromNanoseconds(image.created_ns)
    return message
