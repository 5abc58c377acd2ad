"""Making room: images nobody needs go when the disk fills, least recently used first.

Looked at whenever an image has come, when the disk was full, and once after a start; in between
nothing is polled. What services of the swarm need, now or to be rolled back, a manager is asked;
without an answer nothing is deleted. What a daemon that was killed has left half-done is deleted at
the start: its leases, its downloads, and snapshots of containers that were never made.
"""

from __future__ import annotations

import asyncio
import logging
import shutil
from collections.abc import AsyncIterator, Callable, Iterable
from pathlib import Path
from typing import Any

from swarmd.agent.core.image_choice import FRESH_NS, full_names, removable
from swarmd.agent.executors.containerd.engine import EngineDown
from swarmd.agent.images.store import ImageStore
from swarmd.model.errors import Rejection
from swarmd.model.image_disk import ImageDisk
from swarmd.model.reference import parse
from swarmd.rpc.errors import RpcError
from swarmd.rpc.pb import images as pb

log = logging.getLogger(__name__)

WANTED_IMAGES = "swarmd.v1.WantedImages"
ASK_S_MAX = 10.0
RETRY_S = 30.0
# A download that was given up is worth resuming for so long.
DOWNLOAD_S_MAX = 7 * 24 * 3600


class NotKnown(Exception):
    """No manager says what the swarm needs."""


class Cleaner:
    """Removes images of one node.

    Args:
        directory: on the disk that images are kept on.
        downloads: where images lie that have not come whole.
        in_use: the images of the tasks that the node has.
    """

    def __init__(
        self,
        store: ImageStore,
        directory: Path,
        *,
        downloads: Path,
        in_use: Callable[[], Iterable[str]],
        now: Callable[[], int],
        limits: ImageDisk,
    ) -> None:
        self._store = store
        self._directory = directory
        self._downloads = downloads
        self._in_use = in_use
        self._now = now
        self._limits = limits
        self._managers: Any = None
        self._look = asyncio.Event()
        self._turn = asyncio.Lock()

    def follow(self, managers: Any) -> None:
        """Ask this stub of the WantedImages service from now on; None: there is nobody to ask."""
        self._managers = managers
        if managers is not None:
            self.look()

    def look(self) -> None:
        """Have the disk looked at soon."""
        self._look.set()

    async def run(self) -> None:
        """Keep room on the disk until cancelled."""
        while True:
            await self._look.wait()
            self._look.clear()
            try:
                await self._make_room()
            except NotKnown:
                continue  # looked at again when there is a manager
            except (EngineDown, RpcError, OSError) as error:
                log.warning("images.cleaning_delayed reason=%s", error)
                await asyncio.sleep(RETRY_S)
                self._look.set()

    async def sweep(self, known: Iterable[str]) -> None:
        """Delete what earlier runs have left half-done; call it before anything is begun.

        A containerd that doesn't run is not started for it: it was ended in order, or its leases
        end by themselves.

        Args:
            known: ids of the containers that there are.
        """
        await asyncio.to_thread(self._sweep_downloads)
        try:
            await self._store.sweep(frozenset(known))
        except (EngineDown, RpcError) as error:
            log.warning("images.not_swept reason=%s", error)

    async def prune(self, *, earlier: bool) -> list[str]:
        """Remove every image that nothing needs, but those that were loaded by hand.

        Args:
            earlier: also those that services only need to be rolled back.

        Raises:
            NotKnown
        """
        async with self._turn:
            return [name async for name in self._removals(earlier=earlier, idle_ns=0)]

    async def _make_room(self) -> None:
        if (
            not self._store.may_have_images
            or await self._percent_used() < self._limits.high_percent
        ):
            return
        async with self._turn:
            async for name in self._removals(earlier=False):
                used = await self._percent_used()
                log.info("image.removed image=%s disk=%d%% reason=disk", name, used)
                if used < self._limits.low_percent:
                    return
        log.warning(
            "images.disk_full disk=%d%% reason=no image is left that nothing needs",
            await self._percent_used(),
        )

    async def _removals(self, *, earlier: bool, idle_ns: int = FRESH_NS) -> AsyncIterator[str]:
        """Remove one image after the other, for as long as whoever asks goes on."""
        wanted = await self._wanted(earlier=earlier)
        images = await self._store.images()
        for name in removable(images, wanted=wanted, now=self._now(), idle_ns=idle_ns):
            if name in full_names(self._in_use()):
                continue  # its task has come meanwhile
            if await self._store.remove(parse(name)):
                yield name

    async def _wanted(self, *, earlier: bool) -> frozenset[str]:
        if self._managers is None:
            raise NotKnown("no manager says which images the swarm needs; try again in a moment")
        try:
            answer = await self._managers.List(pb.ListWantedImagesRequest(), timeout_s=ASK_S_MAX)
        except (RpcError, Rejection) as error:
            raise NotKnown(f"the managers don't say which images are needed: {error}") from None
        rolled_back = () if earlier else tuple(answer.earlier)
        return full_names((*answer.current, *rolled_back, *self._in_use()))

    async def _percent_used(self) -> int:
        usage = await asyncio.to_thread(shutil.disk_usage, self._directory)
        return 100 * (usage.total - usage.free) // usage.total if usage.total else 0

    def _sweep_downloads(self) -> None:
        if not self._downloads.exists():
            return
        for path in self._downloads.iterdir():
            if self._now() // 1_000_000_000 - path.stat().st_mtime > DOWNLOAD_S_MAX:
                path.unlink(missing_ok=True)
