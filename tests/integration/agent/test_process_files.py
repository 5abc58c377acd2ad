"""Secrets, configs and mounts of process tasks, seen by the processes themselves."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from swarmd.model.spec import BindOptions, Mount, TmpfsOptions, VolumeOptions
from swarmd.model.states import MountType, TaskState
from tests.support.task_files import a_config, a_secret, uses_config, uses_secret
from tests.support.workers import WorkerUnderTest, a_task, a_worker

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
pytestmark = as_root


@pytest.fixture
async def worker(tmp_path: Path) -> AsyncIterator[WorkerUnderTest]:
    async with a_worker(tmp_path) as running:
        yield running


def stored(directory: Path, words: bytes) -> list[Path]:
    """Files on disk that hold `words`."""
    files = (path for path in directory.rglob("*") if path.is_file())
    return [path for path in files if words in path.read_bytes()]


async def says(worker: WorkerUnderTest, script: str, **fields: object) -> str:
    worker.assign(a_task("t1", "sh", "-c", script, **fields))  # type: ignore[arg-type]
    status = await worker.ends("t1")
    assert not status.err, status
    return worker.output("t1").strip()


async def test_a_process_reads_its_secrets_from_memory_and_nobody_else_does(
    worker: WorkerUnderTest, tmp_path: Path
) -> None:
    worker.give(a_secret("key", b"hunter2"), a_config("app", b"color=red"))
    output = await says(
        worker,
        "cat /run/secrets/key; echo; stat -c '%U %a %s' /run/secrets/key; "
        "grep ' /run/secrets ' /proc/mounts | cut -d' ' -f3; cat /run/configs/app; echo; "
        "echo x > /run/secrets/new || echo read-only",
        secrets=(uses_secret("key", mode=0o400),),
        configs=(uses_config("app", "app"),),
    )
    assert "hunter2\nroot 400 7\ntmpfs\ncolor=red\n" in output
    assert "\nread-only" in output
    assert not Path("/run/secrets/key").exists()
    assert not [path for path in stored(tmp_path, b"hunter2") if path.suffix != ".log"]


async def test_files_belong_to_whom_the_reference_says(worker: WorkerUnderTest) -> None:
    worker.give(a_secret("key", b"x"))
    output = await says(
        worker,
        "stat -c '%u:%g %a' /run/secrets/deep/key; cat /run/secrets/deep/key",
        secrets=(uses_secret("key", "deep/key", uid="65534", gid="1234", mode=0o440),),
        user="65534",
    )
    assert output == "65534:1234 440\nx"


async def test_templates_in_files_are_expanded_for_the_task(worker: WorkerUnderTest) -> None:
    worker.give(
        a_secret("key", b"hunter2"),
        a_config("app", b'slot={{.Task.Slot}} key={{secret "key"}} {{env "A"}}', template=True),
    )
    output = await says(
        worker,
        "cat /run/configs/app",
        env=("A=b",),
        secrets=(uses_secret("key"),),
        configs=(uses_config("app", "/run/configs/app"),),
    )
    assert output == "slot=1 key=hunter2 b"


async def test_a_task_waits_for_a_secret_that_has_not_come_yet(worker: WorkerUnderTest) -> None:
    worker.assign(a_task("t1", "cat", "/run/secrets/key", secrets=(uses_secret("key"),)))
    await worker.reaches("t1", TaskState.PREPARING)
    worker.give(a_secret("key", b"late"))
    status = await worker.ends("t1")
    assert status.state == TaskState.COMPLETE
    assert worker.output("t1") == "late\n"
    assert any("waits for secret key" in s.message + s.err for s in worker.history["t1"])


async def test_a_task_whose_secret_is_no_more_is_rejected(worker: WorkerUnderTest) -> None:
    worker.give()
    worker.assign(a_task("t1", "true", secrets=(uses_secret("key"),)))
    status = await worker.ends("t1")
    assert status.state == TaskState.REJECTED
    assert "secret key does not exist any more" in status.err


async def test_an_adopted_task_keeps_its_secret_over_a_restart(worker: WorkerUnderTest) -> None:
    worker.give(a_secret("key", b"kept"))
    task = a_task(
        "t1", "sh", "-c", "sleep 1000 & wait; cat /run/secrets/key", secrets=(uses_secret("key"),)
    )
    worker.assign(task)
    await worker.reaches("t1", TaskState.RUNNING)
    pid = worker.pid("t1")
    worker.files = type(worker.files)()
    await worker.restart()
    await worker.reaches("t1", TaskState.RUNNING)
    assert worker.pid("t1") == pid
    assert Path(f"/proc/{pid}/root/run/secrets/key").read_text() == "kept"


async def test_a_config_covers_a_file_of_the_node_for_its_task_only(
    worker: WorkerUnderTest, tmp_path: Path
) -> None:
    file = tmp_path / "etc.conf"
    file.write_text("the node's")
    worker.give(a_config("app", b"the task's"))
    output = await says(worker, f"cat {file}", configs=(uses_config("app", str(file)),))
    assert output == "the task's"
    assert file.read_text() == "the node's"


async def test_a_config_where_the_node_has_no_file_is_refused(worker: WorkerUnderTest) -> None:
    worker.give(a_config("app", b"x"))
    worker.assign(a_task("t1", "true", configs=(uses_config("app", "/no/such/file"),)))
    status = await worker.ends("t1")
    assert status.state == TaskState.REJECTED
    assert "/run/configs" in status.err


async def test_binds_volumes_and_memory_are_mounted_for_the_task_only(
    worker: WorkerUnderTest, tmp_path: Path
) -> None:
    source, targets = tmp_path / "source", [tmp_path / f"target{n}" for n in range(4)]
    for directory in (source, *targets):
        directory.mkdir()
    (source / "file").write_text("bound")
    output = await says(
        worker,
        f"cat {targets[0]}/file; touch {targets[0]}/x 2>/dev/null || echo ' read-only'; "
        f"cat {targets[1]}/file; echo; echo kept > {targets[2]}/data; "
        f"stat -f -c %T {targets[3]}; stat -c %a {targets[3]}",
        mounts=(
            Mount(source=str(source), target=str(targets[0]), read_only=True),
            Mount(source=str(source), target=str(targets[1]), bind_options=BindOptions()),
            Mount(type=MountType.VOLUME, source="data-{{.Task.Slot}}", target=str(targets[2])),
            Mount(
                type=MountType.TMPFS,
                target=str(targets[3]),
                tmpfs_options=TmpfsOptions(size_bytes=1 << 20, mode=0o700),
            ),
        ),
    )
    assert output == "bound read-only\nbound\ntmpfs\n700"
    assert not any(list(target.iterdir()) for target in targets)
    assert (worker.directory / "volumes" / "data-1" / "_data" / "data").read_text() == "kept\n"


async def test_a_bind_of_what_is_not_there_is_rejected_with_the_reason(
    worker: WorkerUnderTest, tmp_path: Path
) -> None:
    mounts = (Mount(source="/no/such/directory", target=str(tmp_path)),)
    worker.assign(a_task("t1", "true", mounts=mounts))
    status = await worker.ends("t1")
    assert status.state == TaskState.REJECTED
    assert "bind source path does not exist: /no/such/directory" in status.err


async def test_a_subpath_that_links_out_of_its_volume_stays_inside(
    worker: WorkerUnderTest, tmp_path: Path
) -> None:
    data = worker.directory / "volumes" / "v1" / "_data"
    data.mkdir(parents=True)
    (data / "out").symlink_to("/etc")
    target = tmp_path / "target"
    target.mkdir()
    mounts = (
        Mount(
            type=MountType.VOLUME,
            source="v1",
            target=str(target),
            volume_options=VolumeOptions(subpath="out"),
        ),
    )
    worker.assign(a_task("t1", "ls", str(target), mounts=mounts))
    status = await worker.ends("t1")
    assert status.state == TaskState.REJECTED
    assert "subpath out" in status.err
