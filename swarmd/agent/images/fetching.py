"""The blobs of an image on their way from a registry to files of this node."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from pathlib import Path

from swarmd.agent.images.manifest import Descriptor
from swarmd.agent.images.problems import BadImage, NoSuchImage, Unreachable
from swarmd.agent.images.registry import Registry
from swarmd.agent.images.store import ImageStore

LAYERS_AT_ONCE = 3
ATTEMPTS = 3
_MB = 1_000_000


class Fetch:
    """One image being fetched, and how much of it has come."""

    def __init__(self, parts: tuple[Descriptor, ...]) -> None:
        self.parts = parts
        self._sizes = dict.fromkeys((part.digest for part in parts), 0)

    @property
    def bytes_total(self) -> int:
        return sum(part.size for part in self.parts)

    @property
    def bytes_done(self) -> int:
        return sum(self._sizes.values())

    @property
    def is_complete(self) -> bool:
        return self.bytes_done >= self.bytes_total

    def phrase(self, name: str) -> str:
        """What is going on, as people are told."""
        if self.is_complete:
            return f"unpacking {name}"
        done, total = self.bytes_done / _MB, self.bytes_total / _MB
        digits = 0 if total >= 10 else 1
        return f"pulling {name} {done:.{digits}f}/{total:.{digits}f} MB"

    def note(self, digest: str, size: int) -> None:
        """So much of a blob is here; called from any thread."""
        self._sizes[digest] = size


class Fetching:
    """Fetches blobs into files named by digest.

    Args:
        store: knows which blobs needn't be fetched.
    """

    def __init__(self, store: ImageStore, directory: Path) -> None:
        self._store = store
        self._directory = directory
        self._turns: dict[str, asyncio.Lock] = {}

    def file(self, digest: str) -> Path:
        return self._directory / digest.replace(":", "-")

    async def fetch(self, registry: Registry, fetch: Fetch) -> None:
        """Have all blobs of an image in the store or in files.

        Raises:
            NoSuchImage, BadImage, Unreachable, OSError
        """
        self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        at_once = asyncio.Semaphore(LAYERS_AT_ONCE)
        try:
            async with asyncio.TaskGroup() as tasks:
                for part in fetch.parts:
                    tasks.create_task(self._fetch(registry, part, fetch, at_once))
        except* (BadImage, NoSuchImage, Unreachable, OSError) as group:
            raise first_of(group) from None

    def forget(self, digests: Iterable[str]) -> None:
        """Delete the files of blobs that are wanted no more."""
        for digest in digests:
            self.file(digest).unlink(missing_ok=True)

    async def _fetch(
        self, registry: Registry, part: Descriptor, fetch: Fetch, at_once: asyncio.Semaphore
    ) -> None:
        # Two images may share a layer; two threads must not share its file.
        async with at_once, self._turns.setdefault(part.digest, asyncio.Lock()):
            if await self._store.has_blob(part.digest):
                fetch.note(part.digest, part.size)
                return
            for attempt in range(1, ATTEMPTS + 1):
                try:
                    await asyncio.to_thread(
                        registry.fetch,
                        part,
                        self.file(part.digest),
                        on_size=lambda size: fetch.note(part.digest, size),
                    )
                    fetch.note(part.digest, part.size)
                    return
                except Unreachable:
                    if attempt == ATTEMPTS:
                        raise


def first_of(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """One of the errors that several downloads ended with."""
    error: BaseException = group
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
