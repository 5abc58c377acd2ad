"""Why no node can take a task, and what would help, in one sentence.

The first half keeps the words swarm users know: how many nodes each filter refused, the most
frequent first. The second half is the remedy for the refusals that matter most.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from swarmd.model.node import LEASE_PLUGIN
from swarmd.model.states import Strategy
from swarmd.orchestrator.scheduler.filters import Filters
from swarmd.orchestrator.scheduler.fleet import Fleet
from swarmd.orchestrator.scheduler.node_info import NodeInfo
from swarmd.orchestrator.scheduler.order import Order
from swarmd.orchestrator.scheduler.refusals import Refusal
from swarmd.orchestrator.scheduler.requirement import Requirement

REMEDIES_MAX = 2
_GIB, _MIB = 1 << 30, 1 << 20


class Refused(NamedTuple):
    """One filter and the nodes it refuses; a node counts for the first filter that refuses it."""

    why: Refusal
    nodes: tuple[NodeInfo, ...]


def refusals(
    fleet: Fleet, filters: Filters, infos: Iterable[NodeInfo] | None = None
) -> tuple[Refused, ...]:
    """What each filter refuses, most nodes first; nodes that are not named can take the task.

    Args:
        infos: the nodes to ask; all if not given.
    """
    refused: dict[Refusal, list[NodeInfo]] = {}
    if infos is not None:
        for info in infos:
            _note(refused, filters.refusal(info), info)
    else:
        requirement = filters.requirement
        partition = fleet.partition(requirement.attributes, Order(Strategy.SPREAD))
        for cell, verdict in partition.judged(requirement.statics):
            for entry in cell.entries:
                _note(refused, filters.refusal(entry[-1], verdict), entry[-1])
    ranked = sorted(refused, key=lambda why: (-len(refused[why]), why))
    return tuple(Refused(why, tuple(refused[why])) for why in ranked)


def explain(fleet: Fleet, filters: Filters, infos: Iterable[NodeInfo] | None = None) -> str:
    """The sentence for a task that none of the nodes can take."""
    ranked = refusals(fleet, filters, infos)
    if not ranked:
        return "no suitable node (the swarm has no nodes); add a node: swarmd join"
    details = "; ".join(describe(refused.why, len(refused.nodes)) for refused in ranked)
    advice = ", or ".join(
        remedy(refused.why, filters.requirement) for refused in ranked[:REMEDIES_MAX]
    )
    return f"no suitable node ({details}); {advice}"


def describe(why: Refusal, count: int) -> str:
    """How many nodes a filter refused, as swarm words it."""
    nodes = "1 node" if count == 1 else f"{count} nodes"
    match why:
        case Refusal.NOT_READY:
            return f"{nodes} not available for new tasks"
        case Refusal.RESOURCES:
            return f"insufficient resources on {nodes}"
        case Refusal.PLUGIN:
            return f"missing plugin on {nodes}"
        case Refusal.CONSTRAINTS:
            return f"scheduling constraints not satisfied on {nodes}"
        case Refusal.PLATFORM:
            return f"unsupported platform on {nodes}"
        case Refusal.HOST_PORT:
            return f"host-mode port already in use on {nodes}"
        case Refusal.MAX_REPLICAS:
            return f"max replicas per node limit exceed on {nodes}"
        case Refusal.TAINT:
            return f"taints not tolerated on {nodes}"
        case Refusal.AFFINITY:
            return f"affinities not satisfied on {nodes}"


def remedy(why: Refusal, requirement: Requirement) -> str:
    """What the operator can do about a refusal."""
    statics = requirement.statics
    match why:
        case Refusal.NOT_READY:
            return "bring nodes back or set their availability to active"
        case Refusal.RESOURCES:
            return f"add a node with {_amounts(requirement)} free or lower the reservation"
        case Refusal.PLUGIN if (LEASE_PLUGIN.type, LEASE_PLUGIN.name) in statics.plugins:
            return "add a node whose agent is swarmd's: other engines keep no leases"
        case Refusal.PLUGIN:
            wanted = " and ".join(f"{kind.lower()} plugin {name}" for kind, name in statics.plugins)
            return f"install the {wanted} on a node"
        case Refusal.CONSTRAINTS:
            hard = (item.text for item in statics.constraints if not item.soft)
            return f"add a node with {' and '.join(hard)} or relax the constraints"
        case Refusal.PLATFORM:
            wanted = " or ".join(
                f"{item.os or 'any'}/{item.architecture or 'any'}" for item in statics.platforms
            )
            return f"add a node of platform {wanted}"
        case Refusal.HOST_PORT:
            wanted = ", ".join(f"{port}/{protocol}" for protocol, port in requirement.ports)
            return f"free port {wanted} on a node or publish another port"
        case Refusal.MAX_REPLICAS:
            return f"add a node or raise the limit of {requirement.max_replicas} replicas per node"
        case Refusal.TAINT:
            return (
                "tolerate the taints with --toleration or take them off a node: "
                "swarmd node update --taint-rm"
            )
        case Refusal.AFFINITY:
            hard = (item.text for item in requirement.affinities if not item.soft)
            return f"make room where {' and '.join(hard)} holds, or relax the affinities"


def _note(refused: dict[Refusal, list[NodeInfo]], why: Refusal | None, info: NodeInfo) -> None:
    if why is not None:
        refused.setdefault(why, []).append(info)


def _amounts(requirement: Requirement) -> str:
    size = requirement.size
    parts = []
    if size.nano_cpus:
        cpus = size.nano_cpus / 1_000_000_000
        parts.append(f"{cpus:g} CPU" if cpus == 1 else f"{cpus:g} CPUs")
    if size.memory_bytes:
        memory = size.memory_bytes
        text = f"{memory / _GIB:g} GiB" if memory % _GIB == 0 else f"{memory / _MIB:.4g} MiB"
        parts.append(f"{text} of memory")
    parts += (f"{count} {kind}" for kind, count in size.generic)
    return " and ".join(parts)
