"""Commands beside containers, and their health checks."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from msgspec.structs import replace

from swarmd.agent.executors.session import STDERR, STDOUT, Command, NoSession, Session
from swarmd.model.ids import TaskId
from swarmd.model.instant import MILLISECOND
from swarmd.model.spec import HealthConfig, PortConfig
from swarmd.model.states import TaskState
from tests.support import images
from tests.support.containers import (
    ContainerWorker,
    a_container,
    a_container_worker,
    an_id,
    needs_containers,
)
from tests.support.workers import eventually

pytestmark = needs_containers
PATIENCE_S = 20.0


@pytest.fixture
async def worker(tmp_path: Path) -> AsyncIterator[ContainerWorker]:
    async with a_container_worker(tmp_path) as running:
        yield running


async def running(worker: ContainerWorker, *words: str, **fields: object) -> str:
    """A container that runs; returns its id."""
    task_id = an_id()
    worker.assign(a_container(task_id, *(words or ("sleep", "1000")), **fields))  # type: ignore[arg-type]
    await worker.reaches(task_id, TaskState.RUNNING)
    return task_id


async def begin(worker: ContainerWorker, task_id: str, *words: str, **options: object) -> Session:
    command = Command(argv=words, **options)  # type: ignore[arg-type]
    return await worker.worker.access(TaskId(task_id)).run(command)


async def read_all(session: Session) -> dict[int, bytes]:
    said = {STDOUT: b"", STDERR: b""}
    async with asyncio.timeout(PATIENCE_S):
        while (chunk := await session.read()) is not None:
            said[chunk.stream] += chunk.data
    return said


async def run(
    worker: ContainerWorker, task_id: str, *words: str, **options: object
) -> tuple[int, bytes, bytes]:
    session = await begin(worker, task_id, *words, **options)
    said = await read_all(session)
    code = await session.wait()
    await session.close()
    return code, said[STDOUT], said[STDERR]


def leftovers(worker: ContainerWorker, task_id: str) -> list[str]:
    """Pipes of commands that ran beside a container."""
    return os.listdir(worker.directory / "containers" / task_id / "sessions")


async def test_a_command_is_inside_its_container_and_tells_its_end(
    worker: ContainerWorker,
) -> None:
    task_id = await running(worker, env=("COLOUR=green",), hostname="inside")
    script = (
        "hostname; echo $COLOUR $EXTRA; pwd; ps | grep -c 'sleep 1000'; echo problem >&2; exit 5"
    )
    code, output, problem = await run(
        worker, task_id, "sh", "-c", script, env=("EXTRA=more",), directory="/etc"
    )
    assert (code, problem) == (5, b"problem\n")
    assert output.decode().splitlines()[:3] == ["inside", "green more", "/etc"]
    assert int(output.split()[-1]) >= 1
    await eventually(lambda: leftovers(worker, task_id) == [], "pipes removed")


async def test_megabytes_pass_through_both_ways_unharmed(worker: ContainerWorker) -> None:
    task_id = await running(worker)
    session = await begin(worker, task_id, "cat", stdin=True)
    sent = os.urandom(3_000_000)

    async def feed() -> None:
        await session.write(sent)
        await session.end_input()

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(feed())
        said = await read_all(session)
    assert said[STDOUT] == sent
    assert await session.wait() == 0
    await session.close()


async def test_a_terminal_has_a_size_that_changes(worker: ContainerWorker) -> None:
    task_id = await running(worker)
    session = await begin(
        worker, task_id, "sh", "-c", "read go; stty size; read go; stty size; tty",
        tty=True, stdin=True, rows=33, columns=99,
    )  # fmt: skip
    await session.write(b"\n")
    said = b""
    while b"33 99" not in said:
        chunk = await session.read()
        assert chunk is not None
        said += chunk.data
    await session.resize(20, 70)
    await session.write(b"\n")
    output = (await read_all(session))[STDOUT].decode()
    assert "20 70" in output
    assert "/dev/pts/" in output
    await session.close()


async def test_signals_closing_and_the_end_of_the_task_end_commands(
    worker: ContainerWorker,
) -> None:
    open_before = len(os.listdir("/proc/self/fd"))
    task_id = await running(worker)
    session = await begin(worker, task_id, "sleep", "999")
    await session.signal(signal.SIGTERM)
    assert await session.wait() == 128 + signal.SIGTERM
    await session.close()
    session = await begin(worker, task_id, "sleep", "999")
    await session.close()
    assert await session.wait() == 128 + signal.SIGKILL
    session = await begin(worker, task_id, "sleep", "999")
    os.kill(worker.pid(task_id), signal.SIGKILL)
    async with asyncio.timeout(PATIENCE_S):
        assert await session.wait() == 128 + signal.SIGKILL
    await session.close()
    with pytest.raises(NoSession, match=r"not run|not be started"):
        await begin(worker, task_id, "true")
    assert len(os.listdir("/proc/self/fd")) <= open_before + 2  # the connection to containerd


async def test_what_cannot_be_run_is_told(worker: ContainerWorker) -> None:
    task_id = await running(worker)
    with pytest.raises(NoSession, match="nonsuch"):
        await begin(worker, task_id, "nonsuch")
    with pytest.raises(NoSession, match="user 'ghost' is not in the image"):
        await begin(worker, task_id, "true", user="ghost")
    assert await run(worker, task_id, "id", "-u", user="web") == (0, b"1000\n", b"")
    await eventually(lambda: leftovers(worker, task_id) == [], "pipes removed")


def check(*test: str, retries: int = 3) -> HealthConfig:
    return HealthConfig(
        test, interval_ns=200 * MILLISECOND, timeout_ns=5_000 * MILLISECOND,
        retries=retries, start_interval_ns=100 * MILLISECOND,
    )  # fmt: skip


async def test_a_container_runs_when_it_is_well_and_fails_when_it_stays_unwell(
    worker: ContainerWorker,
) -> None:
    task_id = an_id()
    health = check("CMD-SHELL", "test -e /well || { echo not well; exit 1; }", retries=15)
    worker.assign(
        a_container(task_id, "sh", "-c", "sleep 1; touch /well; sleep 1000", healthcheck=health)
    )
    await worker.reaches(task_id, TaskState.RUNNING)
    assert (await run(worker, task_id, "rm", "/well"))[0] == 0
    status = await worker.ends(task_id)
    assert (status.state, status.err) == (TaskState.FAILED, "unhealthy: not well")
    assert any(s.unready == "unready: not well" for s in worker.history[task_id])


async def test_the_health_check_of_an_image_counts_unless_the_spec_has_its_own(
    worker: ContainerWorker, tmp_path: Path
) -> None:
    archive = images.docker_archive(
        tmp_path / "checked.tar",
        "checked:1",
        [images.busybox_layer()],
        Healthcheck={
            "Test": ["CMD-SHELL", "test -e /well || { echo not yet there; exit 1; }"],
            "Interval": 100 * MILLISECOND,
            "Retries": 3,
        },
    )
    await worker.load(archive)
    well, ill, own = an_id(), an_id(), an_id()
    script = "sleep 0.2; touch /well; sleep 1000"
    none = HealthConfig(test=("NONE",))
    worker.assign(
        a_container(well, "sh", "-c", script, image="checked:1"),
        a_container(ill, "sleep", "1000", image="checked:1"),
        a_container(own, "sleep", "1000", image="checked:1", healthcheck=none),
    )
    await worker.reaches(well, TaskState.RUNNING)
    await worker.reaches(own, TaskState.RUNNING)
    status = await worker.ends(ill)
    assert status.state is TaskState.FAILED
    assert status.err == "unhealthy: not yet there"


async def test_the_ports_of_a_container_are_probed_where_they_are(
    worker: ContainerWorker,
) -> None:
    task_id, plain, deaf = an_id(), an_id(), an_id()
    script = "sleep 0.5; echo fine > /tmp/healthz; exec httpd -f -p 80 -h /tmp"
    ports = (PortConfig(target_port=80),)
    well = check("HTTP", "/healthz", retries=100)
    listens = check("TCP", retries=100)
    worker.assign(
        a_container(task_id, "sh", "-c", script, ports=ports, healthcheck=well),
        a_container(plain, "sh", "-c", script, ports=ports, healthcheck=listens),
        a_container(deaf, "sleep", "1000", ports=ports, healthcheck=check("TCP", retries=1)),
    )
    await worker.reaches(plain, TaskState.RUNNING)
    assert "cannot be connected to" in (await worker.ends(deaf)).err
    await worker.reaches(task_id, TaskState.RUNNING)
    assert (await run(worker, task_id, "rm", "/tmp/healthz"))[0] == 0
    await eventually(
        lambda: "/healthz answered 404" in worker.status(task_id).unready, "an unready task"
    )


async def test_a_probe_that_hangs_fails_in_time_and_is_killed(worker: ContainerWorker) -> None:
    hangs = replace(check("CMD", "sleep", "9999", retries=2), timeout_ns=300 * MILLISECOND)
    task_id = an_id()
    worker.assign(a_container(task_id, "sleep", "1000", healthcheck=hangs))
    status = await worker.ends(task_id)
    assert (status.state, status.err) == (TaskState.FAILED, "unhealthy: no answer within 300ms")
    assert not [one for one in Path("/proc").glob("[0-9]*/cmdline") if is_probe(one)]


def is_probe(path: Path) -> bool:
    try:
        return path.read_bytes() == b"sleep\x009999\0"
    except OSError:
        return False  # gone meanwhile


async def test_probes_go_on_after_a_restart_of_the_daemon(worker: ContainerWorker) -> None:
    health = check("CMD-SHELL", "test -e /well", retries=1000)
    task_id = await running(worker, "sh", "-c", "touch /well; exec sleep 1000", healthcheck=health)
    await worker.restart()
    pid = worker.pid(task_id)

    async def remove() -> bool:
        try:
            return (await run(worker, task_id, "rm", "/well"))[0] == 0
        except NoSession:
            return False

    async with asyncio.timeout(PATIENCE_S):
        while not await remove():
            await asyncio.sleep(0.05)
    await eventually(lambda: bool(worker.status(task_id).unready), "an unready task")
    assert worker.pid(task_id) == pid


async def test_commands_of_a_daemon_that_died_are_ended_by_the_next(
    worker: ContainerWorker,
) -> None:
    task_id = await running(worker)
    session = await begin(worker, task_id, "sh", "-c", "echo $$; exec sleep 999", tty=True)
    assert await session.read() is not None
    await worker.restart()
    await eventually(lambda: leftovers(worker, task_id) == [], "the end of what was left")

    async def listed() -> bytes:
        try:
            return (await run(worker, task_id, "ps"))[1]
        except NoSession:
            return b"sleep 999"

    async with asyncio.timeout(PATIENCE_S):
        while b"sleep 999" in await listed():
            await asyncio.sleep(0.05)
    await session.close()
