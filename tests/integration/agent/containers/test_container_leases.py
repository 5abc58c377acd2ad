"""Containers on a lease: they end when no manager answers, with or without daemon."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from msgspec.structs import replace

from swarmd.model.instant import MILLISECOND, SECOND
from swarmd.model.states import TaskState
from swarmd.model.task import Task
from tests.support.containers import (
    ContainerWorker,
    a_container,
    a_container_worker,
    an_id,
    needs_containers,
)
from tests.support.workers import alive, eventually

pytestmark = needs_containers
LEASE_NS = 1500 * MILLISECOND
STUBBORN = "trap '' TERM; sleep 1000 & echo up; wait; sleep 1000"


@pytest.fixture
async def worker(tmp_path: Path) -> AsyncIterator[ContainerWorker]:
    async with a_container_worker(tmp_path) as running:
        yield running


def leased(*words: str, lease_ns: int = LEASE_NS) -> Task:
    return replace(a_container(an_id(), *words), lease_ns=lease_ns)


def second_of(worker: ContainerWorker) -> int:
    """The keeper's second; 0 when there is none."""
    path = worker.directory / "run" / "leases" / ".second"
    pid = int(path.read_text() or 0) if path.exists() else 0
    return pid if pid and alive(pid) else 0


def answered(worker: ContainerWorker) -> None:
    """A manager has answered a heartbeat sent just now."""
    leases = worker.node_executor.processes.leases
    leases.answered(leases.now())


async def comes_up(worker: ContainerWorker, task: Task) -> None:
    """Have managers answer until the task runs, however long a busy machine takes over it."""

    def is_up() -> bool:
        answered(worker)
        return worker.status(task.id).state is TaskState.RUNNING

    await eventually(is_up, f"task {task.id} running")


def processes(worker: ContainerWorker, task: Task) -> list[int]:
    """Everything that is in the container's cgroup."""
    found: set[int] = set()
    group = f"swarmd-containers/{worker.node_id}/{task.id}"
    for tree in ("", "pids"):
        path = Path("/sys/fs/cgroup", tree, group, "cgroup.procs")
        if path.exists():
            found |= {int(pid) for pid in path.read_text().split()}
    return sorted(found)


async def test_a_container_waits_for_word_keeps_running_on_it_and_ends_without(
    worker: ContainerWorker,
) -> None:
    task = leased("sh", "-c", STUBBORN)
    free = a_container(an_id(), "sleep", "1000")
    worker.assign(task, free)
    await worker.says(task.id, "waits for word from a manager")
    assert worker.status(task.id).state is TaskState.STARTING
    assert processes(worker, task) == []
    await worker.reaches(free.id, TaskState.RUNNING)
    await comes_up(worker, task)
    for _ in range(20):
        answered(worker)
        await asyncio.sleep(0.1)
    inside = processes(worker, task)
    assert len(inside) >= 2
    assert worker.status(task.id).state is TaskState.RUNNING
    status = await worker.reaches(task.id, TaskState.FAILED)
    assert "no manager answered this node for 1.5s" in status.err
    assert not any(map(alive, inside))
    assert alive(worker.pid(free.id))


async def test_a_lease_holds_while_the_daemon_is_dead_and_across_its_restart(
    worker: ContainerWorker,
) -> None:
    task = leased("sh", "-c", STUBBORN, lease_ns=4 * SECOND)
    worker.assign(task)
    await comes_up(worker, task)
    pid = worker.pid(task.id)
    await worker.restart()
    worker.assign(task)
    await worker.reaches(task.id, TaskState.RUNNING)
    assert alive(pid), "a restart within the lease is no reason to end"
    inside = processes(worker, task)
    await worker.worker.stop(keep_tasks=True)
    await eventually(lambda: not any(map(alive, inside)), "the end of all its processes")
    await worker.restart_stopped()
    worker.assign(task)
    status = await worker.reaches(task.id, TaskState.FAILED)
    assert "no manager answered" in status.err


async def test_another_keeper_goes_on_with_the_leases(worker: ContainerWorker) -> None:
    task = leased("sleep", "1000", lease_ns=3 * SECOND)
    worker.assign(task)
    await comes_up(worker, task)
    pid, first = worker.pid(task.id), worker.keeper_pid
    os.kill(first, signal.SIGKILL)
    await eventually(lambda: worker.keeper_pid not in (0, first), "another keeper")
    answered(worker)
    assert alive(pid)
    status = await worker.reaches(task.id, TaskState.FAILED)
    assert "no manager answered" in status.err
    assert not alive(pid)


async def test_a_lease_outlives_keeper_and_daemon_together(worker: ContainerWorker) -> None:
    task = leased("sh", "-c", STUBBORN, lease_ns=3 * SECOND)
    worker.assign(task)
    await comes_up(worker, task)
    inside = processes(worker, task)
    # One who watches is not alone for long: whoever is killed is replaced by the other.
    first = second_of(worker)
    os.kill(first, signal.SIGKILL)
    await eventually(lambda: second_of(worker) not in (0, first), "another second")
    keeper = worker.keeper_pid
    await worker.worker.stop(keep_tasks=True)
    os.kill(keeper, signal.SIGKILL)
    second = second_of(worker)
    assert all(map(alive, inside)), "nothing is wrong yet"
    await eventually(lambda: not any(map(alive, inside)), "the end of all its processes")
    await eventually(lambda: not alive(second), "the end of a second that nobody needs")
    await worker.restart_stopped()
    worker.assign(task)
    status = await worker.reaches(task.id, TaskState.FAILED)
    assert "no manager answered this node for 3s" in status.err


async def test_a_keeper_that_is_replaced_is_relieved_of_its_second(
    worker: ContainerWorker,
) -> None:
    task = leased("sleep", "1000", lease_ns=60 * SECOND)
    worker.assign(task)
    await comes_up(worker, task)
    keeper, second = worker.keeper_pid, second_of(worker)
    os.kill(keeper, signal.SIGKILL)
    await eventually(lambda: second_of(worker) not in (0, second), "the next keeper's second")
    assert not alive(second)
    assert alive(worker.pid(task.id))
    worker.assign()
    await eventually(lambda: not worker.worker.statuses(), "the removal")
    await eventually(lambda: second_of(worker) == 0, "the end of a second that nobody needs")
