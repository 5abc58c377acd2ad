"""Why no node can take a task, and what would help, in one sentence.

The first half keeps the words swarm users know: how many nodes each filter refused, the most
frequent first. The second half is the remedy for the refusals that matter most.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from swarmd.orchestrator.scheduler.filters import Refusal, Requirement, refusal
from swarmd.orchestrator.scheduler.node_info import NodeInfo

REMEDIES_MAX = 2
_GIB, _MIB = 1 << 30, 1 << 20


class Verdict(NamedTuple):
    """One filter and the nodes it refuses; a node counts for the first filter that refuses it."""

    why: Refusal
    nodes: tuple[NodeInfo, ...]


def verdicts(infos: Iterable[NodeInfo], requirement: Requirement) -> tuple[Verdict, ...]:
    """What each filter refuses, most nodes first; nodes that are not named can take the task."""
    refused: dict[Refusal, list[NodeInfo]] = {}
    for info in infos:
        why = refusal(info, requirement)
        if why is not None:
            refused.setdefault(why, []).append(info)
    ranked = sorted(refused, key=lambda why: (-len(refused[why]), why))
    return tuple(Verdict(why, tuple(refused[why])) for why in ranked)


def explain(infos: Iterable[NodeInfo], requirement: Requirement) -> str:
    """The sentence for a task that none of the nodes can take."""
    ranked = verdicts(infos, requirement)
    if not ranked:
        return "no suitable node (the swarm has no nodes); add a node: swarmd join"
    details = "; ".join(describe(verdict.why, len(verdict.nodes)) for verdict in ranked)
    advice = ", or ".join(remedy(verdict.why, requirement) for verdict in ranked[:REMEDIES_MAX])
    return f"no suitable node ({details}); {advice}"


def describe(why: Refusal, count: int) -> str:
    """How many nodes a filter refused, as swarm words it."""
    nodes = "1 node" if count == 1 else f"{count} nodes"
    match why:
        case Refusal.NOT_READY:
            return f"{nodes} not available for new tasks"
        case Refusal.RESOURCES:
            return f"insufficient resources on {nodes}"
        case Refusal.CONSTRAINTS:
            return f"scheduling constraints not satisfied on {nodes}"
        case Refusal.PLATFORM:
            return f"unsupported platform on {nodes}"
        case Refusal.HOST_PORT:
            return f"host-mode port already in use on {nodes}"
        case Refusal.MAX_REPLICAS:
            return f"max replicas per node limit exceed on {nodes}"


def remedy(why: Refusal, requirement: Requirement) -> str:
    """What the operator can do about a refusal."""
    match why:
        case Refusal.NOT_READY:
            return "bring nodes back or set their availability to active"
        case Refusal.RESOURCES:
            return f"add a node with {_amounts(requirement)} free or lower the reservation"
        case Refusal.CONSTRAINTS:
            wanted = " and ".join(
                f"{item.key}{'==' if item.equal else '!='}{item.value}"
                for item in requirement.constraints
            )
            return f"add a node with {wanted} or relax the constraints"
        case Refusal.PLATFORM:
            wanted = " or ".join(
                f"{item.os or 'any'}/{item.architecture or 'any'}" for item in requirement.platforms
            )
            return f"add a node of platform {wanted}"
        case Refusal.HOST_PORT:
            wanted = ", ".join(f"{port}/{protocol}" for protocol, port in requirement.ports)
            return f"free port {wanted} on a node or publish another port"
        case Refusal.MAX_REPLICAS:
            return f"add a node or raise the limit of {requirement.max_replicas} replicas per node"


def _amounts(requirement: Requirement) -> str:
    parts = []
    if requirement.reserved.nano_cpus:
        cpus = requirement.reserved.nano_cpus / 1_000_000_000
        parts.append(f"{cpus:g} CPU" if cpus == 1 else f"{cpus:g} CPUs")
    memory = requirement.reserved.memory_bytes
    if memory:
        size = f"{memory / _GIB:g} GiB" if memory % _GIB == 0 else f"{memory / _MIB:.4g} MiB"
        parts.append(f"{size} of memory")
    return " and ".join(parts)
