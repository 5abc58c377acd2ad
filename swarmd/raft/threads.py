"""A thread for blocking calls, behind the `Worker` protocol of `ports`."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Protocol

from swarmd.raft.ports import Worker


class StoppableWorker(Worker, Protocol):
    """A `Worker` that can also be awaited, and ended when its owner stops."""

    async def run(self, call: Callable[[], object]) -> None:
        """Run `call` in turn and wait for it; raises what it raised."""
        ...

    async def stop(self) -> None:
        """Wait for the calls under way; no more may be submitted."""
        ...


class ThreadWorker:
    """One thread, one call at a time, in order. `done` runs on the loop that made the worker."""

    def __init__(self, name: str) -> None:
        self._loop = asyncio.get_running_loop()
        self._executor = ThreadPoolExecutor(1, thread_name_prefix=name)

    def submit(
        self, call: Callable[[], object], done: Callable[[BaseException | None], None]
    ) -> None:
        def finished(future: Future[object]) -> None:
            error = future.exception()
            # A loop that was closed meanwhile has nobody left who wants to know.
            if not self._loop.is_closed():
                self._loop.call_soon_threadsafe(done, error)

        self._executor.submit(call).add_done_callback(finished)

    async def run(self, call: Callable[[], object]) -> None:
        """Run `call` in turn and wait for it; raises what it raised."""
        await self._loop.run_in_executor(self._executor, call)

    async def stop(self) -> None:
        """Wait for the calls under way; no more may be submitted."""
        await asyncio.to_thread(self._executor.shutdown)
