"""A worker that runs nothing: it notes what it was assigned and reports what a test tells it to."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import NamedTuple

from swarmd.agent.log_reader import LogOptions, LogRecord, LogStream
from swarmd.agent.logs import LogSelector, Portion
from swarmd.model.ids import TaskId
from swarmd.model.instant import Instant
from swarmd.model.states import TaskState
from swarmd.model.task import Task, TaskStatus


class Assigned(NamedTuple):
    complete: bool
    updates: tuple[str, ...]
    removed: tuple[str, ...]


class PaperWorker:
    """Implements the worker that a session uses. With `obliging` tasks run as soon as assigned."""

    def __init__(self, *, obliging: bool = False) -> None:
        self.on_status: Callable[[TaskId, TaskStatus], None] = lambda _id, _status: None
        self.tasks: dict[TaskId, Task] = {}
        self.known: dict[TaskId, TaskStatus] = {}
        self.assigned: list[Assigned] = []
        self.lines: list[LogRecord] = []
        self.orders: list[tuple[LogSelector, LogOptions]] = []
        self._obliging = obliging

    def assign(
        self, *, complete: bool, updates: tuple[Task, ...], removed: tuple[TaskId, ...]
    ) -> None:
        if complete:
            self.tasks.clear()
        for task in updates:
            self.tasks[task.id] = task
            if self._obliging:
                self.report(task.id, wanted_of(task))
        for task_id in removed:
            self.tasks.pop(task_id, None)
        self.assigned.append(Assigned(complete, tuple(task.id for task in updates), removed))

    def statuses(self) -> tuple[tuple[TaskId, TaskStatus], ...]:
        return tuple(self.known.items())

    def report(self, task_id: TaskId, state: TaskState) -> None:
        status = TaskStatus(state=state, timestamp=Instant(2))
        self.known[task_id] = status
        self.on_status(task_id, status)

    async def logs(
        self, selector: LogSelector, options: LogOptions
    ) -> AsyncIterator[list[Portion]]:
        self.orders.append((selector, options))
        yield [portion_of(line) for line in self.lines]


def portion_of(record: LogRecord) -> Portion:
    """A record as the log of its task has it."""
    letter = b"o" if record.stream is LogStream.STDOUT else b"e"
    letter = letter if record.data.endswith(b"\n") else letter.upper()
    text = record.data.removesuffix(b"\n")
    return Portion(record.task_id, b"%019d %s %s\n" % (record.timestamp, letter, text))


def wanted_of(task: Task) -> TaskState:
    """The state that a task ends up in when all goes well."""
    if task.desired_state > TaskState.RUNNING:
        return TaskState.SHUTDOWN
    return TaskState.RUNNING
