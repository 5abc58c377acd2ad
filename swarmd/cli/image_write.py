"""`swarmd image pull`, `prune`, `rm`: on this node, or through a manager on others."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import click

from swarmd.cli.listing import options
from swarmd.cli.target import Target

if TYPE_CHECKING:
    from swarmd.cli.client import Client

SERVICE = "swarmd.v1.Images"
REMOVE_S_MAX = 60.0
PRUNE_S_MAX = 1800.0
PULL_S_MAX = 3600.0
# Nodes are given up by the leader, which has a word for each of them.
BEYOND_S = 30.0
ELSEWHERE: list[Any] = [
    click.option("--node", "nodes", multiple=True, help="Of that node; a name or an id."),
    click.option("--all-nodes", is_flag=True, help="Of every node."),
]


def is_elsewhere(nodes: tuple[str, ...], *, all_nodes: bool) -> bool:
    """Whether a manager is to ask nodes; they are those named, or all."""
    if nodes and all_nodes:
        raise click.UsageError("give --node or --all-nodes, not both")
    return bool(nodes) or all_nodes


@click.command()
@click.option("-u", "--username", default="", help="Who to be for the registry [nobody].")
@click.option("--password-stdin", is_flag=True, help="Read the password from standard input.")
@click.option("-q", "--quiet", is_flag=True, help="Show no progress.")
@options(ELSEWHERE)
@click.argument("names", nargs=-1, required=True, metavar="IMAGE...")
@click.pass_obj
def pull(
    target: Target,
    /,
    names: tuple[str, ...],
    username: str,
    password_stdin: bool,
    quiet: bool,
    nodes: tuple[str, ...],
    all_nodes: bool,
) -> None:
    """Fetch images from their registries, also those that the node has already.

    \b
    swarmd image pull nginx:1.27
    swarmd image pull --username me --password-stdin registry.example.com/app < password
    swarmd image pull --all-nodes web:2
    """
    from swarmd.cli import images_client
    from swarmd.cli.client import run
    from swarmd.cli.docker_logins import registry_auth
    from swarmd.cli.pulling import pulled
    from swarmd.rpc.pb import images as pb

    if bool(username) != password_stdin:
        raise click.UsageError("--username and --password-stdin belong together")
    password = sys.stdin.readline().rstrip("\n") if password_stdin else ""
    elsewhere = is_elsewhere(nodes, all_nodes=all_nodes)

    def wanted(name: str) -> pb.PullImageRequest:
        request = pb.PullImageRequest(name=name, username=username, password=password)
        if not username:
            request.registry_auth = registry_auth(name)
        return request

    async def work(client: Client) -> None:
        for name in names:
            if not elsewhere:
                image = await pulled(client.stub(SERVICE), wanted(name), quiet=quiet)
                click.echo(f"{image.name}: {image.digest}")
                continue
            await images_client.change(
                client,
                nodes,
                "Pull",
                pb.PullClusterImageRequest(image=wanted(name)),
                says=lambda row: f"{row.image.name}: {row.image.digest} on {row.node}",
                timeout_s=PULL_S_MAX + BEYOND_S,
            )

    run(target, work)


@click.command()
@click.option("-a", "--all", "earlier", is_flag=True, help="Also those for rolling back only.")
@click.option("-f", "--force", is_flag=True, help="Do not ask.")
@options(ELSEWHERE)
@click.pass_obj
def prune(
    target: Target, /, earlier: bool, force: bool, nodes: tuple[str, ...], all_nodes: bool
) -> None:
    """Remove the images of this node, or of others, that no service needs or may go back to.

    Images that were loaded by hand stay, as no registry could bring them back.
    """
    from swarmd.cli import images_client
    from swarmd.cli.client import run
    from swarmd.rpc.pb import images as pb

    elsewhere = is_elsewhere(nodes, all_nodes=all_nodes)
    if not force:
        click.confirm("Remove the images that no service of the swarm needs?", abort=True)
    request = pb.PruneImagesRequest(all=earlier)

    async def work(client: Client) -> None:
        if not elsewhere:
            answer = await client.stub(SERVICE).Prune(request, timeout_s=PRUNE_S_MAX)
            for name in answer.names:
                click.echo(f"Removed image: {name}")
            return
        await images_client.change(
            client,
            nodes,
            "Prune",
            pb.PruneClusterImagesRequest(images=request),
            says=_removed,
            timeout_s=PRUNE_S_MAX + BEYOND_S,
        )

    run(target, work)


@click.command()
@options(ELSEWHERE)
@click.argument("names", nargs=-1, required=True, metavar="IMAGE...")
@click.pass_obj
def rm(target: Target, /, names: tuple[str, ...], nodes: tuple[str, ...], all_nodes: bool) -> None:
    """Remove images; containers that use one go on.

    With --all-nodes, of whichever nodes have them.
    """
    from swarmd.cli import images_client
    from swarmd.cli.client import run
    from swarmd.rpc.pb import images as pb

    elsewhere = is_elsewhere(nodes, all_nodes=all_nodes)

    async def work(client: Client) -> None:
        for name in names:
            request = pb.RemoveImageRequest(name=name)
            if not elsewhere:
                await client.stub(SERVICE).Remove(request, timeout_s=REMOVE_S_MAX)
                click.echo(f"Removed image: {name}")
                continue
            await images_client.change(
                client,
                nodes,
                "Remove",
                pb.RemoveClusterImageRequest(image=request),
                says=_removed,
                timeout_s=REMOVE_S_MAX + BEYOND_S,
            )

    run(target, work)


def _removed(row: Any) -> str:
    return f"Removed image: {row.image.name} from {row.node}"
