"""Containers under AppArmor, on a kernel that has it: `make test-kernels`."""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from msgspec.structs import replace

from swarmd.agent.executors.session import Command
from swarmd.model.host_access import AppArmor, HostAccess, Privileges, Seccomp
from swarmd.model.ids import TaskId
from swarmd.model.states import AppArmorMode, SeccompMode, TaskState
from swarmd.model.task import Task
from tests.support.containers import (
    ContainerWorker,
    a_container,
    a_container_worker,
    an_id,
    needs_containers,
)
from tests.support.workers import PATIENCE_S

ENABLED = Path("/sys/module/apparmor/parameters/enabled")
PROFILES = Path("/sys/kernel/security/apparmor/profiles")
pytestmark = [
    needs_containers,
    pytest.mark.skipif(
        not ENABLED.exists() or not ENABLED.read_text().startswith("Y"),
        reason="this kernel has no AppArmor",
    ),
]
OWN = """
profile swarmd-test-own flags=(attach_disconnected,mediate_deleted) {
  file,
  capability,
  signal,
  deny /etc/passwd r,
}
"""
SCRIPT = """
cat /proc/self/attr/current
mount -t tmpfs none /mnt 2>/dev/null && echo mounts || echo no mount
(true >> /proc/sys/kernel/core_pattern) 2>/dev/null && echo pattern || echo no pattern
cat /etc/passwd 2>/dev/null | head -1
echo over; exec sleep 1000
"""
# All that would keep a container from it is out of the way, but for AppArmor.
BARE = HostAccess(system_paths=True)
ANY_CALL = Seccomp(mode=SeccompMode.UNCONFINED)


@pytest.fixture
async def worker(tmp_path: Path) -> AsyncIterator[ContainerWorker]:
    async with a_container_worker(tmp_path) as running:
        yield running


@pytest.fixture
def own_profile() -> Iterator[None]:
    subprocess.run(["apparmor_parser", "-Kr"], input=OWN.encode(), check=True)
    yield
    subprocess.run(["apparmor_parser", "-R"], input=OWN.encode(), check=True)


def bare(*, access: HostAccess = BARE, apparmor: AppArmor | None = None) -> Task:
    task = a_container(
        an_id(),
        *("sh", "-c", f"mkdir /mnt; {SCRIPT}"),
        capability_add=("SYS_ADMIN",),
        privileges=Privileges(seccomp=ANY_CALL, apparmor=apparmor),
        host_access=access,
    )
    return replace(task, allow=("all",))


async def said(worker: ContainerWorker, task: Task) -> list[str]:
    await worker.reaches(task.id, TaskState.RUNNING)
    async with asyncio.timeout(PATIENCE_S):
        while "over\n" not in worker.output(task.id):
            await asyncio.sleep(0.05)
    return worker.output(task.id).splitlines()[:-1]


async def test_the_default_profile_bites_where_nothing_else_would(
    worker: ContainerWorker, own_profile: None
) -> None:
    default, disabled = bare(), bare(apparmor=AppArmor(mode=AppArmorMode.DISABLED))
    named = bare(access=replace(BARE, apparmor_profile="swarmd-test-own"))
    missing = bare(access=replace(BARE, apparmor_profile="swarmd-test-none"))
    worker.assign(default, disabled, named, missing)
    root = "root:x:0:0:root:/root:/bin/sh"
    assert await said(worker, default) == [
        "swarmd-default (enforce)",
        "no mount",
        "no pattern",
        root,
    ]
    assert await said(worker, disabled) == ["unconfined", "mounts", "pattern", root]
    assert await said(worker, named) == ["swarmd-test-own (enforce)", "no mount", "pattern"]
    status = await worker.ends(missing.id)
    assert status.state is TaskState.REJECTED
    assert "AppArmor profile 'swarmd-test-none' is not loaded on this node" in status.err
    # What is run beside it is confined as it is, and it is asked to end as any other.
    session = await worker.worker.access(TaskId(default.id)).run(
        Command(argv=("cat", "/proc/self/attr/current"))
    )
    chunk = await session.read()
    assert chunk is not None
    assert chunk.data == b"swarmd-default (enforce)\n"
    await session.close()
    assert "swarmd-default (enforce)\n" in PROFILES.read_text()
    ended = replace(default, desired_state=TaskState.SHUTDOWN)
    worker.assign(ended, disabled, named)
    status = await worker.ends(default.id)
    assert status.state is TaskState.SHUTDOWN
