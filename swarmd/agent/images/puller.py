"""Pulling an image: its manifest, then its layers side by side, then into the store.

What arrives lies in files named by digest until the image is complete, so that a pull that broke
off, or a daemon that was killed, goes on where it was. Pulls of the same name wait for the first.

The mirrors of an image's registry are asked first and as nobody; what a mirror hasn't, or gets
wrong, the next one is asked for, and in the end the registry. There one login after the other is
tried until one is shown the image.
"""

from __future__ import annotations

import asyncio
import errno
import logging
from collections.abc import Awaitable, Callable, Iterator, Sequence
from pathlib import Path
from typing import BinaryIO, NamedTuple, TypeVar

from swarmd.agent.executors.containerd.client import is_full
from swarmd.agent.images import manifest as documents
from swarmd.agent.images.archive import Archived
from swarmd.agent.images.asking import SILENCE_S_MAX
from swarmd.agent.images.fetching import Fetch, Fetching
from swarmd.agent.images.manifest import INDEXES, MANIFESTS
from swarmd.agent.images.mirrors import Mirrors
from swarmd.agent.images.problems import BadImage, Denied, NoSuchImage, Unreachable
from swarmd.agent.images.registry import Registry
from swarmd.agent.images.store import Image, ImageStore
from swarmd.model.reference import Reference
from swarmd.model.registry_login import NOBODY, Credentials
from swarmd.model.spec import Platform
from swarmd.rpc.errors import RpcError

log = logging.getLogger(__name__)

NESTING_MAX = 3
Logins = Sequence[Credentials]
_Answer = TypeVar("_Answer")
_FULL = (errno.ENOSPC, errno.EDQUOT)


class Source(NamedTuple):
    """Somebody to ask for an image."""

    registry: Registry
    is_mirror: bool


class Puller:
    """Brings images of registries into the store of this node.

    Args:
        directory: for what has arrived and is not an image yet.
        mirrors: of registries; may change at any time.
        on_pulled: called when there is an image more.
        on_full: called when there was no room for one.
        now: the time in nanoseconds.
        silence_s: how long a registry may say nothing.
    """

    def __init__(
        self,
        store: ImageStore,
        directory: Path,
        platform: Platform,
        *,
        mirrors: Mirrors | None = None,
        on_pulled: Callable[[], None] = lambda: None,
        on_full: Callable[[], None] = lambda: None,
        now: Callable[[], int],
        silence_s: float = SILENCE_S_MAX,
    ) -> None:
        self.mirrors = mirrors if mirrors is not None else Mirrors()
        self.store = store
        self._directory = directory
        self._platform = platform
        self._on_pulled = on_pulled
        self._on_full = on_full
        self._now = now
        self.silence_s = silence_s
        self._pulling: dict[str, asyncio.Lock] = {}
        self._fetches: dict[str, Fetch] = {}
        self._fetching = Fetching(store, directory)

    async def ensure(self, reference: Reference, logins: Callable[[], Logins]) -> Image:
        """The image of that name: the node's own, or else the registry's.

        Args:
            logins: asked only if the node has to pull.

        Raises:
            NoSuchImage, BadImage, Unreachable, and what the store and `logins` raise.
        """
        async with self._turn(reference):
            image = await self.store.find(reference)
            return image if image is not None else await self._pull(reference, logins())

    async def pull(self, reference: Reference, logins: Logins) -> Image:
        """The image that the registry has under that name just now."""
        async with self._turn(reference):
            return await self._pull(reference, logins)

    async def resolve(self, reference: Reference, logins: Logins) -> str:
        """The digest of what the registry has under that name just now.

        Raises:
            NoSuchImage, BadImage, Unreachable
        """

        async def ask(source: Source) -> str:
            name = reference.digest or reference.tag
            _, data = await asyncio.to_thread(source.registry.manifest, name)
            return documents.digest_of(data)

        return await self._first_answer(reference, logins, ask)

    def progress(self, reference: Reference) -> Fetch | None:
        """How far the pull of an image has come; None when it isn't being pulled."""
        return self._fetches.get(str(reference))

    def _turn(self, reference: Reference) -> asyncio.Lock:
        return self._pulling.setdefault(str(reference), asyncio.Lock())

    async def _pull(self, reference: Reference, logins: Logins) -> Image:
        fetch = self._fetches[str(reference)] = Fetch(self._now)

        async def ask(source: Source) -> Image:
            return await self._pull_from(source.registry, reference, fetch)

        try:
            image = await self._first_answer(reference, logins, ask)
        except (BadImage, NoSuchImage):
            self._fetching.forget(part.digest for part in fetch.parts)
            raise
        except (OSError, RpcError) as error:
            if is_full(error) if isinstance(error, RpcError) else error.errno in _FULL:
                self._on_full()
                raise Unreachable(
                    f"the disk has no room for {reference.familiar}; will try again"
                ) from None
            raise
        finally:
            del self._fetches[str(reference)]
        self._on_pulled()
        return image

    async def _first_answer(
        self, reference: Reference, logins: Logins, ask: Callable[[Source], Awaitable[_Answer]]
    ) -> _Answer:
        denial = NoSuchImage(f"no such image: {reference.familiar}")
        for source in self._sources(reference, logins):
            try:
                return await ask(source)
            except Denied as error:
                denial = error
            except (NoSuchImage, BadImage, Unreachable) as error:
                if not source.is_mirror:
                    raise
                log.warning("image.mirror.passed_over image=%s reason=%s", reference, error)
        raise denial

    def _sources(self, reference: Reference, logins: Logins) -> Iterator[Source]:
        for url in self.mirrors.of(reference.registry):
            yield Source(Registry(reference, mirror=url, silence_s=self.silence_s), True)
        for login in dict.fromkeys(logins or (NOBODY,)):
            yield Source(Registry(reference, login, silence_s=self.silence_s), False)

    async def _pull_from(self, registry: Registry, reference: Reference, fetch: Fetch) -> Image:
        fetch.ask(registry.name)
        kind, data = await self._manifest(registry, reference.digest or reference.tag)
        manifest = documents.parse_manifest(data)
        parts = {part.digest: part for part in (manifest.config, *manifest.layers)}
        log.info(
            "image.pulling image=%s from=%s layers=%d",
            reference, registry.name, len(manifest.layers),
        )  # fmt: skip
        fetch.found(tuple(parts.values()))
        await self._fetching.fetch(registry, fetch)
        item = Archived(
            names=(str(reference),),
            manifest=data,
            manifest_type=kind or MANIFESTS[0],
            blobs={digest: str(self._fetching.file(digest)) for digest in parts},
        )
        try:
            (image,) = await self.store.take_in(item, item.names, _open)
        except FileNotFoundError:
            # Content that was here when we looked has been collected meanwhile.
            raise Unreachable(f"{reference} was not complete any more; will try again") from None
        except BadImage:
            self._fetching.forget(parts)
            raise
        self._fetching.forget(parts)
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


def _open(path: str) -> BinaryIO:
    return open(path, "rb")
