"""Writing what agents report in batches: the newest wish per key, until the store shows it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from typing import Generic, Protocol, TypeVar

from swarmd.dispatcher.core.batching import Pacer
from swarmd.model.errors import Code, Rejection
from swarmd.model.instant import SECOND, Instant
from swarmd.runtime.clock import Clock
from swarmd.store.changes import Action, Transaction

log = logging.getLogger(__name__)

K = TypeVar("K")
V = TypeVar("V")

ITEMS_PER_WRITE_MAX = 2000
RETRY_S = 0.1


class Writer(Protocol):
    """The leader's way into the log; see `swarmd.manager.writer.Writer`."""

    async def submit(self, transaction: Transaction) -> int: ...


class Batch(Generic[K, V]):
    """Wishes by key, written together.

    `plan` names the actions that wishes still need. A wish is settled when it needs none, be it
    because it was written or because it no longer matters; until then it is planned again, so a
    write that lost a race against another one, or that failed, is not lost.
    A newer wish for a key replaces the older one: at most one per key is held.
    """

    def __init__(
        self,
        name: str,
        plan: Callable[[Mapping[K, V]], Mapping[K, Action]],
        *,
        writer: Writer,
        clock: Clock,
        pacer: Pacer,
    ) -> None:
        self._name = name
        self._plan = plan
        self._writer = writer
        self._clock = clock
        self._pacer = pacer
        self._wishes: dict[K, V] = {}
        self._waiting: dict[K, list[asyncio.Future[None]]] = {}
        self._wake = asyncio.Event()
        self._first_at = Instant(0)

    def __len__(self) -> int:
        return len(self._wishes)

    def put(self, key: K, value: V) -> None:
        """Wish for `value`; returns at once."""
        if not self._wishes:
            self._first_at = Instant(self._clock.monotonic())
            self._wake.set()
        self._wishes[key] = value

    def find(self, key: K) -> V | None:
        """The wish for `key` that isn't settled yet."""
        return self._wishes.get(key)

    async def settled(self, key: K) -> None:
        """Wait until the wish for `key` is settled.

        Raises:
            Rejection: ABORTED when writing has ended before.
        """
        if key in self._wishes:
            answer: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiting.setdefault(key, []).append(answer)
            await answer

    async def run(self) -> None:
        """Write for as long as the leader leads; who waits for more is told when it ends."""
        try:
            while True:
                await self._wake.wait()
                await self._until(self._pacer.due(self._first_at))
                batch = self._oldest()
                actions = self._plan(batch)
                if actions:
                    await self._write(tuple(actions.values()))
                self._settle(batch)
        finally:
            self._abandon()

    async def _write(self, actions: tuple[Action, ...]) -> None:
        try:
            await self._writer.submit(Transaction(actions, atomic=False))
        except Rejection as rejection:
            await self._failed(len(actions), rejection.message)
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task is None or task.cancelling():
                raise
            # The writer gave up on this entry; we were not told to stop.
            await self._failed(len(actions), "the write was abandoned")
        self._pacer.sent(len(actions), Instant(self._clock.monotonic()))

    async def _failed(self, items: int, reason: str) -> None:
        log.warning("%s.write_failed items=%d reason=%s", self._name, items, reason)
        await asyncio.sleep(RETRY_S)

    def _oldest(self) -> dict[K, V]:
        if len(self._wishes) <= ITEMS_PER_WRITE_MAX:
            return dict(self._wishes)
        return {
            key: self._wishes[key]
            for key, _ in zip(self._wishes, range(ITEMS_PER_WRITE_MAX), strict=False)
        }

    def _settle(self, batch: dict[K, V]) -> None:
        open_still = self._plan(batch)
        for key, value in batch.items():
            if key not in open_still and self._wishes.get(key) is value:
                del self._wishes[key]
                for answer in self._waiting.pop(key, ()):
                    if not answer.done():
                        answer.set_result(None)
        self._first_at = Instant(self._clock.monotonic())
        if not self._wishes:
            self._wake.clear()

    def _abandon(self) -> None:
        waiting, self._waiting = self._waiting, {}
        for answers in waiting.values():
            for answer in answers:
                if not answer.done():
                    answer.set_exception(Rejection(Code.ABORTED, "dispatcher is stopped"))

    async def _until(self, due: Instant) -> None:
        delay_ns = due - self._clock.monotonic()
        await asyncio.sleep(max(delay_ns, 0) / SECOND)
