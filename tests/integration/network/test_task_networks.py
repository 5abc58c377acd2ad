"""Tasks with all their interfaces, on two nodes: what they reach, and what becomes of it all."""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from msgspec.structs import replace

from swarmd.model.ids import NetworkId, NodeId, TaskId
from swarmd.network import tasks as task_networks
from swarmd.network.core.tables import NetworkTable, Subnet
from swarmd.network.kernel import links, netns, routing
from swarmd.network.kernel.netlink import open_netlink
from swarmd.network.tasks import NotYet, TaskNetworks
from tests.support.overlays import Nodes, a_table, an_attachment, nodes, reaches

pytestmark = [
    pytest.mark.root,
    pytest.mark.skipif(os.geteuid() != 0, reason="namespaces need root"),
]


@pytest.fixture
def two(tmp_path: Path) -> Iterator[Nodes]:
    with nodes(tmp_path, 2) as made:
        yield made


def networks_of(made: Nodes, name: str) -> TaskNetworks:
    return TaskNetworks(
        made.directory / f"{name}.run",
        NodeId(name),
        underlay=made.underlay(name),
        node=made.path(name),
    )


def an_ingress(made: Nodes) -> NetworkTable:
    return a_table(
        made,
        {},
        number=4200,
        subnets=(Subnet("10.255.0.0/16", vxlan_id=4200),),
        peers={"n1": ("10.255.0.3",), "n2": ("10.255.0.4",)},
        ingress=True,
    )


def tables_of(*tables: NetworkTable) -> dict[NetworkId, NetworkTable]:
    return {table.network_id: table for table in tables}


def interfaces(path: Path) -> list[str]:
    return netns.inside(path, lambda: sorted(name for _, name in socket.if_nameindex()))


def route_from(path: Path, address: str) -> str:
    """The address that packets to a destination would come from."""

    def ask() -> str:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.connect((address, 9))
            return str(sock.getsockname()[0])

    return netns.inside(path, ask)


async def test_a_task_with_everything_reaches_its_networks_its_node_and_the_world(two: Nodes):
    web = a_table(two, {"a": ("n1", ("10.0.0.11",)), "b": ("n2", ("10.0.0.12",))})
    ingress = an_ingress(two)
    here, there = networks_of(two, "n1"), networks_of(two, "n2")
    try:
        for one in (here, there):
            await one.apply(tables_of(web, ingress))
        attachments = [an_attachment(ingress, "10.255.0.9/16"), an_attachment(web, "10.0.0.11/24")]
        a = await here.attach(TaskId("a"), attachments)
        b = await there.attach(TaskId("b"), [an_attachment(web, "10.0.0.12/24")])
        assert interfaces(a.namespace) == ["eth0", "eth1", "eth2", "lo"]
        assert interfaces(b.namespace) == ["eth0", "eth1", "lo"]
        assert a.addresses == ("10.255.0.9", "10.0.0.11")
        assert reaches(a.namespace, b.namespace, "10.0.0.12")
        # The node reaches its task, and the task leaves by the ingress namespace or the bridge.
        assert reaches(two.path("n1"), a.namespace, str(a.address))
        assert route_from(a.namespace, "192.0.2.1") == "10.255.0.9"
        assert route_from(b.namespace, "192.0.2.1") == str(b.address)
        # What b sends to the underlay leaves under its node's address.
        assert reaches(b.namespace, two.path("n1"), "10.99.1.1")
        assert route_from(here.ingress, "192.0.2.1") == "169.254.77.2"
        assert reaches(two.path("n1"), here.ingress, "169.254.77.2")
        assert here.problems_of(web.network_id) == ()
        assert here.problems_of(ingress.network_id) == ()
        assert here.members()[a.namespace] == (ingress.network_id, web.network_id)
        await here.tend()
        assert [here.repaired_of(one.network_id) for one in (web, ingress)] == [0, 0]
        assert here.bridge.repaired == 0
        # Whatever is taken away by hand comes back.
        bridge, namespace = here.bridge, a.namespace
        with open_netlink(two.path("n1")) as node:
            node.do(links.delete(bridge.name), links.delete("ing0"))
        await here.tend()
        assert bridge.repaired > 0
        assert here.repaired_of(ingress.network_id) > 0
        assert reaches(two.path("n1"), namespace, str(a.address))
        assert reaches(two.path("n1"), here.ingress, "169.254.77.2")
        # Another daemon finds it all, changes nothing, and takes it away with the tasks.
        again = networks_of(two, "n1")
        assert again.left() == {"a"}
        await again.apply(tables_of(web, ingress))
        adopted = await again.adopt(TaskId("a"), attachments)
        assert adopted == a
        await again.tend()
        assert again.repaired_of(web.network_id) == 0
        assert again.bridge.repaired == 0
        assert reaches(a.namespace, b.namespace, "10.0.0.12")
        await again.detach(TaskId("a"))
        await again.apply(tables_of(ingress))
        assert set(again.overlays()) == {ingress.network_id}
    finally:
        for one in (here, there):
            await one.remove()
    for name in ("n1", "n2"):
        with open_netlink(two.path(name)) as node:
            assert sorted(links.links(node)) == ["eth0", "lo"]
        assert not (two.directory / f"{name}.run").exists()
        rules = netns.inside(
            two.path(name),
            lambda: (
                subprocess.run(["nft", "list", "ruleset"], capture_output=True, check=True).stdout
            ),
        )
        assert rules == b""


