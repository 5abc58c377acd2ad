"""Strategies, spread preferences, wishes and failures, case by case."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from swarmd.model.cluster import SchedulingConfig
from swarmd.model.ids import NodeId, ServiceId
from swarmd.model.instant import Instant
from swarmd.model.node import Node
from swarmd.model.spec import Placement
from swarmd.model.states import Strategy
from swarmd.orchestrator.scheduler.failures import VERSIONS_MAX, WINDOW_NS, Failures
from tests.support.cluster import a_node
from tests.support.fleet import NOW, a_fleet, a_task, decide, nodes_for, spread_over

VERSION = (ServiceId("s"), 0)
BINPACK = Placement(strategy=Strategy.BINPACK)
RANDOM = Placement(strategy=Strategy.RANDOM)


@given(st.lists(st.integers(0, 5), min_size=1, max_size=6), st.integers(0, 30))
def test_a_service_ends_up_as_level_as_its_start_allows(before: list[int], count: int) -> None:
    levels = {f"n{number}": tasks for number, tasks in enumerate(before)}
    present = [
        a_task(f"{node}-{copy}", node=node)
        for node, tasks in levels.items()
        for copy in range(tasks)
    ]
    used = nodes_for(a_fleet([a_node(name) for name in levels], *present), a_task("new"), count)
    assert len(used) == count
    for node in used:
        levels[node] += 1
    touched = [levels[node] for node in set(used)]
    assert max(touched, default=0) - min(levels.values()) <= (1 if used else max(before))


def test_among_equals_the_node_with_fewer_tasks_of_others_is_taken() -> None:
    fleet = a_fleet([a_node("a"), a_node("b")], a_task("other", node="a", service="other"))
    assert nodes_for(fleet, a_task(), 2) == ["b", "a"]


def test_five_failures_in_five_minutes_put_a_node_behind_the_others() -> None:
    fleet = a_fleet([a_node("a"), a_node("b")])
    for _ in range(4):
        fleet.note_failure(NodeId("a"), VERSION, NOW)
    assert nodes_for(fleet, a_task("first")) == ["a"]
    fleet.note_failure(NodeId("a"), VERSION, NOW)
    assert nodes_for(fleet, a_task("then"), 2) == ["b", "b"]
    assert fleet.failing(VERSION, NOW) == {"a": 5}
    assert fleet.failing(VERSION, Instant(NOW + WINDOW_NS)) == {}


@pytest.mark.parametrize("strategy", list(Strategy))
def test_every_strategy_avoids_a_node_that_keeps_failing(strategy: Strategy) -> None:
    fleet = a_fleet([a_node("a", cpus=8), a_node("b"), a_node("c")])
    for _ in range(5):
        fleet.note_failure(NodeId("a"), VERSION, NOW)
    task = a_task(cpus=1, placement=Placement(strategy=strategy))
    used = nodes_for(fleet, task, 10)
    assert "a" not in used[:8]
    assert used[8:] == ["a", "a"]


def test_failures_on_nodes_that_left_and_of_long_gone_versions_are_forgotten() -> None:
    failures = Failures()
    for number in range(VERSIONS_MAX + 1):
        failures.note((ServiceId(f"s{number}"), 0), NodeId("a"), Instant(NOW + number * WINDOW_NS))
    assert failures.failing((ServiceId("s0"), 0), NOW) == {}
    for _ in range(5):
        failures.note(VERSION, NodeId("a"), NOW)
    failures.drop_node(NodeId("a"))
    assert failures.failing(VERSION, NOW) == {}


def test_preferences_level_the_branches_of_every_label_in_turn() -> None:
    nodes = [
        a_node(name, labels={"zone": zone, "rack": rack})
        for name, zone, rack in (
            ("a1", "a", "1"),
            ("a2", "a", "2"),
            ("a3", "a", "2"),
            ("b", "b", "1"),
        )
    ]
    placement = spread_over("node.labels.zone", "node.labels.rack")
    used = nodes_for(a_fleet(nodes), a_task(placement=placement), 8)
    assert Counter(used) == {"a1": 2, "a2": 1, "a3": 1, "b": 4}


def test_tasks_on_nodes_that_take_none_still_count_for_their_branch() -> None:
    nodes = [a_node("a1", labels={"zone": "a"}), a_node("a2", labels={"zone": "a"}, cpus=0),
             a_node("b", labels={"zone": "b"})]  # fmt: skip
    there = [a_task(f"x{number}", node="a2") for number in range(3)]
    task = a_task(cpus=1, placement=spread_over("node.labels.zone"))
    assert nodes_for(a_fleet(nodes, *there), task, 4) == ["b", "b", "b", "a1"]


def test_a_branch_that_is_full_leaves_its_share_to_the_others() -> None:
    nodes = [a_node(name, labels={"zone": name[0]}) for name in ("a1", "b1", "b2")]
    placement = spread_over("node.labels.zone", max_replicas=2)
    used = nodes_for(a_fleet(nodes), a_task(placement=placement), 9)
    assert sorted(used) == ["a1", "a1", "b1", "b1", "b2", "b2"]


def test_descriptors_that_name_no_label_are_ignored() -> None:
    task = a_task(placement=spread_over("node.hostname"))
    assert nodes_for(a_fleet([a_node("a")]), task, 2) == ["a", "a"]


def test_binpack_fills_nodes_in_use_before_idle_ones_and_the_largest_idle_one_first() -> None:
    nodes = [a_node("small", cpus=2), a_node("large", cpus=4), a_node("used", cpus=3)]
    fleet = a_fleet(nodes, a_task("other", node="used", service="other", cpus=1))
    used = nodes_for(fleet, a_task(cpus=1, placement=BINPACK), 9)
    assert used == ["used"] * 2 + ["large"] * 4 + ["small"] * 2


def test_binpack_keeps_tasks_without_a_size_together() -> None:
    fleet = a_fleet([a_node(name) for name in "abc"], a_task("other", node="b", service="other"))
    assert nodes_for(fleet, a_task(placement=BINPACK), 20) == ["b"] * 20


def test_the_strategy_of_the_cluster_serves_services_that_choose_none() -> None:
    nodes = [a_node(name) for name in "abc"]
    fleet = a_fleet(nodes, scheduling=SchedulingConfig(strategy=Strategy.BINPACK))
    assert nodes_for(fleet, a_task(), 3) == ["a", "a", "a"]
    own = a_task("own", service="own", placement=Placement(strategy=Strategy.SPREAD))
    assert sorted(nodes_for(fleet, own, 3)) == ["a", "b", "c"]


def test_random_uses_every_node_that_can_take_a_task_and_no_other() -> None:
    nodes = [a_node(name) for name in "abcd"] + [a_node("full", cpus=0)]
    used = nodes_for(a_fleet(nodes), a_task(cpus=0.1, placement=RANDOM), 160)
    assert Counter(used) == dict.fromkeys("abcd", 40)
    first = [
        nodes_for(a_fleet(nodes), a_task(cpus=1, placement=RANDOM), 8, seed=seed) for seed in (1, 2)
    ]
    assert first[0] != first[1]


def test_nodes_that_meet_a_wish_are_filled_first() -> None:
    nodes = [a_node("a", cpus=1), a_node("b", cpus=1, labels={"disk": "ssd"}), a_node("c", cpus=1)]
    placement = Placement(constraints=("node.labels.disk==~ssd",))
    assert nodes_for(a_fleet(nodes), a_task(cpus=0.5, placement=placement), 3) == ["b", "b", "a"]


def test_a_taint_that_asks_to_be_avoided_is_a_wish() -> None:
    tainted = a_node("a", cpus=1)
    tainted = replace(tainted, spec=replace(tainted.spec, taints=("old:prefer-no-schedule",)))
    nodes = [tainted, a_node("b", cpus=1)]
    assert nodes_for(a_fleet(nodes), a_task(cpus=0.5), 4) == ["b", "b", "a", "a"]
    tolerant = a_task(cpus=0.5, placement=Placement(tolerations=("*",)))
    assert nodes_for(a_fleet(nodes), tolerant, 2) == ["a", "b"]


def test_a_bound_task_takes_its_node_or_none_and_a_slot_returns_if_it_can() -> None:
    nodes: list[Node] = [a_node("a"), a_node("b", cpus=0)]
    fleet = a_fleet(nodes)
    bound = a_task("bound", cpus=1, slot=0)
    assert decide(fleet, replace(bound, node_id=NodeId("b")))[0].node_id is None
    assert decide(fleet, replace(bound, node_id=NodeId("a")))[0].node_id == "a"
    assert decide(fleet, replace(bound, node_id=NodeId("gone")))[0].node_id is None
    sticky = a_task("sticky", service="sticky", cpus=1)
    assert decide(fleet, replace(sticky, node_id=NodeId("b")))[0].node_id == "a"
    roomy = a_fleet([a_node("a"), a_node("b")], a_task("other", node="b"))
    assert decide(roomy, replace(sticky, node_id=NodeId("b")))[0].node_id == "b"
