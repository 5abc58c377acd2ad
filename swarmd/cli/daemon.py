"""`swarmd daemon` runs a node in the foreground, `swarmd stop` ends one."""

from __future__ import annotations

import click

from swarmd.cli.listing import options
from swarmd.cli.node_options import NODE
from swarmd.cli.target import Target


@click.command()
@click.option(
    "--log-level", type=click.Choice(["debug", "info", "warning", "error"]), default="info"
)
@click.option("--log-json", is_flag=True, help="Log JSON objects instead of lines.")
@options(NODE)
@click.pass_obj
def daemon(
    target: Target,
    /,
    log_level: str,
    log_json: bool,
    label: tuple[tuple[str, str], ...],
    generic_resource: tuple[str, ...],
    registry_mirror: tuple[str, ...],
    image_disk: str | None,
    balancer: str | None,
    allow: tuple[str, ...],
) -> None:
    """Run the node's daemon in the foreground until it is told to stop.

    It resumes what its state directory holds; a new node waits for `swarmd init` or `swarmd join`.
    """
    from swarmd.cli.values import allowed_words, offered_resources, percentages
    from swarmd.model.image_disk import DEFAULT_IMAGE_DISK
    from swarmd.model.mirrors import parse_mirror
    from swarmd.node.config import DaemonConfig
    from swarmd.node.paths import default_state_dir
    from swarmd.node.running import run

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
    try:
        disk = percentages(image_disk) if image_disk else DEFAULT_IMAGE_DISK
    except ValueError as error:
        raise click.UsageError(f"--image-disk: {error}") from None
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
            image_disk=disk,
            balancer=balancer or "",
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
