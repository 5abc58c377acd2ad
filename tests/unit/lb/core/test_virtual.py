"""Which tasks stand behind a virtual address."""

from __future__ import annotations

from msgspec.structs import replace

from swarmd.lb.core.virtual import (
    VirtualChange,
    VirtualService,
    VirtualTarget,
    compare,
    departed,
    mark_of,
    retired,
    virtual_services,
)
from swarmd.model.ids import NetworkId, NodeId, ServiceId, TaskId
from swarmd.model.states import Balance
from swarmd.network.core.tables import Endpoint, NetworkTable, ServiceRow


def endpoint(name: str, service: str, *addresses: str, ready: bool = True) -> Endpoint:
    return Endpoint(TaskId(name), ServiceId(service), NodeId("n"), addresses, ready=ready)


def network(*endpoints: Endpoint) -> NetworkTable:
    return NetworkTable(
        NetworkId("net"),
        "net",
        services={
            ServiceId("web"): ServiceRow(
                ServiceId("web"), "web", virtual_ips=("10.0.0.2", "fd00::2")
            ),
            ServiceId("dns"): ServiceRow(ServiceId("dns"), "dns"),
        },
        endpoints={row.task_id: row for row in endpoints},
    )


A = endpoint("a", "web", "10.0.0.11", "fd00::11")
B = endpoint("b", "web", "10.0.0.12")
OTHER = endpoint("c", "dns", "10.0.0.13")


def test_ready_tasks_stand_behind_the_address_of_their_family() -> None:
    table = network(B, A, OTHER, endpoint("d", "web", "10.0.0.14", ready=False))
    assert virtual_services(table) == (
        VirtualService("10.0.0.2", (VirtualTarget("10.0.0.11"), VirtualTarget("10.0.0.12"))),
        VirtualService("fd00::2", (VirtualTarget("fd00::11"),)),
    )


def test_weights_and_balance_are_those_of_the_table() -> None:
    rows = {row.task_id: replace(row, weight=4) for row in (A, B)}
    table = replace(network(), endpoints=rows)
    web = table.services[ServiceId("web")]
    services = {ServiceId("web"): replace(web, balance=Balance.SOURCE_HASH)}
    four, six = virtual_services(replace(table, services=services), leaving=True)
    assert four.targets == (VirtualTarget("10.0.0.11", 4), VirtualTarget("10.0.0.12", 4))
    assert {four.balance, six.balance} == {Balance.SOURCE_HASH}


def test_a_service_without_ready_tasks_has_an_address_without_targets() -> None:
    assert virtual_services(network()) == (VirtualService("10.0.0.2"), VirtualService("fd00::2"))


def test_the_change_names_what_came_differs_and_went() -> None:
    one, two, three = (VirtualService(f"10.0.0.{n}") for n in (1, 2, 3))
    other = replace(two, targets=(VirtualTarget("10.0.0.11"),))
    actual = {row.address: row for row in (one, two)}
    wanted = {row.address: row for row in (other, three)}
    assert compare(actual, wanted) == VirtualChange(
        added=(three,), changed=((two, other),), removed=(one,)
    )
    assert not compare(wanted, dict(wanted))


def test_a_task_retires_when_it_is_ready_no_more_and_departs_when_it_is_gone() -> None:
    before, draining, after = (network(A), OTHER), (network(replace(A, ready=False)),), (network(),)
    both = frozenset({"10.0.0.11", "fd00::11"})
    assert retired(before[:1], draining) == both
    assert departed(before[:1], draining) == frozenset()
    assert departed(draining, after) == both
    assert retired(draining, after) == frozenset()


def test_marks_tell_targets_apart_and_are_no_small_numbers() -> None:
    marks = [mark_of(f"10.0.0.{n}") for n in range(256)] + [
        mark_of(f"fd00::{n}") for n in range(99)
    ]
    assert len(set(marks)) == len(marks)
    assert min(marks) > 1 << 16
    assert max(marks) < 1 << 32
