"""A worker on this machine with the real process executor, and tasks to give it."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import AsyncIterator, Callable
from pathlib import Path

from swarmd.agent.executors.base import NodeContext
from swarmd.agent.executors.process import ProcessExecutor
from swarmd.agent.files import NodeFiles
from swarmd.agent.worker import Worker
from swarmd.model.ids import NodeId, ServiceId, TaskId
from swarmd.model.secret import Config, Secret
from swarmd.model.spec import (
    ContainerSpec,
    LogDriver,
    Platform,
    PortConfig,
    ResourceRequirements,
    Resources,
    TaskSpec,
)
from swarmd.model.states import TaskState
from swarmd.model.task import Task, TaskStatus
from swarmd.runtime.clock import SystemClock

# A machine that is emulated takes its time.
PATIENCE_S = float(os.environ.get("SWARMD_TEST_PATIENCE_S", "20"))


def a_task(
    task_id: str,
    *words: str,
    grace_ns: int = 2_000_000_000,
    limits: Resources | None = None,
    ports: tuple[PortConfig, ...] = (),
    log: LogDriver | None = None,
    desired: TaskState = TaskState.RUNNING,
    **container: object,
) -> Task:
    """An assigned task of service `web` that runs `words`."""
    spec = ContainerSpec(command=words, stop_grace_period_ns=grace_ns)
    for name, value in container.items():
        spec = replace_field(spec, name, value)
    return Task(
        id=TaskId(task_id),
        service_id=ServiceId("service1"),
        service_name="web",
        slot=1,
        spec=TaskSpec(
            container_spec=spec,
            resources=ResourceRequirements(limits=limits) if limits else None,
            log_driver=log,
        ),
        ports=ports,
        desired_state=desired,
        status=TaskStatus(state=TaskState.ASSIGNED),
    )


def replace_field(spec: ContainerSpec, name: str, value: object) -> ContainerSpec:
    from msgspec.structs import replace

    return replace(spec, **{name: value})


async def eventually(condition: Callable[[], bool], what: str) -> None:
    """Wait until `condition` holds; fail saying `what` did not come about."""
    try:
        async with asyncio.timeout(PATIENCE_S):
            while not condition():
                await asyncio.sleep(0.01)
    except TimeoutError:
        raise AssertionError(f"did not come about within {PATIENCE_S:g} s: {what}") from None


def alive(pid: int) -> bool:
    """Whether a process exists and is not a zombie."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):  # the latter of one that ends meanwhile
        return False
    return stat.rpartition(")")[2].split()[0] != "Z"


class WorkerUnderTest:
    """A worker with its statuses recorded; `crash` forgets it as kill -9 would."""

    def __init__(self, directory: Path, *, node_id: str = "") -> None:
        self.directory = directory
        # Unique per test, for cgroups are named after it.
        self.node_id = NodeId(node_id or f"test-{os.getpid()}-{abs(hash(str(directory))) % 10**9}")
        self.node = NodeContext(
            node_id=self.node_id,
            hostname="host1",
            platform=Platform(architecture="x86_64", os="linux"),
        )
        self.history: dict[str, list[TaskStatus]] = {}
        self.files = NodeFiles()
        self.executor = self.make_executor()
        self.worker = self._worker()

    def make_executor(self) -> ProcessExecutor:
        return ProcessExecutor(self.directory, self.node, files=self.files)

    def _worker(self) -> Worker:
        worker = Worker(self.directory, self.node_id, self.executor, clock=SystemClock())
        worker.on_status = lambda task_id, status: self.history.setdefault(task_id, []).append(
            status
        )
        return worker

    def status(self, task_id: str) -> TaskStatus:
        return dict(self.worker.statuses()).get(TaskId(task_id), TaskStatus())

    def pid(self, task_id: str) -> int:
        container = self.status(task_id).container
        return container.pid if container else 0

    @property
    def keeper_pid(self) -> int:
        return self.executor.link.keeper_pid

    def assign(self, *tasks: Task) -> None:
        self.worker.assign(complete=True, updates=tasks, removed=())

    def give(self, *files: Secret | Config, complete: bool = True) -> None:
        """Secrets and configs, as they come with assignments."""
        self.files.assign(complete=complete, given=files)

    async def reaches(self, task_id: str, state: TaskState) -> TaskStatus:
        await eventually(
            lambda: self.status(task_id).state >= state or self.status(task_id).state.terminal,
            f"task {task_id} {state.word}",
        )
        status = self.status(task_id)
        assert status.state == state, status
        return status

    async def ends(self, task_id: str) -> TaskStatus:
        """The status of a task that has ended in whatever way."""
        await eventually(lambda: self.status(task_id).state.terminal, f"end of task {task_id}")
        return self.status(task_id)

    async def says(self, task_id: str, sentence: str) -> None:
        """Return when the status gives `sentence` as the reason why the task isn't running."""
        await eventually(lambda: sentence in self.status(task_id).err, f"{task_id}: {sentence}")

    def output(self, task_id: str) -> str:
        """All the task has written, of both streams, without times."""
        directory = self.executor.log_directory(TaskId(task_id))
        files = sorted(directory.glob("*.log"))
        return "".join(
            line[22:] for file in files for line in file.read_text().splitlines(keepends=True)
        )

    async def restart(self) -> None:
        """Replace the worker by a fresh one that finds what the old one left."""
        await self.worker.stop(keep_tasks=True)
        await self.restart_stopped()

    async def restart_stopped(self) -> None:
        """Make a fresh worker where the last one was stopped."""
        self.executor = self.make_executor()
        self.worker = self._worker()
        await self.worker.start()


@contextlib.asynccontextmanager
async def a_worker(directory: Path) -> AsyncIterator[WorkerUnderTest]:
    """A started worker; afterwards all it ever started is gone, whatever the test did."""
    worker = WorkerUnderTest(directory)
    await worker.worker.start()
    try:
        yield worker
    finally:
        await worker.worker.stop(keep_tasks=False)
        keeper = worker.keeper_pid
        try:
            await eventually(lambda: not alive(keeper), "the end of an idle keeper")
        finally:
            # Without a keeper the number is 0, which would mean our own process group.
            if keeper > 0 and alive(keeper):
                os.kill(keeper, signal.SIGKILL)
