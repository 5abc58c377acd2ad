"""Archives of images, as `docker save`, `podman save` and their kin write them; blocks.

Two layouts: OCI's (`index.json` and `blobs/sha256/…`) and Docker's older one (`manifest.json` with
a configuration and layers under any name). Newer archives are both at once; then OCI's is read.
Either way the result is the same: for each name a manifest, and files that hold the blobs.
"""

from __future__ import annotations

import hashlib
import io
import posixpath
import tarfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import msgspec

from swarmd.agent.images import manifest as documents
from swarmd.agent.images.manifest import (
    CONFIG_TYPE,
    DOCUMENT_BYTES_MAX,
    INDEXES,
    LAYER_TYPE,
    MANIFESTS,
    Descriptor,
    Manifest,
)
from swarmd.agent.images.packing import packing_of
from swarmd.agent.images.problems import BadImage
from swarmd.model import reference
from swarmd.model.spec import Platform

ENTRIES_MAX = 100_000
LINKS_MAX = 8
_NAMES = ("io.containerd.image.name", "org.opencontainers.image.ref.name")
_CHUNK_BYTES = 1024 * 1024


class Archived(msgspec.Struct, frozen=True):
    """An image of an archive: its manifest as bytes, and where its blobs lie."""

    names: tuple[str, ...]
    manifest: bytes
    manifest_type: str
    blobs: Mapping[str, str]  # by digest: the entry of the archive


class _Listed(msgspec.Struct, frozen=True, rename="pascal"):
    config: str
    layers: tuple[str, ...]
    repo_tags: tuple[str, ...] | None = None


class Archive:
    """An open archive."""

    def __init__(self, tar: tarfile.TarFile) -> None:
        self._tar = tar
        self._entries: dict[str, tarfile.TarInfo] = {}
        for entry in tar:
            self._entries[posixpath.normpath(entry.name)] = entry
            if len(self._entries) > ENTRIES_MAX:
                raise BadImage(f"the archive has more than {ENTRIES_MAX} entries")

    def images(self, platform: Platform) -> list[Archived]:
        """What there is for `platform`.

        Raises:
            BadImage: nothing, or nothing that can be read.
        """
        if "index.json" in self._entries:
            return self._oci_images(platform)
        if "manifest.json" in self._entries:
            return self._docker_images()
        raise BadImage("the file is no image archive: it has neither index.json nor manifest.json")

    def open(self, entry: str) -> BinaryIO:
        """The content of an entry, links within the archive followed."""
        path = entry
        for _ in range(LINKS_MAX):
            found = self._entries.get(posixpath.normpath(path))
            if found is None:
                raise BadImage(f"the archive lacks {path}")
            if found.issym():
                path = posixpath.join(posixpath.dirname(path), found.linkname)
            elif found.islnk():
                path = found.linkname
            else:
                file = self._tar.extractfile(found)
                if file is None:
                    break
                return file  # type: ignore[return-value]
        raise BadImage(f"{entry} of the archive is no file")

    def size(self, entry: str) -> int:
        with self.open(entry) as file:
            return file.seek(0, io.SEEK_END)

    def _oci_images(self, platform: Platform) -> list[Archived]:
        images = []
        for item in documents.parse_index(self._read("index.json")).manifests:
            names = tuple(filter(None, (item.annotations.get(key, "") for key in _NAMES)))[:1]
            described, data = self._resolve(item, platform)
            manifest = documents.parse_manifest(data)
            digests = [manifest.config.digest, *(layer.digest for layer in manifest.layers)]
            blobs = {digest: _blob(digest) for digest in digests}
            names = tuple(name for name in map(_full_name, names) if name)
            images.append(Archived(names, data, described.media_type or MANIFESTS[0], blobs))
        return images

    def _resolve(self, item: Descriptor, platform: Platform) -> tuple[Descriptor, bytes]:
        """The manifest for `platform` behind an entry that may be an index of several."""
        for _ in range(LINKS_MAX):
            data = self._read(_blob(item.digest))
            if documents.digest_of(data) != item.digest:
                raise BadImage(f"{item.digest} of the archive is damaged")
            if item.media_type not in INDEXES:
                return item, data
            item = documents.select(documents.parse_index(data), platform)
        raise BadImage("the indexes of the archive are nested too deeply")

    def _docker_images(self) -> list[Archived]:
        try:
            listed = msgspec.json.decode(self._read("manifest.json"), type=tuple[_Listed, ...])
        except msgspec.DecodeError as error:
            raise BadImage(f"manifest.json of the archive cannot be read: {error}") from None
        return [self._docker_image(item) for item in listed]

    def _docker_image(self, item: _Listed) -> Archived:
        config, blobs = self._describe(item.config, CONFIG_TYPE), {}
        blobs[config.digest] = item.config
        layers = []
        for path in item.layers:
            layer = self._describe(path, LAYER_TYPE)
            layers.append(layer)
            blobs[layer.digest] = path
        manifest = {
            "schemaVersion": 2,
            "mediaType": MANIFESTS[0],
            **msgspec.to_builtins(Manifest(config=config, layers=tuple(layers))),
        }
        names = tuple(name for name in map(_full_name, item.repo_tags or ()) if name)
        return Archived(names, msgspec.json.encode(manifest), MANIFESTS[0], blobs)

    def _describe(self, entry: str, media_type: str) -> Descriptor:
        digest, size = hashlib.sha256(), 0
        with self.open(entry) as file:
            packing = packing_of(file)
            while chunk := file.read(_CHUNK_BYTES):
                digest.update(chunk)
                size += len(chunk)
        if media_type == LAYER_TYPE and packing:
            media_type += f"+{packing}"
        return Descriptor(media_type=media_type, digest=f"sha256:{digest.hexdigest()}", size=size)

    def _read(self, entry: str) -> bytes:
        with self.open(entry) as file:
            data = file.read(DOCUMENT_BYTES_MAX + 1)
        if len(data) > DOCUMENT_BYTES_MAX:
            raise BadImage(f"{entry} of the archive is too large for a document")
        return data


@contextmanager
def open_archive(path: Path) -> Iterator[Archive]:
    """The archive at `path`, packed or not.

    Raises:
        BadImage: it is none, or is cut off.
    """
    try:
        with tarfile.open(path, "r:*") as tar:
            yield Archive(tar)
    except (tarfile.TarError, EOFError) as error:
        raise BadImage(f"the file is no image archive: {error}") from None


def _blob(digest: str) -> str:
    return f"blobs/{digest.replace(':', '/')}"


def _full_name(name: str) -> str:
    """A name written out; empty for what is none, such as a bare tag."""
    if "/" not in name and ":" not in name:
        return ""
    try:
        return str(reference.parse(name))
    except reference.BadReference as error:
        raise BadImage(str(error)) from None
