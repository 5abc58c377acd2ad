"""Asking the leader what would happen, and showing the answer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from swarmd.cli import render
from swarmd.model.instant import format_duration
from swarmd.rpc.pb import cluster as pb

if TYPE_CHECKING:
    from collections.abc import Sequence

    from swarmd.cli.client import Client

# Simulating a large swarm takes seconds, and others may be before us.
SIMULATION_S = 120.0
GIBIBYTE = 1 << 30
NANO = 1_000_000_000


async def simulate(client: Client, hypotheses: Sequence[pb.Hypothesis]) -> pb.SimulateResponse:
    """What would become of the swarm if all of this happened now."""
    request = pb.SimulateRequest(hypotheses=hypotheses)
    answer: pb.SimulateResponse = await client.ask_leader("Simulate", request, SIMULATION_S)
    return answer


def show(answer: pb.SimulateResponse, output: str) -> None:
    """Print an answer, as text or JSON; nodes that stay as they are are only counted."""
    if output == render.JSON:
        render.as_json(document(answer))
        return
    if answer.shifts:
        render.table(
            ("TASK", "FROM", "TO", "WHAT", "WHY"),
            [
                (item.task, item.from_node or "-", item.to_node or "-", item.kind, item.reason)
                for item in answer.shifts
            ],
            wrap="WHY",
        )
        click.echo()
    changed = [node for node in answer.nodes if _changed(node)]
    if changed:
        render.table(
            ("NODE", "TASKS", "CPUS RESERVED", "MEMORY RESERVED"), map_rows(changed), wrap="NODE"
        )
        click.echo()
    click.echo(summary(answer))


def map_rows(nodes: Sequence[pb.NodeLoad]) -> list[tuple[str, str, str, str]]:
    return [
        (
            node.hostname,
            f"{node.tasks_before} -> {node.tasks_after}",
            _amounts(node.nano_cpus_before, node.nano_cpus_after, node.nano_cpus_total, NANO),
            _amounts(
                node.memory_bytes_before,
                node.memory_bytes_after,
                node.memory_bytes_total,
                GIBIBYTE,
                " GiB",
            ),
        )
        for node in nodes
    ]


def summary(answer: pb.SimulateResponse) -> str:
    """How many tasks would do what, in one sentence."""
    counts: dict[str, int] = {}
    for item in answer.shifts:
        counts[item.kind] = counts.get(item.kind, 0) + 1
    words = [f"{counts[kind]} {kind}" for kind in _ORDER if kind in counts]
    done = ", ".join(words) if words else "no task would move, start or stop"
    waiting = f"; {answer.pending} would wait for a node" if answer.pending else ""
    took = f" after {format_duration(answer.duration_ns)}" if answer.duration_ns else ""
    if answer.settled:
        return f"{done}{waiting}; at rest{took}"
    return f"{done}{waiting}; not yet at rest{took}"


def document(answer: pb.SimulateResponse) -> dict[str, Any]:
    """The answer for programs."""
    return {
        "Settled": answer.settled,
        "Duration": answer.duration_ns,
        "Pending": answer.pending,
        "Tasks": [
            {
                "ServiceID": item.service_id,
                "ServiceName": item.service_name,
                "Task": item.task,
                "Kind": item.kind,
                "From": item.from_node,
                "To": item.to_node,
                "Reason": item.reason,
            }
            for item in answer.shifts
        ],
        "Nodes": [
            {
                "ID": node.node_id,
                "Hostname": node.hostname,
                "Ready": node.ready,
                "Before": {
                    "Tasks": node.tasks_before,
                    "NanoCPUs": node.nano_cpus_before,
                    "MemoryBytes": node.memory_bytes_before,
                },
                "After": {
                    "Tasks": node.tasks_after,
                    "NanoCPUs": node.nano_cpus_after,
                    "MemoryBytes": node.memory_bytes_after,
                },
                "Total": {
                    "NanoCPUs": node.nano_cpus_total,
                    "MemoryBytes": node.memory_bytes_total,
                },
            }
            for node in answer.nodes
        ],
    }


_ORDER = ("started", "moved", "replaced", "stopped", "pending")


def _changed(node: pb.NodeLoad) -> bool:
    before = (node.tasks_before, node.nano_cpus_before, node.memory_bytes_before)
    return before != (node.tasks_after, node.nano_cpus_after, node.memory_bytes_after)


def _amounts(before: int, after: int, total: int, unit: int, suffix: str = "") -> str:
    if not before and not after:
        return "-"
    return f"{before / unit:.4g} -> {after / unit:.4g} of {total / unit:.4g}{suffix}"
