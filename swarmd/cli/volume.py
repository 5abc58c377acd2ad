"""`swarmd volume`: the volumes of this node.

Every node has its own; a volume that a task names is made on the node that runs the task.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from swarmd.cli.lazy import Entry, LazyGroup
from swarmd.cli.listing import LISTING, Filters, chosen, options, require_known
from swarmd.cli.params import PAIR
from swarmd.cli.target import Target

if TYPE_CHECKING:
    from swarmd.rpc.pb import volumes as pb

CALL_S_MAX = 60.0
SERVICE = "swarmd.v1.Volumes"
DRIVER = "local"


@click.group(
    cls=LazyGroup,
    entries={
        "create": Entry("swarmd.cli.volume:create", "Make a volume on this node"),
        "ls": Entry("swarmd.cli.volume:ls", "List the volumes of this node"),
        "inspect": Entry("swarmd.cli.volume:inspect", "Show volumes in full"),
        "rm": Entry("swarmd.cli.volume:rm", "Remove volumes and what is in them"),
        "prune": Entry("swarmd.cli.volume:prune", "Remove all volumes that no task uses"),
    },
)
def volume() -> None:
    """Volumes of this node."""


@click.command()
@click.option("-d", "--driver", type=click.Choice([DRIVER]), default=DRIVER, help="[local]")
@click.option("-l", "--label", multiple=True, type=PAIR, help="Label of the volume.")
@click.option("-o", "--opt", multiple=True, type=PAIR, help="type=, o=, device= to be mounted.")
@click.argument("name")
@click.pass_obj
def create(
    target: Target,
    /,
    driver: str,
    label: tuple[tuple[str, str], ...],
    opt: tuple[tuple[str, str], ...],
    name: str,
) -> None:
    """Make a volume on this node, unless it is there."""
    from swarmd.rpc.pb import volumes as pb

    request = pb.CreateVolumeRequest(name=name, labels=dict(label), options=dict(opt))
    answer = _call(target, lambda stub: stub.Create(request, timeout_s=CALL_S_MAX))
    click.echo(answer.volume.name)


@click.command()
@options(LISTING)
@click.pass_obj
def ls(target: Target, /, output: str, quiet: bool, filters: Filters) -> None:
    """List the volumes of this node. Filters: name, label, dangling=true."""
    from swarmd.cli import render
    from swarmd.cli.words import age

    require_known(filters, "name", "label", "dangling")
    unused = [value == "true" for key, value in filters if key == "dangling"]
    rest = tuple(pair for pair in filters if pair[0] != "dangling")
    found = [
        item
        for item in _volumes(target)
        if chosen(rest, name=item.name, label=dict(item.labels))
        and (not unused or (not item.task_ids) in unused)
    ]
    if quiet:
        for item in found:
            click.echo(item.name)
    elif output == render.JSON:
        render.json_lines([_document(item) for item in found])
    else:
        now = target.clock.now()
        render.table(
            ("VOLUME", "DRIVER", "CREATED", "TASKS"),
            [
                (
                    item.name,
                    DRIVER,
                    age(now - item.created_at.ToNanoseconds()),
                    str(len(item.task_ids)),
                )
                for item in found
            ],
            wrap="VOLUME",
        )


@click.command()
@click.argument("names", nargs=-1, required=True, metavar="VOLUME...")
@click.pass_obj
def inspect(target: Target, /, names: tuple[str, ...]) -> None:
    """Show volumes in full."""
    from swarmd.cli import render
    from swarmd.cli.errors import CliError

    present = {item.name: item for item in _volumes(target)}
    missing = [name for name in names if name not in present]
    if missing:
        raise CliError(f"no such volume: {missing[0]}", hint="`swarmd volume ls` lists them")
    render.as_json([_document(present[name]) for name in names])


@click.command()
@click.argument("names", nargs=-1, required=True, metavar="VOLUME...")
@click.pass_obj
def rm(target: Target, /, names: tuple[str, ...]) -> None:
    """Remove volumes that no task uses, and what is in them."""
    for name in names:
        _remove(target, name)
        click.echo(name)


@click.command()
@click.option("-f", "--force", is_flag=True, help="Do not ask.")
@click.pass_obj
def prune(target: Target, /, force: bool) -> None:
    """Remove all volumes that no task uses, and what is in them."""
    unused = [item.name for item in _volumes(target) if not item.task_ids]
    if unused and not force:
        click.confirm(f"Remove {len(unused)} volumes with all that is in them?", abort=True)
    for name in unused:
        _remove(target, name)
        click.echo(name)


def _volumes(target: Target) -> list[pb.Volume]:
    from swarmd.rpc.pb import volumes as pb

    request = pb.ListVolumesRequest()
    return list(_call(target, lambda stub: stub.List(request, timeout_s=CALL_S_MAX)).volumes)


def _remove(target: Target, name: str) -> None:
    from swarmd.rpc.pb import volumes as pb

    request = pb.RemoveVolumeRequest(name=name)
    _call(target, lambda stub: stub.Remove(request, timeout_s=CALL_S_MAX))


def _document(item: pb.Volume) -> dict[str, Any]:
    from swarmd.cli.documents import time_text
    from swarmd.model.instant import Instant

    return {
        "Name": item.name,
        "Driver": DRIVER,
        "CreatedAt": time_text(Instant(item.created_at.ToNanoseconds())),
        "Labels": dict(item.labels),
        "Options": dict(item.options),
        "Mountpoint": item.mountpoint,
        "Scope": "local",
        "Tasks": list(item.task_ids),
    }


def _call(target: Target, ask: Any) -> Any:
    """The answer of this node's daemon to one call."""
    from swarmd.cli.client import Client, run

    async def work(client: Client) -> Any:
        return await ask(client.stub(SERVICE))

    return run(target, work)
