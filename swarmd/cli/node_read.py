"""`swarmd node ls`, `ps` and `inspect`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from swarmd.cli.completion import node_names
from swarmd.cli.listing import INSPECTING, LISTING, Filters, chosen, options, require_known
from swarmd.cli.target import Target

if TYPE_CHECKING:
    from swarmd.cli.standing import Listed


@click.command()
@options(LISTING)
@click.pass_obj
def ls(target: Target, /, output: str, quiet: bool, filters: Filters) -> None:
    """List nodes; a star marks this one. Filters: id, name, role, availability, label."""
    from swarmd.cli import render, words
    from swarmd.cli.client import Client, run

    require_known(filters, "id", "name", "role", "availability", "label")

    async def work(client: Client) -> None:
        own_id = (await client.info()).node_id
        listed = [
            (node, standing)
            for node, standing in await client.nodes()
            if chosen(
                filters,
                id=node.id,
                name=node.hostname,
                role=node.role.value,
                availability=node.spec.availability.value,
                label=node.spec.labels,
            )
        ]
        listed.sort(key=lambda pair: (pair[0].hostname, pair[0].id))
        if quiet:
            for node, _ in listed:
                click.echo(node.id)
            return
        rows = [
            {
                "ID": node.id,
                "Hostname": node.hostname,
                "Status": words.node_status(node),
                "Availability": node.spec.availability.value.capitalize(),
                "ManagerStatus": words.manager_status(node, standing),
                "Address": standing.addr if standing else node.status.addr,
                "EngineVersion": words.engine_version(node),
            }
            for node, standing in listed
        ]
        if output == render.JSON:
            render.json_lines([{**row, "Self": row["ID"] == own_id} for row in rows])
            return
        render.table(
            (
                "ID",
                "HOSTNAME",
                "STATUS",
                "AVAILABILITY",
                "MANAGER STATUS",
                "ADDRESS",
                "ENGINE VERSION",
            ),
            [
                (f"{row['ID']} *" if row["ID"] == own_id else row["ID"], *list(row.values())[1:])
                for row in rows
            ],
            wrap="STATUS",
        )

    run(target, work)


@click.command()
@options(LISTING)
@click.option("--no-trunc", is_flag=True, help="Show ids whole.")
@click.argument("nodes", nargs=-1, metavar="[NODE|self...]", shell_complete=node_names)
@click.pass_obj
def ps(
    target: Target,
    /,
    nodes: tuple[str, ...],
    output: str,
    quiet: bool,
    filters: Filters,
    no_trunc: bool,
) -> None:
    """List the tasks of nodes; of this one when none is named.

    Filters: id, name, node, desired-state.
    """
    from swarmd.cli.client import Client, run
    from swarmd.cli.nodes import SELF, node_finder
    from swarmd.cli.tasks import FILTERS, list_tasks

    require_known(filters, *FILTERS)

    async def work(client: Client) -> None:
        wanted = nodes or (SELF,)
        find = await node_finder(client, wanted)
        ids = [find(word).node.id for word in wanted]
        await list_tasks(
            client,
            await client.tasks(node_ids=ids),
            output=output,
            quiet=quiet,
            filters=filters,
            whole_ids=no_trunc,
            now=target.clock.now(),
        )

    run(target, work)


@click.command()
@options(INSPECTING)
@click.argument("nodes", nargs=-1, required=True, metavar="NODE|self...", shell_complete=node_names)
@click.pass_obj
def inspect(target: Target, /, nodes: tuple[str, ...], output: str) -> None:
    """Show nodes in full, as JSON in the names of the Docker API."""
    from swarmd.cli import render
    from swarmd.cli.client import Client, run
    from swarmd.cli.documents import node_document
    from swarmd.cli.nodes import node_finder

    async def work(client: Client) -> None:
        find = await node_finder(client, nodes)
        found = [find(word) for word in nodes]
        if output == "pretty":
            for one in found:
                render.fields(_pretty(one))
        else:
            render.as_json([node_document(one) for one in found])

    run(target, work)


def _pretty(listed: Listed) -> dict[str, str]:
    """The lines people look for first."""
    from swarmd.cli import words

    node, standing = listed
    description = node.description
    platform = description.platform if description else None
    resources = description.resources if description else None
    return {
        "ID": node.id,
        "Hostname": node.hostname,
        "Status": words.node_status(node),
        "Availability": node.spec.availability.value,
        "Role": node.role.value,
        "Manager": words.manager_status(node, standing),
        "Address": standing.addr if standing else node.status.addr,
        "Platform": f"{platform.os}/{platform.architecture}" if platform else "",
        "CPUs": f"{resources.nano_cpus / 10**9:g}" if resources else "",
        "Memory": words.size(resources.memory_bytes) if resources else "",
        "Engine": words.engine_version(node),
        "Resources": words.generic_resources(resources.generic_resources if resources else ()),
        "Oversell": words.oversell(node.spec.oversell),
        "Taints": ", ".join(node.spec.taints),
        "Labels": ", ".join(f"{key}={value}" for key, value in node.spec.labels.items()),
    }
