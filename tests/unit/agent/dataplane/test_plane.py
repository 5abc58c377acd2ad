"""The data plane over real networks of nothing, with a mesh and balancer that remember."""

from __future__ import annotations

import asyncio
import os
import random
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import NamedTuple

import pytest

from swarmd.agent.dataplane import plane as module
from swarmd.agent.dataplane.plane import DataPlane, Kernel, bridge_only
from swarmd.agent.endpoints import PUBLISHED, TableReport
from swarmd.agent.executors.base import TaskFailure
from swarmd.lb.core.tables import Backend, PublishedPort, ServiceEndpoints, Tables
from swarmd.lb.kernel import BalancerReport
from swarmd.lb.virtual import Tended
from swarmd.model.ids import NetworkId, NodeId, ServiceId, TaskId
from swarmd.model.network import NetworkAttachment
from swarmd.model.spec import ContainerSpec, EndpointSpec, PortConfig, TaskSpec
from swarmd.model.states import Protocol
from swarmd.model.task import Task
from swarmd.network.core.tables import Endpoint, NetworkTable
from swarmd.network.dns.server import NameServer
from swarmd.network.tasks import TaskNetworks

WEB = ServiceId("web")
A, B = TaskId("a"), TaskId("b")
ON_WEB = NetworkAttachment(network_id=NetworkId("net"), addresses=("10.0.0.5/24",))
INGRESS = NetworkAttachment(network_id=NetworkId("ingress"), addresses=("10.255.0.5/16",))
PUBLISHING = EndpointSpec(ports=(PortConfig(target_port=80),))


class Mesh:
    """Remembers what it was told last."""

    def __init__(self) -> None:
        self.published = Tables()
        self.ingress: NetworkTable | None = None
        self.ended = ""
        self.tended = Tended(problems=("port 80 is taken",))

    async def apply(self, tables: Tables) -> BalancerReport:
        self.published = tables
        return BalancerReport(tables.version, ("port 80 is taken",))

    async def use(self, ingress: NetworkTable | None) -> None:
        self.ingress = ingress

    @property
    def has_ipv6(self) -> bool:
        return False

    async def tend(self) -> Tended:
        return self.tended

    async def move(self) -> bool:
        return False

    async def forget(self) -> bool:
        return False

    @property
    def moving(self) -> int:
        return 0

    async def let_go(self) -> None:
        self.ended = "let go"

    async def close(self) -> None:
        self.ended = "closed"


class Virtual:
    """The same."""

    name = "fake"

    def __init__(self) -> None:
        self.tables: Mapping[NetworkId, NetworkTable] = {}
        self.applied = asyncio.Event()

    async def apply(
        self,
        tables: Mapping[NetworkId, NetworkTable],
        members: Mapping[Path, tuple[NetworkId, ...]],
    ) -> tuple[str, ...]:
        self.tables = tables
        self.applied.set()
        return ()

    async def attend(self, path: Path, networks: tuple[NetworkId, ...]) -> tuple[str, ...]:
        return ()

    async def tend(self) -> Tended:
        return Tended()

    async def move(self) -> bool:
        return False

    async def forget(self) -> bool:
        return False

    @property
    def moving(self) -> Mapping[NetworkId, int]:
        return {}


class Parts(NamedTuple):
    plane: DataPlane
    mesh: Mesh
    virtual: Virtual


@pytest.fixture
async def parts(tmp_path: Path) -> AsyncIterator[Parts]:
    """A data plane that is told of networks and makes none."""
    mesh, virtual = Mesh(), Virtual()
    names = NameServer(rng=random.Random(1))
    plane = DataPlane(
        TaskNetworks(tmp_path, NodeId("n1"), underlay=None),
        mesh,
        hostname="host1",
        kernel=Kernel(mesh=mesh, virtual=virtual, names=names),
    )
    yield Parts(plane, mesh, virtual)
    await names.close()


def a_task(*networks: NetworkAttachment, **fields: object) -> Task:
    spec = TaskSpec(container_spec=ContainerSpec())
    return Task(id=A, networks=networks, spec=spec, **fields)  # type: ignore[arg-type]


