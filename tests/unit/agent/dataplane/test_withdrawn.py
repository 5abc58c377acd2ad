from __future__ import annotations

from swarmd.agent.dataplane.withdrawn import named, unpublished, without
from swarmd.lb.core.tables import Backend, PublishedPort, ServiceEndpoints, Tables
from swarmd.model.ids import NetworkId, NodeId, ServiceId, TaskId
from swarmd.model.states import Protocol
from swarmd.network.core.tables import Endpoint, NetworkTable

A, B, GONE = TaskId("a"), TaskId("b"), TaskId("gone")
WEB = ServiceId("web")


def a_network(**ready: bool) -> NetworkTable:
    return NetworkTable(
        network_id=NetworkId("net"),
        name="net",
        endpoints={
            TaskId(task): Endpoint(TaskId(task), WEB, NodeId("n"), (f"10.0.0.{n}",), ready=is_ready)
            for n, (task, is_ready) in enumerate(ready.items(), start=1)
        },
    )


def published(*tasks: TaskId) -> Tables:
    row = ServiceEndpoints(
        WEB,
        "web",
        (PublishedPort(Protocol.TCP, 80, 80),),
        tuple(Backend(task, NodeId("n"), "192.0.2.1") for task in tasks),
    )
    return Tables(7, {WEB: row})


def test_a_task_that_has_ended_is_balanced_to_no_more_and_can_still_be_reached():
    table = a_network(a=True, b=True)
    left = without(frozenset({A}), table)
    assert not left.endpoints[A].ready
    assert left.endpoints[A].addresses == table.endpoints[A].addresses
    assert left.endpoints[B] is table.endpoints[B]
    assert left.version == table.version


def test_a_table_that_says_so_already_is_the_same_table():
    table = a_network(a=False, b=True)
    assert without(frozenset({A, GONE}), table) is table
    assert without(frozenset(), table) is table


def test_published_ports_lead_elsewhere():
    tables = published(A, B)
    left = unpublished(frozenset({A}), tables)
    assert [backend.task_id for backend in left.services[WEB].backends] == [B]
    assert left.version == 7
    assert unpublished(frozenset({GONE}), tables) is tables


def test_tasks_are_remembered_for_as_long_as_some_table_balances_to_them():
    network = {NetworkId("net"): a_network(a=True, b=False)}
    everyone = frozenset({A, B, GONE})
    assert named(everyone, Tables(), network) == {A}
    assert named(everyone, published(B), network) == {A, B}
    assert named(everyone, Tables(), {}) == frozenset()
