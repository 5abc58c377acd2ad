"""`swarmd node update`, `promote`, `demote` and `rm`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from swarmd.cli.completion import node_names
from swarmd.cli.params import OVERSELL, PAIR
from swarmd.cli.target import Target

if TYPE_CHECKING:
    from swarmd.model.node import NodeSpec
    from swarmd.model.states import Role

TAINT_HELP = "Keeps tasks off: no-schedule, prefer-no-schedule or no-execute."


@click.command()
@click.option("--availability", type=click.Choice(["active", "pause", "drain"]))
@click.option(
    "--drain-order",
    type=click.Choice(["stop-first", "start-first"]),
    help="When the node is drained: whether a task stops before its successor runs.",
)
@click.option("--role", type=click.Choice(["worker", "manager"]))
@click.option("--label-add", multiple=True, type=PAIR)
@click.option("--label-rm", multiple=True, metavar="KEY")
@click.option("--taint-add", multiple=True, metavar="KEY[=VALUE]:EFFECT", help=TAINT_HELP)
@click.option("--taint-rm", multiple=True, metavar="KEY[:EFFECT]")
@click.option("--oversell-cpu", type=OVERSELL, help="Times its CPUs are sold; 0: as the cluster.")
@click.option("--oversell-memory", type=OVERSELL, help="Times its memory is sold.")
@click.argument("node", metavar="NODE|self", shell_complete=node_names)
@click.pass_obj
def update(
    target: Target,
    /,
    node: str,
    availability: str | None,
    drain_order: str | None,
    role: str | None,
    label_add: tuple[tuple[str, str], ...],
    label_rm: tuple[str, ...],
    taint_add: tuple[str, ...],
    taint_rm: tuple[str, ...],
    oversell_cpu: float | None,
    oversell_memory: float | None,
) -> None:
    """Change a node's availability, role, labels, taints or how much of it is sold."""
    from msgspec.structs import replace

    from swarmd.cli.client import Client, run
    from swarmd.cli.nodes import node_finder
    from swarmd.cli.scheduling import changed_oversell, changed_taints
    from swarmd.model.states import Availability, Role, UpdateOrder

    def changed(spec: NodeSpec) -> NodeSpec:
        labels = {key: value for key, value in spec.labels.items() if key not in label_rm}
        return replace(
            spec,
            availability=Availability(availability) if availability else spec.availability,
            drain_order=UpdateOrder(drain_order) if drain_order else spec.drain_order,
            role=Role(role) if role else spec.role,
            labels={**labels, **dict(label_add)},
            taints=changed_taints(spec.taints, taint_add, taint_rm),
            oversell=changed_oversell(spec.oversell, oversell_cpu, oversell_memory),
        )

    async def work(client: Client) -> None:
        found = (await node_finder(client, [node]))(node).node
        await client.update_node(found.id, changed)
        click.echo(found.hostname or found.id)

    run(target, work)


@click.command()
@click.argument("nodes", nargs=-1, required=True, metavar="NODE|self...", shell_complete=node_names)
@click.pass_obj
def promote(target: Target, /, nodes: tuple[str, ...]) -> None:
    """Make nodes managers."""
    from swarmd.model.states import Role

    _set_role(target, nodes, Role.MANAGER, "promoted to a manager", "already a manager")


@click.command()
@click.argument("nodes", nargs=-1, required=True, metavar="NODE|self...", shell_complete=node_names)
@click.pass_obj
def demote(target: Target, /, nodes: tuple[str, ...]) -> None:
    """Make managers workers; refused when the swarm would lose its quorum."""
    from swarmd.model.states import Role

    _set_role(target, nodes, Role.WORKER, "demoted in the swarm", "already a worker")


def _set_role(
    target: Target, nodes: tuple[str, ...], role: Role, done: str, nothing_to_do: str
) -> None:
    from msgspec.structs import replace

    from swarmd.cli.client import Client, run
    from swarmd.cli.each import each_or_fail
    from swarmd.cli.nodes import node_finder

    async def work(client: Client) -> None:
        find = await node_finder(client, nodes)

        async def change(word: str) -> str:
            found = find(word).node
            if found.spec.role is role:
                return f"Node {word} is {nothing_to_do}."
            await client.update_node(found.id, lambda spec: replace(spec, role=role))
            return f"Node {word} {done}."

        await each_or_fail(nodes, change)

    run(target, work)


@click.command()
@click.option("--force", is_flag=True, help="Remove a node that is up as well.")
@click.argument("nodes", nargs=-1, required=True, metavar="NODE|self...", shell_complete=node_names)
@click.pass_obj
def rm(target: Target, /, nodes: tuple[str, ...], force: bool) -> None:
    """Remove nodes; their certificates are refused from then on."""
    from swarmd.cli.client import Client, run
    from swarmd.cli.each import each_or_fail
    from swarmd.cli.nodes import node_finder

    async def work(client: Client) -> None:
        find = await node_finder(client, nodes)

        async def remove(word: str) -> str:
            await client.remove_node(find(word).node.id, force=force)
            return word

        await each_or_fail(nodes, remove)

    run(target, work)
