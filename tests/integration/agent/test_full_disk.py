"""Tasks and their logs when the node's disk is full."""

from __future__ import annotations

import os
import subprocess
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from swarmd.model.states import TaskState
from tests.support.workers import WorkerUnderTest, a_task, a_worker, alive, eventually

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small disk needs root")


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    disk = tmp_path / "disk"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "none", disk], check=True)
    try:
        yield disk
    finally:
        subprocess.run(["umount", "--lazy", disk], check=True)


@pytest.fixture
async def worker(small_disk: Path) -> AsyncIterator[WorkerUnderTest]:
    async with a_worker(small_disk) as running:
        yield running


def fill(disk: Path) -> Path:
    ballast = disk / "ballast"
    with ballast.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(b"x" * 4096)
        except OSError:
            return ballast


async def test_a_full_disk_neither_blocks_nor_ends_a_task_and_the_gap_is_named(
    worker: WorkerUnderTest, small_disk: Path, tmp_path: Path
) -> None:
    go, done = tmp_path / "go", tmp_path / "done"
    script = (
        f"echo before; while [ ! -e {go} ]; do sleep 0.02; done; "
        f"yes lost | head -c 500000; touch {done}; "
        f"while [ -e {go} ]; do sleep 0.02; done; echo after; sleep 1000"
    )
    worker.assign(a_task("t1", "sh", "-c", script))
    await worker.reaches("t1", TaskState.RUNNING)
    await eventually(lambda: "before" in worker.output("t1"), "the first line")
    ballast = fill(small_disk)
    go.touch()
    await eventually(done.exists, "the task getting on with its work")
    ballast.unlink()
    go.unlink()
    await eventually(lambda: "after" in worker.output("t1"), "the line after the gap")
    lines = worker.output("t1").splitlines()
    assert lines[0] == "before"
    assert any("bytes of output are missing here: No space left" in line for line in lines)
    assert lines[-1] == "after"
    assert worker.status("t1").state == TaskState.RUNNING


async def test_on_a_full_disk_tasks_are_still_started_stopped_and_reported(
    worker: WorkerUnderTest, small_disk: Path
) -> None:
    first = a_task("t1", "sleep", "1000")
    worker.assign(first)
    await worker.reaches("t1", TaskState.RUNNING)
    fill(small_disk)
    worker.assign(first, a_task("t2", "sh", "-c", "echo hi; exec sleep 1000"))
    await worker.reaches("t2", TaskState.RUNNING)
    worker.assign(a_task("t1", "sleep", "1000", desired=TaskState.SHUTDOWN))
    await worker.reaches("t1", TaskState.SHUTDOWN)


async def test_a_daemon_restarted_on_a_full_disk_adopts_its_tasks(
    worker: WorkerUnderTest, small_disk: Path
) -> None:
    worker.assign(a_task("t1", "sleep", "1000"))
    await worker.reaches("t1", TaskState.RUNNING)
    pid = worker.pid("t1")
    fill(small_disk)
    await worker.restart()
    assert worker.status("t1").state == TaskState.RUNNING
    assert alive(pid)
    worker.assign()
    await eventually(lambda: not alive(pid), "the end of the task")
