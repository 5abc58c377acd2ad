"""What the cgroups of a node can enforce, and what is left of a container's bounds there. Pure.

Version 2 has one tree; version 1 has one per controller, and kernels without accounting for swap.
A hybrid machine has both, with the controllers in version 1, which is where runtimes then look.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from swarmd.model.record import Record
from swarmd.model.spec import ResourceRequirements, Resources

CPU_PERIOD_US = 100_000
CPU_QUOTA_US_MIN = 1_000
CPU_SHARES_PER_CORE = 1024
CPU_SHARES_MIN = 2
ROOT = "/sys/fs/cgroup"
V1, V2, HYBRID = "v1", "v2", "hybrid"
_NANO = 1_000_000_000


class Cgroups(Record, frozen=True):
    """What there is; the default is a machine that can do all."""

    version: str = V2
    controllers: tuple[str, ...] = ("cpu", "memory", "pids")
    swap: bool = True  # it is counted, and can be bounded
    swappiness: bool = True  # can be set for one container


def detect(mounts: str, *, read: Callable[[str], str], exists: Callable[[str], bool]) -> Cgroups:
    """What a machine with these mounts has.

    Args:
        mounts: the text of /proc/mounts.
        read: the contents of a file, empty when it is not there.
    """
    trees = [line.split(" ")[1:4] for line in mounts.splitlines() if " cgroup" in line]
    unified = [point for point, kind, _ in trees if kind == "cgroup2"]
    legacy = [(point, options.split(",")) for point, kind, options in trees if kind == "cgroup"]
    if ROOT in unified:
        found = read(f"{ROOT}/cgroup.controllers").split()
        return Cgroups(
            version=V2,
            controllers=tuple(sorted(found)),
            swap=exists("/proc/swaps"),
            swappiness=False,
        )
    controllers = {option for _, options in legacy for option in options}
    memory = next((point for point, options in legacy if "memory" in options), "")
    return Cgroups(
        version=HYBRID if unified else V1,
        controllers=tuple(sorted(controllers & {"cpu", "cpuset", "memory", "pids", "devices"})),
        swap=exists(f"{memory}/memory.memsw.limit_in_bytes"),
        swappiness=exists(f"{memory}/memory.swappiness"),
    )


def bounds(requirements: ResourceRequirements, cgroups: Cgroups) -> dict[str, Any]:
    """The bounds of a container in the runtime's words, as far as the node can enforce them."""
    limits, reserved = _amounts(requirements)
    resources: dict[str, Any] = {}
    if "cpu" in cgroups.controllers:
        cpu: dict[str, Any] = {}
        if limits.nano_cpus:
            quota = max(limits.nano_cpus * CPU_PERIOD_US // _NANO, CPU_QUOTA_US_MIN)
            cpu = {"quota": quota, "period": CPU_PERIOD_US}
        if reserved.nano_cpus:
            # What is reserved is what it gets when everybody wants the processors.
            cpu["shares"] = max(reserved.nano_cpus * CPU_SHARES_PER_CORE // _NANO, CPU_SHARES_MIN)
        if cpu:
            resources["cpu"] = cpu
    memory = _memory(requirements, cgroups) if "memory" in cgroups.controllers else {}
    if memory:
        resources["memory"] = memory
    if limits.pids and "pids" in cgroups.controllers:
        resources["pids"] = {"limit": limits.pids}
    return resources


def unenforced(requirements: ResourceRequirements, cgroups: Cgroups) -> tuple[str, ...]:
    """Sentences on the bounds that the node can't enforce."""
    limits, _ = _amounts(requirements)
    said = [
        f"the {controller} limit needs a cgroup controller that this node does not have"
        for controller, amount in (
            ("cpu", limits.nano_cpus),
            ("memory", limits.memory_bytes),
            ("pids", limits.pids),
        )
        if amount and controller not in cgroups.controllers
    ]
    if requirements.swap_bytes is not None and not cgroups.swap:
        said.append("this node's kernel does not count swap, so that it is not limited")
    if requirements.memory_swappiness is not None and not cgroups.swappiness:
        said.append(f"cgroup {cgroups.version} of this node has no swappiness per container")
    return tuple(said)


def _memory(requirements: ResourceRequirements, cgroups: Cgroups) -> dict[str, Any]:
    limits, reserved = _amounts(requirements)
    memory: dict[str, Any] = {}
    if limits.memory_bytes:
        memory["limit"] = limits.memory_bytes
        swap = requirements.swap_bytes or 0
        if cgroups.swap:
            # In the runtime's words it is memory and swap together.
            memory["swap"] = -1 if swap < 0 else limits.memory_bytes + swap
    if reserved.memory_bytes:
        memory["reservation"] = reserved.memory_bytes
    if requirements.memory_swappiness is not None and cgroups.swappiness:
        memory["swappiness"] = requirements.memory_swappiness
    return memory


def _amounts(requirements: ResourceRequirements) -> tuple[Resources, Resources]:
    return requirements.limits or Resources(), requirements.reservations or Resources()
