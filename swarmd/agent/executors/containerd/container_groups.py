"""The cgroups of containers as directories: where they are, what the kernel noted, their removal.

A container has a group of one path in every hierarchy of the machine.
"""

from __future__ import annotations

import functools
from pathlib import Path

from swarmd.agent.executors import groups

CGROUPS = "swarmd-containers"


def directories(path: str) -> tuple[str, ...]:
    """Where the group of this path is in each hierarchy, the one that counts memory first."""
    trees = sorted(_trees(), key=lambda tree: not (tree[1] or "memory" in tree[2]))
    return tuple(f"{point}{path}" for point, _, _ in trees)


def oom_kills(path: str) -> int:
    """How many processes of the group the kernel has killed for want of memory."""
    return groups.oom_kills(groups.Group("", directories(path), groups.Limits(), ()))


def remove_shared(node_id: str) -> None:
    """Remove the directories that held a node's groups; those of others are left alone."""
    for point, _, _ in _trees():
        for path in (Path(point, CGROUPS, node_id), Path(point, CGROUPS)):
            try:
                path.rmdir()
            except OSError:
                break


@functools.cache
def _trees() -> list[tuple[str, bool, frozenset[str]]]:
    """The hierarchies of this machine, which stay as they are while it runs.

    Kept, since every container adds to the mounts among which they are found.
    """
    with open("/proc/mounts") as file:
        return groups.parse_mounts(file.read())
