"""What machines of every kind of cgroups can enforce."""

from __future__ import annotations

import pytest

from swarmd.agent.oci import cgroups
from swarmd.agent.oci.cgroups import HYBRID, V1, V2, Cgroups
from swarmd.model.spec import ResourceRequirements, Resources

UNIFIED = "cgroup2 /sys/fs/cgroup cgroup2 rw,nosuid 0 0\n"
LEGACY = (
    "tmpfs /sys/fs/cgroup tmpfs rw 0 0\n"
    "cgroup /sys/fs/cgroup/cpu,cpuacct cgroup rw,cpu,cpuacct 0 0\n"
    "cgroup /sys/fs/cgroup/memory cgroup rw,memory 0 0\n"
    "cgroup /sys/fs/cgroup/pids cgroup rw,pids 0 0\n"
)
BESIDE = "cgroup2 /sys/fs/cgroup/unified cgroup2 rw 0 0\n"
MIB = 1 << 20


def detect(mounts: str, *files: str, controllers: str = "") -> Cgroups:
    return cgroups.detect(mounts, read=lambda _: controllers, exists=lambda path: path in files)


@pytest.mark.parametrize(
    ("found", "version", "names"),
    [
        pytest.param(
            detect(UNIFIED, "/proc/swaps", controllers="cpuset cpu io memory pids\n"),
            V2,
            {"cpuset", "cpu", "io", "memory", "pids"},
            id="v2",
        ),
        pytest.param(detect(LEGACY), V1, {"cpu", "memory", "pids"}, id="v1"),
        pytest.param(detect(LEGACY + BESIDE), HYBRID, {"cpu", "memory", "pids"}, id="hybrid"),
        pytest.param(detect(""), V1, set(), id="none"),
    ],
)
def test_the_kind_of_machine_is_told_from_its_mounts(found, version, names):
    assert found.version == version
    assert set(found.controllers) == names


def test_swap_is_bounded_where_the_kernel_counts_it():
    assert detect(UNIFIED, "/proc/swaps").swap
    assert not detect(UNIFIED).swap
    assert detect(LEGACY, "/sys/fs/cgroup/memory/memory.memsw.limit_in_bytes").swap
    assert not detect(LEGACY + BESIDE).swap


def test_swappiness_is_a_thing_of_version_one():
    assert not detect(UNIFIED, "/proc/swaps").swappiness
    assert detect(LEGACY, "/sys/fs/cgroup/memory/memory.swappiness").swappiness


ALL = ResourceRequirements(
    limits=Resources(nano_cpus=500_000_000, memory_bytes=64 * MIB, pids=9),
    reservations=Resources(nano_cpus=250_000_000, memory_bytes=32 * MIB),
    memory_swappiness=7,
)


def test_everything_is_said_where_everything_is_there():
    assert cgroups.bounds(ALL, Cgroups()) == {
        "cpu": {"quota": 50_000, "period": 100_000, "shares": 256},
        "memory": {
            "limit": 64 * MIB,
            "swap": 64 * MIB,
            "reservation": 32 * MIB,
            "swappiness": 7,
        },
        "pids": {"limit": 9},
    }
    assert cgroups.unenforced(ALL, Cgroups()) == ()


def test_nothing_is_said_of_a_task_without_bounds():
    assert cgroups.bounds(ResourceRequirements(), Cgroups()) == {}


@pytest.mark.parametrize(
    ("swap_bytes", "total"), [(None, 64 * MIB), (0, 64 * MIB), (MIB, 65 * MIB), (-1, -1)]
)
def test_swap_comes_on_top_of_the_memory(swap_bytes, total):
    wanted = ResourceRequirements(limits=Resources(memory_bytes=64 * MIB), swap_bytes=swap_bytes)
    assert cgroups.bounds(wanted, Cgroups())["memory"]["swap"] == total


def test_what_the_node_lacks_is_left_out_and_said():
    wanted = ResourceRequirements(limits=ALL.limits, swap_bytes=MIB, memory_swappiness=7)
    poor = Cgroups(version=V2, controllers=("cpu", "memory"), swap=False, swappiness=False)
    bounds = cgroups.bounds(wanted, poor)
    assert "pids" not in bounds
    assert bounds["memory"] == {"limit": 64 * MIB}
    said = cgroups.unenforced(wanted, poor)
    assert [sentence.split()[1] for sentence in said[:1]] == ["pids"]
    assert "does not count swap" in said[1]
    assert "cgroup v2 of this node has no swappiness" in said[2]
    nothing = Cgroups(controllers=())
    assert cgroups.bounds(wanted, nothing) == {}
    assert len(cgroups.unenforced(wanted, nothing)) == 3
