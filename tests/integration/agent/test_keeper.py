"""The keeper by itself: who it listens to, when it leaves, what it never lets go of."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from swarmd.agent.executors.keeper_link import SOCKET_NAME
from swarmd.model.ids import TaskId
from swarmd.model.states import TaskState
from tests.support.workers import WorkerUnderTest, a_task, a_worker, alive, eventually


@pytest.fixture
async def worker(tmp_path: Path) -> AsyncIterator[WorkerUnderTest]:
    async with a_worker(tmp_path) as running:
        yield running


async def say(directory: Path, line: bytes) -> bytes:
    """What the keeper answers to one line; empty when it hangs up."""
    descriptor = os.open(directory / "run", os.O_PATH)
    try:
        reader, writer = await asyncio.open_unix_connection(
            f"/proc/self/fd/{descriptor}/{SOCKET_NAME}"
        )
        writer.write(line)
        async with asyncio.timeout(10):
            try:
                return await reader.readline()
            except ConnectionResetError:
                return b""
            finally:
                writer.close()
                with contextlib.suppress(ConnectionError):
                    await writer.wait_closed()
    finally:
        os.close(descriptor)


@pytest.mark.parametrize(
    ("line", "answer"),
    [
        (b"not json\n", b""),
        (b'{"seq": 1, "op": "dance"}\n', b"unknown operation dance"),
        (b'{"seq": 1, "op": "start"}\n', b"KeyError"),
        (b'{"seq": 1, "op": "start", "launch": {"id": "x"}}\n', b"KeyError"),
        (b'{"seq": 1, "op": "stop", "id": "nobody"}\n', b'"known": false'),
    ],
)
async def test_nonsense_is_answered_or_dropped_and_tasks_go_on(
    worker: WorkerUnderTest, tmp_path: Path, line: bytes, answer: bytes
) -> None:
    worker.assign(a_task("t1", "sleep", "1000"))
    await worker.reaches("t1", TaskState.RUNNING)
    said = await say(tmp_path, line)
    assert answer in said if answer else said == b""
    assert b'"pid"' in await say(tmp_path, b'{"seq": 1, "op": "hello"}\n')
    assert alive(worker.pid("t1"))


async def test_a_keeper_without_daemon_and_tasks_leaves_and_the_next_start_brings_another(
    worker: WorkerUnderTest,
) -> None:
    first = worker.keeper_pid
    await worker.worker.stop(keep_tasks=True)
    await eventually(lambda: not alive(first), "the end of an idle keeper")
    await worker.restart()
    assert worker.keeper_pid != first


async def test_a_long_state_directory_does_not_exceed_the_length_of_socket_addresses(
    tmp_path: Path,
) -> None:
    directory = tmp_path / ("d" * 120)
    async with a_worker(directory) as worker:
        worker.assign(a_task("t1", "true"))
        await worker.reaches("t1", TaskState.COMPLETE)


async def test_logs_that_belong_to_no_task_go_with_the_first_complete_assignment(
    worker: WorkerUnderTest,
) -> None:
    await worker.worker.stop(keep_tasks=True)
    stray = worker.executor.log_directory(TaskId("stray"))
    stray.mkdir()
    await worker.restart()
    worker.assign()
    await eventually(lambda: not stray.exists(), "the removal of stray logs")


async def test_output_of_many_megabytes_does_not_hold_up_the_stop_of_another_task(
    worker: WorkerUnderTest,
) -> None:
    flood, quiet = a_task("t1", "yes"), a_task("t2", "sleep", "1000")
    worker.assign(flood, quiet)
    await worker.reaches("t1", TaskState.RUNNING)
    await worker.reaches("t2", TaskState.RUNNING)
    worker.assign(flood, a_task("t2", "sleep", "1000", desired=TaskState.SHUTDOWN))
    await worker.reaches("t2", TaskState.SHUTDOWN)
    files = list(worker.executor.log_directory(TaskId("t1")).iterdir())
    assert sum(file.stat().st_size for file in files) <= 3 * 10_000_000
