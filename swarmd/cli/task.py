"""`swarmd task`: the tasks of the swarm, whatever service and node they are of."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from swarmd.cli.lazy import Entry, LazyGroup
from swarmd.cli.listing import INSPECTING, LISTING, Filters, options, require_known
from swarmd.cli.target import Target

if TYPE_CHECKING:
    from swarmd.cli.client import Client


@click.group(
    cls=LazyGroup,
    entries={
        "ls": Entry("swarmd.cli.task:ls", "List tasks with their state, and their errors"),
        "inspect": Entry("swarmd.cli.task:inspect", "Show tasks in full"),
        "logs": Entry("swarmd.cli.service_logs:logs", "Show what a task prints"),
        "exec": Entry("swarmd.cli.exec:exec_", "Run a command beside a task"),
        "attach": Entry("swarmd.cli.attach:attach", "See what a task prints, and type into it"),
        "top": Entry("swarmd.cli.top:top", "List the processes of a task"),
        "stats": Entry("swarmd.cli.stats:stats", "Show what tasks use, as they go"),
        "cp": Entry("swarmd.cli.cp:cp", "Copy files from a task or into one"),
    },
)
def task() -> None:
    """Tasks of the swarm, one by one."""


@click.command()
@options(LISTING)
@click.option("--no-trunc", is_flag=True, help="Show ids whole.")
@click.pass_obj
def ls(target: Target, /, output: str, quiet: bool, filters: Filters, no_trunc: bool) -> None:
    """List the tasks of all services with their state and why they do not run.

    Filters: id, name, node, desired-state.
    """
    from swarmd.cli.client import run
    from swarmd.cli.tasks import FILTERS, list_tasks

    require_known(filters, *FILTERS)

    async def work(client: Client) -> None:
        await list_tasks(
            client,
            await client.tasks(),
            output=output,
            quiet=quiet,
            filters=filters,
            whole_ids=no_trunc,
            now=target.clock.now(),
        )

    run(target, work)


@click.command()
@options(INSPECTING)
@click.argument("words", nargs=-1, required=True, metavar="TASK|SERVICE.SLOT...")
@click.pass_obj
def inspect(target: Target, /, words: tuple[str, ...], output: str) -> None:
    """Show tasks in full, as JSON in the names of the Docker API."""
    from swarmd.cli import render
    from swarmd.cli.client import run
    from swarmd.cli.documents import task_document
    from swarmd.cli.subject import find_one_task
    from swarmd.cli.words import current_state, program, task_error

    async def work(client: Client) -> None:
        found = [await find_one_task(client, word) for word in words]
        if output != "pretty":
            render.as_json([task_document(task) for task in found])
            return
        for task in found:
            render.fields(
                {
                    "ID": task.id,
                    "Service": task.service_name,
                    "Slot": str(task.slot or ""),
                    "Node": task.node_id,
                    "Runs": program(task.spec),
                    "Desired state": task.desired_state.word,
                    "Current state": current_state(task, target.clock.now()),
                    "Message": task.status.message,
                    "Error": task_error(task),
                }
            )

    run(target, work)
