"""The list of tasks, for `service ps` and `node ps`."""

from __future__ import annotations

from collections.abc import Iterable

import click

from swarmd.cli import render, words
from swarmd.cli.client import Client
from swarmd.cli.listing import Filters, chosen
from swarmd.model.instant import Instant
from swarmd.model.states import TaskState
from swarmd.model.task import DRAINING, Task
from swarmd.orchestrator.fences import waiting_words

COLUMNS = ("ID", "NAME", "IMAGE", "NODE", "DESIRED STATE", "CURRENT STATE", "ERROR", "PORTS")

PREEMPTED = "preempted by"
FILTERS = ("id", "name", "node", "desired-state")


def in_order(tasks: Iterable[Task]) -> list[Task]:
    """By service and slot, the newest first within a slot."""

    def key(task: Task) -> tuple[str, int, str, int, str]:
        place = "" if task.slot else task.node_id
        return (task.service_name, task.slot, place, -task.created_at, task.id)

    return sorted(tasks, key=key)


def labelled(tasks: Iterable[Task], node_names: dict[str, str]) -> list[tuple[str, Task]]:
    """Tasks with the names of tables: predecessors in a slot hang below their successor."""
    rows: list[tuple[str, Task]] = []
    previous = ""
    for task in in_order(tasks):
        label = words.task_label(task, node_names)
        rows.append((f" \\_ {label}" if label == previous else label, task))
        previous = label
    return rows


async def list_tasks(
    client: Client,
    tasks: list[Task],
    *,
    output: str,
    quiet: bool,
    filters: Filters,
    whole_ids: bool,
    now: int,
) -> None:
    """Print the tasks that pass the filters, with the names of their nodes."""
    nodes = {str(listed.node.id): listed.node for listed in await client.nodes()}
    node_names = {node_id: node.hostname for node_id, node in nodes.items()}
    rows = [
        (label, task)
        for label, task in labelled(tasks, node_names)
        if chosen(
            filters,
            id=task.id,
            name=words.task_label(task, node_names),
            node=node_names.get(task.node_id, task.node_id),
            desired_state=task.desired_state.word,
        )
    ]
    if quiet:
        for _, task in rows:
            click.echo(task.id)
        return
    cells = [
        (
            task.id if whole_ids or output == render.JSON else words.short(task.id),
            label,
            words.program(task.spec),
            node_names.get(task.node_id) or task.node_id,
            task.desired_state.word.capitalize(),
            words.current_state(task, now),
            _preempted(task)
            or waiting_words(task, nodes.get(task.node_id), Instant(now))
            or words.task_error(task)
            or _waiting(task),
            words.ports(task.status.ports),
        )
        for label, task in rows
    ]
    if output == render.JSON:
        names = ("ID", "Name", "Image", "Node", "DesiredState", "CurrentState", "Error", "Ports")
        render.json_lines([dict(zip(names, row, strict=True)) for row in cells])
    else:
        render.table(COLUMNS, cells, wrap="ERROR")


def _waiting(task: Task) -> str:
    """What a task that should run, or should stop, is waiting for, in the words of its report."""
    if task.desired_state > TaskState.RUNNING and task.status.message.startswith(DRAINING):
        return task.status.message
    if task.status.state < TaskState.RUNNING and task.desired_state <= TaskState.RUNNING:
        return task.status.message
    return ""


def _preempted(task: Task) -> str:
    """By whom a task was made to give up its place."""
    return task.desired_reason if task.desired_reason.startswith(PREEMPTED) else ""
