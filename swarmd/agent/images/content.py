"""Blobs in containerd's content store: read, written, labelled.

Labels say what a blob refers to; what nothing refers to is collected, so everything is written
under a lease and labelled before the lease ends. What is there already, of an image that has just
been removed or of a pull that broke off, is put under the lease as well.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import BinaryIO

from swarmd.agent.executors.containerd.client import Client, is_missing, is_there_already
from swarmd.agent.images.manifest import DOCUMENT_BYTES_MAX
from swarmd.agent.images.problems import BadImage
from swarmd.model.errors import Code
from swarmd.rpc.client_connection import ClientCall
from swarmd.rpc.errors import RpcError
from swarmd.rpc.pb.containerd import content_pb2 as pb

CHUNK_BYTES = 1024 * 1024


class Content:
    """The content store of one containerd.

    Args:
        blobs: where it keeps its files, if this process may read them.
    """

    def __init__(self, client: Client, *, blobs: Path | None) -> None:
        self._client = client
        self._blobs = blobs

    async def has(self, digest: str) -> bool:
        try:
            await self._client.content.Info(pb.InfoRequest(digest=digest))
        except RpcError as error:
            if is_missing(error):
                return False
            raise
        return True

    async def hold(self, digest: str) -> bool:
        """Whether the blob is there, and so stays for as long as the lease."""
        await self._client.hold("content", digest)
        return await self.has(digest)

    async def labels(self, digest: str) -> Mapping[str, str]:
        answer = await self._client.content.Info(pb.InfoRequest(digest=digest))
        return dict(answer.info.labels)

    async def label(self, digest: str, labels: Mapping[str, str]) -> None:
        """Add labels, or change them."""
        request = pb.UpdateRequest()
        request.info.digest = digest
        for name, value in labels.items():
            request.info.labels[name] = value
            request.update_mask.paths.append(f"labels.{name}")
        await self._client.content.Update(request)

    async def read(self, digest: str) -> bytes:
        """A small blob as a whole: a manifest or a configuration."""
        info = await self._client.content.Info(pb.InfoRequest(digest=digest))
        if info.info.size > DOCUMENT_BYTES_MAX:
            raise BadImage(f"{digest} has {info.info.size} bytes, too many for a document")
        data = bytearray()
        async for part in self._client.content.Read(pb.ReadContentRequest(digest=digest)):
            data += part.data
        return bytes(data)

    async def open(self, digest: str) -> BinaryIO:
        """A blob of any size as a file, positioned at its start."""
        if self._blobs is not None:
            path = self._blobs / digest.replace(":", "/")
            return await asyncio.to_thread(open, path, "rb")
        copy = tempfile.TemporaryFile()  # noqa: SIM115 - the caller closes it
        async for part in self._client.content.Read(
            pb.ReadContentRequest(digest=digest), timeout_s=None
        ):
            await asyncio.to_thread(copy.write, part.data)
        copy.seek(0)
        return copy

    async def write(
        self, source: BinaryIO, *, digest: str, size: int, labels: Mapping[str, str]
    ) -> None:
        """Store a blob; one that is there already only gets the labels.

        Raises:
            BadImage: the content is not what the digest says.
        """
        if await self.hold(digest):
            if labels:
                await self.label(digest, labels)
            return
        ref = f"swarmd-{digest}"
        await self._abort(ref)  # what a daemon that was killed has left half-written
        call = await self._client.begin_write()
        try:
            offset = 0
            while True:
                data = await asyncio.to_thread(source.read, CHUNK_BYTES)
                if not data:
                    break
                request = pb.WriteContentRequest(
                    action=pb.WRITE, ref=ref, total=size, expected=digest, offset=offset, data=data
                )
                await self._exchange(call, request)
                offset += len(data)
            commit = pb.WriteContentRequest(
                action=pb.COMMIT, ref=ref, total=size, expected=digest, offset=offset, labels=labels
            )
            await self._exchange(call, commit)
        except RpcError as error:
            if is_there_already(error):
                await self.label(digest, labels)
                return
            await self._abort(ref)
            if error.code in (Code.FAILED_PRECONDITION, Code.INVALID_ARGUMENT, Code.OUT_OF_RANGE):
                raise BadImage(f"content differs from its digest: {error.message}") from None
            raise
        finally:
            call.cancel()

    async def write_document(self, data: bytes, digest: str, labels: Mapping[str, str]) -> None:
        with tempfile.SpooledTemporaryFile(max_size=DOCUMENT_BYTES_MAX) as source:
            source.write(data)
            source.seek(0)
            await self.write(source, digest=digest, size=len(data), labels=labels)  # type: ignore[arg-type]

    @staticmethod
    async def _exchange(call: ClientCall, request: pb.WriteContentRequest) -> None:
        await call.send(request.SerializeToString())
        if await call.receive() is None:
            raise RpcError(Code.UNAVAILABLE, "containerd ended a write before it was complete")

    async def _abort(self, ref: str) -> None:
        try:
            await self._client.content.Abort(pb.AbortRequest(ref=ref))
        except RpcError as error:
            if not is_missing(error):
                raise
