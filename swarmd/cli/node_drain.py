"""`swarmd node drain`: lead all tasks away from a node, and see them go."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import click

from swarmd.cli.completion import node_names
from swarmd.cli.params import DURATION
from swarmd.cli.target import Target
from swarmd.runtime.timeouts import timeout

if TYPE_CHECKING:
    from swarmd.cli.client import Client
    from swarmd.model.node import NodeSpec
    from swarmd.model.task import Task

LOOK_S = 0.2
NAMED_MAX = 5


@click.command()
@click.option(
    "--drain-order",
    type=click.Choice(["stop-first", "start-first"]),
    help="start-first: a task is stopped when its successor runs.",
)
@click.option("--wait", is_flag=True, help="Wait until the node is empty.")
@click.option("--deadline", type=DURATION, help="Stop waiting after so long, with exit code 124.")
@click.argument("node", metavar="NODE|self", shell_complete=node_names)
@click.pass_obj
def drain(
    target: Target,
    /,
    node: str,
    drain_order: str | None,
    wait: bool,
    deadline: int | None,
) -> None:
    """Give a node no more tasks, and lead away those it has.

    Services keep as many tasks running as their min-available says; the others wait their turn.

    \b
    swarmd node drain --drain-order start-first --wait --deadline 5m worker-3
    """
    from msgspec.structs import replace

    from swarmd.cli.client import run
    from swarmd.cli.nodes import node_finder
    from swarmd.model.states import Availability, UpdateOrder

    def changed(spec: NodeSpec) -> NodeSpec:
        order = UpdateOrder(drain_order) if drain_order else spec.drain_order
        return replace(spec, availability=Availability.DRAIN, drain_order=order)

    async def work(client: Client) -> None:
        found = (await node_finder(client, [node]))(node).node
        name = found.hostname or found.id
        await client.update_node(found.id, changed)
        if not wait and deadline is None:
            click.echo(f"Node {name} is being drained.")
            return
        await _until_empty(client, found.id, name, deadline)
        click.echo(f"Node {name} is empty.")

    run(target, work)


async def _until_empty(client: Client, node_id: str, name: str, deadline_ns: int | None) -> None:
    """Show what is left on the node whenever that changes.

    Raises:
        CliError: time is up; it says what is left and why.
    """
    from swarmd.cli.errors import TIMED_OUT, CliError
    from swarmd.model.instant import SECOND, format_duration

    left: list[str] = []
    try:
        async with timeout(None if deadline_ns is None else deadline_ns / SECOND):
            shown: list[str] | None = None
            while True:
                left = await _left(client, node_id)
                if not left:
                    return
                if left != shown:
                    shown = left
                    click.echo(f"{name}: {len(left)} left: {_named(left)}")
                await asyncio.sleep(LOOK_S)
    except TimeoutError:
        raise CliError(
            f"node {name} is not empty after {format_duration(deadline_ns or 0)}: {_named(left)}",
            hint="the swarm goes on draining it; "
            f"`swarmd node update --availability active {name}` calls that off",
            exit_code=TIMED_OUT,
        ) from None


def _named(left: list[str]) -> str:
    more = f"; and {len(left) - NAMED_MAX} more" if len(left) > NAMED_MAX else ""
    return "; ".join(left[:NAMED_MAX]) + more


async def _left(client: Client, node_id: str) -> list[str]:
    """The tasks that are still on the node, each with what it waits for."""
    from swarmd.model.states import TaskState

    present = [
        task
        for task in await client.tasks(node_ids=[node_id])
        if TaskState.ASSIGNED <= task.status.state <= TaskState.RUNNING
    ]
    if not present:
        return []
    others = await client.tasks(service_ids={task.service_id for task in present})
    return sorted(_why(task, others) for task in present)


def _why(task: Task, others: list[Task]) -> str:
    from swarmd.cli import words
    from swarmd.model.states import TaskState

    label = words.task_label(task, {})
    if task.desired_state > TaskState.COMPLETE:
        return f"{label} is stopping"
    successor = next(
        (
            other
            for other in others
            if other.slot == task.slot
            and other.service_id == task.service_id
            and other.created_at > task.created_at
            and other.desired_state <= TaskState.COMPLETE
        ),
        None,
    )
    if successor is None:
        return f"{label} {task.status.message or 'runs'}"
    error = words.task_error(successor)
    state = successor.status.state.word
    return f"{label} waits for its successor, which is {state}" + (f": {error}" if error else "")
