"""What an examination of the nodes comes to: a row for each, and sentences on what is wrong.

Pure. Every sentence says what to do, where anything is known to help.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from swarmd.cli import words
from swarmd.model.instant import MILLISECOND, format_duration

if TYPE_CHECKING:
    from swarmd.rpc.pb import doctor as pb

COLUMNS = ("NODE", "STATE", "CLOCK", "REACHES", "MTU", "OVERLAY", "PROBLEMS")
SKEW_NS_MAX = 500 * MILLISECOND
# What is left of an underlay of 1330; less is refused by IPv6 and by much else.
OVERLAY_MTU_MIN = 1280
OVERLAY_BYTES = 50


def names(nodes: Iterable[pb.NodeFindings]) -> dict[str, str]:
    """What to call each node, by its id."""
    return words.told_apart({node.node_id: node.hostname for node in nodes})


def row(node: pb.NodeFindings, name: str, problems: int) -> tuple[str, ...]:
    """The node's line in the table."""
    if node.absent:
        return (name, node.state, "", "", "", "", node.absent)
    ways = node.found.ways
    reached = sum(way.underlay.answered or way.overlay.answered for way in ways)
    return (
        name,
        node.state,
        f"{node.clock_ahead / MILLISECOND:+.0f} ms",
        f"{reached}/{len(ways)}",
        _least(way.underlay for way in ways),
        _least(way.overlay for way in ways),
        str(problems or ""),
    )


def sentences(nodes: Iterable[pb.NodeFindings]) -> dict[str, list[str]]:
    """What is wrong, by the node it was seen from; nodes without a problem are not there."""
    listed = list(nodes)
    called = names(listed)
    found = {node.node_id: list(_of_node(node, called)) for node in listed}
    return {node_id: problems for node_id, problems in found.items() if problems}


def _of_node(node: pb.NodeFindings, called: dict[str, str]) -> Iterator[str]:
    if node.absent:
        yield f"could not be examined: {node.absent}"
        return
    skew_ns = abs(node.clock_ahead) - node.round_trip // 2
    if skew_ns > SKEW_NS_MAX:
        side = "ahead of" if node.clock_ahead > 0 else "behind"
        yield (
            f"its clock is {format_duration(abs(node.clock_ahead))} {side} the leader's; "
            "have an NTP client set it"
        )
    for way in node.found.ways:
        yield from _of_way(way, called.get(way.node_id, way.node_id))
    yield from node.found.problems
    for table in node.tables:
        if table.applied.version < table.changed_at:
            name = table.applied.network_id or "published ports"
            yield f"it has not put the latest of {name} into force yet"
        yield from (one for one in table.applied.problems if one not in node.found.problems)


def _of_way(way: pb.Ways, name: str) -> Iterator[str]:
    underlay, overlay, manager = way.underlay, way.overlay, way.manager
    if not overlay.untried and not overlay.answered:
        if underlay.answered:
            yield (
                f"packets of overlay networks don't get to {name} and back; "
                "let UDP port 4789 through between the nodes"
            )
        elif not underlay.untried:
            yield f"{name} does not answer, neither by itself nor through the ingress network"
    elif not underlay.untried and not underlay.answered and not overlay.answered:
        yield f"{name} does not answer"
    if overlay.answered and overlay.mtu < OVERLAY_MTU_MIN:
        yield (
            f"only small packets get to {name} through the ingress network ({overlay.mtu} bytes); "
            "raise the MTU between the nodes, or have firewalls let ICMP through"
        )
    blocked = [trial for trial in way.udp if not trial.untried and not trial.answered]
    if underlay.answered and blocked:
        yield (
            f"packets of networks that WireGuard encrypts don't get to {name} and back at "
            f"{len(blocked)} of {len(way.udp)} UDP ports; let the UDP port that has the number of "
            f"its TCP port, and the {len(way.udp) - 1} after it (2377 to 2379), through between "
            "the nodes"
        )
    if not manager.untried and not manager.answered:
        yield f"the manager {name} can't be connected to; let its TCP port (2377) through"


def _least(trials: Iterable[pb.Trial]) -> str:
    sizes = [trial.mtu for trial in trials if trial.answered]
    return str(min(sizes)) if sizes else ""