def a_network(name: str = "net", *, ingress: bool = False) -> NetworkTable:
    return NetworkTable(
        network_id=NetworkId(name),
        name=name,
        ingress=ingress,
        endpoints={
            task: Endpoint(task, WEB, NodeId("n1"), ("10.0.0.5",), ready=True) for task in (A, B)
        },
    )


def published() -> Tables:
    backends = tuple(Backend(task, NodeId("n1"), "192.0.2.1") for task in (A, B))
    return Tables(3, {WEB: ServiceEndpoints(WEB, "web", (_PORT,), backends)})


_PORT = PublishedPort(Protocol.TCP, 8080, 80)


def tables(*networks: NetworkTable) -> dict[NetworkId, NetworkTable]:
    return {table.network_id: table for table in networks}


async def test_every_part_gets_its_tables_and_problems_are_told_by_table(parts: Parts):
    web, ingress = a_network(), a_network("ingress", ingress=True)
    reports = await parts.plane.apply(published(), tables(web, ingress))
    assert parts.mesh.published == published()
    assert parts.mesh.ingress is ingress
    # Nobody calls a virtual address of the ingress network from within.
    assert parts.virtual.tables == tables(web)
    assert reports[PUBLISHED].problems == ("port 80 is taken",)
    assert set(reports) == {PUBLISHED, NetworkId("net"), NetworkId("ingress")}


async def test_what_changes_between_tables_is_told_once(
    parts: Parts, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(module, "TEND_S", 0.001)
    told: list[TableReport] = []
    parts.plane.on_reports = lambda reports: told.append(reports[PUBLISHED])
    await parts.plane.apply(published(), {})
    parts.mesh.tended = Tended()
    async with asyncio.timeout(5), asyncio.TaskGroup() as group:
        running = group.create_task(parts.plane.run())
        while not told:
            await asyncio.sleep(0.001)
        await asyncio.sleep(0.01)
        running.cancel()
    assert told == [TableReport()]


async def test_a_task_that_ended_by_itself_is_balanced_to_no_more_before_any_manager_knows(
    parts: Parts,
):
    await parts.plane.apply(published(), tables(a_network()))
    async with asyncio.TaskGroup() as group:
        running = group.create_task(parts.plane.run())
        parts.virtual.applied.clear()
        parts.plane.withdraw(A)
        await parts.virtual.applied.wait()
        async with asyncio.timeout(5):
            while len(parts.mesh.published.services[WEB].backends) > 1:
                await asyncio.sleep(0)
        running.cancel()
    endpoints = parts.virtual.tables[NetworkId("net")].endpoints
    assert (endpoints[A].ready, endpoints[B].ready) == (False, True)
    # Later tables that still name it don't bring it back.
    await parts.plane.apply(published(), tables(a_network()))
    assert [row.task_id for row in parts.mesh.published.services[WEB].backends] == [B]


async def test_the_kernel_goes_on_for_tasks_that_are_kept(parts: Parts):
    await parts.plane.close(keep_tasks=True)
    assert parts.mesh.ended == "let go"
    await parts.plane.close(keep_tasks=False)
    assert parts.mesh.ended == "closed"


async def test_who_gets_a_namespace_where_there_are_overlays(parts: Parts):
    wants = parts.plane.wants_namespace
    assert not wants(a_task(), is_container=False)
    assert wants(a_task(), is_container=True)
    assert wants(a_task(INGRESS, endpoint_spec=PUBLISHING), is_container=False)
    assert wants(a_task(ON_WEB), is_container=False)


def test_a_task_that_needs_an_overlay_is_refused_where_there_can_be_none(tmp_path: Path):
    plane = bridge_only(tmp_path, node_id=NodeId("n1"), hostname="host1", lacking="it takes root")
    # Published ports have other ways to a task.
    published_only = a_task(INGRESS, endpoint_spec=PUBLISHING)
    assert not plane.wants_namespace(published_only, is_container=False)
    assert plane.wants_namespace(published_only, is_container=True)
    with pytest.raises(TaskFailure) as refused:
        plane.wants_namespace(a_task(ON_WEB), is_container=False)
    assert str(refused.value) == (
        "the task is on an overlay network, which node host1 can't take part in: it takes root; "
        "mend that, or constrain the service to nodes that can"
    )
    assert os.listdir(tmp_path) == []
