"""Pulling an image: its manifest, then its layers side by side, then into the store.

What arrives lies in files named by digest until the image is complete, so that a pull that broke
off, or a daemon that was killed, goes on where it was. Pulls of the same name wait for the first.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from swarmd.agent.images import manifest as documents
from swarmd.agent.images.archive import Archived
from swarmd.agent.images.auth import Credentials
from swarmd.agent.images.manifest import INDEXES, MANIFESTS, Descriptor
from swarmd.agent.images.problems import BadImage, NoSuchImage, Unreachable
from swarmd.agent.images.registry import Registry
from swarmd.agent.images.store import Image, ImageStore
from swarmd.model.reference import Reference
from swarmd.model.spec import Platform

log = logging.getLogger(__name__)

LAYERS_AT_ONCE = 3
ATTEMPTS = 3
NESTING_MAX = 3


class Puller:
    """Brings images of registries into the store of this node.

    Args:
        directory: for what has arrived and is not an image yet.
    """

    def __init__(
        self,
        store: ImageStore,
        directory: Path,
        platform: Platform,
        *,
        make_registry: Callable[[Reference, Credentials], Registry] = Registry,
    ) -> None:
        self._store = store
        self._directory = directory
        self._platform = platform
        self._make_registry = make_registry
        self._pulling: dict[str, asyncio.Lock] = {}
        self._fetching: dict[str, asyncio.Lock] = {}

    async def ensure(self, reference: Reference, credentials: Credentials) -> Image:
        """The image of that name: the node's own, or else the registry's.

        Raises:
            NoSuchImage, BadImage, Unreachable, and the store's.
        """
        name = str(reference)
        async with self._pulling.setdefault(name, asyncio.Lock()):
            image = await self._store.find(reference)
            return image if image is not None else await self._pull(reference, credentials)

    async def pull(self, reference: Reference, credentials: Credentials) -> Image:
        """The image that the registry has under that name just now."""
        async with self._pulling.setdefault(str(reference), asyncio.Lock()):
            return await self._pull(reference, credentials)

    async def _pull(self, reference: Reference, credentials: Credentials) -> Image:
        registry = self._make_registry(reference, credentials)
        kind, data = await self._manifest(registry, reference.digest or reference.tag)
        manifest = documents.parse_manifest(data)
        log.info("image.pulling image=%s layers=%d", reference, len(manifest.layers))
        self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        at_once = asyncio.Semaphore(LAYERS_AT_ONCE)
        wanted = {part.digest: part for part in (manifest.config, *manifest.layers)}
        try:
            async with asyncio.TaskGroup() as tasks:
                for part in wanted.values():
                    tasks.create_task(self._fetch(registry, part, at_once))
        except* (BadImage, NoSuchImage, Unreachable) as group:
            raise first_of(group) from None
        item = Archived(
            names=(str(reference),),
            manifest=data,
            manifest_type=kind or MANIFESTS[0],
            blobs={digest: str(self._file(digest)) for digest in wanted},
        )
        try:
            (image,) = await self._store.take_in(item, item.names, _open)
        except FileNotFoundError:
            # Content that was here when we looked has been collected meanwhile.
            raise Unreachable(f"{reference} was not complete any more; will try again") from None
        for digest in wanted:
            self._file(digest).unlink(missing_ok=True)
        log.info("image.pulled image=%s digest=%s", reference, image.digest)
        return image

    async def _manifest(self, registry: Registry, name: str) -> tuple[str, bytes]:
        """The manifest for this node's platform."""
        for _ in range(NESTING_MAX):
            kind, data = await asyncio.to_thread(registry.manifest, name)
            if kind not in INDEXES:
                return kind, data
            name = documents.select(documents.parse_index(data), self._platform).digest
        raise BadImage("the indexes of the image are nested too deeply")

    async def _fetch(
        self, registry: Registry, part: Descriptor, at_once: asyncio.Semaphore
    ) -> None:
        # Two images may share a layer; two threads must not share its file.
        async with at_once, self._fetching.setdefault(part.digest, asyncio.Lock()):
            if await self._store.has_blob(part.digest):
                return
            for attempt in range(1, ATTEMPTS + 1):
                try:
                    await asyncio.to_thread(registry.fetch, part, self._file(part.digest))
                    return
                except Unreachable:
                    if attempt == ATTEMPTS:
                        raise

    def _file(self, digest: str) -> Path:
        return self._directory / digest.replace(":", "-")


def _open(path: str) -> BinaryIO:
    return open(path, "rb")


def first_of(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """One of the errors that several downloads ended with."""
    error: BaseException = group
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
