"""What has to leave a node when the node, its taints or the cluster's ratios change."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from swarmd.model.cluster import SchedulingConfig
from swarmd.model.ids import NodeId
from swarmd.model.node import Node, Oversell
from swarmd.model.service import Service
from swarmd.model.spec import GlobalMode, Placement, ServiceMode
from swarmd.model.states import Availability, TaskState
from swarmd.model.task import Task
from swarmd.orchestrator.enforcer import violations
from swarmd.store.changes import Create, Update
from tests.support.cluster import Swarm, a_node, a_service_spec, a_task_spec
from tests.support.fleet import a_task, discrete, named


def refused(swarm: Swarm, name: str = "n1") -> dict[str, str]:
    return {task.id: why for task, why in violations(swarm.store.get_node(name), swarm.store)}


def holding(*tasks: Task, node: Node | None = None) -> Swarm:
    swarm = Swarm()
    swarm.checks_resources = False
    swarm.commit(Create(node or a_node("n1")))
    spec = a_service_spec("s", task=tasks[0].spec)
    swarm.commit(Create(Service(id=tasks[0].service_id, spec=spec)))
    for task in tasks:
        swarm.commit(Create(task))
    return swarm


def set_taints(swarm: Swarm, name: str, *taints: str) -> None:
    node = swarm.store.get_node(name)
    swarm.put_node(replace(node, spec=replace(node.spec, taints=taints)))


def set_ratio(swarm: Swarm, oversell: Oversell) -> None:
    cluster = swarm.store.cluster()
    spec = replace(cluster.spec, scheduling=SchedulingConfig(oversell=oversell))
    swarm.accept(Update(replace(cluster, spec=spec), cluster.version))


@pytest.mark.parametrize(
    ("taint", "availability", "goes"),
    [
        ("x:no-execute", Availability.ACTIVE, True),
        ("x:no-execute", Availability.PAUSE, True),
        ("x:no-execute", Availability.DRAIN, False),
        ("x:no-schedule", Availability.ACTIVE, False),
        ("x:prefer-no-schedule", Availability.ACTIVE, False),
        ("y:no-execute", Availability.ACTIVE, False),
    ],
)
def test_a_taint_evicts_only_if_it_says_so_and_is_not_tolerated(
    taint: str, availability: Availability, goes: bool
) -> None:
    placement = Placement(tolerations=("y",))
    swarm = holding(a_task("t", node="n1", placement=placement))
    swarm.set_node("n1", availability=availability)
    set_taints(swarm, "n1", taint)
    why = "assigned node has taint x:no-execute, which the service doesn't tolerate"
    assert refused(swarm) == ({"t": why} if goes else {})


def test_resources_go_to_those_who_came_first() -> None:
    swarm = holding(
        *(
            a_task(name, node="n1", cpus=1.5, slot=slot)
            for slot, name in enumerate(("first", "second", "third"), 1)
        )
    )
    swarm.put_node(
        replace(swarm.store.get_node("n1"), description=a_node("n1", cpus=3).description)
    )
    assert list(refused(swarm)) == ["third"]
    set_ratio(swarm, Oversell(cpus=0.5))
    assert list(refused(swarm)) == ["second", "third"]
    set_ratio(swarm, Oversell(cpus=2))
    assert refused(swarm) == {}


def test_generic_resources_that_are_gone_turn_their_holder_away() -> None:
    holder = a_task("holder", node="n1", claims=named("gpu", "u1"))
    other = a_task("other", node="n1", slot=2, claims=named("gpu", "u2"))
    counted = a_task("counted", node="n1", slot=3, claims=(discrete("ssd", 2),))
    swarm = holding(holder, other, counted)
    node = swarm.store.get_node("n1")
    assert node.description is not None
    assert node.description.resources is not None
    left = replace(
        node.description.resources, generic_resources=(*named("gpu", "u2"), discrete("ssd", 2))
    )
    swarm.put_node(replace(node, description=replace(node.description, resources=left)))
    assert list(refused(swarm)) == ["holder"]


def test_tasks_move_when_their_node_is_tainted_and_new_ones_keep_away() -> None:
    swarm = Swarm(nodes=3)
    web = swarm.create(a_service_spec("web", replicas=3))
    swarm.converge()
    set_taints(swarm, "n1", "broken:no-execute")
    swarm.converge()
    assert sorted(swarm.nodes_of(web).items()) == [("n2", 1), ("n3", 2)] or sorted(
        swarm.nodes_of(web).items()
    ) == [("n2", 2), ("n3", 1)]
    set_taints(swarm, "n1", "broken:no-schedule")
    swarm.scale(web, 6)
    swarm.converge()
    assert NodeId("n1") not in swarm.nodes_of(web)


def test_a_global_service_leaves_out_tainted_nodes_without_giving_up_what_runs_there() -> None:
    swarm = Swarm(nodes=3)
    mode = ServiceMode(global_=GlobalMode())
    spec = a_service_spec(
        "all", mode=mode, task=a_task_spec(placement=Placement(tolerations=("z",)))
    )
    everywhere = swarm.create(spec)
    swarm.converge()
    set_taints(swarm, "n1", "x:no-schedule")
    set_taints(swarm, "n2", "x:no-execute")
    set_taints(swarm, "n3", "z:no-execute")
    swarm.put_node(
        replace(a_node("n4"), spec=replace(a_node("n4").spec, taints=("x:no-schedule",)))
    )
    swarm.converge()
    assert sorted(swarm.nodes_of(everywhere)) == ["n1", "n3"]
    assert all(task.status.state is TaskState.RUNNING for task in swarm.wanted(everywhere))


def test_a_lower_ratio_moves_what_no_longer_fits() -> None:
    swarm = Swarm(nodes=2)
    web = swarm.create(a_service_spec("web", replicas=4, task=a_task_spec(cpus=1)))
    swarm.converge()
    assert set(swarm.nodes_of(web).values()) == {2}
    set_ratio(swarm, Oversell(cpus=0.25))
    swarm.converge()
    assert len(swarm.running(web)) == 2
    assert sum(task.status.state is TaskState.PENDING for task in swarm.wanted(web)) == 2
