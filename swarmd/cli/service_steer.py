"""`swarmd service pause` and `resume`: an update stands still, or goes on."""

from __future__ import annotations

from typing import Any

import click

from swarmd.cli.completion import service_names
from swarmd.cli.listing import options
from swarmd.cli.service_options import WAITING
from swarmd.cli.target import Target


@click.command()
@click.argument("service", metavar="SERVICE", shell_complete=service_names)
@click.pass_obj
def pause(target: Target, /, service: str) -> None:
    """Let the update of a service begin no further slot; those it has begun are finished.

    Whatever happens to tasks meanwhile, none changes its version.
    """
    from swarmd.cli.client import Client, run
    from swarmd.cli.lookup import find_service

    async def work(client: Client) -> None:
        found = find_service(await client.services(), service)
        await client.pause_update(found.id)
        click.echo(f"The update of {found.spec.name} is paused.")

    run(target, work)


@click.command()
@options(WAITING)
@click.argument("service", metavar="SERVICE", shell_complete=service_names)
@click.pass_obj
def resume(target: Target, /, service: str, **flags: Any) -> None:
    """Let a paused update or roll-back go on; its failures so far are forgiven."""
    from swarmd.cli.client import Client, run
    from swarmd.cli.lookup import find_service
    from swarmd.cli.outcome import conclude
    from swarmd.cli.progress import Awaited
    from swarmd.cli.words import is_rolling_back

    async def work(client: Client) -> None:
        found = find_service(await client.services(), service)
        updated = await client.resume_update(found.id)
        item = Awaited(updated, rolling_back=is_rolling_back(updated))
        await conclude(client, [item], target.clock, flags)

    run(target, work)