async def test_a_task_on_internal_networks_alone_is_cut_off_from_everything_else(two: Nodes):
    inner = a_table(two, {}, internal=True)
    here = networks_of(two, "n1")
    try:
        await here.apply(tables_of(inner))
        place = await here.attach(TaskId("a"), [an_attachment(inner, "10.0.0.11/24")])
        assert place.address is None
        assert interfaces(place.namespace) == ["eth0", "lo"]
        with pytest.raises(OSError, match="unreachable"):
            route_from(place.namespace, "192.0.2.1")
    finally:
        await here.remove()


async def test_tasks_without_networks_see_each_other_on_the_bridge_and_those_with_do_not(
    two: Nodes,
):
    web, other = a_table(two, {}), a_table(two, {}, number=4097)
    here = networks_of(two, "n1")
    try:
        await here.apply(tables_of(web, other))
        plain = [await here.attach(TaskId(name)) for name in ("p", "q")]
        one = await here.attach(TaskId("a"), [an_attachment(web, "10.0.0.11/24")])
        two_ = await here.attach(TaskId("b"), [an_attachment(other, "10.0.1.11/24")])
        assert reaches(plain[0].namespace, plain[1].namespace, str(plain[1].address))
        assert not reaches(one.namespace, two_.namespace, str(two_.address), within_s=0.3)
        assert len({place.address for place in (*plain, one, two_)}) == 4
    finally:
        await here.remove()


async def test_a_task_waits_for_the_table_of_its_network(
    two: Nodes, monkeypatch: pytest.MonkeyPatch
):
    web = a_table(two, {})
    here = networks_of(two, "n1")
    try:
        monkeypatch.setattr(task_networks, "TABLE_S_MAX", 0.05)
        with pytest.raises(NotYet, match="waits for a manager to tell about network net4096"):
            await here.attach(TaskId("a"), [an_attachment(web, "10.0.0.11/24")])
        monkeypatch.setattr(task_networks, "TABLE_S_MAX", 5)
        async with asyncio.TaskGroup() as group:
            attaching = group.create_task(
                here.attach(TaskId("a"), [an_attachment(web, "10.0.0.11/24")])
            )
            await asyncio.sleep(0)
            await here.apply(tables_of(web))
        assert interfaces(attaching.result().namespace) == ["eth0", "eth1", "lo"]
    finally:
        await here.remove()


async def test_a_network_whose_table_is_lost_stays_while_tasks_are_on_it(two: Nodes):
    web = a_table(two, {"a": ("n1", ("10.0.0.11",)), "b": ("n1", ("10.0.0.12",))})
    here = networks_of(two, "n1")
    attachments = {
        name: [an_attachment(web, f"10.0.0.{number}/24")] for name, number in (("a", 11), ("b", 12))
    }
    try:
        await here.apply(tables_of(web))
        a, b = [await here.attach(TaskId(name), attachments[name]) for name in ("a", "b")]
        again = networks_of(two, "n1")
        await again.apply(tables_of(an_ingress(two)))
        for name in ("a", "b"):
            await again.adopt(TaskId(name), attachments[name])
        assert reaches(a.namespace, b.namespace, "10.0.0.12")
        await again.apply(tables_of(replace(web, version=2)))
        await again.tend()
        assert again.overlays()[web.network_id].tasks == {"a", "b"}
        assert again.problems_of(web.network_id) == ()
        await again.apply({})
        assert reaches(a.namespace, b.namespace, "10.0.0.12")
        await again.detach(TaskId("a"))
        assert set(again.overlays()) == {web.network_id}
        await again.detach(TaskId("b"))
        assert not again.overlays()
        assert not (two.directory / "n1.run" / "networks" / "net4096").exists()
    finally:
        await again.remove()
    with open_netlink(two.path("n1")) as node:
        assert not routing.rules(node)
        assert sorted(links.links(node)) == ["eth0", "lo"]
