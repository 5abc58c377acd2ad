"""`swarmd simulate`: what would happen if."""

from __future__ import annotations

from typing import Any

import click

from swarmd.cli.completion import node_names, service_names
from swarmd.cli.target import Target


@click.command()
@click.option(
    "--node-down", multiple=True, metavar="NODE", help="It dies.", shell_complete=node_names
)
@click.option(
    "--drain", multiple=True, metavar="NODE", help="It is drained.", shell_complete=node_names
)
@click.option("--add-nodes", type=click.IntRange(min=1), metavar="N", help="So many nodes join.")
@click.option("--like", metavar="NODE", help="Which node they are like.", shell_complete=node_names)
@click.option("--scale", multiple=True, metavar="SERVICE=N", help="A service is scaled.")
@click.option(
    "--create",
    multiple=True,
    metavar="NAME[,KEY=VALUE...]",
    help="A service is created: replicas, cpu, memory, priority, constraint.",
)
@click.option(
    "--service-file",
    multiple=True,
    type=click.Path(exists=True, dir_okay=False),
    help="The same with a whole spec, as `service inspect` shows it.",
)
@click.option(
    "--remove",
    multiple=True,
    metavar="SERVICE",
    help="A service is removed.",
    shell_complete=service_names,
)
@click.option("--format", "output", type=click.Choice(["text", "json"]), default="text")
@click.pass_obj
def simulate(target: Target, /, output: str, **flags: Any) -> None:
    """Say what would become of the tasks if something happened, without doing it.

    All that is named happens at once to a copy of the swarm's state, on which the real planner
    then works until nothing is left to do.

    \b
    swarmd simulate --node-down n2
    swarmd simulate --scale web=9 --add-nodes 3 --like n1
    swarmd simulate --create api,replicas=4,cpu=0.5,memory=512m --drain n3
    """
    from swarmd.cli import whatif
    from swarmd.cli.client import Client, run
    from swarmd.cli.supposed import hypotheses

    try:
        supposed = hypotheses(flags)
    except ValueError as error:
        raise click.UsageError(str(error)) from None
    if not supposed:
        raise click.UsageError("say what happens, for example --node-down NODE or --scale web=9")

    async def work(client: Client) -> None:
        whatif.show(await whatif.simulate(client, supposed), output)

    run(target, work)
