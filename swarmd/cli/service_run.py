"""`swarmd service run`."""

from __future__ import annotations

from typing import Any

import click

from swarmd.cli.completion import service_names
from swarmd.cli.listing import options
from swarmd.cli.service_options import WAITING
from swarmd.cli.target import Target


@click.command("run")
@options(WAITING)
@click.argument("service", metavar="SERVICE", shell_complete=service_names)
@click.pass_obj
def run_now(target: Target, /, service: str, **flags: Any) -> None:
    """Run a job again, or a cron service now.

    \b
    swarmd service run backup
    """
    from msgspec.structs import replace

    from swarmd.cli.client import Client, run
    from swarmd.cli.errors import CliError
    from swarmd.cli.lookup import find_service
    from swarmd.cli.outcome import conclude
    from swarmd.cli.progress import Awaited
    from swarmd.model import modes
    from swarmd.model.spec import ServiceSpec

    def forced(spec: ServiceSpec) -> ServiceSpec:
        task = spec.task_template
        return replace(spec, task_template=replace(task, force_update=task.force_update + 1))

    async def work(client: Client) -> None:
        found = find_service(await client.services(), service)
        if not modes.is_job(found.spec.mode):
            raise CliError(
                f"{service} is {modes.word(found.spec.mode)}; only jobs and cron services are run",
                hint=f"replace its tasks with `swarmd service update --force {service}`",
            )
        updated = await client.update_service(found.id, forced)
        await conclude(client, [Awaited(updated)], target.clock, flags)

    run(target, work)
