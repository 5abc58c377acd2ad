"""Daemons that are killed at every step of connecting a task to its networks and cutting it off.

`python -m tests.support.dying_networks DIRECTORY` does on the nodes of `tests.support.overlays`
that are below it what `tests.support.dying` does with whole containers. Steps are changes of
namespaces and what the kernel is told of interfaces, addresses and neighbours.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from swarmd.model.ids import NodeId, TaskId
from swarmd.network.kernel import links, netns
from swarmd.network.kernel.netlink import Netlink, open_netlink
from swarmd.network.overlay_space import OverlaySpace
from swarmd.network.tasks import TaskNetworks
from tests.support.dying import LOOKS_MAX, Death, deaths
from tests.support.overlays import Nodes, a_table, an_attachment

TASK, NODE = TaskId("a"), "n1"


def lurk(death: Death) -> None:
    death.count(Netlink, "do")
    death.count(Netlink, "attempt")
    for name in ("create", "remove"):
        death.count(netns, name)


def a_node(directory: Path, made: Nodes) -> TaskNetworks:
    return TaskNetworks(
        directory / "run", NodeId(NODE), underlay=made.underlay(NODE), node=made.path(NODE)
    )


async def live(directory: Path, death: Death) -> None:
    made = Nodes(directory, 2)
    table = a_table(made, {TASK: (NODE, ("10.0.0.11",))})
    tables = {table.network_id: table}
    attachments = [an_attachment(table, "10.0.0.11/24")]
    networks = a_node(directory, made)
    await networks.apply(tables)
    for task_id in networks.left():
        await networks.adopt(task_id, attachments)
        await networks.detach(task_id)
    await nothing_left(networks, made)
    await networks.remove()
    await nothing_left(networks, made)
    assert not (directory / "run").exists()
    lurk(death)
    death.begin()
    networks = a_node(directory, made)
    await networks.apply(tables)
    await networks.attach(TASK, attachments)
    await networks.detach(TASK)
    await nothing_left(networks, made)
    await networks.remove()


async def nothing_left(networks: TaskNetworks, made: Nodes) -> None:
    """Interfaces go a moment after their namespace, when the kernel finds the time."""
    left: list[str] = []
    for _ in range(LOOKS_MAX):
        left = leftovers(networks, made)
        if not left:
            return
        await asyncio.sleep(0.05)
    raise AssertionError(left)


def leftovers(networks: TaskNetworks, made: Nodes) -> list[str]:
    left = [f"namespace of {task_id}" for task_id in networks.left()]
    left += [
        f"a port on {overlay.path.name}"
        for overlay in networks.overlays().values()
        if OverlaySpace(overlay.path, node=made.path(NODE)).has_ports()
    ]
    with open_netlink(made.path(NODE)) as node:
        known = {"lo", "eth0", networks.bridge.name}
        left += [name for name in links.links(node) if name not in known]
    return left


if __name__ == "__main__":
    sys.exit(deaths(lambda death: live(Path(sys.argv[1]), death)))
