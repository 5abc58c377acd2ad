"""Long-lived tasks with a name: restarted with back-off when they crash, awaited when they end.

A `Supervisor` owns every background task of a component. A loop that raises is logged with its
traceback and started again after a delay that doubles from 100 ms to 30 s; `stop()` cancels
everything and waits, so no task outlives its owner.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

log = logging.getLogger(__name__)

FIRST_DELAY_S = 0.1
LONGEST_DELAY_S = 30.0
HEALTHY_AFTER_S = 60.0


class Supervisor:
    """Owner of named background tasks.

    `spawn` runs a coroutine once; an exception is logged and forgotten. `keep` runs a function
    for ever: when it returns or raises it is called again after a back-off, until `stop`.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self._tasks: set[asyncio.Task[Any]] = set()
        self._stopping = False

    def spawn(self, coroutine: Coroutine[Any, Any, Any], *, name: str) -> asyncio.Task[Any]:
        """Run `coroutine` in the background until it ends or `stop` cancels it."""
        task = asyncio.get_running_loop().create_task(coroutine, name=f"{self.name}.{name}")
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    def keep(self, run: Callable[[], Awaitable[Any]], *, name: str) -> asyncio.Task[Any]:
        """Keep `run` going: call it again, with back-off, whenever it ends."""
        return self.spawn(self._keep(run, name), name=name)

    async def stop(self) -> None:
        """Cancel all tasks and wait for their clean-up; safe to call twice, or from such a task."""
        self._stopping = True
        current = asyncio.current_task()
        tasks = [task for task in self._tasks if task is not current]
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    async def _keep(self, run: Callable[[], Awaitable[Any]], name: str) -> None:
        loop = asyncio.get_running_loop()
        delay = FIRST_DELAY_S
        while not self._stopping:
            started = loop.time()
            try:
                await run()
            except asyncio.CancelledError:
                raise
            except Exception:
                log.exception("task.crashed name=%s.%s", self.name, name)
            if self._stopping:
                # A group of tasks that failed while it was cancelled tells of the failure alone.
                return
            if loop.time() - started > HEALTHY_AFTER_S:
                delay = FIRST_DELAY_S
            await asyncio.sleep(delay)
            delay = min(delay * 2, LONGEST_DELAY_S)

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if task.cancelled():
            return
        error = task.exception()
        if error is not None:
            log.error("task.failed name=%s", task.get_name(), exc_info=error)
