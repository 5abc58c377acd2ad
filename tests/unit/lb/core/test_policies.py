"""Ports for tasks of the node that a client connected to."""

from __future__ import annotations

from msgspec.structs import replace

from swarmd.lb.core.policies import here
from swarmd.lb.core.tables import Backend, PublishedPort, ServiceEndpoints, Tables
from swarmd.model.ids import NodeId, ServiceId, TaskId
from swarmd.model.states import PortPolicy, Protocol

ANYWHERE = PublishedPort(Protocol.TCP, 8080, 80)
LOCAL = PublishedPort(Protocol.TCP, 8081, 80, PortPolicy.LOCAL)
TASKS = tuple(Backend(TaskId(f"t{n}"), NodeId(f"n{n}"), f"192.0.2.{n}") for n in (1, 2))


def table(*ports: PublishedPort) -> Tables:
    row = ServiceEndpoints(ServiceId("web"), "web", ports, TASKS)
    return Tables(7, {row.service_id: row})


def answering(tables: Tables) -> dict[int, list[str]]:
    return {
        port.published_port: [backend.task_id for backend in row.backends]
        for row in tables.services.values()
        for port in row.ports
    }


def test_each_port_of_a_service_leads_where_its_policy_says() -> None:
    served = here(table(ANYWHERE, LOCAL), NodeId("n2"))
    assert served.version == 7
    assert answering(served) == {8080: ["t1", "t2"], 8081: ["t2"]}


def test_a_node_without_a_task_has_the_port_and_nobody_behind_it() -> None:
    assert answering(here(table(LOCAL), NodeId("n3"))) == {8081: []}


def test_other_policies_leave_the_table_as_it_is() -> None:
    tables = table(ANYWHERE, replace(LOCAL, policy=PortPolicy.MASQUERADE))
    assert here(tables, NodeId("n1")) is tables
