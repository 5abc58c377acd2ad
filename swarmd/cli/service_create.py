"""`swarmd service create`.

    swarmd service create [FLAGS] IMAGE [ARG...]
    swarmd service create [FLAGS] --process [--] COMMAND [ARG...]

The first form is Docker's. The second has no image: everything that is left is the command line of
a process. Flags end at the first word that is none, so those of the command need no quoting.
"""

from __future__ import annotations

from typing import Any

import click

from swarmd.cli.listing import options
from swarmd.cli.mode_options import MODES
from swarmd.cli.service_options import CREATE, DRY_RUN, IMAGE, SHARED, WAITING, changes
from swarmd.cli.target import Target


@click.command(context_settings={"allow_interspersed_args": False})
@click.option("--name", help="Name of the service [after the image or command].")
@click.option("--mode", type=click.Choice(MODES), default="replicated")
@click.option("--process", is_flag=True, help="Run a command on the hosts, without an image.")
@options(SHARED, CREATE, IMAGE, WAITING)
@DRY_RUN
@click.argument("words", nargs=-1, required=True, metavar="IMAGE|COMMAND [ARG...]")
@click.pass_obj
def create(target: Target, /, words: tuple[str, ...], **flags: Any) -> None:
    """Create a service from an image, or from a command with --process.

    \b
    swarmd service create --name web -p 8080:80 --replicas 3 nginx:1.27
    swarmd service create --name web -p 8080:80 --process -- python3 -m http.server 80
    swarmd service create --mode replicated-job --replicas 10 --max-concurrent 2 IMAGE
    swarmd service create --mode cron --schedule "30 2 * * *" --time-zone Europe/Rome IMAGE
    swarmd service create --mode stateful --replicas 3 --name db IMAGE
    """
    from swarmd.cli import whatif
    from swarmd.cli.client import Client, run
    from swarmd.cli.outcome import conclude
    from swarmd.cli.pinning import located
    from swarmd.cli.progress import Awaited
    from swarmd.cli.references import known_references, with_ids
    from swarmd.cli.supposed import service_created

    spec = _spec(words, flags)

    async def work(client: Client) -> None:
        known = await known_references(client, spec)
        if flags["dry_run"]:
            supposed = [service_created(with_ids(spec, known))]
            whatif.show(await whatif.simulate(client, supposed), flags["output"])
            return
        wanted = await located(client, with_ids(spec, known), flags)
        service = await client.create_service(wanted)
        await conclude(client, [Awaited(service)], target.clock, flags)

    run(target, work)


def _spec(words: tuple[str, ...], flags: dict[str, Any]) -> Any:
    """The spec that the command line describes."""
    from swarmd.cli.changes import apply
    from swarmd.cli.new_spec import empty_spec, generated_name

    process = flags["process"] or flags["executor"] == "process"
    if process and flags["entrypoint"] is not None:
        raise click.UsageError("--entrypoint belongs to an image; give the whole command instead")
    if process:
        flags["executor"] = "process"
    try:
        return apply(
            empty_spec(
                name=flags["name"] or generated_name(words[0]),
                words=words,
                process=process,
                mode=flags["mode"],
            ),
            changes(flags),
        )
    except ValueError as error:
        raise click.UsageError(str(error)) from None
