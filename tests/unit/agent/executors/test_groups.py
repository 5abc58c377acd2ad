"""Control groups: what is detected and what limits become."""

from __future__ import annotations

from pathlib import Path

import pytest

from swarmd.agent.executors.groups import Group, Hierarchy, Limits, create, members, parse_mounts

LIMITS = Limits(nano_cpus=1_500_000_000, memory_bytes=1 << 20, pids=7)
ALL = frozenset({"cpu", "memory", "pids"})


def a_unified(tmp_path: Path, controllers: frozenset[str] = ALL) -> Hierarchy:
    base = tmp_path / "swarmd" / "n1"
    base.mkdir(parents=True)
    for directory in (tmp_path, tmp_path / "swarmd", base):
        (directory / "cgroup.subtree_control").write_text("")
    return Hierarchy(True, controllers, str(base), str(tmp_path))


def files(group: Group, position: int = 0) -> dict[str, str]:
    return {path.name: path.read_text() for path in Path(group.directories[position]).iterdir()}


def test_mounts_of_both_versions_are_found() -> None:
    mounts = (
        "proc /proc proc rw 0 0\n"
        "cgroup2 /sys/fs/cgroup/unified cgroup2 rw,relatime 0 0\n"
        "cgroup /sys/fs/cgroup/cpu cgroup rw,relatime,cpu 0 0\n"
    )
    assert parse_mounts(mounts) == [
        ("/sys/fs/cgroup/unified", True, frozenset()),
        ("/sys/fs/cgroup/cpu", False, frozenset({"rw", "relatime", "cpu"})),
    ]


def test_limits_of_the_unified_hierarchy(tmp_path: Path) -> None:
    hierarchy = a_unified(tmp_path)
    group = create((hierarchy,), "t1", LIMITS)
    assert group.unapplied == ()
    assert files(group) == {
        "cpu.max": "150000 100000",
        "memory.max": "1048576",
        "memory.swap.max": "0",
        "pids.max": "7",
    }
    assert (tmp_path / "swarmd/n1/cgroup.subtree_control").read_text() == "+cpu +memory +pids"


def test_limits_of_version_one_go_to_the_hierarchy_of_each_controller(tmp_path: Path) -> None:
    hierarchies = []
    for name in ("pids", "cpu", "memory"):
        (tmp_path / name).mkdir()
        hierarchies.append(Hierarchy(False, frozenset({name}), str(tmp_path / name), str(tmp_path)))
    group = create(tuple(hierarchies), "t1", LIMITS)
    assert files(group, 0) == {"pids.max": "7"}
    assert files(group, 1) == {"cpu.cfs_period_us": "100000", "cpu.cfs_quota_us": "150000"}
    assert files(group, 2)["memory.limit_in_bytes"] == "1048576"


def test_without_limits_only_the_tracking_group_is_made(tmp_path: Path) -> None:
    (tmp_path / "cpu").mkdir()
    unified = a_unified(tmp_path)
    cpu = Hierarchy(False, frozenset({"cpu"}), str(tmp_path / "cpu"), str(tmp_path))
    group = create((unified, cpu), "t1", Limits())
    assert group.directories == (f"{unified.base}/t1",)


@pytest.mark.parametrize("hierarchies", [0, 1])
def test_limits_nobody_can_enforce_are_named(tmp_path: Path, hierarchies: int) -> None:
    unified = a_unified(tmp_path, frozenset({"cpu"}))
    group = create((unified,)[:hierarchies], "t1", LIMITS)
    lacking = ("memory", "pids") if hierarchies else ("cpu", "memory", "pids")
    assert group.unapplied == tuple(
        f"the {name} limit needs a cgroup controller not available here" for name in lacking
    )


def test_without_groups_processes_are_found_by_their_mark(tmp_path: Path) -> None:
    import subprocess

    process = subprocess.Popen(["sleep", "1000"], env={"SWARMD_TASK_ID": "marked-by-this-test"})
    try:
        group = Group("marked-by-this-test", (), Limits(), ())
        # Right after the fork the child still has our own environment.
        while process.poll() is None and not members(group):
            pass
        assert members(group) == [process.pid]
    finally:
        process.kill()
        process.wait()
