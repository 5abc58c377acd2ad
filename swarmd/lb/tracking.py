"""Whether the kernel can still track connections: what it can't track, it drops.

Each namespace has a count of its own under one limit of the machine.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from swarmd.network.kernel import netns, sysctl

COUNT, LIMIT = "netfilter/nf_conntrack_count", "netfilter/nf_conntrack_max"
NEARLY_FULL = 95  # percent


def crowded(places: Mapping[str, Path | None]) -> tuple[str, ...]:
    """A sentence on each of these namespaces that has hardly any room left. Blocks.

    Args:
        places: what people call each; None is the namespace of this process.

    Raises:
        OSError: a namespace can't be entered.
    """
    found = ((where, *netns.inside(path, _fill)) for where, path in places.items())
    return tuple(filter(None, (sentence(*one) for one in found)))


def sentence(where: str, count: int, limit: int) -> str:
    """What is to be said of a namespace that tracks so many connections; empty if nothing."""
    if not limit or count * 100 < limit * NEARLY_FULL:
        return ""
    return (
        f"{where} tracks {count} connections of at most {limit}, beyond which new ones are "
        "dropped; raise net.netfilter.nf_conntrack_max on the machine"
    )


def _fill() -> tuple[int, int]:
    count, limit = sysctl.get(COUNT), sysctl.get(LIMIT)
    return int(count or 0), int(limit or 0)
