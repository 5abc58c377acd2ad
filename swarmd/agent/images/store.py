"""The images of this node: found by name, imported, removed.

An image is a name that points at the manifest of this node's platform. Manifest and blobs are tied
together by labels, the topmost snapshot hangs on the configuration, so that containerd collects
all of an image when its last name is removed and no container uses it.
"""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractContextManager, asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO

import msgspec

from swarmd.agent.executors.containerd.client import Client, is_missing, is_there_already, listed
from swarmd.agent.executors.containerd.engine import Engine
from swarmd.agent.images import manifest as documents
from swarmd.agent.images.archive import Archived, open_archive
from swarmd.agent.images.content import Content
from swarmd.agent.images.manifest import Descriptor, ImageConfig, Manifest, chain_ids
from swarmd.agent.images.problems import BadImage
from swarmd.agent.images.unpack import SNAPSHOTTER, has_snapshot, remove_snapshot, unpack
from swarmd.model.instant import HOUR
from swarmd.model.reference import Reference, parse
from swarmd.model.spec import Platform
from swarmd.rpc.errors import RpcError
from swarmd.rpc.pb.containerd import images_pb2 as pb
from swarmd.rpc.pb.containerd import leases_pb2, snapshots_pb2

log = logging.getLogger(__name__)

_SNAPSHOT_LABEL = f"containerd.io/gc.ref.snapshot.{SNAPSHOTTER}"
# A lease nobody ended, because the daemon was killed, ends by itself.
_LEASE_SECONDS = 24 * 3600
_WORD = re.compile(r"[^a-z0-9]")
_LEASE_PREFIX = "swarmd-"
_USED, _LOADED = "swarmd.used", "swarmd.loaded"
USED_EVERY_NS = HOUR


class Image(msgspec.Struct, frozen=True):
    """An image that containers can be started from."""

    name: str
    digest: str  # of the manifest
    config: ImageConfig
    config_digest: str
    snapshot: str  # the topmost; empty for an image without layers
    size_bytes: int  # as stored, packed
    created_ns: int
    used_ns: int = 0  # when it came, or a container was last made of it
    is_loaded: bool = False  # by hand, so that no registry knows its name


