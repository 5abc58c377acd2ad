"""Containers attached to, looked at, and their files copied."""

from __future__ import annotations

import asyncio
import io
import json
import os
import signal
import subprocess
import tarfile
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from swarmd.agent.executors.looking import copy, stats, top
from swarmd.agent.executors.session import STDERR, STDOUT, NoSession, Session
from swarmd.agent.executors.usage import processes, subject, usage
from swarmd.model.ids import TaskId
from swarmd.model.spec import BindOptions, Mount
from swarmd.model.states import TaskState
from swarmd.runtime.supervise import Supervisor
from tests.support.containers import (
    ContainerWorker,
    a_container,
    a_container_worker,
    an_id,
    needs_containers,
)

pytestmark = needs_containers
PATIENCE_S = 20.0
SCRIPT = """
trap 'echo caught; exit 9' TERM
mkdir -p /data; ln -s / /data/up; mknod /data/null c 1 3
echo before
exec 3<&0
while read word <&3; do echo got $word; done &
while :; do sleep 0.1; done
"""


@pytest.fixture
async def worker(tmp_path: Path) -> AsyncIterator[ContainerWorker]:
    async with a_container_worker(tmp_path) as running:
        yield running


async def said_until(session: Session, end: bytes) -> bytes:
    said = b""
    async with asyncio.timeout(PATIENCE_S):
        while end not in said:
            chunk = await session.read()
            assert chunk is not None, said
            said += chunk.data
    return said


async def run_copy(
    worker: ContainerWorker, task_id: str, path: str, *, sent: bytes | None = None, **options: bool
) -> tuple[int, bytes, str]:
    """Copy to its end: exit code, archive, complaint."""
    programs = Supervisor("copies")
    session = await copy(
        worker.worker.access(TaskId(task_id)).pid,
        path,
        into=sent is not None,
        keep_owner=options.get("keep_owner", False),
        follow=options.get("follow", False),
        ended=programs,
    )
    if sent is not None:
        await session.write(sent)
        await session.end_input()
    said = {STDOUT: b"", STDERR: b""}
    async with asyncio.timeout(PATIENCE_S):
        while (chunk := await session.read()) is not None:
            said[chunk.stream] += chunk.data
    code = await session.wait()
    await session.close()
    return code, said[STDOUT], said[STDERR].decode()


def archive_of(*entries: tuple[str, bytes | None, int]) -> bytes:
    """Files, and directories for None, with an owner each."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, data, owner in entries:
            info = tarfile.TarInfo(name)
            info.uid = info.gid = owner
            info.mode = 0o640
            if data is None:
                info.type, info.mode = tarfile.DIRTYPE, 0o750
            info.size = len(data or b"")
            archive.addfile(info, io.BytesIO(data or b""))
    return buffer.getvalue()


async def test_a_container_is_attached_to_looked_at_and_copied_from_and_into(
    worker: ContainerWorker,
) -> None:
    task_id, closed_id = an_id(), an_id()
    worker.assign(
        a_container(task_id, "sh", "-c", SCRIPT, open_stdin=True),
        a_container(closed_id, "sleep", "1000"),
    )
    await worker.reaches(task_id, TaskState.RUNNING)
    await worker.reaches(closed_id, TaskState.RUNNING)
    access = worker.worker.access(TaskId(task_id))

    with pytest.raises(NoSession, match="no open input"):
        await worker.worker.access(TaskId(closed_id)).attach(stdin=True)
    for word in (b"one", b"two"):  # what one client types ends nothing for the next
        session = await access.attach(stdin=True)
        await session.write(word + b"\n")
        assert b"before" not in await said_until(session, b"got " + word)
        await session.end_input()
        await session.close()

    of = subject(access.pid, task_id)
    assert of.directories
    used = usage(of)
    assert 0 < used["Memory"] < 50_000_000
    assert used["Processes"] == len(processes(of)) >= 2
    (first,) = [one async for one in stats(access.pid, task_id, once=True)]
    assert isinstance(first, dict)
    assert first["CPU"] >= used["CPU"] > 0
    (rows,) = [one async for one in top(access.pid, task_id)]
    assert isinstance(rows, list)
    assert rows[0]["PID"] == access.pid
    assert json.dumps(rows)

    code, _, complaint = await run_copy(
        worker, task_id, "/data",
        sent=archive_of(("in", None, 33), ("in/file", b"inside", 33), ("null", b"no device", 0)),
    )  # fmt: skip
    assert (code, complaint) == (0, "")
    code, data, complaint = await run_copy(worker, task_id, "/data")
    assert (code, complaint) == (0, "")
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        members = {info.name: info for info in archive}
        assert members["data/up"].linkname == "/"
        assert (members["data/in/file"].uid, members["data/in/file"].mode) == (0, 0o640)
        assert members["data/null"].isreg()  # the device made room
    await run_copy(worker, task_id, "/kept", sent=archive_of(("x", b"y", 33)), keep_owner=True)
    _, data, _ = await run_copy(worker, task_id, "/kept")
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        assert archive.getmember("kept").uid == 33
    # A link is followed as the container sees it, not the node.
    code, data, _ = await run_copy(worker, task_id, "/data/up/etc/hostname", follow=True)
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        hostname = archive.extractfile("hostname")
        assert hostname is not None
        assert hostname.read() != Path("/etc/hostname").read_bytes()
    for sent in (archive_of(("../out", b"", 0)), b"no archive at all" * 100):
        code, _, complaint = await run_copy(worker, task_id, "/data", sent=sent)
        assert code == 1
        assert complaint
    assert await run_copy(worker, task_id, "/nowhere") == (
        1, b"", "No such file or directory: /nowhere\n",
    )  # fmt: skip

    session = await access.attach(stdin=False)
    await session.signal(signal.SIGTERM)
    await said_until(session, b"caught\n")
    assert await session.wait() == 9
    await session.close()


async def test_a_read_only_place_of_the_node_stays_so(
    worker: ContainerWorker, tmp_path: Path
) -> None:
    place = tmp_path / "ro"
    place.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "ro", "none", place], check=True)
    try:
        there = Mount(source=str(place), target="/there")
        said = await worker.run_to_end("sh", "-c", "echo x > /there/x || echo no", mounts=(there,))
        assert "no\n" in said
        task_id = an_id()
        made = Mount(
            source=str(place / "new"),
            target="/there",
            bind_options=BindOptions(create_mountpoint=True),
        )
        worker.assign(a_container(task_id, "true", mounts=(made,)))
        status = await worker.ends(task_id)
        assert status.state == TaskState.REJECTED
        assert "Read-only file system" in status.err
        gone = tmp_path / "gone"
        gone.mkdir()
        task_id = an_id()
        mount = Mount(source=str(gone), target="/there")
        worker.assign(a_container(task_id, "sleep", "1000", mounts=(mount,)))
        await worker.reaches(task_id, TaskState.RUNNING)
        os.rmdir(gone)
        await worker.restart()  # adopted all the same
        assert worker.status(task_id).state == TaskState.RUNNING
    finally:
        subprocess.run(["umount", place], check=True)
