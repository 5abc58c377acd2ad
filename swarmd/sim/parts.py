"""Parts of a simulated machine: its clocks, the agent's database, threads for blocking calls.

A daemon dies by itself (kill -9) or with its machine (a power cut, which also takes the containers
and whatever the disks had not synced). What a disk keeps of an operation under way is drawn from
the seed.
"""

from __future__ import annotations

import sqlite3
from collections import deque
from collections.abc import Callable, Iterable
from pathlib import Path
from random import Random

from swarmd.agent.state_db import FORMAT, StateDb
from swarmd.model.ids import TaskId
from swarmd.model.task import Task
from swarmd.runtime.clock import SteadyClock
from swarmd.sim.disk import Cut, SimDisk
from swarmd.sim.loop import ProcessLoop
from swarmd.sim.timeline import Timeline

WALL_START_NS = 1_800_000_000 * 10**9


class MachineClock:
    """Wall time with an offset that faults step and a rate that drifts."""

    def __init__(self, timeline: Timeline) -> None:
        self._timeline = timeline
        self.offset_ns = 0
        self._drift = 0.0
        self._drifts_since = 0.0

    def wall_ns(self) -> int:
        passed = self._timeline.now + self._drift * (self._timeline.now - self._drifts_since)
        return WALL_START_NS + int(passed * 1e9) + self.offset_ns

    def run_fast(self, drift: float) -> None:
        """Gain so many seconds a second from now on, or lose them; what was gained stays."""
        gained = self._drift * (self._timeline.now - self._drifts_since)
        self.offset_ns += int(gained * 1e9)
        self._drift, self._drifts_since = drift, self._timeline.now

    def monotonic_ns(self) -> int:
        return int(self._timeline.now * 1e9)

    def of_process(self) -> SteadyClock:
        """The clock of a process that starts now."""
        return SteadyClock(wall_ns=self.wall_ns, monotonic_ns=self.monotonic_ns)


class TasksFile:
    """The content of the agent's database: as the process sees it, and as synced."""

    def __init__(self) -> None:
        self.content = b""
        self.synced = b""

    def lose_power(self, rng: Random) -> None:
        if rng.random() < 0.7:
            self.content = self.synced


class SimStateDb(StateDb):
    """The shipped database code over SQLite in memory; every write leaves an image behind."""

    def __init__(self, file: TasksFile) -> None:
        connection = sqlite3.connect(":memory:", check_same_thread=False)
        if file.content:
            connection.deserialize(file.content)
        else:
            connection.execute(
                "CREATE TABLE tasks (id TEXT PRIMARY KEY, task BLOB NOT NULL, "
                "status BLOB NOT NULL, sum INTEGER NOT NULL)"
            )
            connection.execute(f"PRAGMA user_version = {FORMAT}")
            connection.commit()
        super().__init__(connection)
        self._file = file
        self._image = connection.serialize

    def write(self, *, tasks: Iterable[Task], removed: Iterable[TaskId]) -> None:
        stored = tuple(tasks)
        super().write(tasks=stored, removed=removed)
        self._file.content = self._image()
        if any(task.status.state.terminal for task in stored):
            self._file.synced = self._file.content


class SimWorker:
    """One thread for blocking calls; implements `raft.threads.StoppableWorker`."""

    def __init__(self, loop: ProcessLoop, latency_s: Callable[[], float]) -> None:
        self._loop, self._latency_s = loop, latency_s
        self._queue: deque[tuple[Callable[[], object], Callable[[BaseException | None], None]]] = (
            deque()
        )
        self._busy = False

    def submit(
        self, call: Callable[[], object], done: Callable[[BaseException | None], None]
    ) -> None:
        self._queue.append((call, done))
        self._next()

    async def run(self, call: Callable[[], object]) -> None:
        future = self._loop.create_future()

        def done(error: BaseException | None) -> None:
            if future.done():
                return
            if error is None:
                future.set_result(None)
            else:
                future.set_exception(error)

        self.submit(call, done)
        await future

    async def stop(self) -> None:
        while self._busy or self._queue:
            await self.run(lambda: None)

    def interrupt(self, disk: SimDisk, rng: Random) -> None:
        """Do a random part of the call under way, as its process dies in the middle of it."""
        if self._busy and self._queue:
            disk.cut_after = rng.randrange(0, 6)
            try:
                self._queue[0][0]()
            except (Cut, OSError):
                pass
            finally:
                disk.cut_after = None
        self._queue.clear()

    def _next(self) -> None:
        if not self._busy and self._queue:
            self._busy = True
            self._loop.call_later(self._latency_s(), self._finish)

    def _finish(self) -> None:
        call, done = self._queue.popleft()
        error: BaseException | None = None
        try:
            call()
        except Exception as raised:
            error = raised
        self._busy = False
        done(error)
        self._next()


def memory_database(file: TasksFile) -> Callable[[Path], StateDb]:
    """Opens the database of a machine, wherever its directory would be."""
    return lambda directory: SimStateDb(file)
