"""The worker: all tasks of one node, from assignment to removal, across restarts of the daemon.

Changes are written in batches by one writer: a task is stored before it is started, a status
before it is reported. A disk that takes nothing delays neither; what could not be stored is tried
again until it can. On start the tasks in the database go on from where they were, with what the
executor says of them. Tasks that run though the database knows nothing of them wait for the first
complete assignment, which names them or has them stopped.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

from swarmd.agent import logs
from swarmd.agent.core import assignment
from swarmd.agent.executors.base import Executor
from swarmd.agent.executors.session import Access, NoSession
from swarmd.agent.log_reader import LogOptions
from swarmd.agent.logs import LogSelector, Portion
from swarmd.agent.runner import Runner
from swarmd.agent.serving import Serving
from swarmd.agent.state_db import StateDb, StateUnwritable
from swarmd.model.ids import NodeId, TaskId
from swarmd.model.task import Task, TaskStatus
from swarmd.runtime.clock import Clock
from swarmd.runtime.supervise import Supervisor

log = logging.getLogger(__name__)

STORE_RETRY_S = 1.0
DATABASE = "tasks.db"


def open_state(directory: Path) -> StateDb:
    """The database of the worker that lives in `directory`, made if need be; blocks."""
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    return StateDb.open(directory / DATABASE)


class Worker:
    """Runs what the node is assigned.

    `on_status` is called on the event loop with every new status of a task, in order per task,
    after the status has been stored (or could not be, see above). Set it before `start`.
    """

    def __init__(
        self,
        directory: Path,
        node_id: NodeId,
        executor: Executor,
        *,
        clock: Clock,
        open_db: Callable[[Path], StateDb] = open_state,
        serving: Serving | None = None,
    ) -> None:
        self.on_status: Callable[[TaskId, TaskStatus], None] = lambda _task_id, _status: None
        self._directory = directory
        self._node_id = node_id
        self._executor = executor
        self._clock = clock
        self._open_db = open_db
        self._serving = serving
        self._supervisor = Supervisor("worker")
        self._db: StateDb | None = None
        self._runners: dict[TaskId, Runner] = {}
        self._reported: dict[TaskId, TaskStatus] = {}
        self._unclaimed: frozenset[TaskId] = frozenset()
        self._swept = False
        self._to_store: dict[TaskId, Task] = {}
        self._to_forget: set[TaskId] = set()
        self.problem = ""  # why state could not be stored; empty while all is well
        self._to_start: dict[TaskId, None] = {}  # in the order of assignment
        self._work = asyncio.Event()
        self._empty = asyncio.Event()
        self._empty.set()

    async def start(self) -> None:
        """Take up the tasks of an earlier run.

        Raises:
            StateUnwritable: the directory cannot be used at all.
        """
        self._db = await asyncio.to_thread(self._open_db, self._directory)
        tasks = await asyncio.to_thread(self._db.load)
        running = await self._executor.start()
        self._unclaimed = running - {task.id for task in tasks}
        for task in tasks:
            self._reported[task.id] = task.status
            self._add(task)
            self._run(task.id)
        log.info("worker.started tasks=%d unclaimed=%d", len(tasks), len(self._unclaimed))
        self._supervisor.keep(self._write, name="write")

    def assign(
        self, *, complete: bool, updates: tuple[Task, ...], removed: tuple[TaskId, ...] = ()
    ) -> None:
        """Bring the node's tasks in line with an assignment message; returns at once."""
        known = {task_id: runner.task for task_id, runner in self._runners.items()}
        changes = assignment.changes(known, complete=complete, updates=updates, removed=removed)
        for task in changes.added:
            self._add(task)
            # The manager knows this status: it has sent it.
            self._reported[task.id] = task.status
            self._store(task)
            self._to_start[task.id] = None
        for task in changes.updated:
            self._runners[task.id].update(task)
            self._store(self._runners[task.id].task)
        for task_id in changes.removed:
            self._runners[task_id].remove()
        if complete and not self._swept:
            self._swept = True
            listed = {task.id for task in updates}
            self._unclaimed -= listed
            self._supervisor.spawn(self._sweep(), name="sweep")

    def statuses(self) -> tuple[tuple[TaskId, TaskStatus], ...]:
        """The status of every task as last given to `on_status`, to report to a new session."""
        return tuple(self._reported.items())

    async def drain(self) -> None:
        """End and remove all tasks, each with its grace period; returns when none is left."""
        self.assign(complete=True, updates=())
        await self._empty.wait()
        await self._sweep()

    async def stop(self, *, keep_tasks: bool) -> None:
        """Stop working; with `keep_tasks` the tasks go on and a later worker takes them up."""
        if not keep_tasks:
            await self.drain()
        await self._supervisor.stop()
        await self._executor.close()
        if self._db is not None:
            await asyncio.to_thread(self._store_rest, self._db)
            self._db.close()
            self._db = None

    def logs(self, selector: LogSelector, options: LogOptions) -> AsyncIterator[list[Portion]]:
        """What tasks of the node that `selector` names said; close the iterator when done."""

        def matching() -> Iterator[tuple[TaskId, Path]]:
            whole_node = self._node_id in selector.node_ids
            for task_id, runner in self._runners.items():
                if (
                    whole_node
                    or task_id in selector.task_ids
                    or runner.task.service_id in selector.service_ids
                ):
                    yield task_id, self._executor.log_directory(task_id)

        return logs.read(matching, options, now=self._clock.now)

    def access(self, task_id: TaskId) -> Access:
        """The way into a task that runs here.

        Raises:
            NoSession
        """
        runner = self._runners.get(task_id)
        if runner is None:
            raise NoSession(f"task {task_id} is not on this node")
        access = runner.access
        if access is None:
            raise NoSession(f"task {task_id} does not run yet, or cannot be entered")
        return access

    def _add(self, task: Task) -> None:
        self._runners[task.id] = Runner(
            task,
            self._executor,
            clock=self._clock,
            changed=self._store,
            serving=self._serving,
        )
        self._empty.clear()

    def _run(self, task_id: TaskId) -> None:
        self._supervisor.spawn(self._run_to_end(self._runners[task_id]), name=f"task.{task_id}")

    async def _run_to_end(self, runner: Runner) -> None:
        await runner.run()
        task_id = runner.task.id
        del self._runners[task_id]
        self._reported.pop(task_id, None)
        self._to_store.pop(task_id, None)
        self._to_forget.add(task_id)
        self._work.set()
        if not self._runners:
            self._empty.set()

    def _store(self, task: Task) -> None:
        self._to_store[task.id] = task
        self._to_forget.discard(task.id)
        self._work.set()

    async def _write(self) -> None:
        """The one writer: everything that changed while it was writing makes the next batch."""
        while True:
            await self._work.wait()
            self._work.clear()
            tasks, self._to_store = self._to_store, {}
            removed, self._to_forget = self._to_forget, set()
            starting, self._to_start = self._to_start, {}
            stored = await self._write_batch(tasks, removed)
            for task_id in starting:
                if task_id in self._runners:
                    self._run(task_id)
            for task in tasks.values():
                self._report(task)
            if not stored:
                await asyncio.sleep(STORE_RETRY_S)

    async def _write_batch(self, tasks: dict[TaskId, Task], removed: set[TaskId]) -> bool:
        db = self._db
        if db is None:
            raise AssertionError("the writer runs only while the database is open")
        try:
            await asyncio.to_thread(db.write, tasks=tuple(tasks.values()), removed=tuple(removed))
        except StateUnwritable as error:
            if not self.problem:
                log.error("state.unwritable reason=%s: will try again", error)
            self.problem = f"{error}; a restart now would rely on the manager's memory"
            # What changed meanwhile is newer than what could not be stored.
            self._to_store = {**tasks, **self._to_store}
            self._to_forget |= removed - self._to_store.keys()
            self._work.set()
            return False
        if self.problem:
            log.info("state.written tasks=%d", len(tasks))
            self.problem = ""
        return True

    def _report(self, task: Task) -> None:
        if task.id not in self._runners or self._reported.get(task.id) == task.status:
            return
        self._reported[task.id] = task.status
        self.on_status(task.id, task.status)

    def _store_rest(self, db: StateDb) -> None:
        """What the writer had not come to, or was cancelled over."""
        tasks = {task_id: runner.task for task_id, runner in self._runners.items()}
        try:
            db.write(tasks=tuple(tasks.values()), removed=tuple(self._to_forget))
        except StateUnwritable as error:
            log.error("state.unwritable reason=%s: the next start relies on the manager", error)

    async def _sweep(self) -> None:
        """End what nobody assigns to this node any more."""
        for task_id in sorted(self._unclaimed):
            log.warning("task.unclaimed task.id=%s: not assigned to this node; stopped", task_id)
            await self._executor.destroy(task_id)
            self._unclaimed -= {task_id}
