"""`swarmd network`: create, list, inspect and remove networks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from swarmd.cli.lazy import Entry, LazyGroup
from swarmd.cli.listing import INSPECTING, LISTING, Filters, chosen, options, require_known
from swarmd.cli.params import PAIR
from swarmd.cli.target import Target

if TYPE_CHECKING:
    from swarmd.cli.client import Client
    from swarmd.model.network import Network, NetworkSpec


@click.group(
    cls=LazyGroup,
    entries={
        "create": Entry("swarmd.cli.network:create", "Create a network"),
        "ls": Entry("swarmd.cli.network:ls", "List networks"),
        "inspect": Entry("swarmd.cli.network:inspect", "Show networks in full"),
        "rm": Entry("swarmd.cli.network:rm", "Remove networks"),
    },
)
def network() -> None:
    """Networks of the swarm."""


@click.command()
@click.option("-d", "--driver", default="overlay", help="Driver of the network [overlay].")
@click.option("--subnet", multiple=True, metavar="CIDR", help="Addresses [from the pools].")
@click.option("--ip-range", multiple=True, metavar="CIDR", help="Part of a subnet for tasks.")
@click.option("--gateway", multiple=True, metavar="IP", help="[the first of the subnet].")
@click.option("--ipv6", is_flag=True, help="Give tasks IPv6 addresses too.")
@click.option("--internal", is_flag=True, help="No way to the outside.")
@click.option("--attachable", is_flag=True, help="Containers outside services may join.")
@click.option("--ingress", is_flag=True, help="The network that published ports go through.")
@click.option("-o", "--opt", multiple=True, type=PAIR, help="mtu=1400, encrypted, others.")
@click.option("-l", "--label", multiple=True, type=PAIR, help="Label of the network.")
@click.argument("name")
@click.pass_obj
def create(target: Target, /, name: str, **flags: Any) -> None:
    """Create a network; its id is printed.

    \b
    swarmd network create back
    swarmd network create --subnet 10.20.0.0/16 --ip-range 10.20.8.0/24 big
    """
    from swarmd.cli.client import run
    from swarmd.cli.objects_client import create_network

    spec = _spec(name, flags)

    async def work(client: Client) -> None:
        click.echo((await create_network(client, spec)).id)

    run(target, work)


def _spec(name: str, flags: dict[str, Any]) -> NetworkSpec:
    from swarmd.cli.networks import blocks
    from swarmd.model.network import IPAMOptions, NetworkSpec
    from swarmd.model.spec import Driver

    try:
        configs = blocks(flags["subnet"], flags["ip_range"], flags["gateway"])
    except ValueError as error:
        raise click.UsageError(str(error)) from None
    return NetworkSpec(
        name=name,
        labels=dict(flags["label"]),
        driver_config=Driver(name=flags["driver"], options=_options(flags["opt"])),
        ipv6_enabled=flags["ipv6"],
        internal=flags["internal"],
        ipam=IPAMOptions(configs=configs) if configs else None,
        attachable=flags["attachable"],
        ingress=flags["ingress"],
    )


def _options(given: Sequence[tuple[str, str]]) -> dict[str, str]:
    """Options of the driver; `mtu` is short for the long name that Docker's clients know."""
    from swarmd.model.network import MTU_OPTION

    return {MTU_OPTION if key == "mtu" else key: value for key, value in given}


@click.command()
@options(LISTING)
@click.pass_obj
def ls(target: Target, /, output: str, quiet: bool, filters: Filters) -> None:
    """List networks. Filters: id, name, label, driver."""
    from swarmd.cli import render, words
    from swarmd.cli.client import run
    from swarmd.cli.networks import subnets
    from swarmd.cli.objects_client import networks
    from swarmd.model.network import driver_of, is_node_local

    require_known(filters, "id", "name", "label", "driver")

    async def work(client: Client) -> None:
        found = [
            row
            for row in await networks(client)
            if chosen(
                filters,
                id=row.id,
                name=row.spec.name,
                driver=driver_of(row.spec),
                label=row.spec.labels,
            )
        ]
        found.sort(key=lambda row: (row.spec.name, row.id))
        if quiet:
            for row in found:
                click.echo(row.id)
            return
        rows = [
            {
                "ID": row.id,
                "Name": row.spec.name,
                "Driver": driver_of(row.spec),
                "Scope": "local" if is_node_local(row) else "swarm",
                "Subnets": subnets(row),
            }
            for row in found
        ]
        if output == render.JSON:
            render.json_lines(rows)
            return
        render.table(
            ("ID", "NAME", "DRIVER", "SCOPE", "SUBNETS"),
            [(words.short(row["ID"]), *list(row.values())[1:]) for row in rows],
            wrap="SUBNETS",
        )

    run(target, work)


@click.command()
@options(INSPECTING)
@click.option("-v", "--verbose", is_flag=True, help="With what each node has in force of it.")
@click.argument("words", nargs=-1, required=True, metavar="NETWORK...")
@click.pass_obj
def inspect(target: Target, /, words: tuple[str, ...], output: str, verbose: bool) -> None:
    """Show networks in full, with the addresses in use."""
    from swarmd.cli import render
    from swarmd.cli.client import run
    from swarmd.cli.networks import in_force_document, in_force_lines, network_document, pretty
    from swarmd.cli.objects_client import Usage, in_force, networks, usage

    async def work(client: Client) -> None:
        present = await networks(client)
        found = [_find(present, word) for word in words]
        used = await usage(client)
        nodes = {row.id: await in_force(client, row.id) for row in found} if verbose else {}
        if output == "pretty":
            for row in found:
                lines = pretty(row, used.get(row.id, Usage()))
                render.fields({**lines, **in_force_lines(nodes.get(row.id, ()))})
        else:
            documents = [network_document(row, used.get(row.id, Usage())) for row in found]
            for document in documents if verbose else ():
                document["Nodes"] = in_force_document(nodes[document["ID"]])
            render.as_json(documents)

    run(target, work)


@click.command()
@click.argument("words", nargs=-1, required=True, metavar="NETWORK...")
@click.pass_obj
def rm(target: Target, /, words: tuple[str, ...]) -> None:
    """Remove networks that nothing uses."""
    from swarmd.cli.client import run
    from swarmd.cli.each import each_or_fail
    from swarmd.cli.objects_client import networks, remove_network

    async def work(client: Client) -> None:
        present = await networks(client)

        async def remove(word: str) -> str:
            await remove_network(client, _find(present, word).id)
            return word

        await each_or_fail(words, remove)

    run(target, work)


def _find(present: list[Network], word: str) -> Network:
    from swarmd.cli.lookup import find

    return find("network", present, word, lambda row: row.spec.name)
