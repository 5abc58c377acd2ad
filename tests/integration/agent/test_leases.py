"""Tasks on a lease in a real keeper: they end when no manager answers, with or without daemon."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from msgspec.structs import replace

from swarmd.model.instant import MILLISECOND, SECOND
from swarmd.model.states import TaskState
from swarmd.model.task import Task
from tests.support.workers import WorkerUnderTest, a_task, a_worker, alive, eventually

LEASE_NS = 800 * MILLISECOND


@pytest.fixture
async def worker(tmp_path: Path) -> AsyncIterator[WorkerUnderTest]:
    async with a_worker(tmp_path) as worker:
        yield worker


def leased(task_id: str, *words: str, lease_ns: int = LEASE_NS) -> Task:
    return replace(a_task(task_id, *words), lease_ns=lease_ns)


def answered(worker: WorkerUnderTest) -> None:
    """A manager has answered a heartbeat sent just now."""
    worker.executor.leases.answered(worker.executor.leases.now())


async def test_a_task_whose_lease_runs_out_is_killed_with_all_its_processes(
    worker: WorkerUnderTest,
) -> None:
    answered(worker)
    worker.assign(leased("t1", "sh", "-c", "trap '' TERM; sleep 1000 & echo $!; wait"))
    await worker.reaches("t1", TaskState.RUNNING)
    await eventually(lambda: worker.output("t1") != "", "the number of the child")
    child = int(worker.output("t1").split()[-1])
    status = await worker.reaches("t1", TaskState.FAILED)
    assert "no manager answered this node for 800ms" in status.err
    assert not alive(child)


async def test_answers_renew_leases_and_tasks_without_one_need_none(
    worker: WorkerUnderTest,
) -> None:
    answered(worker)
    worker.assign(leased("t1", "sleep", "1000"), a_task("t2", "sleep", "1000"))
    for task_id in ("t1", "t2"):
        await worker.reaches(task_id, TaskState.RUNNING)
    for _ in range(12):
        answered(worker)
        await asyncio.sleep(0.1)
    assert alive(worker.pid("t1"))
    await worker.reaches("t1", TaskState.FAILED)
    assert alive(worker.pid("t2"))


async def test_a_lease_holds_while_the_daemon_is_dead(worker: WorkerUnderTest) -> None:
    answered(worker)
    worker.assign(leased("t1", "sleep", "1000"), a_task("t2", "sleep", "1000"))
    for task_id in ("t1", "t2"):
        await worker.reaches(task_id, TaskState.RUNNING)
    ended, kept = worker.pid("t1"), worker.pid("t2")
    await worker.worker.stop(keep_tasks=True)
    await eventually(lambda: not alive(ended), "the end of the task on a lease")
    assert alive(kept)
    await worker.restart()
    status = await worker.reaches("t1", TaskState.FAILED)
    assert "no manager answered" in status.err


async def test_a_task_on_a_lease_does_not_start_without_word_from_a_manager(
    worker: WorkerUnderTest,
) -> None:
    worker.assign(leased("t1", "sleep", "1000", lease_ns=30 * SECOND))
    await eventually(lambda: "waits for word" in worker.status("t1").err, "the reason")
    assert worker.status("t1").state is TaskState.STARTING
    answered(worker)
    await worker.reaches("t1", TaskState.RUNNING)


async def test_the_keeper_itself_refuses_a_start_whose_lease_has_run_out(
    worker: WorkerUnderTest,
) -> None:
    launch = {"id": "t1", "lease_ns": SECOND, "contact": 1}
    answer = await worker.executor.link.request("start", launch=launch)
    assert answer["error"]["step"] == "lease"
