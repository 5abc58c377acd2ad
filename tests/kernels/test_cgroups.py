"""Bounds of tasks on every arrangement of cgroups; `make test-kernels` has each of them."""

from __future__ import annotations

import os
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from msgspec.structs import replace

from swarmd.agent.executors import groups
from swarmd.agent.executors.containerd.installation import PATH
from swarmd.agent.executors.session import Command
from swarmd.agent.executors.usage import members, subject, usage
from swarmd.agent.oci import cgroups
from swarmd.model.host_access import HostAccess
from swarmd.model.ids import TaskId
from swarmd.model.instant import SECOND
from swarmd.model.spec import ResourceRequirements, Resources
from swarmd.model.states import TaskState
from swarmd.model.task import Task
from swarmd.rpc.pb.containerd import containers_pb2
from tests.support.containers import (
    ContainerWorker,
    a_container,
    a_container_worker,
    an_id,
    needs_containers,
)
from tests.support.workers import a_task, alive, eventually

pytestmark = needs_containers
MIB = 1 << 20
LEASE_NS = 4 * SECOND
KIND = os.environ.get("SWARMD_TEST_CGROUPS", "")
REQUIREMENTS = ResourceRequirements(
    limits=Resources(nano_cpus=250_000_000, memory_bytes=64 * MIB, pids=30),
    reservations=Resources(memory_bytes=32 * MIB, nano_cpus=500_000_000),
    swap_bytes=16 * MIB,
)
ON_VERSION_2 = {
    "cpu.max": "25000 100000",
    "cpu.weight": "20",
    "memory.max": str(64 * MIB),
    "memory.low": str(32 * MIB),
    "memory.swap.max": str(16 * MIB),
    "pids.max": "30",
}
ON_VERSION_1 = {
    "cpu.cfs_quota_us": "25000",
    "cpu.shares": "512",
    "memory.limit_in_bytes": str(64 * MIB),
    "memory.soft_limit_in_bytes": str(32 * MIB),
    "pids.max": "30",
}


@pytest.fixture
async def worker(tmp_path: Path) -> AsyncIterator[ContainerWorker]:
    async with a_container_worker(tmp_path) as running:
        yield running


def found() -> cgroups.Cgroups:
    def read(path: str) -> str:
        return Path(path).read_text() if os.path.exists(path) else ""

    return cgroups.detect(read("/proc/mounts"), read=read, exists=os.path.exists)


def values(worker: ContainerWorker, task: Task) -> dict[str, str]:
    """What the kernel holds of a task's bounds, in whichever hierarchy."""
    wanted = ON_VERSION_2 if found().version == cgroups.V2 else ON_VERSION_1
    directories = subject(worker.pid(task.id), task.id).directories
    return {
        name: (Path(directory) / name).read_text().strip()
        for directory in directories
        for name in wanted
        if (Path(directory) / name).exists()
    }


def test_the_arrangement_is_known_for_what_it_is() -> None:
    if not KIND:
        pytest.skip("the arrangement to expect is known under `make test-kernels` only")
    assert found().version == KIND
    assert {"cpu", "memory", "pids"} <= set(found().controllers)


async def test_bounds_are_the_kernels_and_use_is_read_from_them(worker: ContainerWorker) -> None:
    inside = "cat /sys/fs/cgroup/memory.max /sys/fs/cgroup/memory/memory.limit_in_bytes"
    script = f"{inside} 2>/dev/null; sleep 999 & sleep 1000"
    box = a_container(an_id(), "sh", "-c", script)
    box = replace(box, spec=replace(box.spec, resources=REQUIREMENTS))
    process = a_task(an_id(), "sleep", "1000", limits=REQUIREMENTS.limits)
    worker.assign(box, process)
    await worker.reaches(box.id, TaskState.RUNNING)
    await worker.reaches(process.id, TaskState.RUNNING)
    expected = ON_VERSION_2 if found().version == cgroups.V2 else ON_VERSION_1
    assert values(worker, box) == expected
    shared = ("cpu.max", "memory.max", "cpu.cfs_quota_us", "memory.limit_in_bytes", "pids.max")
    limits = {name: value for name, value in expected.items() if name in shared}
    assert limits.items() <= values(worker, process).items()
    assert worker.status(box.id).err == worker.status(process.id).err == ""
    await eventually(lambda: worker.output(box.id) == f"{64 * MIB}\n", "the bound, seen inside")
    for task in (box, process):
        of = subject(worker.pid(task.id), task.id)
        count = 2 if task is box else 1
        await eventually(lambda of=of, count=count: len(members(of)) == count, "its processes")
        used = usage(of)
        assert used["MemoryLimit"] == 64 * MIB
        assert 0 < used["Memory"] < 64 * MIB
        assert used["CPU"] > 0
        assert used["Processes"] == count


