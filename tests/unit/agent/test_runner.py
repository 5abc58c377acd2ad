"""The runner of one task, with an executor that does what the test says."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from msgspec.structs import replace

from swarmd.agent import runner as module
from swarmd.agent.core.task_machine import Surroundings
from swarmd.agent.executors.base import TaskFailure, TemporaryFailure
from swarmd.agent.executors.session import Access
from swarmd.agent.runner import Runner
from swarmd.agent.serving import Serving
from swarmd.model.ids import TaskId
from swarmd.model.spec import PortConfig
from swarmd.model.states import TaskState
from swarmd.model.task import ContainerStatus, Task, TaskStatus


class FakeController:
    """Does every step at once, unless the test holds or fails it."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.failures: dict[str, list[Exception]] = {}
        self.held: dict[str, asyncio.Event] = {}
        self.surroundings = Surroundings(container=ContainerStatus(pid=7))
        self.note = ""
        self.doing = ""
        self.access: Access | None = None

    async def _do(self, name: str) -> None:
        self.calls.append(name)
        if name in self.held:
            await self.held[name].wait()
        if self.failures.get(name):
            raise self.failures[name].pop(0)

    async def prepare(self) -> None:
        await self._do("prepare")

    async def start(self) -> None:
        await self._do("start")

    async def wait(self) -> None:
        await self._do("wait")

    async def shutdown(self) -> None:
        await self._do("shutdown")

    async def remove(self) -> None:
        await self._do("remove")


class FakeExecutor:
    def __init__(self) -> None:
        self.one = FakeController()
        self.refuses = ""
        self.destroyed: list[TaskId] = []

    def describe(self) -> str:
        return "fake"

    def controller(self, task: Task) -> FakeController:
        if self.refuses:
            raise TaskFailure(self.refuses)
        return self.one

    def log_directory(self, task_id: TaskId) -> Path:
        return Path("/nonexistent")

    async def start(self) -> frozenset[TaskId]:
        return frozenset()

    async def destroy(self, task_id: TaskId) -> None:
        self.destroyed.append(task_id)

    async def close(self) -> None:
        return


class StandingClock:
    def now(self) -> int:
        return 1

    def monotonic(self) -> int:
        return 1


TASK = Task(
    id=TaskId("t1"),
    desired_state=TaskState.RUNNING,
    status=TaskStatus(state=TaskState.ASSIGNED),
)


@asynccontextmanager
async def running(
    task: Task, executor: FakeExecutor, serving: Serving | None = None
) -> AsyncIterator[tuple[Runner, list[TaskStatus]]]:
    seen: list[TaskStatus] = []
    runner = Runner(
        task,
        executor,
        clock=StandingClock(),
        changed=lambda task: seen.append(task.status),
        serving=serving,
    )
    async with asyncio.timeout(10), asyncio.TaskGroup() as group:
        work = group.create_task(runner.run())
        yield runner, seen
        runner.remove()
        for event in executor.one.held.values():
            event.set()
        await work


async def until(condition: Callable[[], bool]) -> None:
    while not condition():
        await asyncio.sleep(0)


async def test_a_task_goes_through_all_states_to_its_end() -> None:
    async with running(TASK, FakeExecutor()) as (runner, seen):
        await until(lambda: runner.task.status.state == TaskState.COMPLETE)
    assert [status.state.word for status in seen] == [
        "accepted", "preparing", "ready", "starting", "running", "complete",
    ]  # fmt: skip
    assert seen[4].container == ContainerStatus(pid=7)


async def test_an_order_to_shut_down_interrupts_waiting() -> None:
    executor = FakeExecutor()
    executor.one.held["wait"] = asyncio.Event()
    async with running(TASK, executor) as (runner, _seen):
        await until(lambda: "wait" in executor.one.calls)
        runner.update(replace(TASK, desired_state=TaskState.SHUTDOWN))
        await until(lambda: runner.task.status.state == TaskState.SHUTDOWN)
    assert executor.one.calls == ["prepare", "start", "wait", "shutdown", "remove"]


async def test_an_order_to_start_does_not_interrupt_preparing() -> None:
    executor = FakeExecutor()
    executor.one.held["prepare"] = asyncio.Event()
    ready = replace(TASK, desired_state=TaskState.READY)
    async with running(ready, executor) as (runner, _):
        await until(lambda: "prepare" in executor.one.calls)
        runner.update(TASK)
        executor.one.held["prepare"].set()
        await until(lambda: runner.task.status.state == TaskState.COMPLETE)
    assert executor.one.calls.count("prepare") == 1


async def test_a_second_order_to_end_does_not_interrupt_the_first() -> None:
    executor = FakeExecutor()
    executor.one.held["shutdown"] = asyncio.Event()
    stopped = replace(TASK, desired_state=TaskState.SHUTDOWN)
    async with running(stopped, executor) as (runner, _):
        await until(lambda: "shutdown" in executor.one.calls)
        runner.update(replace(TASK, desired_state=TaskState.REMOVE))
        runner.remove()
        await asyncio.sleep(0)
        executor.one.held["shutdown"].set()
    assert executor.one.calls == ["shutdown", "remove"]


async def test_a_step_that_cannot_be_done_now_is_tried_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "RETRY_S", 0.0)
    executor = FakeExecutor()
    executor.one.failures["start"] = [TemporaryFailure("busy"), TemporaryFailure("busy")]
    async with running(TASK, executor) as (runner, seen):
        await until(lambda: runner.task.status.state == TaskState.COMPLETE)
    assert executor.one.calls.count("start") == 3
    assert [s.err for s in seen if s.state == TaskState.STARTING] == ["", "busy"]


