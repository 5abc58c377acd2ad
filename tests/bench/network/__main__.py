"""Connecting tasks: `python -m tests.bench.network`.

Two nodes as namespaces on one underlay. A task is attached as the data plane does it: its
namespace, an interface on an overlay, one on the ingress network and one on the bridge of the node,
its name server, and the virtual addresses in its namespace. Then a hundred at once; then a network
of a thousand tasks elsewhere, from nothing and with one more; then what is found when all is well.
"""

from __future__ import annotations

import asyncio
import os
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

from msgspec.structs import replace

from swarmd.agent.dataplane.plane import DataPlane, Kernel
from swarmd.lb.core.tables import Tables
from swarmd.lb.kernel import BalancerReport
from swarmd.lb.nft.virtual import nft_virtual
from swarmd.lb.virtual import Tended
from swarmd.model.ids import NodeId, ServiceId, TaskId
from swarmd.model.spec import ContainerSpec, EndpointSpec, PortConfig, TaskSpec
from swarmd.model.task import Task
from swarmd.network.core.tables import NetworkTable, ServiceRow, Subnet
from swarmd.network.dns.server import NameServer
from swarmd.network.overlay import Overlay
from swarmd.network.tasks import TaskNetworks
from swarmd.runtime.clock import SystemClock
from tests.support.overlays import Nodes, a_table, an_attachment, nodes

TASKS = 100
SINGLE = 30
ELSEWHERE = 1000
LOOKS = 20
PUBLISHED = EndpointSpec(ports=(PortConfig(target_port=80),))


class NoMesh:
    """Published ports are measured elsewhere."""

    moving = 0
    has_ipv6 = False

    async def apply(self, tables: Tables) -> BalancerReport:
        return BalancerReport(tables.version)

    async def use(self, ingress: NetworkTable | None) -> None:
        return None

    async def tend(self) -> Tended:
        return Tended()

    async def move(self) -> bool:
        return False

    async def forget(self) -> bool:
        return False

    async def let_go(self) -> None:
        return None

    async def close(self) -> None:
        return None


def main() -> None:
    if os.geteuid() != 0:
        print("skipped: it takes root")
        return
    with tempfile.TemporaryDirectory() as directory, nodes(Path(directory), 2) as made:
        asyncio.run(measure(made))


async def measure(made: Nodes) -> None:
    await attaching(made)
    await many_elsewhere(made)


async def attaching(made: Nodes) -> None:
    rows = {f"s{n}": ServiceRow(ServiceId(f"s{n}"), f"s{n}", virtual_ips=(f"10.0.0.{n}",))
            for n in range(1, 11)}  # fmt: skip
    web = replace(
        a_table(made, {}, subnets=(Subnet("10.0.0.0/16", vxlan_id=4096),)),
        services={row.service_id: row for row in rows.values()},
    )
    ingress = a_table(
        made,
        {},
        number=4200,
        subnets=(Subnet("10.255.0.0/16", vxlan_id=4200),),
        peers={"n1": ("10.255.0.3",), "n2": ("10.255.0.4",)},
        ingress=True,
    )
    networks = TaskNetworks(
        made.directory / "run",
        NodeId("n1"),
        underlay=made.underlay("n1"),
        node=made.path("n1"),
    )
    mesh = NoMesh()
    names = NameServer(rng=random.Random(1))
    kernel = Kernel(mesh=mesh, virtual=nft_virtual(clock=SystemClock()), names=names)
    plane = DataPlane(networks, mesh, hostname="n1", kernel=kernel)
    try:
        tables = {table.network_id: table for table in (web, ingress)}
        print(f"two networks made: {await took_ms(lambda: plane.apply(Tables(), tables)):.0f} ms")

        def a_task(number: int) -> Task:
            place = f"{1 + number // 250}.{1 + number % 250}"
            return Task(
                id=TaskId(f"b{number:03}"),
                networks=(
                    an_attachment(ingress, f"10.255.{place}/16"),
                    an_attachment(web, f"10.0.{place}/16"),
                ),
                endpoint_spec=PUBLISHED,
                spec=TaskSpec(container_spec=ContainerSpec()),
            )

        singles = [
            await took_ms(lambda number=number: plane.attach(a_task(number)))  # type: ignore[misc]
            for number in range(SINGLE)
        ]
        print(
            f"one task attached: median {statistics.median(singles):.1f} ms, "
            f"worst of {SINGLE} {max(singles):.1f} ms"
        )

        async def all_at_once() -> None:
            async with asyncio.TaskGroup() as group:
                for number in range(SINGLE, SINGLE + TASKS):
                    group.create_task(plane.attach(a_task(number)))

        print(f"{TASKS} tasks attached at once: {await took_ms(all_at_once):.0f} ms")
        away = [
            await took_ms(lambda number=number: plane.detach(a_task(number).id))  # type: ignore[misc]
            for number in range(SINGLE)
        ]
        print(f"one task detached: median {statistics.median(away):.1f} ms")
    finally:
        await plane.close(keep_tasks=False)
        await plane.remove()


async def many_elsewhere(made: Nodes) -> None:
    def table(count: int, version: int) -> NetworkTable:
        tasks = {f"t{n}": ("n2", (f"10.1.{1 + n // 250}.{1 + n % 250}",)) for n in range(count)}
        subnets = (Subnet("10.1.0.0/16", vxlan_id=4097),)
        return a_table(made, tasks, version=version, subnets=subnets, number=4097)

    overlay = Overlay(
        table(0, 1),
        path=made.directory / "many",
        node_id=NodeId("n1"),
        underlay=made.underlay("n1"),
        node=made.path("n1"),
    )
    try:
        await overlay.apply(table(0, 2))
        spent = await took_ms(lambda: overlay.apply(table(ELSEWHERE, 3)))
        print(f"{ELSEWHERE} tasks elsewhere: {spent:.0f} ms")
        spent = await took_ms(lambda: overlay.apply(table(ELSEWHERE + 1, 4)))
        print(f"one more: {spent:.0f} ms")
        looks = [await took_ms(overlay.tend) for _ in range(LOOKS)]
        print(f"compared with the kernel, nothing to do: {statistics.median(looks):.0f} ms")
        if overlay.problems:
            sys.exit("; ".join(overlay.problems))
    finally:
        await overlay.remove()


async def took_ms(work: Callable[[], Awaitable[object]]) -> float:
    begun = time.perf_counter()
    await work()
    return (time.perf_counter() - begun) * 1000


if __name__ == "__main__":
    main()
