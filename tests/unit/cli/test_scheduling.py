"""Flags about placing, from words typed to what is stored."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from swarmd.cli.scheduling import changed_taints
from swarmd.model.node import Oversell
from swarmd.model.states import Strategy
from tests.support.commands import create, failing
from tests.support.fleet import discrete, named


def placement(daemon):
    service = daemon.swarm.store.find_service_by_name("web")
    return service.spec.task_template.placement


def test_a_service_says_how_it_is_placed_and_changes_its_mind(daemon):
    create(daemon, "web", "--strategy", "binpack", "--affinity", "image!=mysql*",
           "--toleration", "gpu")  # fmt: skip
    first = placement(daemon)
    assert first.strategy is Strategy.BINPACK
    assert (first.affinities, first.tolerations) == (("image!=mysql*",), ("gpu",))
    daemon.ok("service", "update", "--strategy", "cluster", "--affinity-rm", "image!=mysql*",
              "--affinity-add", "service==~web", "--toleration-rm", "gpu", "-d", "web")  # fmt: skip
    second = placement(daemon)
    assert second.strategy is None
    assert (second.affinities, second.tolerations) == (("service==~web",), ())


def test_generic_resources_are_reserved_by_kind(daemon):
    create(daemon, "web", "--detach", "--generic-resource", "gpu=2", "--generic-resource", "ssd=1")
    daemon.ok("service", "update", "--generic-resource-rm", "ssd", "--generic-resource-add",
              "gpu=3", "--detach", "web")  # fmt: skip
    service = daemon.swarm.store.find_service_by_name("web")
    reserved = service.spec.task_template.resources.reservations
    assert reserved.generic_resources == (discrete("gpu", 3),)
    assert "insufficient resources on 3 nodes" in daemon.ok("service", "explain", "web")


def test_an_affinity_that_is_none_is_refused(daemon):
    words = failing(daemon, "service", "create", "--name", "web", "--affinity", "nginx", "web:1")
    assert "write for example service==web" in words


def test_nodes_are_tainted_and_sold_more_often(daemon):
    daemon.ok("node", "update", "--taint-add", "gpu=a:no-schedule", "--oversell-cpu", "2", "n2")
    spec = daemon.swarm.store.get_node("n2").spec
    assert (spec.taints, spec.oversell) == (("gpu=a:no-schedule",), Oversell(cpus=2))
    daemon.ok("node", "update", "--taint-rm", "gpu", "--oversell-cpu", "0", "n2")
    spec = daemon.swarm.store.get_node("n2").spec
    assert (spec.taints, spec.oversell) == ((), None)
    assert "has no effect" in failing(daemon, "node", "update", "--taint-add", "gpu", "n2")


def test_a_node_shows_how_it_is_placed_on(daemon):
    node = daemon.swarm.store.get_node("n2")
    amounts = replace(
        node.description.resources, generic_resources=(discrete("ssd", 2), *named("gpu", "u1"))
    )
    daemon.swarm.put_node(replace(node, description=replace(node.description, resources=amounts)))
    daemon.ok("node", "update", "--taint-add", "gpu:no-schedule", "--oversell-cpu", "1.5", "n2")
    lines = [
        line.split(":", 1) for line in daemon.ok("node", "inspect", "--pretty", "n2").splitlines()
    ]
    shown = {name: value.strip() for name, value in lines}
    assert shown["Resources"] == "ssd=2, gpu=u1"
    assert shown["Oversell"] == "CPUs x 1.5"
    assert shown["Taints"] == "gpu:no-schedule"


def test_the_swarm_has_a_strategy_and_ratios(daemon):
    daemon.ok("update", "--strategy", "random", "--oversell-memory", "1.5",
              "--task-history-limit", "2", "--spec-history-limit", "4",
              "--dispatcher-heartbeat", "3s",
              "--cert-expiry", "100h")  # fmt: skip
    daemon.ok("update", "--oversell-cpu", "3")
    spec = daemon.swarm.store.cluster().spec
    assert spec.scheduling.strategy is Strategy.RANDOM
    assert spec.scheduling.oversell == Oversell(cpus=3, memory=1.5)
    assert spec.orchestration.task_history_retention_limit == 2
    assert spec.orchestration.spec_history_limit == 4
    assert "must be" in failing(daemon, "update", "--spec-history-limit", "101")
    assert "must be" in failing(daemon, "update", "--oversell-cpu", "0.001")


@pytest.mark.parametrize(
    ("present", "added", "removed", "after"),
    [
        (("a:no-schedule",), ("a=1:no-schedule",), (), ("a=1:no-schedule",)),
        (("a:no-schedule",), ("a:no-execute",), (), ("a:no-schedule", "a:no-execute")),
        (("a:no-schedule", "a:no-execute", "b:no-schedule"), (), ("a",), ("b:no-schedule",)),
        (("a=1:no-schedule", "a:no-execute"), (), ("a:no-schedule",), ("a:no-execute",)),
    ],
)
def test_a_taint_has_one_value_per_key_and_effect(present, added, removed, after):
    assert changed_taints(present, added, removed) == after
