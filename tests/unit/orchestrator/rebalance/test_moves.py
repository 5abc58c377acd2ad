"""Which moves are planned, and which never are."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from swarmd.model.ids import NodeId, ServiceId
from swarmd.model.instant import Instant
from swarmd.model.spec import (
    GlobalMode,
    Placement,
    ReplicatedJob,
    ServiceMode,
    Stateful,
    UpdateConfig,
)
from swarmd.model.states import Availability, Strategy, TaskState
from swarmd.orchestrator.rebalance import Planned, plan_moves
from swarmd.store.changes import Update
from tests.support.cluster import Swarm, a_node, a_service_spec, a_task_spec
from tests.support.fleet import spread_over


def plan(swarm: Swarm, **options: object) -> Planned:
    return plan_moves(swarm.store, swarm.now, **options)  # type: ignore[arg-type]


def after(swarm: Swarm, service_id: ServiceId, planned: Planned) -> Counter[str]:
    counts = swarm.nodes_of(service_id)
    for move in planned.moves:
        if move.task.service_id == service_id:
            counts[move.task.node_id] -= 1
            counts[move.to] += 1
    return +counts


def carry_out(swarm: Swarm, planned: Planned) -> None:
    """Have the tasks be where the plan puts them, as if all moves had been made."""
    for move in planned.moves:
        task = swarm.store.get_task(move.task.id)
        swarm.accept(Update(replace(task, node_id=move.to), task.version))
    swarm.elect()
    swarm.converge()


def use(swarm: Swarm, strategy: Strategy) -> None:
    cluster = swarm.store.cluster()
    scheduling = replace(cluster.spec.scheduling, strategy=strategy)
    new = replace(cluster, spec=replace(cluster.spec, scheduling=scheduling))
    swarm.accept(Update(new, cluster.version))


def test_a_level_swarm_has_nothing_to_move() -> None:
    swarm = Swarm(nodes=3)
    swarm.create(a_service_spec(replicas=7))
    swarm.converge()
    assert plan(swarm) == Planned((), (), ())


def test_a_new_node_gets_its_part_in_the_fewest_moves() -> None:
    swarm = Swarm(nodes=3)
    web = swarm.create(a_service_spec(replicas=12))
    swarm.converge()
    swarm.put_node(a_node("n4"))
    planned = plan(swarm)
    assert len(planned.moves) == 3
    assert {move.to for move in planned.moves} == {"n4"}
    assert after(swarm, web, planned) == {"n1": 3, "n2": 3, "n3": 3, "n4": 3}
    assert planned.moves[0].reason.endswith("tasks of web, n4 has 0")


def test_single_tasks_of_many_services_are_shared_out_too() -> None:
    swarm = Swarm(nodes=2)
    for number in range(6):
        swarm.create(a_service_spec(f"s{number}"))
    swarm.converge()
    swarm.put_node(a_node("n3"))
    planned = plan(swarm)
    assert len(planned.moves) == 2
    assert {move.to for move in planned.moves} == {"n3"}
    assert planned.moves[0].reason.endswith(" has 3 tasks, n3 has 0")


def test_only_the_services_asked_for_are_moved() -> None:
    swarm = Swarm(nodes=1)
    one = swarm.create(a_service_spec("one", replicas=4))
    swarm.create(a_service_spec("two", replicas=4))
    swarm.converge()
    swarm.put_node(a_node("n2"))
    planned = plan(swarm, services=(one,))
    assert {move.task.service_id for move in planned.moves} == {one}


def test_branches_of_a_spread_preference_weigh_more_than_nodes() -> None:
    swarm = Swarm()
    for name, zone in (("a1", "a"), ("a2", "a"), ("a3", "a")):
        swarm.put_node(a_node(name, labels={"zone": zone}))
    task = a_task_spec(placement=spread_over("node.labels.zone"))
    web = swarm.create(a_service_spec(replicas=6, task=task))
    swarm.converge()
    swarm.put_node(a_node("b1", labels={"zone": "b"}))
    planned = plan(swarm)
    assert len(planned.moves) == 3
    assert after(swarm, web, planned) == {"a1": 1, "a2": 1, "a3": 1, "b1": 3}


@pytest.mark.parametrize(
    "placement",
    [
        pytest.param(Placement(constraints=("node.labels.disk==ssd",)), id="constraint"),
        pytest.param(Placement(affinities=("service==other",)), id="affinity"),
        pytest.param(Placement(strategy=Strategy.RANDOM), id="placed by lot"),
    ],
)
def test_nothing_moves_where_the_scheduler_would_not_put_it(placement: Placement) -> None:
    swarm = Swarm()
    swarm.put_node(a_node("n1", labels={"disk": "ssd"}))
    swarm.create(a_service_spec("other"))
    swarm.converge()
    swarm.create(a_service_spec(replicas=4, task=a_task_spec(placement=placement)))
    swarm.converge()
    swarm.put_node(a_node("n2"))
    planned = plan(swarm)
    assert not [move for move in planned.moves if move.task.service_name == "web"]


def test_nobody_leaves_those_who_came_for_him() -> None:
    swarm = Swarm(nodes=1)
    db = swarm.create(a_service_spec("db", replicas=2))
    swarm.converge()
    near = Placement(affinities=("service==db",))
    swarm.create(a_service_spec("web", task=a_task_spec(placement=near)))
    swarm.converge()
    swarm.put_node(a_node("n2"))
    assert after(swarm, db, plan(swarm)) == {"n1": 2}


def test_nobody_joins_those_who_avoid_him() -> None:
    swarm = Swarm()
    swarm.put_node(a_node("n1", labels={"for": "web"}))
    swarm.put_node(a_node("n2"))
    apart = Placement(affinities=("service!=db",), constraints=("node.labels.for==web",))
    swarm.create(a_service_spec("web", task=a_task_spec(placement=apart)))
    swarm.converge()
    swarm.set_node("n1", availability=Availability.PAUSE)
    db = swarm.create(a_service_spec("db", replicas=4))
    swarm.converge()
    swarm.set_node("n1", availability=Availability.ACTIVE)
    assert after(swarm, db, plan(swarm)) == {"n2": 4}


@pytest.mark.parametrize(
    "mode",
    [
        pytest.param(ServiceMode(stateful=Stateful(replicas=4)), id="stateful"),
        pytest.param(
            ServiceMode(replicated_job=ReplicatedJob(total_completions=4)), id="replicated-job"
        ),
        pytest.param(ServiceMode(global_=GlobalMode()), id="global"),
    ],
)
def test_what_is_bound_or_would_lose_its_work_stays(mode: ServiceMode) -> None:
    swarm = Swarm(nodes=1)
    swarm.create(a_service_spec(mode=mode))
    swarm.converge()
    swarm.put_node(a_node("n2"))
    swarm.converge()
    assert plan(swarm).moves == ()


def test_a_service_that_is_being_updated_is_left_alone_and_says_so() -> None:
    swarm = Swarm(nodes=1)
    config = UpdateConfig(parallelism=1)
    web = swarm.create(a_service_spec(replicas=4, update_config=config))
    swarm.converge()
    spec = swarm.store.get_service(web).spec
    swarm.update(web, replace(spec, task_template=a_task_spec(image="web:2")))
    swarm.settle()
    swarm.put_node(a_node("n2"))
    planned = plan(swarm)
    assert planned.moves == ()
    assert planned.notes == ("web is left alone: it is being updated",)


def test_a_node_on_which_the_service_failed_lately_is_no_goal() -> None:
    swarm = Swarm(nodes=2)
    web = swarm.create(a_service_spec(replicas=2))
    swarm.converge()
    unlucky = swarm.running(web)[0].node_id
    for task in swarm.running(web):
        if task.node_id == unlucky:
            swarm.report(task, TaskState.FAILED, "boom")
    swarm.set_node(unlucky, availability=Availability.DRAIN)
    swarm.converge()
    swarm.set_node(unlucky, availability=Availability.ACTIVE)
    assert plan(swarm).moves == ()
    swarm.now = Instant(swarm.now + 6 * 60 * 10**9)
    assert [move.to for move in plan(swarm).moves] == [unlucky]


def test_binpack_frees_the_nodes_that_can_be_freed() -> None:
    swarm = Swarm(nodes=4)
    web = swarm.create(a_service_spec(replicas=4, task=a_task_spec(cpus=1)))
    swarm.converge()
    use(swarm, Strategy.BINPACK)
    planned = plan(swarm)
    assert len(planned.moves) == 3
    assert len(after(swarm, web, planned)) == 1
    carry_out(swarm, planned)
    assert plan(swarm).moves == ()


def test_binpack_leaves_a_node_alone_that_it_cannot_empty() -> None:
    swarm = Swarm(nodes=2)
    swarm.create(a_service_spec("large", replicas=2, task=a_task_spec(cpus=3)))
    swarm.create(a_service_spec("small", replicas=2, task=a_task_spec(cpus=1)))
    swarm.converge()
    use(swarm, Strategy.BINPACK)
    assert plan(swarm).moves == ()


def test_a_limit_counts_what_is_under_way() -> None:
    swarm = Swarm(nodes=1)
    swarm.create(a_service_spec(replicas=8))
    swarm.converge()
    swarm.put_node(a_node("n2"))
    assert len(plan(swarm, limit=2).moves) == 2
    assert plan(swarm, not_to=(NodeId("n2"),)).moves == ()


ZONES = ("a", "b", "c")


@st.composite
def lopsided(draw: st.DrawFn) -> Swarm:
    """A converged swarm to which nodes were added afterwards."""
    swarm = Swarm(seed=draw(st.integers(0, 1000)))
    names = iter(f"n{number}" for number in range(1, 20))

    def add_nodes(count: int) -> None:
        for _ in range(count):
            zone = draw(st.sampled_from(ZONES))
            swarm.put_node(a_node(next(names), labels={"zone": zone}))

    use(swarm, draw(st.sampled_from([Strategy.SPREAD, Strategy.SPREAD, Strategy.BINPACK])))
    add_nodes(draw(st.integers(1, 3)))
    for number in range(draw(st.integers(1, 4))):
        placement = draw(
            st.sampled_from(
                [
                    None,
                    spread_over("node.labels.zone"),
                    Placement(constraints=("node.labels.zone!=c",)),
                    Placement(constraints=("node.labels.zone==~a",)),
                    Placement(max_replicas=2),
                    Placement(strategy=Strategy.BINPACK),
                    Placement(affinities=("service!=s0",)),
                ]
            )
        )
        cpus = draw(st.sampled_from([0, 0.5, 1]))
        task = a_task_spec(cpus=cpus, placement=placement)
        swarm.create(a_service_spec(f"s{number}", replicas=draw(st.integers(1, 8)), task=task))
        swarm.converge()
    add_nodes(draw(st.integers(0, 3)))
    swarm.converge()
    return swarm


@settings(max_examples=60, deadline=None)
@given(lopsided())
def test_what_was_moved_stays_and_the_plan_is_possible(swarm: Swarm) -> None:
    planned = plan(swarm)
    assert len({move.task.id for move in planned.moves}) == len(planned.moves)
    before = {task.id: task.node_id for task in swarm.store.tasks()}
    assert all(before[move.task.id] != move.to for move in planned.moves)
    for move in planned.moves:
        constraints = move.task.spec.placement.constraints if move.task.spec.placement else ()
        zone = swarm.store.get_node(move.to).spec.labels["zone"]
        assert "node.labels.zone!=c" not in constraints or zone != "c"
    for _ in range(3):  # moves that waited for each other are planned when the others are made
        carry_out(swarm, planned)
        planned = plan(swarm)
    assert {task.id for task in swarm.store.tasks()} == set(before)
    assert planned.moves == ()


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 4), st.integers(0, 4), st.integers(0, 20), st.integers(0, 100))
def test_one_service_gets_level_in_the_fewest_moves(
    nodes: int, joined: int, replicas: int, seed: int
) -> None:
    swarm = Swarm(nodes=nodes, seed=seed)
    web = swarm.create(a_service_spec(replicas=replicas))
    swarm.converge()
    for number in range(joined):
        swarm.put_node(a_node(f"x{number}"))
    planned = plan(swarm)
    counts = after(swarm, web, planned)
    levels = [counts.get(node.id, 0) for node in swarm.store.nodes()]
    assert max(levels) - min(levels) <= 1
    share, rest = divmod(replicas, nodes + joined)
    present = sorted(swarm.nodes_of(web).values(), reverse=True)
    goals = [share + 1] * rest + [share] * (nodes + joined - rest)
    surplus = sum(max(count - goal, 0) for count, goal in zip(present, goals, strict=False))
    assert len(planned.moves) == surplus
