"""`swarmd node ls`, `ps` and `inspect`."""

from __future__ import annotations

import click

from swarmd.cli.completion import node_names
from swarmd.cli.listing import LISTING, Filters, chosen, options, require_known
from swarmd.cli.target import Target

SELF = "self"


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
@click.argument("nodes", nargs=-1, metavar="[NODE...]", shell_complete=node_names)
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
    from swarmd.cli.tasks import FILTERS, list_tasks

    require_known(filters, *FILTERS)

    async def work(client: Client) -> None:
        ids = [await _node_id(client, word) for word in nodes or (SELF,)]
        await list_tasks(
            client,
            await client.tasks(node_ids=ids),
            output=output,
            quiet=quiet,
            filters=filters,
            whole_ids=no_trunc,
            now=target.clock.now(),
        )

    async def _node_id(client: Client, word: str) -> str:
        from swarmd.cli.lookup import find_node

        if word == SELF:
            return (await client.info()).node_id
        return find_node([listed.node for listed in await client.nodes()], word).id

    run(target, work)


@click.command()
@click.argument("nodes", nargs=-1, required=True, metavar="NODE|self...", shell_complete=node_names)
@click.pass_obj
def inspect(target: Target, /, nodes: tuple[str, ...]) -> None:
    """Show nodes in full, as JSON in the names of the Docker API."""
    from swarmd.cli import render
    from swarmd.cli.client import Client, run
    from swarmd.cli.documents import node_document
    from swarmd.cli.lookup import find_node

    async def work(client: Client) -> None:
        listed = {one.node.id: one for one in await client.nodes()}
        own_id = (await client.info()).node_id if SELF in nodes else ""
        found = [
            find_node((one.node for one in listed.values()), own_id if word == SELF else word)
            for word in nodes
        ]
        render.as_json([node_document(listed[node.id]) for node in found])

    run(target, work)
