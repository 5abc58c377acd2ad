"""The scheduler in a swarm: what waits, and for what it is tried again."""

from __future__ import annotations

from msgspec.structs import replace

from swarmd.model.cluster import SchedulingConfig
from swarmd.model.ids import NodeId
from swarmd.model.spec import Placement, ResourceRequirements, Resources
from swarmd.model.states import Strategy, TaskState
from swarmd.store.changes import Update
from tests.support.cluster import Swarm, a_node, a_service_spec, a_task_spec
from tests.support.fleet import discrete, named


def placed(**fields: object) -> object:
    return a_task_spec(placement=Placement(**fields))  # type: ignore[arg-type]


def test_a_task_that_waits_for_company_comes_when_the_company_has_come() -> None:
    swarm = Swarm(nodes=3)
    near = swarm.create(a_service_spec("near", task=placed(affinities=("service==db",))))
    far = placed(constraints=("node.labels.disk==ssd",))
    swarm.create(a_service_spec("db", task=far))
    swarm.converge()
    assert swarm.running(near) == []
    node = a_node("n2", labels={"disk": "ssd"})
    swarm.put_node(replace(node, status=swarm.store.get_node("n2").status))
    swarm.converge()
    assert list(swarm.nodes_of(near)) == ["n2"]


def test_a_task_that_waits_for_company_nobody_brings_does_not_keep_the_planner_busy() -> None:
    swarm = Swarm(nodes=2)
    swarm.create(a_service_spec("near", replicas=3, task=placed(affinities=("service==db",))))
    swarm.create(a_service_spec("other", replicas=5))
    swarm.converge()
    assert swarm.plan() == ()


def test_claims_are_in_the_record_and_survive_an_election() -> None:
    swarm = Swarm()
    node = a_node("n1")
    assert node.description is not None
    assert node.description.resources is not None
    amounts = replace(node.description.resources, generic_resources=named("gpu", "u1", "u2"))
    swarm.put_node(replace(node, description=replace(node.description, resources=amounts)))
    reserved = Resources(generic_resources=(discrete("gpu", 1),))
    task = replace(a_task_spec(), resources=ResourceRequirements(reservations=reserved))
    train = swarm.create(a_service_spec("train", replicas=2, task=task))
    swarm.converge()
    held = [claim for t in swarm.running(train) for claim in t.assigned_generic_resources]
    assert sorted(held, key=str) == sorted(named("gpu", "u1", "u2"), key=str)
    swarm.elect()
    more = swarm.create(a_service_spec("more", task=task))
    swarm.converge()
    (waiting,) = swarm.tasks(more)
    assert waiting.status.state is TaskState.PENDING
    assert "add a node with 1 gpu free" in waiting.status.err
    swarm.scale(train, 1)
    swarm.converge()
    assert len(swarm.running(more)) == 1


def test_another_strategy_holds_for_what_is_placed_from_then_on() -> None:
    swarm = Swarm(nodes=3)
    first = swarm.create(a_service_spec("first", replicas=3))
    swarm.converge()
    cluster = swarm.store.cluster()
    scheduling = SchedulingConfig(strategy=Strategy.BINPACK)
    spec = replace(cluster.spec, scheduling=scheduling)
    swarm.accept(Update(replace(cluster, spec=spec), cluster.version))
    second = swarm.create(a_service_spec("second", replicas=3))
    swarm.converge()
    assert len(swarm.nodes_of(first)) == 3
    assert len(swarm.nodes_of(second)) == 1


def test_more_waiting_tasks_than_a_plan_holds_are_placed_pass_by_pass() -> None:
    swarm = Swarm()
    swarm.checks_resources = False
    web = swarm.create(a_service_spec("web", replicas=2500, task=a_task_spec(cpus=0.001)))
    swarm.settle()
    swarm.put_node(a_node("n1", cpus=64))
    sizes = []
    while actions := swarm.plan():
        sizes.append(len(actions))
    assert max(sizes) <= 1001
    assert swarm.nodes_of(web) == {NodeId("n1"): 2500}
