"""The open streams of the nodes, and how they learn that there is something to send.

A stream waits on its bell. Rings don't queue: whatever happened since the last message is found by
looking at the store, so a slow agent costs a set of task ids and never a list of messages.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

from swarmd.model.errors import Rejection
from swarmd.model.ids import NodeId, SessionId, TaskId
from swarmd.rpc.call import Line


class Link:
    """One node's session as the streams see it. `ended` says why there is nothing more to come."""

    def __init__(self, node_id: NodeId, session_id: SessionId) -> None:
        self.node_id = node_id
        self.session_id = session_id
        self.ended: Rejection | None = None
        # Stands for the latest Session stream while it is open, and `line` for its connection.
        self.attendance: object | None = None
        self.line: Line | None = None
        self._bells: dict[Bell, None] = {}  # rung in the order in which they began to listen

    @contextmanager
    def listen(self) -> Iterator[Bell]:
        """A bell for one stream, for as long as the block lasts."""
        bell = Bell(self)
        self._bells[bell] = None
        try:
            yield bell
        finally:
            self._bells.pop(bell, None)

    def tell(self) -> None:
        """The node itself, or what it must know of the managers, has changed."""
        for bell in self._bells:
            bell.news = True
            bell.ring()

    def note(self, task_id: TaskId) -> None:
        """A task of the node has changed; `ring` tells the streams when it is time."""
        for bell in self._bells:
            if bell.wants_tasks:
                bell.tasks[task_id] = None

    def ring(self) -> None:
        """Wake the streams that have something to look at."""
        for bell in self._bells:
            if bell.tasks:
                bell.ring()

    def end(self, reason: Rejection) -> None:
        if self.ended is None:
            self.ended = reason
            for bell in self._bells:
                bell.ring()


class Bell:
    """What one stream has to look at: tasks that changed, or news of the node."""

    __slots__ = ("_link", "_rung", "news", "tasks", "wants_tasks")

    def __init__(self, link: Link) -> None:
        self._link = link
        self._rung = asyncio.Event()
        self.news = False
        self.wants_tasks = False
        self.tasks: dict[TaskId, None] = {}

    def ring(self) -> None:
        self._rung.set()

    async def wait(self) -> None:
        """Return when the bell has rung since the last call.

        Raises:
            Rejection: the session is over.
        """
        if self._link.ended is None:
            await self._rung.wait()
        self._rung.clear()
        if self._link.ended is not None:
            raise self._link.ended

    def take_tasks(self, count_max: int) -> tuple[TaskId, ...]:
        """Tasks to look at, oldest first; what exceeds `count_max` rings again."""
        if len(self.tasks) <= count_max:
            taken = tuple(self.tasks)
            self.tasks.clear()
            return taken
        taken = tuple(self.tasks)[:count_max]
        for task_id in taken:
            del self.tasks[task_id]
        self.ring()
        return taken