async def test_another_runtime_keeps_to_the_same_bounds(worker: ContainerWorker) -> None:
    if shutil.which("crun", path=PATH) is None:
        pytest.skip("no crun; apt-get install crun")
    if found().version == cgroups.HYBRID:
        pytest.skip("crun refuses this arrangement")
    box = a_container(
        an_id(), "sh", "-c", "trap 'exit 3' TERM; while :; do sleep 0.1; done",
        host_access=HostAccess(runtime="crun"),
    )  # fmt: skip
    box = replace(box, spec=replace(box.spec, resources=REQUIREMENTS), allow=("runtime",))
    worker.assign(box)
    await worker.reaches(box.id, TaskState.RUNNING)
    assert worker.node_executor.containers is not None
    client = await worker.node_executor.containers.engine.client()
    record = (await client.containers.Get(containers_pb2.GetContainerRequest(id=box.id))).container
    assert b"crun" in record.runtime.options.value
    assert values(worker, box) == (ON_VERSION_2 if found().version == cgroups.V2 else ON_VERSION_1)
    session = await worker.worker.access(TaskId(box.id)).run(Command(argv=("echo", "beside")))
    chunk = await session.read()
    assert chunk is not None
    assert chunk.data == b"beside\n"
    await session.close()
    worker.assign(replace(box, desired_state=TaskState.SHUTDOWN))
    status = await worker.ends(box.id)
    assert status.container is not None
    assert status.container.exit_code == 3


async def test_a_task_gets_no_further_than_its_bounds_and_ends_whole(
    worker: ContainerWorker,
) -> None:
    little = Resources(memory_bytes=16 * MIB)
    hungry = ("dd", "if=/dev/zero", "of=/dev/null", "bs=100M")
    box, process = a_container(an_id(), *hungry, limits=little), a_task(an_id(), *hungry)
    process = replace(process, spec=replace(process.spec, resources=ResourceRequirements(little)))
    forks = "for i in $(seq 50); do sleep 100 & done; echo made"
    bomb = a_container(an_id(), "sh", "-c", forks, limits=Resources(pids=10))
    opened = "mknod /tmp/kmsg c 1 11; head -c 1 /tmp/kmsg || echo kept out; head -c 1 /dev/one"
    one = replace(
        a_container(
            an_id(), "sh", "-c", f"mknod /dev/one c 1 5; {opened}",
            host_access=HostAccess(device_rules=("c 1:5 rwm",)),
        ),
        allow=("devices",),
    )  # fmt: skip
    stubborn = a_container(
        an_id(), "sh", "-c", "trap '' TERM; setsid sh -c 'trap \"\" TERM; sleep 99' & sleep 100",
        grace_ns=SECOND // 10,
    )  # fmt: skip
    worker.assign(box, process, bomb, one, stubborn)
    for task in (box, process):
        status = await worker.ends(task.id)
        assert status.state is TaskState.FAILED
        assert "want of memory (its limit is 16777216 bytes)" in status.err
    await worker.ends(bomb.id)
    assert "Resource temporarily unavailable" in worker.output(bomb.id)
    await worker.ends(one.id)
    assert "kept out" in worker.output(one.id), "of devices only those that were given"
    assert "\0" in worker.output(one.id)
    await worker.reaches(stubborn.id, TaskState.RUNNING)
    of = subject(worker.pid(stubborn.id), stubborn.id)
    await eventually(lambda: len(members(of)) >= 2, "its processes")
    everything = members(of)
    worker.assign(replace(stubborn, desired_state=TaskState.SHUTDOWN))
    await worker.ends(stubborn.id)
    assert not any(map(alive, everything))
    worker.assign()
    await eventually(lambda: not worker.worker.statuses(), "their removal")
    trees = groups.parse_mounts(Path("/proc/mounts").read_text())
    left = [
        str(path)
        for point, _, _ in trees
        for path in Path(point, "swarmd-containers", worker.node_id).glob("*/")
    ]
    assert left == []


async def test_a_lease_ends_all_that_is_in_the_group(worker: ContainerWorker) -> None:
    script = "trap '' TERM; setsid sh -c 'trap \"\" TERM; sleep 99' & sleep 100"
    task = replace(a_container(an_id(), "sh", "-c", script), lease_ns=LEASE_NS)
    leases = worker.node_executor.processes.leases
    worker.assign(task)

    def is_up() -> bool:
        leases.answered(leases.now())
        return worker.status(task.id).state is TaskState.RUNNING

    await eventually(is_up, "a container, while managers answer")
    of = subject(worker.pid(task.id), task.id)
    await eventually(lambda: len(members(of)) >= 2, "its processes")
    everything = members(of)
    status = await worker.reaches(task.id, TaskState.FAILED)
    assert "no manager answered" in status.err
    assert not any(map(alive, everything))
