"""Affinities: what counts as company, on which nodes, and when a task may be the first."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from swarmd.model.spec import ContainerSpec, Placement
from swarmd.model.states import TaskState
from tests.support.cluster import a_node
from tests.support.fleet import a_fleet, a_task, nodes_for

DB = a_task("db-id", node="b", service="db", slot=2, image="registry:5000/team/db:16",
            labels={"tier": "data"})  # fmt: skip
BATCH = a_task("batch-id", node="c", service="batch-7", image="batch@sha256:ab")
BATCH = replace(
    BATCH,
    spec=replace(
        BATCH.spec, container_spec=ContainerSpec(image="batch", labels={"com.x/load": "high"})
    ),
)
NODES = [a_node(name) for name in "abc"]


def wanting(*affinities: str) -> Placement:
    return Placement(affinities=affinities)


@pytest.mark.parametrize(
    ("affinity", "nodes"),
    [
        ("service==db", "b"),
        ("service==DB", ""),
        ("service==d?", "b"),
        ("service==nobody", ""),
        ("service!=db", "ac"),
        ("service!=/^batch-[0-9]+$/", "ab"),
        ("image==registry:5000/team/db:16", "b"),
        ("image==registry:5000/team/db", "b"),
        ("image==*/db*", "b"),
        ("image!=batch", "ab"),
        ("task==db-id", "b"),
        ("container==db.2", "b"),
        ("container==db.2.db-id", "b"),
        ("container==db.1", ""),
        ("container!=db.*", "ac"),
        ("task==/^batch-7\\.1\\./", "c"),
        ("tier==data", "b"),
        ("tier==*", "b"),
        ("com.x/load!=high", "ab"),
        ("tier!=none", "abc"),
    ],
)
def test_only_nodes_in_the_right_company_are_taken(affinity: str, nodes: str) -> None:
    task = a_task("new", service="new", placement=wanting(affinity))
    used = nodes_for(a_fleet(NODES, DB, BATCH), task, 3)
    assert sorted(set(used)) == list(nodes)


def test_all_affinities_have_to_hold() -> None:
    fleet = a_fleet(NODES, DB, BATCH)
    both = a_task("new", service="new", placement=wanting("service!=db", "service!=batch-7"))
    assert nodes_for(fleet, both, 2) == ["a", "a"]


def test_a_task_told_to_stop_is_no_company() -> None:
    fleet = a_fleet(NODES, replace(DB, desired_state=TaskState.SHUTDOWN))
    task = a_task("new", service="new", placement=wanting("service!=db"))
    assert sorted(nodes_for(fleet, task, 3)) == ["a", "b", "c"]
    assert nodes_for(fleet, a_task("x", service="x", placement=wanting("task==db-id"))) == []


def test_a_service_can_keep_its_tasks_apart_or_together() -> None:
    apart = a_task("new", service="new", placement=wanting("service!=new"))
    assert sorted(nodes_for(a_fleet(NODES), apart, 5)) == ["a", "b", "c"]
    together = a_task("new", service="new", placement=wanting("service==new"))
    fleet = a_fleet(NODES)
    assert nodes_for(fleet, together, 3) == ["a", "a", "a"]
    assert nodes_for(fleet, replace(together, spec_version=7), 1) == ["a"]


def test_single_tasks_of_its_own_service_are_company_too() -> None:
    task = a_task("new", service="new", placement=wanting("task!=new.*"))
    assert sorted(nodes_for(a_fleet(NODES), task, 5)) == ["a", "b", "c"]


def test_wishes_for_company_come_before_an_even_spread_but_refuse_nothing() -> None:
    nodes = [a_node("a", cpus=2), a_node("b", cpus=2)]
    fleet = a_fleet(nodes, replace(DB, spec=a_task(cpus=1).spec))
    task = a_task("new", service="new", cpus=0.5, placement=wanting("service==~db"))
    assert nodes_for(fleet, task, 4) == ["b", "b", "a", "a"]
    apart = a_task("x", service="x", placement=wanting("service!=~x"))
    assert sorted(nodes_for(a_fleet(nodes), apart, 4)) == ["a", "a", "b", "b"]


def test_text_that_is_no_affinity_asks_nothing() -> None:
    assert nodes_for(a_fleet(NODES), a_task(placement=wanting("rubbish"))) == ["a"]
