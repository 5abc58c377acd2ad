"""Commands run beside process tasks: surroundings, streams, terminals, and how they end."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from swarmd.agent.executors.session import STDERR, STDOUT, Command, NoSession, Session
from swarmd.model.ids import TaskId
from swarmd.model.states import TaskState
from tests.support.workers import WorkerUnderTest, a_task, a_worker, alive, eventually

PATIENCE_S = 20.0


@pytest.fixture
async def worker(tmp_path: Path) -> AsyncIterator[WorkerUnderTest]:
    async with a_worker(tmp_path) as running:
        running.assign(a_task("t1", "sleep", "1000", env=("COLOUR=green",), hostname="inside"))
        await running.reaches("t1", TaskState.RUNNING)
        yield running


async def begin(worker: WorkerUnderTest, *words: str, **options: object) -> Session:
    command = Command(argv=words, **options)  # type: ignore[arg-type]
    return await worker.worker.access(TaskId("t1")).run(command)


async def read_all(session: Session) -> dict[int, bytes]:
    said = {STDOUT: b"", STDERR: b""}
    async with asyncio.timeout(PATIENCE_S):
        while (chunk := await session.read()) is not None:
            said[chunk.stream] += chunk.data
    return said


async def run(worker: WorkerUnderTest, *words: str, **options: object) -> tuple[int, bytes]:
    """The exit code of a command and all it wrote to its output."""
    session = await begin(worker, *words, **options)
    said = await read_all(session)
    code = await session.wait()
    await session.close()
    return code, said[STDOUT]


async def test_a_command_has_the_surroundings_of_its_task(worker: WorkerUnderTest) -> None:
    script = "echo $COLOUR $EXTRA; readlink /proc/self/ns/mnt; cat /proc/self/cgroup; hostname"
    code, output = await run(worker, "sh", "-c", script, env=("EXTRA=more",))
    lines = output.decode().splitlines()
    pid = worker.pid("t1")
    assert code == 0
    assert lines[0] == "green more"
    assert lines[1] == os.readlink(f"/proc/{pid}/ns/mnt")
    assert lines[2:-1] == Path(f"/proc/{pid}/cgroup").read_text().splitlines()
    if "uts" in worker.executor.link.facts["namespaces"]:
        assert lines[-1] == "inside"


async def test_streams_are_kept_apart_and_the_exit_code_is_told(worker: WorkerUnderTest) -> None:
    session = await begin(worker, "sh", "-c", "echo out; echo err >&2; exit 7")
    assert await read_all(session) == {STDOUT: b"out\n", STDERR: b"err\n"}
    assert await session.wait() == 7
    await session.close()


async def test_a_command_killed_by_a_signal_has_the_code_that_shells_give(
    worker: WorkerUnderTest,
) -> None:
    session = await begin(worker, "sleep", "1000")
    await session.signal(signal.SIGTERM)
    assert await read_all(session) == {STDOUT: b"", STDERR: b""}
    assert await session.wait() == 128 + signal.SIGTERM
    await session.close()


async def test_megabytes_pass_through_both_ways_unharmed(worker: WorkerUnderTest) -> None:
    session = await begin(worker, "cat", stdin=True)
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


async def test_without_input_a_command_finds_its_end_at_once(worker: WorkerUnderTest) -> None:
    assert await run(worker, "cat") == (0, b"")


async def test_a_terminal_has_a_size_and_is_the_controlling_one(worker: WorkerUnderTest) -> None:
    session = await begin(
        worker, "sh", "-c", "stty size; read line; stty size; tty; echo got $line >/dev/tty",
        tty=True, stdin=True, rows=33, columns=99,
    )  # fmt: skip
    first = await session.read()
    assert first is not None
    assert first.data.startswith(b"33 99")
    await session.resize(20, 70)
    await session.write(b"word\n")
    output = (await read_all(session))[STDOUT].decode()
    assert "20 70" in output
    assert "/dev/pts/" in output
    assert "got word" in output
    await session.close()


async def test_output_ends_with_the_command_though_something_keeps_its_streams(
    worker: WorkerUnderTest,
) -> None:
    code, output = await run(worker, "sh", "-c", "sleep 1000 & echo done")
    assert (code, output) == (0, b"done\n")


async def test_what_cannot_be_run_is_told_and_leaves_nothing_open(worker: WorkerUnderTest) -> None:
    open_before = len(os.listdir("/proc/self/fd"))
    with pytest.raises(NoSession, match=r"command nonsuch cannot be run .* No such file"):
        await begin(worker, "nonsuch")
    with pytest.raises(NoSession, match="user 'nobody-here' does not exist"):
        await begin(worker, "true", user="nobody-here")
    with pytest.raises(NoSession, match="task t2 is not on this node"):
        await worker.worker.access(TaskId("t2")).run(Command(argv=("true",)))
    assert len(os.listdir("/proc/self/fd")) == open_before


async def test_closing_ends_the_command_and_leaves_nothing_open(worker: WorkerUnderTest) -> None:
    open_before = len(os.listdir("/proc/self/fd"))
    for tty in (False, True):
        session = await begin(worker, "sh", "-c", "echo $$; exec sleep 1000", tty=tty, stdin=True)
        first = await session.read()
        assert first is not None
        await session.close()
        pid = int(first.data)
        await eventually(lambda pid=pid: not alive(pid), "the end of the command")  # type: ignore[misc]
        assert await session.wait() == 128 + signal.SIGKILL
    assert len(os.listdir("/proc/self/fd")) == open_before


async def test_commands_end_with_their_task(worker: WorkerUnderTest) -> None:
    session = await begin(worker, "sleep", "1000")
    os.kill(worker.pid("t1"), signal.SIGKILL)
    async with asyncio.timeout(PATIENCE_S):
        assert await session.wait() == 128 + signal.SIGKILL
    await session.close()
    with pytest.raises(NoSession, match="does not run"):
        await begin(worker, "true")


async def test_commands_end_with_the_daemon_and_the_task_goes_on(worker: WorkerUnderTest) -> None:
    session = await begin(worker, "sh", "-c", "echo $$; exec sleep 1000")
    first = await session.read()
    assert first is not None
    await worker.restart()
    pid = int(first.data)
    await eventually(lambda: not alive(pid), "the end of the command")
    async with asyncio.timeout(PATIENCE_S):
        while True:
            try:
                assert await run(worker, "echo", "still here") == (0, b"still here\n")
                break
            except NoSession:
                await asyncio.sleep(0.01)  # the task is being adopted
    await session.close()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
async def test_another_user_can_be_asked_for(worker: WorkerUnderTest) -> None:
    code, output = await run(worker, "sh", "-c", "id -u; echo x >/dev/stdout", user="65534")
    assert (code, output) == (0, b"65534\nx\n")
