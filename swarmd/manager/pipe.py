"""A short queue between two calls, that ends for good."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Generic, TypeVar

from swarmd.model.errors import Rejection

T = TypeVar("T")
WAITING_MAX = 4


class Pipe(Generic[T]):
    """Items in order. Whoever puts waits while the queue is full; after the end, items are lost."""

    def __init__(self, waiting_max: int = WAITING_MAX) -> None:
        self._waiting_max = waiting_max
        self._items: deque[T] = deque()
        self._over = False
        self._reason: Rejection | None = None
        self._changed = asyncio.Event()

    async def put(self, item: T) -> None:
        """Add an item; returns when there is room for it, or nobody to read it."""
        while len(self._items) >= self._waiting_max and not self._over:
            await self._change()
        if not self._over:
            self._items.append(item)
            self._tell()

    def end(self, reason: Rejection | None = None) -> None:
        """No more items. The reader gets those that are there and then `reason`, if any."""
        if not self._over:
            self._over, self._reason = True, reason
            self._tell()

    async def ended(self) -> None:
        """Return when there will be no more items."""
        while not self._over:
            await self._change()

    def __aiter__(self) -> Pipe[T]:
        return self

    async def __anext__(self) -> T:
        while not self._items:
            if self._reason is not None:
                raise self._reason
            if self._over:
                raise StopAsyncIteration
            await self._change()
        item = self._items.popleft()
        self._tell()
        return item

    async def _change(self) -> None:
        await self._changed.wait()

    def _tell(self) -> None:
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()
