"""Process tasks on this machine: from assignment to removal."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from swarmd.model.states import TaskState
from tests.support.workers import WorkerUnderTest, a_task, a_worker, alive, eventually


@pytest.fixture
async def worker(tmp_path: Path) -> AsyncIterator[WorkerUnderTest]:
    async with a_worker(tmp_path) as running:
        yield running


async def test_an_assigned_task_runs_until_it_is_told_to_shut_down(worker: WorkerUnderTest) -> None:
    task = a_task("t1", "sleep", "1000")
    worker.assign(task)
    status = await worker.reaches("t1", TaskState.RUNNING)
    assert status.message == "started"
    pid = worker.pid("t1")
    assert alive(pid)
    worker.assign(a_task("t1", "sleep", "1000", desired=TaskState.SHUTDOWN))
    status = await worker.reaches("t1", TaskState.SHUTDOWN)
    assert status.container is not None
    assert status.container.exit_code == 128 + 15
    assert not alive(pid)


async def test_a_task_no_longer_assigned_is_stopped_and_forgotten_with_its_logs(
    worker: WorkerUnderTest,
) -> None:
    worker.assign(a_task("t1", "sleep", "1000"))
    await worker.reaches("t1", TaskState.RUNNING)
    pid = worker.pid("t1")
    worker.assign()
    await eventually(lambda: not worker.worker.statuses(), "the removal of the task")
    assert not alive(pid)
    assert not worker.executor.log_directory("t1").exists()
