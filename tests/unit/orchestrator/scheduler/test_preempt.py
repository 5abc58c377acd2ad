"""Priority and preemption: who is placed first, who has to go, and who never does."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from swarmd.model.ids import ServiceId
from swarmd.model.instant import MINUTE
from swarmd.model.spec import (
    EndpointSpec,
    GlobalMode,
    Placement,
    PortConfig,
    ReplicatedJob,
    ServiceMode,
    ServiceSpec,
    Stateful,
)
from swarmd.model.states import NodeState, PublishMode, TaskState
from swarmd.model.task import Task
from swarmd.orchestrator.explain import explain_service
from swarmd.store.changes import Update
from tests.support.cluster import Swarm, a_node, a_service_spec, a_task_spec
from tests.support.fleet import discrete, named


def a_spec(
    name: str, priority: int = 0, *, replicas: int = 1, cpus: float = 4, **fields: object
) -> ServiceSpec:
    task = a_task_spec(cpus=cpus, priority=priority)
    return a_service_spec(name, replicas=replicas, task=task, **fields)


def configure(swarm: Swarm, *, preemption: bool) -> None:
    cluster = swarm.store.cluster()
    scheduling = replace(cluster.spec.scheduling, preemption=preemption)
    new = replace(cluster, spec=replace(cluster.spec, scheduling=scheduling))
    swarm.accept(Update(new, cluster.version))


def waiting(swarm: Swarm, service_id: ServiceId) -> list[Task]:
    return [t for t in swarm.wanted(service_id) if t.status.state < TaskState.ASSIGNED]


def test_a_victim_that_the_pass_had_something_else_for_is_asked_again() -> None:
    """The node with the room being made dies just when the tasks on the others are to start."""
    swarm = Swarm()
    for name in ("n0", "n1", "n2"):
        swarm.put_node(a_node(name, cpus=2))
    swarm.create(a_service_spec("low", replicas=4, task=a_task_spec(cpus=0.5)))
    job = ServiceMode(replicated_job=ReplicatedJob(total_completions=2))
    swarm.create(a_service_spec("job", task=a_task_spec(cpus=0.5), mode=job))
    swarm.step()
    high = swarm.create(a_service_spec("high", task=a_task_spec(cpus=2, priority=1)))
    swarm.step()
    (task,) = waiting(swarm, high)
    swarm.set_node(task.reserved_node_id, state=NodeState.DOWN)
    swarm.converge()
    assert len(swarm.running(high)) == 1
    swarm.elect()
    assert swarm.plan() == ()


def test_of_tasks_that_wait_together_the_higher_priority_is_placed_first() -> None:
    swarm = Swarm()
    low = swarm.create(a_spec("low", 1))
    high = swarm.create(a_spec("high", 2))
    swarm.settle()
    swarm.put_node(a_node("n1"))
    swarm.converge()
    assert len(swarm.running(high)) == 1
    assert not swarm.running(low)


def test_a_task_without_room_takes_the_place_of_one_of_lower_priority() -> None:
    swarm = Swarm(nodes=1)
    batch = swarm.create(a_spec("batch"))
    swarm.converge()
    web = swarm.create(a_spec("web", 10))
    swarm.settle()
    (task,) = waiting(swarm, web)
    assert task.reserved_node_id == "n1"
    assert task.status.err == "waits for room on n1: preempts batch.1 (priority 0)"
    victim = next(t for t in swarm.tasks(batch) if t.status.state is TaskState.RUNNING)
    assert victim.desired_state is TaskState.SHUTDOWN
    assert victim.desired_reason == "preempted by web.1 (priority 10)"
    swarm.converge()
    assert [t.node_id for t in swarm.running(web)] == ["n1"]
    assert not swarm.running(web)[0].reserved_node_id
    (homeless,) = waiting(swarm, batch)
    assert homeless.status.err.startswith("no suitable node (insufficient resources on 1 node)")
    said = explain_service(swarm.store.get_service(batch), swarm.store, swarm.now)
    assert "(the task before it was preempted by web.1 (priority 10))" in said.causes[0].reason
    reasons = [change.reason for entry in swarm.log for change in entry.changes]
    assert "preempted by web.1 (priority 10)" in reasons


def test_nobody_else_gets_the_room_that_is_made() -> None:
    swarm = Swarm(nodes=1)
    swarm.create(a_spec("batch", cpus=4))
    swarm.converge()
    web = swarm.create(a_spec("web", 10, cpus=4))
    swarm.settle()
    thief = swarm.create(a_spec("thief", 9, cpus=1))
    swarm.converge()
    assert len(swarm.running(web)) == 1
    assert len(waiting(swarm, thief)) == 1


def test_a_new_leader_keeps_the_room_that_is_made() -> None:
    swarm = Swarm(nodes=1)
    swarm.create(a_spec("batch"))
    swarm.converge()
    web = swarm.create(a_spec("web", 10))
    swarm.settle()
    thief = swarm.create(a_spec("thief", 9, cpus=1))
    swarm.elect()
    swarm.settle()
    assert waiting(swarm, web)[0].reserved_node_id == "n1"
    assert not waiting(swarm, thief)[0].reserved_node_id
    swarm.elect()
    swarm.converge()
    assert len(swarm.running(web)) == 1


def test_an_election_after_every_step_changes_nothing() -> None:
    def story(elect: bool) -> list[tuple[str, str, str]]:
        swarm = Swarm(nodes=2)
        swarm.create(a_spec("batch", replicas=2))
        swarm.converge()
        swarm.create(a_spec("web", 10, replicas=2))
        for _ in range(30):
            if elect:
                swarm.elect()
            if not swarm.step():
                break
        swarm.converge()
        return sorted(
            (t.service_name, t.node_id, t.status.state.name)
            for t in swarm.store.tasks()
            if t.desired_state <= TaskState.RUNNING
        )

    assert story(elect=True) == story(elect=False)
    assert ("web", "n1", "RUNNING") in story(elect=False)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        pytest.param(0, 0, id="none has one"),
        pytest.param(5, 5, id="equal"),
        pytest.param(7, 5, id="the one that runs is higher"),
    ],
)
def test_tasks_of_the_same_or_a_higher_priority_stay(one: int, other: int) -> None:
    swarm = Swarm(nodes=1)
    first = swarm.create(a_spec("first", one))
    swarm.converge()
    second = swarm.create(a_spec("second", other))
    swarm.converge()
    assert len(swarm.running(first)) == 1
    assert len(waiting(swarm, second)) == 1


def test_without_preemption_priorities_only_order() -> None:
    swarm = Swarm(nodes=1)
    configure(swarm, preemption=False)
    batch = swarm.create(a_spec("batch"))
    swarm.converge()
    web = swarm.create(a_spec("web", 10))
    swarm.converge()
    assert len(swarm.running(batch)) == 1
    configure(swarm, preemption=True)
    swarm.converge()
    assert len(swarm.running(web)) == 1


def test_a_task_that_would_not_fit_anyway_has_no_victims() -> None:
    swarm = Swarm(nodes=1)
    batch = swarm.create(a_spec("batch", cpus=1))
    swarm.converge()
    web = swarm.create(a_spec("web", 10, cpus=5))
    swarm.converge()
    assert len(swarm.running(batch)) == 1
    said = explain_service(swarm.store.get_service(web), swarm.store, swarm.now)
    assert said.reasons[-1] == "tasks of lower priority run, but no end of theirs would make room"


def test_the_lowest_priority_goes_first_even_if_more_tasks_have_to() -> None:
    swarm = Swarm(nodes=2)
    many = swarm.create(a_spec("many", 1, replicas=2, cpus=2))
    swarm.set_node("n1", state=NodeState.DOWN)
    swarm.converge()
    swarm.set_node("n1", state=NodeState.READY)
    one = swarm.create(a_spec("one", 2, cpus=4))
    swarm.converge()
    assert swarm.nodes_of(one) == {"n1": 1}
    web = swarm.create(a_spec("web", 10))
    swarm.converge()
    assert swarm.nodes_of(web) == {"n2": 1}
    assert len(swarm.running(one)) == 1
    assert len(waiting(swarm, many)) == 2


def test_of_equal_priorities_the_fewest_go_and_no_more_than_needed() -> None:
    swarm = Swarm(nodes=1)
    big = swarm.create(a_spec("big", cpus=2))
    small = swarm.create(a_spec("small", replicas=4, cpus=0.5))
    swarm.converge()
    web = swarm.create(a_spec("web", 10, cpus=2))
    swarm.converge()
    assert len(swarm.running(web)) == 1
    assert len(swarm.running(small)) == 4
    assert not swarm.running(big)


def test_a_small_need_ends_a_small_task() -> None:
    swarm = Swarm(nodes=1)
    big = swarm.create(a_spec("big", cpus=3.5))
    small = swarm.create(a_spec("small", cpus=0.5))
    swarm.converge()
    swarm.create(a_spec("web", 10, cpus=0.5))
    swarm.converge()
    assert len(swarm.running(big)) == 1
    assert not swarm.running(small)


def test_the_task_that_ran_shortest_goes() -> None:
    swarm = Swarm(nodes=1)
    old = swarm.create(a_spec("old", cpus=2))
    swarm.converge()
    swarm.advance(10 * MINUTE)
    new = swarm.create(a_spec("new", cpus=2))
    swarm.converge()
    swarm.create(a_spec("web", 10, cpus=2))
    swarm.converge()
    assert len(swarm.running(old)) == 1
    assert not swarm.running(new)


def test_a_service_keeps_as_many_as_it_must_have_available() -> None:
    swarm = Swarm(nodes=3)
    batch = swarm.create(a_spec("batch", replicas=3, min_available=2))
    swarm.converge()
    web = swarm.create(a_spec("web", 10, replicas=3))
    swarm.converge()
    assert len(swarm.running(batch)) == 2
    assert len(swarm.running(web)) == 1


def test_jobs_and_ordinals_go_only_when_nothing_else_makes_room() -> None:
    swarm = Swarm(nodes=2)
    mode = ServiceMode(replicated_job=ReplicatedJob())
    job = swarm.create(a_spec("job", 5, mode=mode))
    swarm.converge()
    plain = swarm.create(a_spec("plain", 5))
    swarm.converge()
    web = swarm.create(a_spec("web", 10))
    swarm.converge()
    assert not swarm.running(plain)
    assert any(t.status.state is TaskState.RUNNING for t in swarm.tasks(job))
    swarm.scale(web, 2)
    swarm.converge()
    assert len(swarm.running(web)) == 2
    assert not any(t.status.state is TaskState.RUNNING for t in swarm.tasks(job))


def test_an_ordinal_can_be_preempted_and_its_successor_waits() -> None:
    swarm = Swarm(nodes=1)
    db = swarm.create(a_spec("db", mode=ServiceMode(stateful=Stateful(replicas=1))))
    swarm.converge()
    web = swarm.create(a_spec("web", 10))
    swarm.converge()
    assert len(swarm.running(web)) == 1
    assert not swarm.running(db)


def test_a_task_waits_for_one_that_stops_anyway_and_ends_no_other() -> None:
    swarm = Swarm(nodes=1)
    leaving = swarm.create(a_spec("leaving", 10, cpus=2))
    batch = swarm.create(a_spec("batch", cpus=2))
    swarm.converge()
    swarm.remove(leaving)
    web = swarm.create(a_spec("web", 10, cpus=2))
    swarm.settle()
    assert waiting(swarm, web)[0].status.err == "waits for room on n1, where tasks are stopping"
    swarm.converge()
    assert len(swarm.running(web)) == 1
    assert len(swarm.running(batch)) == 1


def test_a_reservation_gives_way_to_a_still_higher_priority() -> None:
    swarm = Swarm(nodes=1)
    swarm.create(a_spec("batch"))
    swarm.converge()
    web = swarm.create(a_spec("web", 10))
    swarm.settle()
    top = swarm.create(a_spec("top", 20))
    swarm.settle()
    assert waiting(swarm, top)[0].reserved_node_id == "n1"
    assert not waiting(swarm, web)[0].reserved_node_id
    swarm.converge()
    assert len(swarm.running(top)) == 1
    assert len(waiting(swarm, web)) == 1


def test_room_is_made_elsewhere_when_the_reserved_node_is_lost() -> None:
    swarm = Swarm(nodes=2)
    swarm.create(a_spec("batch", replicas=2))
    swarm.converge()
    web = swarm.create(a_spec("web", 10))
    swarm.settle()
    node = waiting(swarm, web)[0].reserved_node_id
    swarm.set_node(node, state=NodeState.DOWN)
    swarm.converge()
    assert swarm.nodes_of(web) == {("n2" if node == "n1" else "n1"): 1}


def test_a_node_that_joins_meanwhile_takes_the_task_at_once() -> None:
    swarm = Swarm(nodes=1)
    swarm.create(a_spec("batch"))
    swarm.converge()
    web = swarm.create(a_spec("web", 10))
    swarm.settle()
    swarm.put_node(a_node("n2"))
    swarm.settle()
    assert swarm.nodes_of(web) == {"n2": 1}


def test_a_task_bound_to_a_node_preempts_there() -> None:
    swarm = Swarm(nodes=2)
    batch = swarm.create(a_spec("batch", replicas=2))
    swarm.converge()
    agent = swarm.create(a_spec("agent", 10, mode=ServiceMode(global_=GlobalMode())))
    swarm.converge()
    assert swarm.nodes_of(agent) == {"n1": 1, "n2": 1}
    assert not swarm.running(batch)


def test_host_ports_and_replicas_per_node_are_made_free_as_well() -> None:
    port = PortConfig(target_port=80, published_port=80, publish_mode=PublishMode.HOST)
    endpoint = EndpointSpec(ports=(port,))
    swarm = Swarm(nodes=1)
    batch = swarm.create(a_spec("batch", cpus=0, endpoint_spec=endpoint))
    swarm.converge()
    web = swarm.create(a_spec("web", 10, cpus=0, endpoint_spec=endpoint))
    swarm.converge()
    assert len(swarm.running(web)) == 1
    assert not swarm.running(batch)


def test_generic_resources_stay_reserved_for_the_one_that_waits_for_them() -> None:
    swarm = Swarm()
    node = a_node("n1")
    assert node.description is not None
    assert node.description.resources is not None
    resources = replace(node.description.resources, generic_resources=named("gpu", "a", "b"))
    swarm.put_node(replace(node, description=replace(node.description, resources=resources)))

    def gpus(name: str, priority: int, count: int) -> ServiceSpec:
        spec = a_spec(name, priority, cpus=1)
        required = spec.task_template.resources
        assert required is not None
        assert required.reservations is not None
        wanted = replace(required.reservations, generic_resources=(discrete("gpu", count),))
        task = replace(spec.task_template, resources=replace(required, reservations=wanted))
        return replace(spec, task_template=task)

    swarm.create(gpus("batch", 0, 2))
    swarm.converge()
    web = swarm.create(gpus("web", 10, 2))
    swarm.settle()
    thief = swarm.create(gpus("thief", 9, 1))
    swarm.converge()
    assert len(swarm.running(web)) == 1
    assert len(waiting(swarm, thief)) == 1


def test_an_affinity_that_a_victim_offends_is_met_by_its_end() -> None:
    swarm = Swarm(nodes=1)
    batch = swarm.create(a_spec("batch", cpus=1))
    other = swarm.create(a_spec("other", cpus=1))
    swarm.converge()
    task = a_task_spec(cpus=1, priority=10, placement=Placement(affinities=("service!=batch",)))
    web = swarm.create(a_service_spec("web", task=task))
    swarm.converge()
    assert len(swarm.running(web)) == 1
    assert [t.desired_state for t in swarm.tasks(other)] == [TaskState.RUNNING]
    assert swarm.tasks(batch)[0].desired_reason == "preempted by web.1 (priority 10)"