async def test_a_task_that_cannot_run_here_is_rejected_and_removed_without_a_controller() -> None:
    executor = FakeExecutor()
    executor.refuses = "no such thing"
    async with running(TASK, executor) as (runner, seen):
        await until(lambda: runner.task.status.state.terminal)
    assert [(status.state, status.err) for status in seen] == [
        (TaskState.REJECTED, "no such thing")
    ]
    assert executor.destroyed == [TASK.id]


async def test_cancelling_a_runner_leaves_the_task_as_it_is() -> None:
    executor = FakeExecutor()
    executor.one.held["wait"] = asyncio.Event()
    runner = Runner(TASK, executor, clock=StandingClock(), changed=lambda _: None)
    async with asyncio.timeout(10), asyncio.TaskGroup() as group:
        work = group.create_task(runner.run())
        await until(lambda: "wait" in executor.one.calls)
        work.cancel()
    assert "shutdown" not in executor.one.calls
    assert runner.task.status.state == TaskState.RUNNING


async def test_a_task_found_running_is_waited_for_not_started_again() -> None:
    executor = FakeExecutor()
    found = replace(TASK, status=TaskStatus(state=TaskState.RUNNING))
    async with running(found, executor) as (runner, _):
        await until(lambda: runner.task.status.state == TaskState.COMPLETE)
    assert executor.one.calls == ["wait", "remove"]


class FakeServing(Serving):
    """Says what the test wants about listening and draining."""

    def __init__(self) -> None:
        self.note = ""
        self.by_ipv6: tuple[PortConfig, ...] = ()
        self.served = True
        self.drained_now = asyncio.Event()
        self.drained_tasks: list[TaskId] = []

    def is_served(self, task: Task) -> bool:
        return self.served

    async def listening(self, task: Task, surroundings: Surroundings) -> str:
        return self.note

    async def ipv6_ports(self, task: Task, surroundings: Surroundings) -> tuple[PortConfig, ...]:
        return self.by_ipv6

    async def drained(
        self, task: Task, surroundings: Surroundings, *, tell: Callable[[str], None]
    ) -> None:
        self.drained_tasks.append(task.id)
        tell("draining: 1 connection")
        await self.drained_now.wait()


PUBLISHED = replace(TASK, ports=(PortConfig(target_port=80, published_port=8080),))
STOPPING = replace(PUBLISHED, desired_state=TaskState.SHUTDOWN)


@asynccontextmanager
async def serving_task() -> AsyncIterator[tuple[Runner, FakeExecutor, FakeServing]]:
    """A task that runs, and that others are sent to."""
    executor, serving = FakeExecutor(), FakeServing()
    executor.one.held["wait"] = asyncio.Event()
    async with running(PUBLISHED, executor, serving) as (runner, _):
        await until(lambda: runner.task.status.state == TaskState.RUNNING)
        await until(lambda: executor.one.calls[-1] == "wait")
        yield runner, executor, serving


async def test_a_task_that_others_are_sent_to_is_stopped_when_it_has_drained() -> None:
    async with serving_task() as (runner, executor, serving):
        runner.update(STOPPING)
        await until(lambda: runner.task.status.message == "draining: 1 connection")
        assert runner.task.status.state is TaskState.RUNNING
        assert "shutdown" not in executor.one.calls
        serving.drained_now.set()
        await until(lambda: runner.task.status.state == TaskState.SHUTDOWN)
        assert runner.task.status.message == "shutdown"


async def test_a_task_that_ends_while_it_drains_is_not_waited_for() -> None:
    async with serving_task() as (runner, executor, serving):
        runner.update(STOPPING)
        await until(lambda: bool(serving.drained_tasks))
        executor.one.held["wait"].set()
        await until(lambda: runner.task.status.state == TaskState.SHUTDOWN)


async def test_a_task_that_is_removed_does_not_drain_on() -> None:
    async with serving_task() as (runner, _executor, serving):
        runner.update(STOPPING)
        await until(lambda: bool(serving.drained_tasks))
        runner.remove()
        await until(lambda: runner.task.status.state == TaskState.SHUTDOWN)


async def test_a_task_that_nobody_is_sent_to_is_stopped_at_once() -> None:
    async with serving_task() as (runner, _executor, serving):
        serving.served = False
        runner.update(STOPPING)
        await until(lambda: runner.task.status.state == TaskState.SHUTDOWN)
        assert serving.drained_tasks == []


async def test_what_does_not_listen_yet_is_noted_when_it_runs() -> None:
    executor, serving = FakeExecutor(), FakeServing()
    executor.one.held["wait"] = asyncio.Event()
    serving.note = "nothing listens on port 80 yet"
    async with running(PUBLISHED, executor, serving) as (runner, _):
        await until(lambda: runner.task.status.state == TaskState.RUNNING)
        assert runner.task.status.message == "started; nothing listens on port 80 yet"


async def test_a_running_task_says_where_it_answers_over_ipv6_until_its_end() -> None:
    executor, serving = FakeExecutor(), FakeServing()
    serving.by_ipv6 = (PortConfig(target_port=80),)
    async with running(PUBLISHED, executor, serving) as (_, seen):
        await until(lambda: seen[-1:] != [] and seen[-1].state is TaskState.COMPLETE)
    told = [status.ipv6_ports for status in seen if status.state >= TaskState.RUNNING]
    assert set(told) == {serving.by_ipv6}
    assert not any(status.ipv6_ports for status in seen if status.state < TaskState.RUNNING)
