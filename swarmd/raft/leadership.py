"""Telling the rest of the daemon who leads."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable

from swarmd.raft.status import Leadership


class LeadershipBoard:
    """The latest word on the leadership, for any number of watchers.

    A watcher that is slow sees the latest state and may miss earlier ones. It never mistakes
    one leadership for another, since the term grows with each.
    """

    def __init__(self, first: Leadership) -> None:
        self.current = first
        self._changed = asyncio.Event()
        self._closed = False
        self.callbacks: list[Callable[[Leadership], None]] = []

    def publish(self, leadership: Leadership) -> None:
        """Tell the watchers if this is news."""
        if leadership == self.current or self._closed:
            return
        self.current = leadership
        self._wake_all()
        for callback in list(self.callbacks):
            callback(leadership)

    def close(self) -> None:
        """End all watches."""
        self._closed = True
        self._wake_all()

    async def watch(self) -> AsyncIterator[Leadership]:
        """The current leadership at once, then every change until the node stops."""
        seen: Leadership | None = None
        while True:
            changed = self._changed
            if self.current != seen:
                seen = self.current
                yield seen
                continue
            if self._closed:
                return
            await changed.wait()

    def _wake_all(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()
