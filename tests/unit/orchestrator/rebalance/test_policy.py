"""Rebalancing by itself: when, how many at a time, and through elections."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from msgspec.structs import replace

from swarmd.model.cluster import RebalanceConfig
from swarmd.model.ids import NodeId, ServiceId
from swarmd.model.instant import MINUTE, SECOND
from swarmd.model.spec import RestartPolicy
from swarmd.model.states import NodeState, TaskState
from swarmd.model.task import Task
from swarmd.orchestrator.rebalance import policy as policy_module
from swarmd.orchestrator.rebalance.movable import is_move
from swarmd.orchestrator.rebalance.moves import Move, begun, plan_moves
from swarmd.orchestrator.rebalance.policy import LOOK_PAUSE_NS, PORTION_PAUSE_NS
from swarmd.store.changes import Create, Update
from tests.support.cluster import Swarm, a_node, a_service_spec, a_task_spec


def policy(swarm: Swarm, **fields: object) -> None:
    cluster = swarm.store.cluster()
    config = RebalanceConfig(enabled=True, **fields)  # type: ignore[arg-type]
    scheduling = replace(cluster.spec.scheduling, rebalance=config)
    new = replace(cluster, spec=replace(cluster.spec, scheduling=scheduling))
    swarm.accept(Update(new, cluster.version))


def moving(swarm: Swarm) -> list[Task]:
    return [task for task in swarm.store.tasks() if is_move(task, swarm.store)]


def join(swarm: Swarm, name: str) -> None:
    node = a_node(name)
    swarm.put_node(replace(node, status=replace(node.status, since=swarm.now)))


def a_swarm(replicas: int = 6, **fields: object) -> tuple[Swarm, ServiceId]:
    swarm = Swarm(nodes=2)
    web = swarm.create(a_service_spec(replicas=replicas))
    policy(swarm, **fields)
    swarm.converge()
    return swarm, web


def test_a_node_that_joined_gets_tasks_when_it_has_been_ready_for_a_while() -> None:
    swarm, web = a_swarm()
    join(swarm, "n3")
    swarm.advance(59 * SECOND)
    assert "n3" not in swarm.nodes_of(web)
    swarm.advance(2 * SECOND)
    assert swarm.nodes_of(web) == {"n1": 2, "n2": 2, "n3": 2}
    assert swarm.status(web) is None


def test_it_is_off_unless_asked_for() -> None:
    swarm = Swarm(nodes=2)
    web = swarm.create(a_service_spec(replicas=6))
    swarm.converge()
    join(swarm, "n3")
    swarm.advance(10 * MINUTE)
    assert "n3" not in swarm.nodes_of(web)


@pytest.mark.parametrize("most", [1, 2])
def test_no_more_moves_are_under_way_than_allowed_and_none_runs_short(most: int) -> None:
    swarm, web = a_swarm(12, max_moves=most, cooldown_ns=0)
    join(swarm, "n3")
    seen = 0
    for _ in range(200):
        assert len(swarm.running(web)) >= 12
        assert len(moving(swarm)) <= most
        seen = max(seen, len(moving(swarm)))
        if not swarm.step():
            break
    assert seen == most
    assert swarm.nodes_of(web) == {"n1": 4, "n2": 4, "n3": 4}
    (reason,) = {
        change.reason.partition(":")[0].partition(" from")[0]
        for entry in swarm.log
        for change in entry.changes
        if isinstance(change.new, Task) and change.old is None and change.new.replaces
    }
    assert reason == "takes over"


def test_an_election_after_every_step_changes_nothing() -> None:
    swarm, web = a_swarm(8, max_moves=2, cooldown_ns=0)
    join(swarm, "n3")
    for _ in range(200):
        swarm.elect()
        assert len(swarm.running(web)) >= 8
        if not swarm.step():
            break
    swarm.converge()
    assert sorted(swarm.nodes_of(web).values()) == [2, 3, 3]
    assert not moving(swarm)


def test_a_task_that_does_not_come_up_leaves_the_old_one_running() -> None:
    swarm, web = a_swarm(4, cooldown_ns=0)
    swarm.fate = lambda task: TaskState.FAILED if task.node_id == "n3" else None
    join(swarm, "n3")
    swarm.advance(30 * MINUTE)
    assert len(swarm.running(web)) == 4
    assert "n3" not in swarm.nodes_of(web)
    failed = [task for task in swarm.tasks(web) if task.status.state is TaskState.FAILED]
    assert len(failed) == 1


def test_a_move_that_takes_too_long_is_called_off() -> None:
    swarm, web = a_swarm(4, cooldown_ns=0)
    swarm.fate = lambda task: TaskState.PREPARING if task.node_id == "n3" else None
    join(swarm, "n3")
    swarm.step()
    (task,) = moving(swarm)
    swarm.report(task, TaskState.PREPARING)
    swarm.fate = lambda task: None
    for _ in range(3):
        swarm.settle()
    assert swarm.deadline is not None
    swarm.now = swarm.deadline
    swarm.settle()
    assert swarm.store.get_task(task.id).desired_reason.startswith("the move is off")
    assert len(swarm.running(web)) == 4


def test_the_old_task_that_dies_meanwhile_is_succeeded_by_the_one_that_comes() -> None:
    swarm, web = a_swarm(4, cooldown_ns=0)
    join(swarm, "n3")
    swarm.settle()
    (task,) = moving(swarm)
    swarm.report(swarm.store.get_task(task.replaces), TaskState.FAILED, "boom")
    swarm.converge()
    assert swarm.store.get_task(task.id).status.state is TaskState.RUNNING
    assert len(swarm.running(web)) == 4


def test_a_service_scaled_down_in_the_middle_of_a_move_keeps_to_its_number() -> None:
    swarm, web = a_swarm(4, cooldown_ns=0)
    join(swarm, "n3")
    swarm.settle()
    assert moving(swarm)
    swarm.scale(web, 2)
    swarm.converge()
    assert len(swarm.running(web)) == 2
    assert len(swarm.wanted(web)) == 2


def test_an_update_in_the_middle_of_a_move_replaces_all_tasks() -> None:
    swarm, web = a_swarm(4, cooldown_ns=0)
    join(swarm, "n3")
    swarm.settle()
    assert moving(swarm)
    spec = swarm.store.get_service(web).spec
    swarm.update(web, replace(spec, task_template=a_task_spec(image="web:2")))
    swarm.converge()
    assert {task.spec.container_spec.image for task in swarm.running(web)} == {"web:2"}  # type: ignore[union-attr]
    assert len(swarm.wanted(web)) == 4


def test_moves_count_as_no_attempts_of_a_service() -> None:
    swarm = Swarm(nodes=1)
    once = RestartPolicy(max_attempts=1, delay_ns=0)
    web = swarm.create(a_service_spec(replicas=2, task=a_task_spec(restart_policy=once)))
    policy(swarm, cooldown_ns=0)
    swarm.converge()
    join(swarm, "n2")
    swarm.converge()
    (moved,) = [task for task in swarm.running(web) if task.replaces]
    swarm.report(moved, TaskState.FAILED, "boom")
    swarm.converge()
    assert len(swarm.running(web)) == 2


@pytest.fixture
def small_portions(monkeypatch: pytest.MonkeyPatch) -> None:
    """Looks at few tasks are taken in as many portions as there can be."""
    monkeypatch.setattr(policy_module, "PORTION_MAX", 1)


def go_on_looking(swarm: Swarm, portions: int = 1000) -> int:
    """Have the look that has begun go on, at most so many portions; how many there were."""
    for number in range(portions):
        if swarm.deadline is None or not 0 < swarm.deadline - swarm.now <= PORTION_PAUSE_NS:
            return number
        swarm.now = swarm.deadline
        swarm.settle()
    return portions


def test_with_many_tasks_looks_are_apart_however_many_nodes_join() -> None:
    swarm, web = a_swarm(1_000, cooldown_ns=0, max_moves=100)
    swarm.advance(LOOK_PAUSE_NS)
    join(swarm, "n3")
    swarm.settle()
    go_on_looking(swarm)
    assert swarm.nodes_of(web)["n3"] == 100, "the first look is taken at once"
    for number in range(4, 9):
        join(swarm, f"n{number}")
        swarm.settle()
    assert swarm.deadline == swarm.now + LOOK_PAUSE_NS
    swarm.advance(LOOK_PAUSE_NS + 20 * PORTION_PAUSE_NS)
    assert set(swarm.nodes_of(web)) > {"n1", "n2", "n3"}


@pytest.mark.usefixtures("small_portions")
def test_a_look_at_many_tasks_leaves_pauses_for_others() -> None:
    swarm, web = a_swarm(cooldown_ns=0)
    join(swarm, "n3")
    swarm.settle()
    swarm.report(swarm.running(web)[-1], TaskState.FAILED, "boom")
    swarm.settle()
    assert len(swarm.wanted(web)) == 6, "its successor does not wait for the look"
    assert not moving(swarm)
    assert go_on_looking(swarm) > 3
    assert moving(swarm)


def remove_the_service(swarm: Swarm, web: ServiceId) -> None:
    swarm.remove(web)


def lose_the_goal(swarm: Swarm, web: ServiceId) -> None:
    swarm.remove_node("n3")


def lose_a_source(swarm: Swarm, web: ServiceId) -> None:
    swarm.set_node("n1", state=NodeState.DOWN)


def have_nearly_all_fail(swarm: Swarm, web: ServiceId) -> None:
    for task in swarm.running(web)[2:]:
        swarm.report(task, TaskState.FAILED, "boom")


def scale_down(swarm: Swarm, web: ServiceId) -> None:
    swarm.scale(web, 3)


def move_some_by_hand(swarm: Swarm, web: ServiceId) -> None:
    service = swarm.store.get_service(web)
    for task in swarm.running(web):
        if task.slot % 2 == 0:
            move = Move(task, NodeId("n3"), "by hand", service.spec_version)
            swarm.accept(Create(begun(move, service, swarm.store.find_cluster(), swarm.env)[0]))


def elect(swarm: Swarm, web: ServiceId) -> None:
    swarm.elect()


def switch_it_off(swarm: Swarm, web: ServiceId) -> None:
    cluster = swarm.store.cluster()
    scheduling = replace(cluster.spec.scheduling, rebalance=RebalanceConfig(enabled=False))
    new = replace(cluster, spec=replace(cluster.spec, scheduling=scheduling))
    swarm.accept(Update(new, cluster.version))


@pytest.mark.usefixtures("small_portions")
@pytest.mark.parametrize("portions", range(12))
@pytest.mark.parametrize(
    "change",
    [
        remove_the_service,
        lose_the_goal,
        lose_a_source,
        have_nearly_all_fail,
        scale_down,
        move_some_by_hand,
        elect,
        switch_it_off,
    ],
)
def test_whatever_changes_in_the_middle_of_a_look_it_ends_well(
    change: Callable[[Swarm, ServiceId], None], portions: int
) -> None:
    swarm, web = a_swarm(9, cooldown_ns=0, max_moves=5)
    swarm.create(a_service_spec("other", replicas=3))
    swarm.converge()
    join(swarm, "n3")
    swarm.settle()
    go_on_looking(swarm, portions)
    change(swarm, web)
    swarm.converge()
    assert not moving(swarm)
    assert len(swarm.running(web)) == len(swarm.wanted(web))
    if change in (elect, move_some_by_hand, lose_a_source):
        assert len(swarm.running(web)) == 9
        counts = [count for count in swarm.nodes_of(web).values() if count]
        assert max(counts) - min(counts) <= 1
        assert not plan_moves(swarm.store, swarm.now).moves


@pytest.mark.usefixtures("small_portions")
def test_a_look_that_is_lost_with_its_leader_is_taken_by_the_next() -> None:
    swarm, web = a_swarm(cooldown_ns=0)
    join(swarm, "n3")
    swarm.settle()
    assert go_on_looking(swarm, 3) == 3
    swarm.elect()
    swarm.converge()
    assert swarm.nodes_of(web) == {"n1": 2, "n2": 2, "n3": 2}
