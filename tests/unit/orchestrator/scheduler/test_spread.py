"""Even spread, as a property of every sequence of placements."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from swarmd.model.ids import NodeId, ServiceId, TaskId
from swarmd.model.instant import SECOND, Instant
from swarmd.model.spec import Placement, PlacementPreference, SpreadOver
from swarmd.model.states import TaskState
from swarmd.model.task import Task, TaskStatus
from swarmd.orchestrator.scheduler.filters import requirement_of
from swarmd.orchestrator.scheduler.node_info import FAILURE_WINDOW_NS, Fleet
from swarmd.orchestrator.scheduler.spread import Placer
from tests.support.cluster import a_node, a_task_spec

NOW = Instant(1_000 * SECOND)


def a_task(name: str, node: str, service: str = "s", placement: Placement | None = None) -> Task:
    return Task(
        id=TaskId(name),
        service_id=ServiceId(service),
        node_id=NodeId(node),
        desired_state=TaskState.RUNNING,
        status=TaskStatus(state=TaskState.RUNNING if node else TaskState.PENDING),
        spec=a_task_spec(placement=placement),
    )


def place(fleet: Fleet, count: int, placement: Placement | None = None) -> list[str]:
    placer = Placer(fleet, requirement_of(a_task("x", "", placement=placement)), NOW)
    chosen = []
    for number in range(count):
        info = placer.take()
        if info is None:
            break
        chosen.append(info.node.id)
        fleet.track(a_task(f"new{number}", info.node.id, placement=placement))
    return [str(node_id) for node_id in chosen]


def spread(*descriptors: str, max_replicas: int = 0) -> Placement:
    return Placement(
        preferences=tuple(
            PlacementPreference(spread=SpreadOver(spread_descriptor=name)) for name in descriptors
        ),
        max_replicas=max_replicas,
    )


@given(st.lists(st.integers(0, 5), min_size=1, max_size=6), st.integers(0, 30))
def test_a_service_ends_up_as_level_as_its_start_allows(before: list[int], count: int) -> None:
    fleet = Fleet()
    levels = {}
    for number, tasks in enumerate(before):
        node = f"n{number}"
        fleet.put_node(a_node(node))
        levels[node] = tasks
        for copy in range(tasks):
            fleet.track(a_task(f"{node}-{copy}", node))
    used = place(fleet, count)
    assert len(used) == count
    for node in used:
        levels[node] += 1
    touched = [levels[node] for node in set(used)]
    assert max(touched, default=0) - min(levels.values()) <= (1 if used else max(before))


def test_among_equals_the_node_with_fewer_tasks_of_others_is_taken() -> None:
    fleet = Fleet()
    for name in ("a", "b"):
        fleet.put_node(a_node(name))
    fleet.track(a_task("other", "a", service="other"))
    assert place(fleet, 2) == ["b", "a"]


def test_five_failures_in_five_minutes_put_a_node_behind_the_others() -> None:
    fleet = Fleet()
    for name in ("a", "b"):
        fleet.put_node(a_node(name))
    info = fleet.find(NodeId("a"))
    assert info is not None
    version = (ServiceId("s"), 0)
    for _ in range(4):
        info.note_failure(version, NOW)
    assert place(fleet, 1) == ["a"]
    info.note_failure(version, NOW)
    fleet.track(a_task("more", "b"))
    assert place(fleet, 1) == ["b"]
    assert info.failures_of(version, Instant(NOW + FAILURE_WINDOW_NS)) == 0


def test_preferences_level_the_branches_of_every_label_in_turn() -> None:
    fleet = Fleet()
    for name, zone, rack in (("a1", "a", "1"), ("a2", "a", "2"), ("a3", "a", "2"), ("b", "b", "1")):
        fleet.put_node(a_node(name, labels={"zone": zone, "rack": rack}))
    used = place(fleet, 8, spread("node.labels.zone", "node.labels.rack"))
    assert {name: used.count(name) for name in ("a1", "a2", "a3", "b")} == {
        "a1": 2, "a2": 1, "a3": 1, "b": 4
    }  # fmt: skip


def test_a_branch_that_is_full_leaves_its_share_to_the_others() -> None:
    fleet = Fleet()
    for name, zone in (("a1", "a"), ("b1", "b"), ("b2", "b")):
        fleet.put_node(a_node(name, labels={"zone": zone}))
    used = place(fleet, 9, spread("node.labels.zone", max_replicas=2))
    assert sorted(used) == ["a1", "a1", "b1", "b1", "b2", "b2"]


def test_descriptors_that_name_no_label_are_ignored() -> None:
    fleet = Fleet()
    fleet.put_node(a_node("a"))
    assert place(fleet, 2, spread("node.hostname")) == ["a", "a"]
