"""The endpoint table moves from version to version by deltas, whole or in portions."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarmd.lb.core.portions import portions
from swarmd.lb.core.tables import (
    Backend,
    BackendChange,
    Delta,
    OutOfStep,
    PortMapping,
    PublishedPort,
    ServiceEndpoints,
    Tables,
    advance,
    complete,
)
from swarmd.model.ids import NodeId, ServiceId, TaskId
from swarmd.model.states import Protocol


def backend(task: str, address: str = "10.0.0.1") -> Backend:
    return Backend(task_id=TaskId(task), node_id=NodeId("n1"), address=address)


def row(service: str, *tasks: str, port: int = 80) -> ServiceEndpoints:
    return ServiceEndpoints(
        service_id=ServiceId(service),
        service_name=service.upper(),
        ports=(PublishedPort(Protocol.TCP, port, 80),),
        backends=tuple(backend(task) for task in sorted(tasks)),
    )


def table(version: int, *rows: ServiceEndpoints) -> Tables:
    return Tables(version, {one.service_id: one for one in rows})


def change(service: str, *came: str, left: tuple[str, ...] = ()) -> BackendChange:
    return BackendChange(
        service_id=ServiceId(service),
        backends=tuple(backend(task) for task in came),
        removed=tuple(TaskId(task) for task in left),
    )


def step(applies_to: int, results_in: int, **content: object) -> Delta:
    return Delta(complete=False, applies_to=applies_to, results_in=results_in, **content)


def test_a_host_port_is_the_target_port_unless_mapped() -> None:
    mapped = Backend(
        task_id=TaskId("t"),
        node_id=NodeId("n"),
        address="10.0.0.1",
        ports=(PortMapping(Protocol.UDP, 53, 32_000),),
    )
    assert mapped.host_port(Protocol.UDP, 53) == 32_000
    assert mapped.host_port(Protocol.TCP, 53) == 53


def test_a_complete_delta_replaces_everything() -> None:
    before = table(7, row("old", "a"))
    after = table(3, row("new", "b"))
    assert advance(before, complete(after)) == after


def test_backends_come_and_leave_in_order_of_task() -> None:
    before = table(1, row("web", "a", "c"))
    after = advance(before, step(1, 2, changes=(change("web", "b", "d", left=("c",)),)))
    assert after == table(2, row("web", "a", "b", "d"))


def test_a_backend_that_moved_replaces_its_entry() -> None:
    moved = backend("a", address="10.0.0.9")
    delta = step(1, 2, changes=(BackendChange(ServiceId("web"), backends=(moved,)),))
    assert advance(table(1, row("web", "a")), delta).services[ServiceId("web")].backends == (moved,)


def test_services_come_change_and_leave() -> None:
    before = table(1, row("web"), row("old"))
    delta = step(1, 4, services=(row("web", port=81), row("db")), removed=(ServiceId("old"),))
    assert advance(before, delta) == table(4, row("web", port=81), row("db"))


def test_rows_that_did_not_change_keep_their_identity() -> None:
    before = table(1, row("web", "a"), row("db", "b"))
    after = advance(before, step(1, 2, changes=(change("web", "c"),)))
    assert after.services[ServiceId("db")] is before.services[ServiceId("db")]


def test_a_delta_for_another_version_is_out_of_step() -> None:
    with pytest.raises(OutOfStep, match=r"version 5.*at 1"):
        advance(table(1), step(5, 6))


def test_a_change_of_an_unknown_service_is_out_of_step() -> None:
    with pytest.raises(OutOfStep, match="web"):
        advance(table(1), step(1, 2, changes=(change("web", "a"),)))


def test_a_small_delta_is_one_portion() -> None:
    delta = step(1, 2, services=(row("web", "a"),))
    assert portions(delta, 10) == (delta,)


TASKS = st.sets(st.sampled_from([f"t{number}" for number in range(30)]), max_size=30)
TABLES = st.dictionaries(st.sampled_from("abcdef"), TASKS, max_size=6)


@given(before=TABLES, after=TABLES, left=TABLES, size=st.integers(1, 12), whole=st.booleans())
def test_portions_lead_where_the_delta_leads(
    before: dict[str, set[str]],
    after: dict[str, set[str]],
    left: dict[str, set[str]],
    size: int,
    whole: bool,
) -> None:
    old = table(1, *(row(name, *tasks) for name, tasks in before.items()))
    delta = Delta(
        complete=whole,
        applies_to=1,
        results_in=2,
        services=tuple(row(name, *tasks, port=81) for name, tasks in after.items()),
        changes=()
        if whole
        else tuple(
            change(name, *sorted(tasks - {"t1"}), left=("t1",))
            for name, tasks in left.items()
            if name in before and name not in after
        ),
        removed=() if whole else tuple(ServiceId(x) for x in before if x not in {*after, *left}),
    )
    parts = portions(delta, size)
    arrived = old
    for part in parts:
        assert sum(len(one.backends) for one in (*part.services, *part.changes)) <= size
        arrived = advance(arrived, part)
    assert arrived == advance(old, delta)
