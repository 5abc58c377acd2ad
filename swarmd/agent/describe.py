"""What a node says of itself: name, platform, and how much it has to give."""

from __future__ import annotations

import os
import platform
import socket
from collections.abc import Iterable, Mapping
from pathlib import Path

import swarmd
from swarmd.model.node import (
    ENCRYPTION_PLUGIN,
    LEASE_PLUGIN,
    EngineDescription,
    NodeDescription,
    PluginDescription,
)
from swarmd.model.spec import GenericResource, Platform, Resources

CGROUP = Path("/sys/fs/cgroup")
# Version 1 says "unlimited" with the largest number of whole pages.
_UNLIMITED_BYTES = 1 << 60


def describe(
    *,
    runtime: str,
    balancer: str,
    data_addr: str,
    labels: Mapping[str, str] = {},
    generic_resources: tuple[GenericResource, ...] = (),
    hostname: str = "",
    encryptions: Iterable[str] = (),
    tunnel_addr: str = "",
) -> NodeDescription:
    """The description this node's agent sends; resources are what the machine has, or the part
    of it that the container or slice we run in may use."""
    return NodeDescription(
        hostname=hostname or socket.gethostname(),
        platform=node_platform(),
        resources=Resources(
            nano_cpus=nano_cpus(),
            memory_bytes=memory_bytes(),
            generic_resources=generic_resources,
        ),
        engine=EngineDescription(
            engine_version=swarmd.__version__,
            labels=dict(labels),
            plugins=(
                LEASE_PLUGIN,
                *(PluginDescription(type=ENCRYPTION_PLUGIN, name=name) for name in encryptions),
            ),
        ),
        data_addr=data_addr,
        runtime=runtime,
        balancer=balancer,
        tunnel_addr=tunnel_addr,
    )


def node_platform() -> Platform:
    return Platform(architecture=platform.machine(), os=platform.system().lower())


def nano_cpus(cgroup: Path = CGROUP) -> int:
    """Processors this process may use, in billionths."""
    available = len(os.sched_getaffinity(0)) * 1_000_000_000
    quota = _cpu_quota(cgroup)
    return available if quota is None else min(available, quota)


def memory_bytes(cgroup: Path = CGROUP, meminfo: Path = Path("/proc/meminfo")) -> int:
    """Memory this process may use."""
    total = 0
    for line in meminfo.read_text().splitlines():
        name, _, rest = line.partition(":")
        if name == "MemTotal":
            total = int(rest.split()[0]) * 1024
    bounds = [
        int(text)
        for text in (
            _read(cgroup / "memory.max"),
            _read(cgroup / "memory" / "memory.limit_in_bytes"),
        )
        if text.isdigit()
    ]
    return min([total, *(bound for bound in bounds if 0 < bound < _UNLIMITED_BYTES)])


def _cpu_quota(cgroup: Path) -> int | None:
    unified = _read(cgroup / "cpu.max").split()
    if len(unified) == 2 and unified[0].isdigit():
        return int(unified[0]) * 1_000_000_000 // int(unified[1])
    quota = _read(cgroup / "cpu" / "cpu.cfs_quota_us")
    period = _read(cgroup / "cpu" / "cpu.cfs_period_us")
    if quota.isdigit() and period.isdigit():
        return int(quota) * 1_000_000_000 // int(period)
    return None


def _read(path: Path) -> str:
    try:
        return path.read_text().strip()
    except OSError:
        return ""
