"""The sentence for a task that no node takes."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from swarmd.model.node import Node
from swarmd.model.spec import Placement, Platform, PortConfig
from swarmd.model.states import Availability, PublishMode
from swarmd.model.task import Task
from tests.support.cluster import a_node
from tests.support.fleet import a_fleet, a_task, decide, discrete

ACTIVE = a_node("n1")
DRAINED = replace(ACTIVE, spec=replace(ACTIVE.spec, availability=Availability.DRAIN))
TAINTED = replace(ACTIVE, spec=replace(ACTIVE.spec, taints=("gpu:no-schedule",)))
ARM = Placement(platforms=(Platform(architecture="aarch64", os="linux"),))
HOST_80 = PortConfig(target_port=80, published_port=80, publish_mode=PublishMode.HOST)


@pytest.mark.parametrize(
    ("nodes", "task", "sentence"),
    [
        pytest.param([], a_task(), "no suitable node (the swarm has no nodes); add a node: "
                     "swarmd join", id="no nodes"),
        pytest.param([DRAINED], a_task(), "no suitable node (1 node not available for new tasks); "
                     "bring nodes back or set their availability to active", id="drained"),
        pytest.param([ACTIVE, a_node("n2")], a_task(cpus=5, memory=1 << 30),
                     "no suitable node (insufficient resources on 2 nodes); add a node with 5 CPUs "
                     "and 1 GiB of memory free or lower the reservation", id="resources"),
        pytest.param([ACTIVE], a_task(generic=(discrete("gpu", 2),)),
                     "no suitable node (insufficient resources on 1 node); add a node with 2 gpu "
                     "free or lower the reservation", id="generic resources"),
        pytest.param([ACTIVE], a_task(placement=Placement(constraints=("node.labels.a==b",))),
                     "no suitable node (scheduling constraints not satisfied on 1 node); add a "
                     "node with node.labels.a==b or relax the constraints", id="constraints"),
        pytest.param([ACTIVE], a_task(placement=ARM), "no suitable node (unsupported platform on 1 "
                     "node); add a node of platform linux/aarch64", id="platform"),
        pytest.param([TAINTED], a_task(), "no suitable node (taints not tolerated on 1 node); "
                     "tolerate the taints with --toleration or take them off a node: "
                     "swarmd node update --taint-rm", id="taints"),
        pytest.param([ACTIVE], a_task(placement=Placement(affinities=("service==db", "image!=~x"))),
                     "no suitable node (affinities not satisfied on 1 node); make room where "
                     "service==db holds, or relax the affinities", id="affinities"),
        pytest.param([DRAINED, a_node("n2"), a_node("n3")], a_task(cpus=5),
                     "no suitable node (insufficient resources on 2 nodes; 1 node not available "
                     "for new tasks); add a node with 5 CPUs free or lower the reservation, or "
                     "bring nodes back or set their availability to active", id="two filters"),
    ],
)  # fmt: skip
def test_the_explanation_counts_nodes_and_names_a_remedy(
    nodes: list[Node], task: Task, sentence: str
) -> None:
    assert decide(a_fleet(nodes), task)[0].why == sentence


def test_ports_and_replicas_are_explained_by_what_is_there() -> None:
    other = a_task("other", node="n1", ports=(HOST_80,))
    fleet = a_fleet([ACTIVE], other)
    assert decide(fleet, a_task(ports=(HOST_80,)))[0].why == (
        "no suitable node (host-mode port already in use on 1 node); "
        "free port 80/tcp on a node or publish another port"
    )
    assert decide(fleet, a_task(placement=Placement(max_replicas=1)))[0].why == (
        "no suitable node (max replicas per node limit exceed on 1 node); "
        "add a node or raise the limit of 1 replicas per node"
    )


def test_a_task_bound_to_a_node_is_told_about_that_node_only() -> None:
    fleet = a_fleet([ACTIVE, a_node("n2", cpus=64)])
    bound = replace(a_task(cpus=5, slot=0), node_id=ACTIVE.id)
    (decision,) = decide(fleet, bound)
    assert decision.node_id is None
    assert decision.why.startswith("no suitable node (insufficient resources on 1 node)")
