"""`swarmd.v1.Images`: the images of this node, asked on its control socket."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from swarmd.agent.images import rootfs
from swarmd.agent.images.saving import saved
from swarmd.model.errors import failed_precondition, invalid
from swarmd.model.reference import BadReference, parse
from swarmd.rpc.call import Call
from swarmd.rpc.pb import images as pb
from swarmd.runtime.clock import Clock

from .executor_access import image_message
from .image_problems import explained
from .node_images import NodeImages
from .registry_calls import RegistryCalls

if TYPE_CHECKING:
    from .daemon import Daemon

IMAGES = "swarmd.v1.Images"


class ImageService(NodeImages, RegistryCalls):
    """Answers for one daemon; everybody who reaches the socket may ask everything."""

    def __init__(self, daemon: Daemon, *, clock: Clock) -> None:
        RegistryCalls.__init__(self, daemon)
        NodeImages.__init__(self, self._access.executor)
        self._clock = clock

    async def Load(
        self, call: Call, requests: AsyncIterator[pb.LoadImagesRequest]
    ) -> pb.LoadImagesResponse:
        store = self._access.store()
        with self._spool() as directory:
            archive = directory / "archive.tar"
            first = await _received(requests, archive)
            images = await store.import_archive(archive, name=first.name if first else "")
        return pb.LoadImagesResponse(images=map(image_message, images))

    async def Save(
        self, call: Call, request: pb.SaveImagesRequest
    ) -> AsyncIterator[pb.SaveImagesResponse]:
        store = self._access.store()
        with explained():
            async for data in saved(store, [parse(name) for name in request.names]):
                yield pb.SaveImagesResponse(data=data)

    async def Import(
        self, call: Call, requests: AsyncIterator[pb.ImportImageRequest]
    ) -> pb.ImportImageResponse:
        store = self._access.store()
        with self._spool() as directory:
            layer = directory / "layer.tar"
            first = await _received(requests, layer)
            if first is None or not first.name:
                raise invalid("the image that is made of the root filesystem needs a name")
            name = parse(first.name)
            if name.digest:
                raise BadReference(f"image {first.name!r} can't be given a digest")
            run = rootfs.configuration(first.changes)
            item = await asyncio.to_thread(
                rootfs.image_of,
                layer,
                directory / "config.json",
                run=run,
                platform=self._access.executor().platform,
                created=_rfc3339(self._clock.now()),
            )
            (image,) = await store.take_in(item, (str(name),), _open, loaded=True)
        return pb.ImportImageResponse(image=image_message(image))

    @contextmanager
    def _spool(self) -> Iterator[Path]:
        """A directory for what arrives: on the disk of the state, as /tmp may be small."""
        where = self._daemon.paths.worker
        with explained():
            try:
                with tempfile.TemporaryDirectory(dir=where, prefix="image-") as name:
                    yield Path(name)
            except OSError as error:
                raise failed_precondition(
                    f"the archive cannot be stored below {where}: {error.strerror or error}"
                ) from None


def _open(path: str) -> BinaryIO:
    return open(path, "rb")


async def _received(requests: AsyncIterator[Any], path: Path) -> Any:
    """Write what arrives into a file; returns the first message, None if none came."""
    first = None
    with path.open("wb") as file:
        write: Callable[[bytes], int] = file.write
        async for request in requests:
            first = request if first is None else first
            await asyncio.to_thread(write, request.data)
    return first


def _rfc3339(now_ns: int) -> str:
    return datetime.fromtimestamp(now_ns // 1_000_000_000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