class ImageStore:
    """Images in the containerd of `engine`; one per node.

    Args:
        lease_id: makes a name for a lease that no other has.
        now: the time in nanoseconds.
    """

    def __init__(
        self,
        engine: Engine,
        platform: Platform,
        *,
        lease_id: Callable[[], str],
        now: Callable[[], int],
    ) -> None:
        self._engine = engine
        self._platform = platform
        self._lease_id = lease_id
        self._now = now
        self._writing = asyncio.Lock()
        self._known: dict[str, Image] = {}  # by manifest digest: what never changes

    @property
    def may_have_images(self) -> bool:
        """False where containerd was never started, so that it needn't be to find nothing."""
        return not self._engine.is_own or self._engine.directory.exists()

    async def find(self, reference: Reference) -> Image | None:
        """The image of that name, complete and unpacked; None when there is none."""
        client = await self._engine.client()
        names = [str(reference)]
        if reference.digest:
            names.append(f"{reference.repository}@{reference.digest}")
        for name in names:
            try:
                answer = await client.images.Get(pb.GetImageRequest(name=name))
            except RpcError as error:
                if is_missing(error):
                    continue
                raise
            return await self._image(client, answer.image)
        return None

    async def has_blob(self, digest: str) -> bool:
        """Whether content is here already, for whatever image."""
        client = await self._engine.client()
        return await Content(client, blobs=self._blobs()).has(digest)

    async def images(self) -> list[Image]:
        """All images, by name."""
        client = await self._engine.client()
        answer = await client.images.List(pb.ListImagesRequest())
        return sorted(
            [await self._image(client, image) for image in answer.images], key=lambda i: i.name
        )

    async def remove(self, reference: Reference) -> bool:
        """Remove a name; what no other name or container needs is deleted. False: no such name."""
        client = await self._engine.client()
        try:
            await client.images.Delete(pb.DeleteImageRequest(name=str(reference), sync=True))
        except RpcError as error:
            if is_missing(error):
                return False
            raise
        return True

    async def import_archive(self, path: Path, *, name: str = "") -> list[Image]:
        """Take in all images of an archive for this node's platform.

        Args:
            name: given to an image the archive has no name for.

        Raises:
            BadImage
        """
        opened = open_archive(path)
        archive = await asyncio.to_thread(opened.__enter__)
        try:
            found = await asyncio.to_thread(archive.images, self._platform)
            taken: list[Image] = []
            for item in found:
                names = item.names or ((str(parse(name)),) if name else ())
                if not names:
                    raise BadImage("the archive has an image without a name; give one with --name")
                taken += await self.take_in(item, names, archive.open, loaded=True)
            return taken
        finally:
            await asyncio.to_thread(_leave, opened)

    async def take_in(
        self,
        item: Archived,
        names: tuple[str, ...],
        open_blob: Callable[[str], BinaryIO],
        *,
        loaded: bool = False,
    ) -> list[Image]:
        """Store an image's blobs, unpack it and give it its names.

        Args:
            loaded: it comes from a person and not from a registry.

        Raises:
            BadImage: nothing of it remains but blobs, which are collected.
        """
        manifest = documents.parse_manifest(item.manifest)
        async with self._writing, self.leased() as (client, content):
            for described in (manifest.config, *manifest.layers):
                if await content.hold(described.digest):
                    continue
                with await asyncio.to_thread(open_blob, item.blobs[described.digest]) as file:
                    await content.write(
                        file, digest=described.digest, size=described.size, labels={}
                    )
            top = await self._finish(client, content, item)
            labels = {_USED: str(self._now()), _LOADED: "1" if loaded else ""}
            return [await self._name(client, name, top, labels) for name in names]

    async def used(self, image: Image) -> None:
        """A container is being made of an image; remembered by the hour."""
        now = self._now()
        if now - image.used_ns < USED_EVERY_NS:
            return
        client = await self._engine.client()
        update = pb.UpdateImageRequest()
        update.image.name = image.name
        update.image.labels[_USED] = str(now)
        update.update_mask.paths.append(f"labels.{_USED}")
        try:
            await client.images.Update(update)
        except RpcError as error:
            if not is_missing(error):
                raise

    async def sweep(self, containers: frozenset[str]) -> None:
        """Delete leases of a run that has ended, and snapshots made for no container.

        Only where a containerd of our own runs: of another one, somebody else may be the owner.

        Args:
            containers: ids of those there are; the names of their snapshots begin with them.
        """
        if not self._engine.is_own or not self._engine.is_running():
            return
        client = await self._engine.client()
        leases = await client.leases.List(leases_pb2.ListRequest())
        for lease in leases.leases:
            if lease.id.startswith(_LEASE_PREFIX):
                await client.leases.Delete(leases_pb2.DeleteRequest(id=lease.id))
        request = snapshots_pb2.ListSnapshotsRequest(snapshotter=SNAPSHOTTER)
        for snapshot in await listed(client.snapshots.List(request)):
            owner = _WORD.split(snapshot.name, maxsplit=1)[0]
            if snapshot.kind == snapshots_pb2.ACTIVE and owner not in containers:
                log.info("snapshot.stray name=%s: removed", snapshot.name)
                await remove_snapshot(client, snapshot.name)

    async def _finish(self, client: Client, content: Content, item: Archived) -> Descriptor:
        """Make an image of blobs that are all in the content store, under a lease."""
        manifest = documents.parse_manifest(item.manifest)
        config = documents.parse_config(await content.read(manifest.config.digest), manifest)
        documents.check_platform(config, self._platform)
        top = await unpack(client, content, manifest.layers, config.rootfs.diff_ids)
        if top:
            await content.label(manifest.config.digest, {_SNAPSHOT_LABEL: top})
        digest = documents.digest_of(item.manifest)
        await content.write_document(item.manifest, digest, _references(manifest))
        return Descriptor(media_type=item.manifest_type, digest=digest, size=len(item.manifest))

    @asynccontextmanager
    async def leased(self) -> AsyncIterator[tuple[Client, Content]]:
        """A client and content store under a lease that ends with the block."""
        plain = await self._engine.client()
        lease = f"{_LEASE_PREFIX}{self._lease_id()}"
        expiry = _rfc3339(self._now() // 1_000_000_000 + _LEASE_SECONDS)
        labels = {"containerd.io/gc.expire": expiry}
        await plain.leases.Create(leases_pb2.CreateRequest(id=lease, labels=labels))
        try:
            client = plain.leased(lease)
            yield client, Content(client, blobs=self._blobs())
        finally:
            await asyncio.shield(self._end(plain, lease))

    async def _end(self, client: Client, lease: str) -> None:
        """End a lease, also when containerd has died meanwhile; should it stay down, it expires."""
        request = leases_pb2.DeleteRequest(id=lease)
        try:
            await client.leases.Delete(request)
        except RpcError as error:
            if is_missing(error):
                return
            client = await self._engine.client()
            await client.leases.Delete(request)

    def _blobs(self) -> Path | None:
        if not self._engine.is_own:
            return None
        return self._engine.directory / "root" / "io.containerd.content.v1.content" / "blobs"

    async def _name(
        self, client: Client, name: str, target: Descriptor, labels: Mapping[str, str]
    ) -> Image:
        request = pb.CreateImageRequest()
        request.image.name = name
        request.image.target.media_type = target.media_type
        request.image.target.digest = target.digest
        request.image.target.size = target.size
        for label, value in labels.items():
            request.image.labels[label] = value
        try:
            answer = await client.images.Create(request)
        except RpcError as error:
            if not is_there_already(error):
                raise
            update = pb.UpdateImageRequest(image=request.image)
            update.update_mask.paths.append("target")
            update.update_mask.paths.extend(f"labels.{label}" for label in labels)
            answer = await client.images.Update(update)
        return await self._image(client, answer.image)

    async def _image(self, client: Client, record: pb.Image) -> Image:
        digest = record.target.digest
        known = self._known.get(digest)
        if known is None:
            content = Content(client, blobs=self._blobs())
            manifest = documents.parse_manifest(await content.read(digest))
            config = documents.parse_config(await content.read(manifest.config.digest), manifest)
            chain = chain_ids(config.rootfs.diff_ids)
            snapshot = chain[-1] if chain else ""
            if snapshot and not await has_snapshot(client, snapshot):
                async with self.leased() as (leased, leased_content):
                    await unpack(leased, leased_content, manifest.layers, config.rootfs.diff_ids)
            known = Image(
                name="",
                digest=digest,
                config=config,
                config_digest=manifest.config.digest,
                snapshot=snapshot,
                size_bytes=sum(part.size for part in (manifest.config, *manifest.layers)),
                created_ns=0,
            )
            self._known[digest] = known
        labels = dict(record.labels)
        return msgspec.structs.replace(
            known,
            name=record.name,
            created_ns=record.created_at.ToNanoseconds(),
            used_ns=int(labels.get(_USED, 0)) or record.updated_at.ToNanoseconds(),
            is_loaded=bool(labels.get(_LOADED)),
        )


def _references(manifest: Manifest) -> Mapping[str, str]:
    """Labels that keep an image's blobs for as long as its manifest is kept."""
    labels = {"containerd.io/gc.ref.content.config": manifest.config.digest}
    for number, layer in enumerate(manifest.layers):
        labels[f"containerd.io/gc.ref.content.l.{number}"] = layer.digest
    return labels


def _leave(opened: AbstractContextManager[object]) -> None:
    opened.__exit__(None, None, None)


def _rfc3339(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
