"""`swarmd daemon` runs a node in the foreground, `swarmd stop` ends one."""

from __future__ import annotations

import click

from swarmd.cli.params import PAIR
from swarmd.cli.target import Target


@click.command()
@click.option(
    "--log-level", type=click.Choice(["debug", "info", "warning", "error"]), default="info"
)
@click.option("--log-json", is_flag=True, help="Log JSON objects instead of lines.")
@click.option("--label", multiple=True, type=PAIR, help="Label of the engine: engine.labels.KEY.")
@click.option(
    "--generic-resource",
    multiple=True,
    metavar="KIND=VALUE",
    help="What else the node has: a number (ssd=2), or names (gpu=UUID1, gpu=UUID2).",
)
@click.option(
    "--registry-mirror",
    multiple=True,
    metavar="[REGISTRY=]URL",
    help="Asked for a registry's images first [docker.io].",
)
@click.option(
    "--allow",
    multiple=True,
    metavar="WORD,...",
    help="What tasks may have of this node [as the swarm says]: see `swarmd update --allow`.",
)
@click.pass_obj
def daemon(
    target: Target,
    /,
    log_level: str,
    log_json: bool,
    label: tuple[tuple[str, str], ...],
    generic_resource: tuple[str, ...],
    registry_mirror: tuple[str, ...],
    allow: tuple[str, ...],
) -> None:
    """Run the node's daemon in the foreground until it is told to stop.

    It resumes what its state directory holds; a new node waits for `swarmd init` or `swarmd join`.
    """
    from swarmd.cli.values import allowed_words, offered_resources
    from swarmd.model.mirrors import parse_mirror
    from swarmd.node.config import DaemonConfig
    from swarmd.node.daemon import run
    from swarmd.node.paths import default_state_dir

    try:
        resources = offered_resources(generic_resource)
    except ValueError as error:
        raise click.UsageError(f"--generic-resource: {error}") from None
    try:
        allowed = allowed_words(allow)
    except ValueError as error:
        raise click.UsageError(f"--allow: {error}") from None
    try:
        mirrors = tuple(map(parse_mirror, registry_mirror))
    except ValueError as error:
        raise click.UsageError(f"--registry-mirror: {error}") from None
    run(
        DaemonConfig(
            state_dir=target.state_dir or default_state_dir(),
            socket=target.socket,
            log_level=log_level,
            log_json=log_json,
            labels=dict(label),
            generic_resources=resources,
            allow=allowed or None,
            registry_mirrors=mirrors,
        )
    )


@click.command()
@click.option("--tasks", is_flag=True, help="Stop its tasks too; otherwise they run on.")
@click.pass_obj
def stop(target: Target, /, tasks: bool) -> None:
    """Stop the daemon; the next one finds the tasks running and adopts them."""
    from swarmd.cli.client import Client, run

    async def work(client: Client) -> None:
        await client.stop(stop_tasks=tasks)
        click.echo("daemon stopped" + (" with its tasks" if tasks else "; its tasks run on"))

    run(target, work)
