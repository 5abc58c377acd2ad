"""What a node says of itself."""

from __future__ import annotations

from pathlib import Path

import pytest

from swarmd.agent.describe import describe, memory_bytes, nano_cpus


def test_a_description_names_platform_resources_and_back_ends() -> None:
    node = describe(runtime="process", balancer="proxy", data_addr="10.0.0.1", hostname="h")
    assert node.platform is not None
    assert node.platform.os == "linux"
    assert node.resources is not None
    assert node.resources.nano_cpus > 0
    assert node.resources.memory_bytes > 0
    assert (node.hostname, node.runtime, node.balancer) == ("h", "process", "proxy")


@pytest.mark.parametrize("name", ["memory.max", "memory/memory.limit_in_bytes"])
def test_a_memory_bound_of_our_group_counts(tmp_path: Path, name: str) -> None:
    meminfo = tmp_path / "meminfo"
    meminfo.write_text("MemTotal:  4096 kB\nMemFree: 1 kB\n")
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_text("1048576\n")
    assert memory_bytes(tmp_path, meminfo) == 1_048_576
    (tmp_path / name).write_text("max\n" if name == "memory.max" else f"{2**63 - 4096}\n")
    assert memory_bytes(tmp_path, meminfo) == 4096 * 1024


def test_a_cpu_quota_of_our_group_counts(tmp_path: Path) -> None:
    whole = nano_cpus(tmp_path)
    (tmp_path / "cpu.max").write_text("25000 100000\n")
    assert nano_cpus(tmp_path) == 250_000_000
    (tmp_path / "cpu.max").write_text("max 100000\n")
    assert nano_cpus(tmp_path) == whole
