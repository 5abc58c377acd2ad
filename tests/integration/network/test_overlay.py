"""Networks across three nodes on one underlay: who reaches whom, and what is put right."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from swarmd.model.ids import NetworkId, NodeId, TaskId
from swarmd.network import plugging
from swarmd.network.core.interfaces import attached
from swarmd.network.core.tables import NetworkTable, Subnet
from swarmd.network.kernel import links, neighbours, netns
from swarmd.network.kernel.netlink import open_netlink
from swarmd.network.overlay import Overlay
from tests.support.overlays import Nodes, a_table, an_attachment, nodes, reaches
from tests.support.sniffing import sniffing

pytestmark = [
    pytest.mark.root,
    pytest.mark.skipif(os.geteuid() != 0, reason="namespaces need root"),
]


class Swarm:
    """A network on every node, and tasks on it."""

    def __init__(self, made: Nodes, table: NetworkTable) -> None:
        self.nodes = made
        self.table = table
        self.overlays = {
            name: Overlay(
                table,
                path=made.directory / f"{name}-{table.network_id}",
                node_id=NodeId(name),
                underlay=made.underlay(name),
                node=made.path(name),
            )
            for name in made.names
        }

    async def apply(self, table: NetworkTable) -> None:
        self.table = table
        for overlay in self.overlays.values():
            await overlay.apply(table)

    def task(self, name: str) -> Path:
        return self.nodes.directory / f"task-{name}"

    async def attach(self, name: str) -> None:
        endpoint = self.table.endpoints[TaskId(name)]
        plugging.prepare(self.task(name), ipv6=True)
        with_prefix = [
            f"{address}/{64 if ':' in address else 24}" for address in endpoint.addresses
        ]
        interfaces = attached(
            [an_attachment(self.table, *with_prefix)],
            {self.table.network_id: self.table},
            endpoint.node_id,
            None,
        )
        await self.overlays[endpoint.node_id].attach(
            TaskId(name), self.task(name), interfaces.networks[self.table.network_id]
        )

    def address(self, name: str) -> str:
        return self.table.endpoints[TaskId(name)].addresses[0]

    def reaches(self, source: str, target: str, **options: Any) -> bool:
        return reaches(self.task(source), self.task(target), self.address(target), **options)

    @property
    def problems(self) -> list[str]:
        return [problem for overlay in self.overlays.values() for problem in overlay.problems]

    async def remove(self) -> None:
        for overlay in self.overlays.values():
            await overlay.remove()
        for name in self.table.endpoints:
            netns.remove(self.task(name))


TASKS = {
    "a": ("n1", ("10.0.0.11",)),
    "b": ("n1", ("10.0.0.12",)),
    "c": ("n2", ("10.0.0.13",)),
    "d": ("n3", ("10.0.0.14",)),
}


@pytest.fixture
def three(tmp_path: Path) -> Iterator[Nodes]:
    with nodes(tmp_path, 3) as made:
        yield made


@contextlib.asynccontextmanager
async def a_swarm(made: Nodes, table: NetworkTable) -> AsyncIterator[Swarm]:
    swarm = Swarm(made, table)
    try:
        await swarm.apply(table)
        for name in table.endpoints:
            await swarm.attach(name)
        yield swarm
    finally:
        await swarm.remove()


async def test_tasks_reach_each_other_on_a_node_and_across_nodes(three: Nodes):
    async with a_swarm(three, a_table(three, TASKS)) as swarm:
        assert swarm.problems == []
        assert swarm.reaches("a", "b")
        assert swarm.reaches("a", "c")
        assert swarm.reaches("d", "a")
        # The largest datagram that fits, and the first that doesn't.
        assert swarm.reaches("a", "c", size=1450 - 28)
        assert not swarm.reaches("a", "c", size=1450 - 27)
        assert swarm.reaches("a", "b", size=1450 - 28)
        with open_netlink(swarm.task("a")) as netlink:
            assert links.links(netlink)["eth0"].mac == "02:42:0a:00:00:0b"


async def test_a_node_reaches_tasks_from_its_own_address_on_the_network(three: Nodes):
    table = a_table(three, TASKS)
    async with a_swarm(three, table) as swarm:
        assert reaches(swarm.overlays["n1"].path, swarm.task("c"), "10.0.0.13")
        assert reaches(swarm.task("c"), swarm.overlays["n1"].path, "10.0.0.200")


async def test_what_nobody_has_an_entry_for_is_not_sent_to_other_nodes_or_tasks(three: Nodes):
    table = a_table(three, TASKS)
    async with a_swarm(three, table) as swarm:
        gone = {task: row for task, row in table.endpoints.items() if task != "c"}
        await swarm.overlays["n1"].apply(replace(table, version=2, endpoints=gone))
        assert not swarm.reaches("a", "c", within_s=0.3)
        assert swarm.reaches("d", "c")
        # A unicast frame for a stranger goes to no task of the node.
        with open_netlink(swarm.task("a")) as task:
            index = links.index_of(task, "eth0")
            stranger = neighbours.Neighbour(index, "10.0.0.99", "02:42:0a:00:00:63")
            task.do(neighbours.put_neighbour(stranger))
        with sniffing(swarm.task("b"), "eth0") as tap:
            send(swarm.task("a"), "10.0.0.99")
            assert swarm.reaches("a", "b")  # so what was sent before has arrived, or never will
            receivers = {packet[:6].hex(":") for packet in tap.packets}
        assert "02:42:0a:00:00:0c" in receivers
        assert stranger.mac not in receivers


async def test_whatever_was_changed_by_hand_is_put_right_and_counted(three: Nodes):
    table = a_table(three, TASKS)
    async with a_swarm(three, table) as swarm:
        here = swarm.overlays["n1"]
        await here.tend()
        assert here.repaired == 0
        with open_netlink(here.path) as inside:
            vxlan = links.links(inside)["vx4096"]
            for entry in neighbours.forwardings(inside):
                inside.do(neighbours.delete_forwarding(entry))
            inside.do(links.change(links.index_of(inside, "swa"), up=False))
        assert not swarm.reaches("a", "c", within_s=0.3)
        await here.tend()
        assert here.repaired > 1
        assert swarm.reaches("a", "c")
        for harm in ("vx4096", "br0", "swa"):
            with open_netlink(here.path) as inside:
                inside.do(links.delete(harm))
            await here.tend()
            assert swarm.problems == []
            assert swarm.reaches("a", "c")
            assert swarm.reaches("b", "a")
        with open_netlink(here.path) as inside:
            assert links.links(inside)["vx4096"].vxlan_id == vxlan.vxlan_id
        netns.remove(here.path)
        # Until the kernel has ended the old namespace, the VXLAN in there has the number. It ends
        # one after the other, all of the machine, which takes tens of seconds where many come
        # and go.
        async with asyncio.timeout(120):
            await here.tend()
            while here.problems:
                await asyncio.sleep(0.05)
                await here.tend()
        assert swarm.reaches("a", "c")
        assert swarm.reaches("b", "a")
        repaired = here.repaired
        await here.tend()
        assert here.repaired == repaired


async def test_another_daemon_takes_over_what_it_finds_without_a_change(three: Nodes):
    table = a_table(three, TASKS)
    async with a_swarm(three, table) as swarm:
        old = swarm.overlays["n1"]
        new = Overlay(
            table,
            path=old.path,
            node_id=NodeId("n1"),
            underlay=three.underlay("n1"),
            node=three.path("n1"),
        )
        for task_id, port in old._tasks.items():
            new.adopt(task_id, old._plugs[port].namespace, old._plugs[port].interface)
        with open_netlink(old.path) as inside:
            before = links.links(inside)
            await new.apply(table)
            assert links.links(inside) == before
        assert swarm.reaches("a", "c")
        new.detach(TaskId("a"))
        await new.tend()
        assert new.repaired == 0
        assert not swarm.reaches("b", "a", within_s=0.3)


async def test_a_taken_vxlan_id_is_told_in_one_sentence_and_gone_when_it_is_free(three: Nodes):
    table = a_table(three, TASKS)
    async with a_swarm(three, table) as first:
        second = Swarm(three, replace(table, network_id=NetworkId("other"), name="other"))
        try:
            await second.overlays["n1"].apply(second.table)
            [problem] = second.overlays["n1"].problems
            assert problem.startswith("network other: VXLAN id 4096 is in use by another interface")
            await first.overlays["n1"].remove()
            await second.overlays["n1"].tend()
            assert second.overlays["n1"].problems == ()
        finally:
            await second.remove()


async def test_a_taken_port_is_told_in_one_sentence_and_the_rest_goes_on(three: Nodes):
    def take() -> socket.socket:
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        sock.bind(("0.0.0.0", 4789))
        return sock

    swarm = Swarm(three, a_table(three, TASKS))
    here = swarm.overlays["n1"]
    try:
        with netns.inside(three.path("n1"), take):
            await here.apply(swarm.table)
            [problem] = here.problems
            assert problem.startswith("network web4096: UDP port 4789 of this machine is taken")
            plugging.prepare(swarm.task("a"), ipv6=False)
            with pytest.raises(OSError, match="UDP port 4789"):
                await swarm.attach("a")
        await here.tend()
        assert here.problems == ()
        await swarm.attach("a")
    finally:
        await swarm.remove()


async def test_dual_stack_subnets_and_several_subnets_are_one_network(three: Nodes):
    subnets = (
        Subnet("10.0.0.0/24", vxlan_id=4096),
        Subnet("10.0.5.0/24", vxlan_id=4097),
        Subnet("fd00:1::/64", vxlan_id=4098),
    )
    tasks = {
        "a": ("n1", ("10.0.0.11", "fd00:1::11")),
        "c": ("n2", ("10.0.5.13", "fd00:1::13")),
        "d": ("n3", ("fd00:1::14",)),
    }
    async with a_swarm(three, a_table(three, tasks, subnets=subnets)) as swarm:
        assert swarm.problems == []
        assert swarm.reaches("a", "c")
        assert swarm.reaches("c", "a")
        assert swarm.reaches("c", "d")
        assert reaches(swarm.task("d"), swarm.task("a"), "fd00:1::11")
        await swarm.overlays["n1"].tend()
        assert swarm.overlays["n1"].repaired == 0


async def test_an_underlay_of_ipv6_leaves_twenty_bytes_less(tmp_path: Path):
    with nodes(tmp_path, 2, ipv6=True) as made:
        tasks = {"a": ("n1", ("10.0.0.11",)), "c": ("n2", ("10.0.0.13",))}
        async with a_swarm(made, a_table(made, tasks)) as swarm:
            assert swarm.problems == []
            assert swarm.reaches("a", "c", size=1430 - 28)
            assert not swarm.reaches("a", "c", size=1430 - 27)


async def test_removing_a_network_leaves_nothing(three: Nodes):
    async with a_swarm(three, a_table(three, TASKS)) as swarm:
        await swarm.remove()
        with open_netlink(three.path("n1")) as node:
            assert sorted(links.links(node)) == ["eth0", "lo"]
        assert not [path for path in three.directory.iterdir() if "net4096" in path.name]


def send(path: Path, address: str) -> None:
    def one() -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.sendto(b"x", (address, 9))

    netns.inside(path, one)
