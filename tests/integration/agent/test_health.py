"""Health checks of process tasks: commands, HTTP and TCP; unready, given up, found again."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from swarmd.model.instant import MILLISECOND
from swarmd.model.spec import HealthConfig, PortConfig
from swarmd.model.states import TaskState
from swarmd.model.task import Task
from tests.support.workers import WorkerUnderTest, a_task, a_worker, eventually

SERVER = """
import http.server, os, sys
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        well = os.path.exists(sys.argv[1]) and self.path == "/healthz"
        self.send_response(200 if well else 503, "fine" if well else "not today")
        self.end_headers()
    def log_message(self, *_):
        pass
http.server.HTTPServer(("127.0.0.1", int(os.environ["PORT"])), Handler).serve_forever()
"""


@pytest.fixture
async def worker(tmp_path: Path) -> AsyncIterator[WorkerUnderTest]:
    async with a_worker(tmp_path / "worker") as running:
        yield running


def check(*test: str, retries: int = 3, timeout_ms: int = 5_000, **more: int) -> HealthConfig:
    return HealthConfig(
        test, interval_ns=100 * MILLISECOND, timeout_ns=timeout_ms * MILLISECOND,
        retries=retries, start_interval_ns=50 * MILLISECOND, **more,
    )  # fmt: skip


def by_file(path: Path, *, retries: int = 3) -> Task:
    """A task that is well while a file exists."""
    line = f"test -e {path} || {{ echo first; echo no $COLOUR file >&2; exit 1; }}"
    health = check("CMD-SHELL", line, retries=retries)
    return a_task("t1", "sleep", "1000", env=("COLOUR=green",), healthcheck=health)


async def test_a_task_runs_when_its_command_says_so(
    worker: WorkerUnderTest, tmp_path: Path
) -> None:
    well = tmp_path / "well"
    worker.assign(by_file(well, retries=1000))
    await worker.reaches("t1", TaskState.STARTING)
    await eventually(
        lambda: worker.status("t1").unready == "not well yet: no green file", "the reason"
    )
    assert worker.status("t1").state is TaskState.STARTING
    well.touch()
    status = await worker.reaches("t1", TaskState.RUNNING)
    assert status.unready == ""


async def test_a_task_that_is_never_well_fails_with_its_last_line(
    worker: WorkerUnderTest, tmp_path: Path
) -> None:
    worker.assign(by_file(tmp_path / "well"))
    status = await worker.ends("t1")
    assert status.state is TaskState.FAILED
    assert status.err == "unhealthy: no green file"
    assert status.container is not None
    assert not os.path.exists(f"/proc/{status.container.pid}")
    assert [s.state for s in worker.history["t1"] if s.state is TaskState.RUNNING] == []


async def test_a_running_task_is_unready_first_and_may_recover(
    worker: WorkerUnderTest, tmp_path: Path
) -> None:
    well = tmp_path / "well"
    well.touch()
    worker.assign(by_file(well, retries=1000))
    running = await worker.reaches("t1", TaskState.RUNNING)
    well.unlink()
    await eventually(
        lambda: worker.status("t1").unready == "unready: no green file", "an unready task"
    )
    assert worker.status("t1").state is TaskState.RUNNING
    well.touch()
    await eventually(lambda: not worker.status("t1").unready, "a ready task")
    assert worker.status("t1") == running


async def test_a_running_task_that_stays_unwell_is_given_up(
    worker: WorkerUnderTest, tmp_path: Path
) -> None:
    well = tmp_path / "well"
    well.touch()
    worker.assign(by_file(well))
    await worker.reaches("t1", TaskState.RUNNING)
    well.unlink()
    status = await worker.ends("t1")
    assert (status.state, status.err) == (TaskState.FAILED, "unhealthy: no green file")
    assert any(s.unready for s in worker.history["t1"])
    assert status.unready == ""


async def test_http_probes_ask_the_port_of_the_task(
    worker: WorkerUnderTest, tmp_path: Path
) -> None:
    well = tmp_path / "well"
    health = check("HTTP", "80/healthz")
    worker.assign(
        a_task(
            "t1", sys.executable, "-c", SERVER, str(well),
            ports=(PortConfig(target_port=80),),
            healthcheck=HealthConfig(health.test, health.interval_ns, retries=1000),
        )
    )  # fmt: skip
    await eventually(
        lambda: "/healthz answered 503 not today" in worker.status("t1").unready, "the answer"
    )
    well.touch()
    await worker.reaches("t1", TaskState.RUNNING)


async def test_tcp_probes_ask_the_first_port_unless_one_is_named(worker: WorkerUnderTest) -> None:
    for task_id, test in (("t1", ("TCP",)), ("t2", ("TCP", "80"))):
        task = a_task(
            task_id, sys.executable, "-c", SERVER, "/",
            ports=(PortConfig(target_port=80),), healthcheck=check(*test, retries=100),
        )  # fmt: skip
        worker.assign(task)
        await worker.reaches(task_id, TaskState.RUNNING)


async def test_a_port_nobody_listens_on_fails_the_check(worker: WorkerUnderTest) -> None:
    task = a_task("t1", "sleep", "1000", ports=(PortConfig(target_port=80),),
                  healthcheck=check("TCP", retries=1))  # fmt: skip
    worker.assign(task)
    status = await worker.ends("t1")
    assert "port" in status.err
    assert "cannot be connected to" in status.err


async def test_a_probe_that_hangs_fails_in_time_and_is_killed(
    worker: WorkerUnderTest, tmp_path: Path
) -> None:
    pid_file = tmp_path / "pid"
    line = f"echo $$ > {pid_file}; exec sleep 1000"
    worker.assign(
        a_task("t1", "sleep", "1000", healthcheck=check("CMD-SHELL", line, timeout_ms=200,
                                                        retries=1))
    )  # fmt: skip
    status = await worker.ends("t1")
    assert status.err == "unhealthy: no answer within 200ms"
    await eventually(
        lambda: not os.path.exists(f"/proc/{pid_file.read_text().strip()}"), "the end of a probe"
    )


async def test_a_program_that_ends_while_it_starts_is_what_it_is(worker: WorkerUnderTest) -> None:
    health = check("CMD", "false", retries=1000)
    worker.assign(a_task("t1", "sh", "-c", "sleep 0.2; exit 3", healthcheck=health))
    status = await worker.ends("t1")
    assert (status.state, status.err) == (TaskState.FAILED, "task: non-zero exit (3)")
    worker.assign(a_task("t2", "sleep", "0.2", healthcheck=health))
    assert (await worker.ends("t2")).state is TaskState.COMPLETE


async def test_a_task_that_starts_can_be_stopped(worker: WorkerUnderTest) -> None:
    health = check("CMD-SHELL", "sleep 1000", timeout_ms=60_000)
    task = a_task("t1", "sleep", "1000", healthcheck=health)
    worker.assign(task)
    await worker.reaches("t1", TaskState.STARTING)
    await asyncio.sleep(0.1)
    worker.assign(a_task("t1", "sleep", "1000", healthcheck=health, desired=TaskState.SHUTDOWN))
    status = await worker.ends("t1")
    assert status.state is TaskState.SHUTDOWN


async def test_probes_go_on_after_a_restart_of_the_daemon(
    worker: WorkerUnderTest, tmp_path: Path
) -> None:
    well = tmp_path / "well"
    well.touch()
    worker.assign(by_file(well, retries=1000))
    await worker.reaches("t1", TaskState.RUNNING)
    pid = worker.pid("t1")
    well.unlink()
    await eventually(lambda: bool(worker.status("t1").unready), "an unready task")
    await worker.restart()
    well.touch()
    await eventually(lambda: not worker.status("t1").unready, "a task that is ready again")
    assert worker.pid("t1") == pid
    assert worker.status("t1").state is TaskState.RUNNING


async def test_a_start_goes_on_after_a_restart_of_the_daemon(
    worker: WorkerUnderTest, tmp_path: Path
) -> None:
    well = tmp_path / "well"
    worker.assign(by_file(well, retries=1000))
    await worker.reaches("t1", TaskState.STARTING)
    await eventually(lambda: bool(worker.status("t1").unready), "a first reason")
    await worker.restart()
    well.touch()
    await worker.reaches("t1", TaskState.RUNNING)
