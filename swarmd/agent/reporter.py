"""Telling the leader what became of tasks: newest status per task, many at a time, until accepted.

Statuses outlive sessions: what was not accepted is sent again by the next one. A leader answers
before its write is committed, so after a new session everything is reported once more; the leader
drops what it knows.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from itertools import islice

from swarmd.model.ids import TaskId
from swarmd.model.instant import MILLISECOND, SECOND
from swarmd.model.task import TaskStatus

GATHER_NS = 20 * MILLISECOND
STATUSES_PER_CALL_MAX = 1000

Report = tuple[TaskId, TaskStatus]


class Reporter:
    """Statuses on their way to the leader."""

    def __init__(self) -> None:
        self._waiting: dict[TaskId, TaskStatus] = {}
        self._wake = asyncio.Event()

    def __len__(self) -> int:
        return len(self._waiting)

    def put(self, task_id: TaskId, status: TaskStatus) -> None:
        """Report `status` soon, unless a later state of the task is waiting already."""
        waiting = self._waiting.get(task_id)
        if waiting is not None and waiting.state > status.state:
            return
        self._waiting[task_id] = status
        self._wake.set()

    async def run(
        self,
        known: Iterable[Report],
        send: Callable[[tuple[Report, ...]], Awaitable[None]],
    ) -> None:
        """Report over one session, beginning with every status that is known.

        Ends only by an error of `send`; what it failed to send is kept for the next session.
        """
        for task_id, status in known:
            self.put(task_id, status)
        while True:
            await self._wake.wait()
            if len(self._waiting) < STATUSES_PER_CALL_MAX:
                await asyncio.sleep(GATHER_NS / SECOND)
            batch = tuple(islice(self._waiting.items(), STATUSES_PER_CALL_MAX))
            if batch:
                await send(batch)
            for task_id, status in batch:
                if self._waiting.get(task_id) is status:
                    del self._waiting[task_id]
            if not self._waiting:
                self._wake.clear()
