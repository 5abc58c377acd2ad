"""Tasks across the death of the daemon, of their keeper, and of what the node remembers."""

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
from tests.support.workers import WorkerUnderTest, a_task, a_worker, alive, eventually

DAEMON = """
import asyncio, sys
from pathlib import Path
from tests.support.workers import WorkerUnderTest, a_task
from swarmd.model.states import TaskState

async def main():
    worker = WorkerUnderTest(Path(sys.argv[1]), node_id=sys.argv[2])
    await worker.worker.start()
    worker.assign(a_task("t1", *sys.argv[3:]))
    await worker.reaches("t1", TaskState.RUNNING)
    print(worker.pid("t1"), flush=True)
    await asyncio.sleep(1000)

asyncio.run(main())
"""


@pytest.fixture
async def worker(tmp_path: Path) -> AsyncIterator[WorkerUnderTest]:
    async with a_worker(tmp_path) as running:
        yield running


async def test_a_restarted_worker_adopts_its_tasks_with_their_ports(
    worker: WorkerUnderTest,
) -> None:
    task = a_task("t1", "sleep", "1000", ports=(PortConfig(target_port=28_090),))
    worker.assign(task)
    before = await worker.reaches("t1", TaskState.RUNNING)
    await worker.restart()
    assert worker.status("t1") == before
    other = a_task("t2", "sleep", "1000", ports=(PortConfig(target_port=28_090),))
    worker.assign(task, other)
    status = await worker.reaches("t2", TaskState.RUNNING)
    assert status.ports[0].published_port != before.ports[0].published_port
    assert worker.status("t1").state == TaskState.RUNNING
    assert alive(worker.pid("t1"))


async def test_a_task_that_ends_while_no_daemon_runs_keeps_its_exit_status(
    worker: WorkerUnderTest, tmp_path: Path
) -> None:
    flag = tmp_path / "flag"
    script = f"while [ ! -e {flag} ]; do sleep 0.02; done; echo last words; exit 9"
    worker.assign(a_task("t1", "sh", "-c", script), a_task("t2", "sleep", "1000"))
    await worker.reaches("t1", TaskState.RUNNING)
    await worker.reaches("t2", TaskState.RUNNING)
    pid = worker.pid("t1")
    await worker.worker.stop(keep_tasks=True)
    flag.touch()
    await eventually(lambda: not alive(pid), "the end of the task")
    await worker.restart()
    status = await worker.reaches("t1", TaskState.FAILED)
    assert status.err == "task: non-zero exit (9)"
    assert worker.output("t1") == "last words\n"


async def test_tasks_survive_kill_9_of_the_daemon_and_are_adopted(tmp_path: Path) -> None:
    words = ["sh", "-c", "trap 'exit 5' TERM; while :; do sleep 0.02; done"]
    async with a_worker(tmp_path / "other") as other:
        node_id = f"{other.node_id}-killed"
        directory = tmp_path / "worker"
        daemon = await asyncio.to_thread(
            subprocess.Popen,
            [sys.executable, "-c", DAEMON, str(directory), node_id, *words],
            stdout=subprocess.PIPE,
        )
        try:
            assert daemon.stdout is not None
            pid = int(await asyncio.to_thread(daemon.stdout.readline))
        finally:
            daemon.kill()
            daemon.communicate()
        assert alive(pid)
        adopted = WorkerUnderTest(directory, node_id=node_id)
        await adopted.worker.start()
        try:
            assert adopted.status("t1").state == TaskState.RUNNING
            assert adopted.pid("t1") == pid
            adopted.assign(a_task("t1", *words, desired=TaskState.SHUTDOWN))
            status = await adopted.reaches("t1", TaskState.SHUTDOWN)
            assert status.container is not None
            assert status.container.exit_code == 5
        finally:
            await adopted.worker.stop(keep_tasks=False)


async def test_a_task_removed_while_no_daemon_ran_is_stopped_after_the_restart(
    worker: WorkerUnderTest,
) -> None:
    worker.assign(a_task("t1", "sleep", "1000"))
    await worker.reaches("t1", TaskState.RUNNING)
    pid = worker.pid("t1")
    await worker.restart()
    worker.assign()
    await eventually(lambda: not alive(pid), "the end of the task")


async def test_when_the_keeper_dies_its_tasks_die_whole_and_are_failed(
    worker: WorkerUnderTest,
) -> None:
    words = ("sh", "-c", "setsid sleep 1000 & echo $!; exec sleep 1000")
    worker.assign(a_task("t1", *words))
    await eventually(lambda: worker.output("t1").strip().isdigit(), "the descendant's pid")
    await worker.reaches("t1", TaskState.RUNNING)
    leader, descendant = worker.pid("t1"), int(worker.output("t1"))
    first = worker.keeper_pid
    os.kill(first, signal.SIGKILL)
    status = await worker.reaches("t1", TaskState.FAILED)
    assert "the keeper of its tasks was killed" in status.err
    assert not alive(leader)
    assert not alive(descendant)
    worker.assign(a_task("t2", "sleep", "1000"))
    await worker.reaches("t2", TaskState.RUNNING)
    assert worker.keeper_pid != first


async def test_a_keeper_killed_with_the_daemon_away_is_noticed_on_the_next_start(
    worker: WorkerUnderTest,
) -> None:
    worker.assign(a_task("t1", "sh", "-c", "setsid sleep 1000 & echo $!; exec sleep 1000"))
    await eventually(lambda: worker.output("t1").strip().isdigit(), "the descendant's pid")
    await worker.reaches("t1", TaskState.RUNNING)
    descendant = int(worker.output("t1"))
    await worker.worker.stop(keep_tasks=True)
    os.kill(worker.keeper_pid, signal.SIGKILL)
    await worker.restart()
    status = await worker.reaches("t1", TaskState.FAILED)
    assert "ended unseen" in status.err
    assert not alive(descendant)


async def test_a_keeper_that_hangs_is_killed_and_replaced(
    worker: WorkerUnderTest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("swarmd.agent.executors.keeper_link.ANSWER_S_MAX", 0.5)
    worker.assign(a_task("t1", "sleep", "1000"))
    await worker.reaches("t1", TaskState.RUNNING)
    os.kill(worker.keeper_pid, signal.SIGSTOP)
    worker.assign(a_task("t1", "sleep", "1000"), a_task("t2", "sleep", "1000"))
    await worker.reaches("t1", TaskState.FAILED)
    await worker.reaches("t2", TaskState.RUNNING)


async def test_with_its_database_corrupted_a_worker_goes_on_with_what_is_still_assigned(
    worker: WorkerUnderTest, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    kept, gone = a_task("t1", "sleep", "1000"), a_task("t2", "sleep", "1000")
    worker.assign(kept, gone)
    status = await worker.reaches("t1", TaskState.RUNNING)
    await worker.reaches("t2", TaskState.RUNNING)
    pids = worker.pid("t1"), worker.pid("t2")
    await worker.worker.stop(keep_tasks=True)
    (tmp_path / "tasks.db").write_bytes(b"noise" * 2000)
    await worker.restart()
    assert "state.corrupt" in caplog.text
    assert (tmp_path / "tasks.db.corrupt-1").exists()
    worker.assign(with_status(kept, status))
    await worker.reaches("t1", TaskState.RUNNING)
    await eventually(lambda: not alive(pids[1]), "the end of the task no longer assigned")
    assert alive(pids[0])
    assert worker.pid("t1") == pids[0]


def with_status(task: object, status: object) -> object:
    from msgspec.structs import replace

    return replace(task, status=status)
