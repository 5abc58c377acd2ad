"""`swarmd volume`: the volumes of all nodes.

Every node has its own; a volume that a task names is made on the node that runs the task. Managers
ask the nodes; on a worker these commands know its own volumes only.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from swarmd.cli.lazy import Entry, LazyGroup
from swarmd.cli.listing import LISTING, Filters, chosen, options, require_known
from swarmd.cli.params import PAIR
from swarmd.cli.target import Target

if TYPE_CHECKING:
    from swarmd.cli.client import Client
    from swarmd.cli.volumes_client import Placed

DRIVER = "local"
NODES = click.option("--node", "nodes", multiple=True, help="Only there; a name or an id.")


@click.group(
    cls=LazyGroup,
    entries={
        "create": Entry("swarmd.cli.volume:create", "Make a volume on a node"),
        "ls": Entry("swarmd.cli.volume:ls", "List the volumes of all nodes"),
        "inspect": Entry("swarmd.cli.volume:inspect", "Show volumes in full"),
        "rm": Entry("swarmd.cli.volume:rm", "Remove volumes and what is in them"),
        "prune": Entry("swarmd.cli.volume:prune", "Remove all volumes that no task uses"),
    },
)
def volume() -> None:
    """Volumes of the swarm's nodes."""


@click.command()
@click.option("-d", "--driver", type=click.Choice([DRIVER]), default=DRIVER, help="[local]")
@click.option("-l", "--label", multiple=True, type=PAIR, help="Label of the volume.")
@click.option("-o", "--opt", multiple=True, type=PAIR, help="type=, o=, device= to be mounted.")
@click.option("--node", "nodes", multiple=True, help="Where, by name or id [this node].")
@click.argument("name")
@click.pass_obj
def create(
    target: Target,
    /,
    driver: str,
    label: tuple[tuple[str, str], ...],
    opt: tuple[tuple[str, str], ...],
    nodes: tuple[str, ...],
    name: str,
) -> None:
    """Make a volume, unless it is there.

    \b
    swarmd volume create --node w1 --node w2 data
    """
    from swarmd.cli import volumes_client
    from swarmd.cli.client import run
    from swarmd.rpc.pb import volumes as pb

    request = pb.CreateVolumeRequest(name=name, labels=dict(label), options=dict(opt))

    async def work(client: Client) -> None:
        await volumes_client.create(client, request, nodes)
        click.echo(name)

    run(target, work)


@click.command()
@options(LISTING)
@NODES
@click.pass_obj
def ls(
    target: Target, /, output: str, quiet: bool, filters: Filters, nodes: tuple[str, ...]
) -> None:
    """List the volumes of all nodes. Filters: name, label, node, dangling=true."""
    from swarmd.cli import render
    from swarmd.cli.words import age

    require_known(filters, "name", "label", "node", "dangling")
    unused = [value == "true" for key, value in filters if key == "dangling"]
    wanted = (*nodes, *(value for key, value in filters if key == "node"))
    rest = tuple(pair for pair in filters if pair[0] not in ("dangling", "node"))
    found = [
        row
        for row in _volumes(target, wanted)
        if chosen(rest, name=row.volume.name, label=dict(row.volume.labels))
        and (not unused or (not row.volume.task_ids) in unused)
    ]
    if quiet:
        for name in dict.fromkeys(row.volume.name for row in found):
            click.echo(name)
    elif output == render.JSON:
        render.json_lines([_document(row) for row in found])
    else:
        now = target.clock.now()
        render.table(
            ("VOLUME", "NODE", "DRIVER", "CREATED", "TASKS"),
            [
                (
                    row.volume.name,
                    row.node,
                    DRIVER,
                    age(now - row.volume.created_at.ToNanoseconds()),
                    str(len(row.volume.task_ids)),
                )
                for row in found
            ],
            wrap="VOLUME",
        )


@click.command()
@NODES
@click.argument("names", nargs=-1, required=True, metavar="VOLUME...")
@click.pass_obj
def inspect(target: Target, /, nodes: tuple[str, ...], names: tuple[str, ...]) -> None:
    """Show volumes in full, wherever they are."""
    from swarmd.cli import render

    present = _volumes(target, nodes)
    render.as_json([_document(row) for name in names for row in _named(present, name)])


@click.command()
@NODES
@click.option("--all-nodes", is_flag=True, help="On every node that has one of the name.")
@click.argument("names", nargs=-1, required=True, metavar="VOLUME...")
@click.pass_obj
def rm(target: Target, /, nodes: tuple[str, ...], all_nodes: bool, names: tuple[str, ...]) -> None:
    """Remove volumes that no task uses, and what is in them.

    A name that several nodes have needs to be told which of them is meant.
    """
    from swarmd.cli import volumes_client
    from swarmd.cli.client import run
    from swarmd.cli.each import each_or_fail
    from swarmd.cli.errors import CliError

    async def work(client: Client) -> None:
        present = await volumes_client.volumes(client, nodes)

        async def remove(name: str) -> str:
            found = _named(present, name)
            if len(found) > 1 and not (nodes or all_nodes):
                there = ", ".join(row.node for row in found)
                raise CliError(
                    f"nodes {there} have volumes named {name}",
                    hint="say which with --node, or --all-nodes",
                )
            for row in found:
                await volumes_client.remove(client, row)
            return name

        await each_or_fail(names, remove)

    run(target, work)


@click.command()
@click.option("-f", "--force", is_flag=True, help="Do not ask.")
@click.option("--filter", "filters", multiple=True, type=PAIR, help="label=KEY[=VALUE].")
@NODES
@click.pass_obj
def prune(target: Target, /, force: bool, filters: Filters, nodes: tuple[str, ...]) -> None:
    """Remove all volumes that no task uses, and what is in them."""
    from swarmd.cli import volumes_client
    from swarmd.cli.client import run

    require_known(filters, "label")
    unused = [
        row
        for row in _volumes(target, nodes)
        if not row.volume.task_ids and chosen(filters, label=dict(row.volume.labels))
    ]
    if unused and not force:
        click.confirm(f"Remove {len(unused)} volumes with all that is in them?", abort=True)

    async def work(client: Client) -> None:
        for row in unused:
            await volumes_client.remove(client, row)
            click.echo(f"{row.volume.name} on {row.node}")

    if unused:
        run(target, work)


def _volumes(target: Target, nodes: tuple[str, ...]) -> list[Placed]:
    from swarmd.cli import volumes_client
    from swarmd.cli.client import run

    return run(target, lambda client: volumes_client.volumes(client, nodes))


def _named(present: list[Placed], name: str) -> list[Placed]:
    from swarmd.cli.errors import CliError

    found = [row for row in present if row.volume.name == name]
    if not found:
        raise CliError(f"no such volume: {name}", hint="`swarmd volume ls` lists them")
    return found


def _document(row: Placed) -> dict[str, Any]:
    from swarmd.cli.documents import time_text
    from swarmd.model.instant import Instant

    return {
        "Name": row.volume.name,
        "Driver": DRIVER,
        "Node": row.node,
        "CreatedAt": time_text(Instant(row.volume.created_at.ToNanoseconds())),
        "Labels": dict(row.volume.labels),
        "Options": dict(row.volume.options),
        "Mountpoint": row.volume.mountpoint,
        "Scope": "local",
        "Tasks": list(row.volume.task_ids),
    }
