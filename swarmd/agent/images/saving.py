"""Images written as an archive, piece by piece as it is sent; nothing is put on the disk.

The archive has both layouts at once, OCI's and Docker's, over the same blobs; so `docker load` of
any version reads it, and so does our own `archive`. The same images make the same bytes.
"""

from __future__ import annotations

import asyncio
import tarfile
from collections.abc import AsyncIterator, Iterable, Mapping
from typing import Any

import msgspec

from swarmd.agent.images import manifest as documents
from swarmd.agent.images.content import Content
from swarmd.agent.images.manifest import MANIFESTS, Descriptor
from swarmd.agent.images.problems import BadImage, NoSuchImage
from swarmd.agent.images.store import Image, ImageStore
from swarmd.model.reference import Reference

PORTION_BYTES = 256 * 1024
_LAYOUT = {"imageLayoutVersion": "1.0.0"}
_DIRECTORIES = ("blobs", "blobs/sha256")


class _Chosen(msgspec.Struct):
    """An image, under all the names that were asked for."""

    image: Image
    manifest: bytes
    media_type: str
    names: list[Reference]

    @property
    def blobs(self) -> list[Descriptor]:
        parsed = documents.parse_manifest(self.manifest)
        return [parsed.config, *parsed.layers]


async def saved(store: ImageStore, names: Iterable[Reference]) -> AsyncIterator[bytes]:
    """The archive of some images of this node.

    Raises:
        NoSuchImage: before anything else, if the node lacks one.
        BadImage: a part of one is missing.
    """
    async with store.leased() as (_, content):
        chosen = await _choose(store, content, names)
        yield _entry("oci-layout", _json(_LAYOUT))
        for directory in _DIRECTORIES:
            yield _header(directory, 0, kind=tarfile.DIRTYPE)
        written: set[str] = set()
        for one in chosen:
            for blob in one.blobs:
                if blob.digest not in written:
                    written.add(blob.digest)
                    async for data in _blob(content, blob, one.names[0]):
                        yield data
            yield _entry(_path(one.image.digest), one.manifest)
        index = [_described(one, name) for one in chosen for name in one.names]
        yield _entry("index.json", _json({"schemaVersion": 2, "manifests": index}))
        yield _entry("manifest.json", _json([_listed(one) for one in chosen]))
        yield bytes(2 * tarfile.BLOCKSIZE)


async def _choose(store: ImageStore, content: Content, names: Iterable[Reference]) -> list[_Chosen]:
    chosen: dict[str, _Chosen] = {}
    for name in dict.fromkeys(names):
        image = await store.find(name)
        if image is None:
            raise NoSuchImage(f"this node has no image {name.familiar}")
        if image.digest in chosen:
            chosen[image.digest].names.append(name)
            continue
        await content.hold(image.digest)
        data = await content.read(image.digest)
        kind = msgspec.json.decode(data, type=_Typed).media_type or MANIFESTS[0]
        one = chosen[image.digest] = _Chosen(image, data, kind, [name])
        for blob in one.blobs:
            await content.hold(blob.digest)
    if not chosen:
        raise BadImage("name the images to be saved")
    return list(chosen.values())


class _Typed(msgspec.Struct, rename="camel"):
    media_type: str = ""


async def _blob(content: Content, blob: Descriptor, name: Reference) -> AsyncIterator[bytes]:
    yield _header(_path(blob.digest), blob.size)
    left = blob.size
    try:
        with await content.open(blob.digest) as file:
            while data := await asyncio.to_thread(file.read, min(PORTION_BYTES, left)):
                left -= len(data)
                yield data
    except FileNotFoundError:
        pass
    if left:
        raise BadImage(f"{name.familiar} is not complete on this node: {blob.digest} is missing")
    yield _padding(blob.size)


def _described(one: _Chosen, name: Reference) -> Mapping[str, Any]:
    """An image's row in OCI's index."""
    config = one.image.config
    annotations = {"io.containerd.image.name": str(name)}
    if name.tag:
        annotations["org.opencontainers.image.ref.name"] = name.tag
    return {
        "mediaType": one.media_type,
        "digest": one.image.digest,
        "size": len(one.manifest),
        "platform": {"os": config.os or "linux", "architecture": config.architecture},
        "annotations": annotations,
    }


def _listed(one: _Chosen) -> Mapping[str, Any]:
    """An image's row in Docker's list, which knows names by tags only."""
    config, *layers = (_path(blob.digest) for blob in one.blobs)
    tags = [name.familiar for name in one.names if not name.digest]
    return {"Config": config, "RepoTags": tags or None, "Layers": layers}


def _entry(name: str, data: bytes) -> bytes:
    return _header(name, len(data)) + data + _padding(len(data))


def _header(name: str, size: int, *, kind: bytes = tarfile.REGTYPE) -> bytes:
    info = tarfile.TarInfo(name)
    info.size, info.type = size, kind
    info.mode = 0o755 if kind == tarfile.DIRTYPE else 0o644
    return info.tobuf(tarfile.PAX_FORMAT)


def _padding(size: int) -> bytes:
    return bytes(-size % tarfile.BLOCKSIZE)


def _path(digest: str) -> str:
    return f"blobs/{digest.replace(':', '/')}"


def _json(document: object) -> bytes:
    return msgspec.json.encode(document)
