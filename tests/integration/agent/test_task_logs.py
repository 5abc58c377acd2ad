"""Logs of running tasks through the worker."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing
from pathlib import Path

import pytest

from swarmd.agent.log_reader import LogOptions, LogRecord, LogStream, records_of
from swarmd.agent.logs import LogSelector
from swarmd.model.ids import NodeId, ServiceId, TaskId
from swarmd.model.spec import LogDriver
from swarmd.model.states import TaskState
from tests.support.workers import WorkerUnderTest, a_task, a_worker


async def read(
    worker: WorkerUnderTest, selector: LogSelector, options: LogOptions
) -> AsyncIterator[LogRecord]:
    async with aclosing(worker.worker.logs(selector, options)) as turns:  # type: ignore[type-var]
        async for portions in turns:
            for task_id, lines in portions:
                for record in records_of(lines, task_id):
                    yield record


@pytest.fixture
async def worker(tmp_path: Path) -> AsyncIterator[WorkerUnderTest]:
    async with a_worker(tmp_path) as running:
        yield running


async def test_both_streams_are_kept_apart_and_found_by_service(worker: WorkerUnderTest) -> None:
    worker.assign(a_task("t1", "sh", "-c", "echo out; echo err >&2"))
    await worker.reaches("t1", TaskState.COMPLETE)
    selector = LogSelector(service_ids=(ServiceId("service1"),))
    records = [record async for record in read(worker, selector, LogOptions())]
    assert {(r.task_id, r.stream, r.data) for r in records} == {
        (TaskId("t1"), LogStream.STDOUT, b"out\n"),
        (TaskId("t1"), LogStream.STDERR, b"err\n"),
    }


@pytest.mark.parametrize(
    ("selector", "count"),
    [
        (LogSelector(task_ids=(TaskId("t2"),)), 1),
        (LogSelector(task_ids=(TaskId("t3"),)), 0),
        (LogSelector(service_ids=(ServiceId("other"),)), 0),
        (LogSelector(node_ids=(NodeId("elsewhere"),)), 0),
    ],
)
async def test_only_selected_tasks_are_read(
    worker: WorkerUnderTest, selector: LogSelector, count: int
) -> None:
    worker.assign(a_task("t1", "echo", "one"), a_task("t2", "echo", "two"))
    for name in ("t1", "t2"):
        await worker.reaches(name, TaskState.COMPLETE)
    records = [record async for record in read(worker, selector, LogOptions())]
    assert [record.data for record in records] == [b"two\n"] * count


async def test_following_goes_on_across_rotation_and_a_restart_of_the_daemon(
    worker: WorkerUnderTest, tmp_path: Path
) -> None:
    go = tmp_path / "go"
    script = f"echo 0; while [ ! -e {go} ]; do sleep 0.02; done; seq 1 2000; exec sleep 1000"
    log = LogDriver(name="json-file", options={"max-size": "20k", "max-file": "10"})
    worker.assign(a_task("t1", "sh", "-c", script, log=log))
    await worker.reaches("t1", TaskState.RUNNING)
    await worker.restart()
    selector = LogSelector(task_ids=(TaskId("t1"),))
    records = read(worker, selector, LogOptions(follow=True))
    async with asyncio.timeout(20):
        assert (await anext(records)).data == b"0\n"
        go.touch()
        for number in range(1, 2001):
            assert (await anext(records)).data == b"%d\n" % number
    await records.aclose()  # type: ignore[attr-defined]
    assert len(list(worker.executor.log_directory(TaskId("t1")).iterdir())) > 1


async def test_a_task_without_a_log_keeps_none(worker: WorkerUnderTest) -> None:
    worker.assign(a_task("t1", "echo", "hi", log=LogDriver(name="none")))
    await worker.reaches("t1", TaskState.COMPLETE)
    assert worker.output("t1") == ""
