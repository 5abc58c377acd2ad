"""The blobs of an image on their way from a registry to files of this node."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterable
from pathlib import Path

from swarmd.agent.images.manifest import Descriptor
from swarmd.agent.images.problems import Unreachable
from swarmd.agent.images.registry import Registry
from swarmd.agent.images.store import ImageStore
from swarmd.model.instant import SECOND

LAYERS_AT_ONCE = 3
ATTEMPTS = 3
SILENT_NS = 3 * SECOND  # after which people are told, and as often
_MB = 1_000_000


class Fetch:
    """One image being fetched, from the first question on, and how much of it has come.

    Args:
        now: the time in nanoseconds.
    """

    def __init__(self, now: Callable[[], int]) -> None:
        self.parts: tuple[Descriptor, ...] = ()
        self._now = now
        self._asked = ""
        self._heard_ns = now()
        self._sizes: dict[str, int] = {}

    def ask(self, registry: str) -> None:
        """Somebody is asked, of whom nothing has come yet."""
        self.parts, self._sizes = (), {}
        self._asked, self._heard_ns = registry, self._now()

    def found(self, parts: tuple[Descriptor, ...]) -> None:
        """What there is to fetch is known."""
        self.parts = parts
        self._sizes = dict.fromkeys((part.digest for part in parts), 0)
        self._heard_ns = self._now()

    def note(self, digest: str, size: int) -> None:
        """So much of a blob is here; called from any thread."""
        self._sizes[digest] = size
        self._heard_ns = self._now()

    @property
    def bytes_total(self) -> int:
        return sum(part.size for part in self.parts)

    @property
    def bytes_done(self) -> int:
        return sum(self._sizes.values())

    @property
    def is_complete(self) -> bool:
        return bool(self.parts) and self.bytes_done >= self.bytes_total

    @property
    def silence(self) -> str:
        """Who is waited for, as a phrase; empty as long as they say something."""
        steps = (self._now() - self._heard_ns) // SILENT_NS
        if not steps or self.is_complete:
            return ""
        return f"{self._asked} has been silent for {steps * SILENT_NS // SECOND} s"

    def phrase(self, name: str) -> str:
        """What is going on, as people are told."""
        if self.is_complete:
            return f"unpacking {name}"
        if not self.parts:
            return f"pulling {name}" + (f": {self.silence}" if self.silence else "")
        done, total = self.bytes_done / _MB, self.bytes_total / _MB
        digits = 0 if total >= 10 else 1
        said = f"pulling {name} {done:.{digits}f}/{total:.{digits}f} MB"
        return said + (f": {self.silence}" if self.silence else "")


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
            NoSuchImage, BadImage, Unreachable, OSError, and what the store raises
        """
        self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        work = _Work(registry, fetch)
        try:
            async with asyncio.TaskGroup() as tasks:
                for part in fetch.parts:
                    tasks.create_task(self._fetch(work, part))
        finally:
            work.over.set()  # threads can't be cancelled
        if work.problem is not None:
            raise work.problem

    def forget(self, digests: Iterable[str]) -> None:
        """Delete the files of blobs that are wanted no more."""
        for digest in digests:
            self.file(digest).unlink(missing_ok=True)

    async def _fetch(self, work: _Work, part: Descriptor) -> None:
        # Two images may share a layer; two threads must not share its file.
        async with work.at_once, self._turns.setdefault(part.digest, asyncio.Lock()):
            try:
                if not work.over.is_set():
                    await self._fetch_part(work, part)
            except Exception as error:  # told by `fetch`, when the others have ended as well
                work.problem = work.problem or error
                work.over.set()

    async def _fetch_part(self, work: _Work, part: Descriptor) -> None:
        if await self._store.has_blob(part.digest):
            work.fetch.note(part.digest, part.size)
            return

        def note(size: int) -> None:
            work.fetch.note(part.digest, size)
            if work.over.is_set():
                raise Unreachable("nobody waits for it any more")

        for attempt in range(1, ATTEMPTS + 1):
            try:
                await asyncio.to_thread(
                    work.registry.fetch, part, self.file(part.digest), on_size=note
                )
                work.fetch.note(part.digest, part.size)
                return
            except Unreachable:
                if attempt == ATTEMPTS or work.over.is_set():
                    raise


class _Work:
    """The parts of one image on their way; the first that fails ends it for all."""

    def __init__(self, registry: Registry, fetch: Fetch) -> None:
        self.registry = registry
        self.fetch = fetch
        self.at_once = asyncio.Semaphore(LAYERS_AT_ONCE)
        self.over = threading.Event()
        self.problem: Exception | None = None
