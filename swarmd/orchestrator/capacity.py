"""How much of a node may be reserved: what there is, times the oversell ratios."""

from __future__ import annotations

from swarmd.model.node import Node, Oversell

NO_OVERSELL = Oversell()


def capacity(node: Node, oversell: Oversell) -> tuple[int, int]:
    """CPU (in billionths) and memory (in bytes) that may be reserved on a node.

    Nothing while the node has not described itself.

    Args:
        oversell: the cluster's ratios, for what the node itself doesn't say.
    """
    resources = node.description.resources if node.description else None
    if resources is None:
        return 0, 0
    own = node.spec.oversell or NO_OVERSELL
    return (
        _times(resources.nano_cpus, own.cpus or oversell.cpus),
        _times(resources.memory_bytes, own.memory or oversell.memory),
    )


def _times(amount: int, ratio: float) -> int:
    return int(amount * ratio) if ratio else amount
