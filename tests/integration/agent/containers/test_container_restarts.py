"""Containers across the death of the daemon, of containerd, of a shim and of the keeper."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from swarmd.model.spec import PortConfig
from swarmd.model.states import TaskState
from tests.support.containers import (
    ContainerWorker,
    a_container,
    a_container_worker,
    an_id,
    needs_containers,
)
from tests.support.workers import alive, eventually

pytestmark = needs_containers

DAEMON = """
import asyncio, sys
from pathlib import Path
from tests.support.containers import ContainerWorker, a_container
from swarmd.model.states import TaskState

async def main():
    worker = ContainerWorker(Path(sys.argv[1]), node_id=sys.argv[2])
    await worker.worker.start()
    worker.assign(a_container(sys.argv[3], *sys.argv[4:]))
    await worker.reaches(sys.argv[3], TaskState.RUNNING)
    print(worker.pid(sys.argv[3]), flush=True)
    await asyncio.sleep(1000)

asyncio.run(main())
"""
TICKS = ("sh", "-c", "n=0; while true; do n=$((n+1)); echo $n; sleep 0.02; done")


@pytest.fixture
async def worker(tmp_path: Path) -> AsyncIterator[ContainerWorker]:
    async with a_container_worker(tmp_path) as running:
        yield running


async def test_a_restarted_daemon_adopts_its_containers(worker: ContainerWorker) -> None:
    task_id = an_id()
    task = a_container(task_id, *TICKS, ports=(PortConfig(target_port=80),))
    worker.assign(task)
    before = await worker.reaches(task_id, TaskState.RUNNING)
    await worker.restart()
    assert worker.status(task_id) == before
    assert alive(worker.pid(task_id))
    said = worker.output(task_id)
    await eventually(lambda: len(worker.output(task_id)) > len(said), "more output")
    assert numbers(worker.output(task_id))
    worker.assign()
    await eventually(lambda: not worker.worker.statuses(), "the removal")


async def test_how_a_container_ended_while_no_daemon_ran_is_known(
    worker: ContainerWorker,
) -> None:
    task_id = an_id()
    gate = worker.directory / "containers" / task_id / "hosts"
    script = "echo waiting; while ! grep -q open /etc/hosts; do sleep 0.02; done; echo out; exit 7"
    worker.assign(a_container(task_id, "sh", "-c", script))
    await worker.reaches(task_id, TaskState.RUNNING)
    pid = worker.pid(task_id)
    await worker.worker.stop(keep_tasks=True)
    with gate.open("a") as file:
        file.write("# open\n")
    await eventually(lambda: not alive(pid), "the end of the container")
    await worker.restart_stopped()
    status = await worker.ends(task_id)
    assert (status.state, status.err) == (TaskState.FAILED, "task: non-zero exit (7)")
    assert worker.output(task_id) == "waiting\nout\n"


async def test_containers_outlive_a_daemon_that_is_killed(worker: ContainerWorker) -> None:
    await worker.worker.stop(keep_tasks=True)
    task_id = an_id()
    words = [sys.executable, "-c", DAEMON, str(worker.directory), worker.node_id, task_id, *TICKS]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as daemon:
        assert daemon.stdout is not None
        pid = int(await asyncio.to_thread(daemon.stdout.readline))
        daemon.kill()
    assert alive(pid)
    await worker.restart_stopped()
    assert worker.status(task_id).state == TaskState.RUNNING
    assert worker.pid(task_id) == pid
    worker.assign(a_container(task_id, *TICKS, desired=TaskState.SHUTDOWN))
    await worker.reaches(task_id, TaskState.SHUTDOWN)
    assert not alive(pid)
    assert numbers(worker.output(task_id))


async def test_a_containerd_that_is_killed_is_started_again_and_containers_notice_nothing(
    worker: ContainerWorker,
) -> None:
    task_id, other = an_id(), an_id()
    worker.assign(a_container(task_id, *TICKS))
    await worker.reaches(task_id, TaskState.RUNNING)
    pid, engine = worker.pid(task_id), worker.engine_pid
    os.kill(engine, signal.SIGKILL)
    await eventually(lambda: worker.engine_pid not in (0, engine), "another containerd")
    worker.assign(a_container(task_id, *TICKS), a_container(other, "true"))
    await worker.ends(other)
    assert worker.status(other).state == TaskState.COMPLETE
    assert worker.status(task_id).state == TaskState.RUNNING
    assert alive(pid)
    worker.assign()
    await eventually(lambda: not worker.worker.statuses(), "the removal")
    assert not alive(pid)


async def test_a_container_whose_shim_is_killed_fails_and_leaves_nothing(
    worker: ContainerWorker,
) -> None:
    task_id = an_id()
    worker.assign(a_container(task_id, *TICKS))
    await worker.reaches(task_id, TaskState.RUNNING)
    pid = worker.pid(task_id)
    os.kill(parent_of(pid), signal.SIGKILL)
    status = await worker.ends(task_id)
    assert status.state == TaskState.FAILED
    assert "unseen" in status.err
    await eventually(lambda: not alive(pid), "the end of its processes")


async def test_output_is_logged_on_by_the_next_keeper(worker: ContainerWorker) -> None:
    task_id = an_id()
    worker.assign(a_container(task_id, *TICKS))
    await worker.reaches(task_id, TaskState.RUNNING)
    keeper = worker.keeper_pid
    os.kill(keeper, signal.SIGKILL)
    await eventually(lambda: worker.keeper_pid != keeper, "another keeper")
    said = worker.output(task_id)
    await eventually(lambda: len(worker.output(task_id)) > len(said), "more output")
    assert numbers(worker.output(task_id))


async def test_a_container_nobody_assigned_is_swept_away(worker: ContainerWorker) -> None:
    task_id = an_id()
    worker.assign(a_container(task_id, *TICKS))
    await worker.reaches(task_id, TaskState.RUNNING)
    pid = worker.pid(task_id)
    await worker.worker.stop(keep_tasks=True)
    for path in worker.directory.glob("tasks.db*"):
        path.unlink()
    await worker.restart_stopped()
    worker.assign()
    await eventually(lambda: not alive(pid), "the end of the stray")
    await eventually(
        lambda: not list((worker.directory / "containers").iterdir()), "its files' removal"
    )


def numbers(output: str) -> bool:
    """Whether no line is missing or out of order."""
    lines = output.splitlines()
    return lines == [str(number) for number in range(1, len(lines) + 1)]


def parent_of(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
