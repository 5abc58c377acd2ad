"""Reading the logs of several tasks at once, in the order of their times.

Following polls, while somebody follows: files that are written tell nobody. What is read at one
moment is in order; what a task says later is later.
"""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import AsyncIterator, Callable, Iterable
from pathlib import Path
from typing import NamedTuple

from msgspec.structs import replace

from swarmd.agent.log_reader import LogOptions, TaskLogReader
from swarmd.model.ids import NodeId, ServiceId, TaskId
from swarmd.model.log_lines import first_time, last_time, split_after
from swarmd.model.record import Record

TURN_BYTES = 256 * 1024
POLL_S_MIN = 0.02
POLL_S_MAX = 0.25


class LogSelector(Record, frozen=True):
    """Which tasks: those named, those of the services named, and all if the node is named."""

    service_ids: tuple[ServiceId, ...] = ()
    node_ids: tuple[NodeId, ...] = ()
    task_ids: tuple[TaskId, ...] = ()


class Portion(NamedTuple):
    """Lines of one task, as its log has them."""

    task_id: TaskId
    lines: bytes


async def read(
    tasks: Callable[[], Iterable[tuple[TaskId, Path]]],
    options: LogOptions,
    *,
    now: Callable[[], int],
) -> AsyncIterator[list[Portion]]:
    """What `tasks` said, in order, in turns of bounded size.

    With `follow` this ends only when it is closed, or when it is `until`; tasks that appear
    meanwhile are read from their start, tasks that disappear are dropped once read to their end.
    """
    readers: dict[TaskId, TaskLogReader] = {}
    merge = Merge()
    from_start = options
    poll_s = POLL_S_MIN
    try:
        while True:
            is_over = not options.follow or (options.until is not None and now() >= options.until)
            wanted = dict(tasks())
            for task_id, directory in wanted.items():
                if task_id not in readers:
                    reader = await asyncio.to_thread(TaskLogReader, directory, from_start)
                    readers[task_id] = reader
                    if options.since:
                        merge.add(task_id, await asyncio.to_thread(reader.take))
            from_start = replace(options, tail=None)
            for task_id, reader in list(readers.items()):
                if task_id in merge:
                    continue
                lines = reader.take()
                merge.add(task_id, lines)
                if not lines and task_id not in wanted:
                    readers.pop(task_id).close()
            portions = merge.take(lambda task_id: readers[task_id].take())
            if portions:
                yield portions
                poll_s = POLL_S_MIN
                continue
            if is_over:
                return
            await asyncio.sleep(poll_s)
            poll_s = min(poll_s * 2, POLL_S_MAX)
    finally:
        for reader in readers.values():
            reader.close()


class Merge:
    """Lines of several tasks that wait to be put in order; of each task what comes next."""

    def __init__(self) -> None:
        self._heads: list[tuple[int, TaskId, bytes]] = []  # a heap, by the first line's time
        self._waiting: set[TaskId] = set()

    def __contains__(self, task_id: TaskId) -> bool:
        return task_id in self._waiting

    def add(self, task_id: TaskId, lines: bytes) -> None:
        """What a task of which nothing waits said next, if anything."""
        if lines:
            self._waiting.add(task_id)
            heapq.heappush(self._heads, (first_time(lines), task_id, lines))

    def take(self, more: Callable[[TaskId], bytes]) -> list[Portion]:
        """The earliest lines, about a turn of them; `more` is what a task said after them."""
        portions: list[Portion] = []
        size = 0
        while self._heads and size < TURN_BYTES:
            _, task_id, lines = heapq.heappop(self._heads)
            self._waiting.discard(task_id)
            rest = b""
            if self._heads and last_time(lines) > self._heads[0][0]:
                early, rest = split_after(lines, self._heads[0][0])
                lines, rest = (early, rest) if early else (lines, b"")  # or their times are damaged
            portions.append(Portion(task_id, lines))
            size += len(lines)
            self.add(task_id, rest or more(task_id))
        return portions
