"""`swarmd service ls`, `ps` and `inspect`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from swarmd.cli.completion import service_names
from swarmd.cli.listing import INSPECTING, LISTING, Filters, chosen, options, require_known
from swarmd.cli.target import Target

if TYPE_CHECKING:
    from swarmd.cli.client import Client
    from swarmd.model.service import Service


@click.command()
@options(LISTING)
@click.pass_obj
def ls(target: Target, /, output: str, quiet: bool, filters: Filters) -> None:
    """List services. Filters: id, name, label, mode."""
    from swarmd.cli import render, words
    from swarmd.cli.client import run

    require_known(filters, "id", "name", "mode", "label")

    async def work(client: Client) -> None:
        services = [
            service
            for service in await client.services()
            if chosen(
                filters,
                id=service.id,
                name=service.spec.name,
                mode=words.mode(service),
                label=service.spec.labels,
            )
        ]
        services.sort(key=lambda service: (service.spec.name, service.id))
        if quiet:
            for service in services:
                click.echo(service.id)
            return
        counts = await client.counts(service.id for service in services)
        rows = [
            {
                "ID": service.id,
                "Name": service.spec.name,
                "Mode": words.mode(service),
                "Replicas": _replicas(service, counts.get(service.id, (0, 0, 0))),
                "Image": words.program(service.spec.task_template),
                "Ports": words.ports(words.published(service)),
            }
            for service in services
        ]
        if output == render.JSON:
            render.json_lines(rows)
            return
        render.table(
            ("ID", "NAME", "MODE", "REPLICAS", "IMAGE", "PORTS"),
            [(words.short(row["ID"]), *list(row.values())[1:]) for row in rows],
            wrap="PORTS",
        )

    run(target, work)


@click.command()
@options(LISTING)
@click.option("--no-trunc", is_flag=True, help="Show ids whole.")
@click.argument(
    "services", nargs=-1, required=True, metavar="SERVICE...", shell_complete=service_names
)
@click.pass_obj
def ps(
    target: Target,
    /,
    services: tuple[str, ...],
    output: str,
    quiet: bool,
    filters: Filters,
    no_trunc: bool,
) -> None:
    """List the tasks of services with their state and why they do not run.

    Filters: id, name, node, desired-state.
    """
    from swarmd.cli.client import run
    from swarmd.cli.lookup import find_service
    from swarmd.cli.tasks import FILTERS, list_tasks

    require_known(filters, *FILTERS)

    async def work(client: Client) -> None:
        present = await client.services()
        ids = [find_service(present, word).id for word in services]
        tasks = await client.tasks(service_ids=ids)
        await list_tasks(
            client,
            tasks,
            output=output,
            quiet=quiet,
            filters=filters,
            whole_ids=no_trunc,
            now=target.clock.now(),
        )

    run(target, work)


@click.command()
@options(INSPECTING)
@click.argument(
    "services", nargs=-1, required=True, metavar="SERVICE...", shell_complete=service_names
)
@click.pass_obj
def inspect(target: Target, /, services: tuple[str, ...], output: str) -> None:
    """Show services in full, as JSON in the names of the Docker API."""
    from swarmd.cli import render
    from swarmd.cli.client import run
    from swarmd.cli.documents import service_document
    from swarmd.cli.lookup import find_service

    async def work(client: Client) -> None:
        present = await client.services()
        found = [find_service(present, word) for word in services]
        if output == "pretty":
            for service in found:
                render.fields(await _pretty(client, service, target.clock.now()))
        else:
            render.as_json([service_document(service, target.clock.now()) for service in found])

    run(target, work)


def _replicas(service: Service, counts: tuple[int, int, int]) -> str:
    from swarmd.cli import words

    running, wanted, completed = counts
    return words.replicas(service, running=running, wanted=wanted, completed=completed)


async def _pretty(client: Client, service: Service, now: int) -> dict[str, str]:
    """The lines people look for first."""
    from swarmd.cli import words
    from swarmd.cli.mode_words import mode_lines

    counts = (await client.counts([service.id])).get(service.id, (0, 0, 0))
    placement = service.spec.task_template.placement
    lines = {
        "ID": service.id,
        "Name": service.spec.name,
        "Mode": words.mode(service),
        "Tasks": f"{_replicas(service, counts)} running",
        **mode_lines(service, now),
        "Runs": words.program(service.spec.task_template),
        "Ports": words.ports(words.published(service)),
        "Balance": words.balance(service.spec.endpoint_spec),
        "Constraints": ", ".join(placement.constraints) if placement else "",
        "Labels": ", ".join(f"{key}={value}" for key, value in service.spec.labels.items()),
    }
    if service.update_status is not None:
        lines["Update"] = f"{service.update_status.state.value} {service.update_status.message}"
    return lines
