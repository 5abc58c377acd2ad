"""The planner over a fake swarm: services come up, heal, scale and go."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from swarmd.model.instant import MINUTE, SECOND
from swarmd.model.spec import (
    EndpointSpec,
    GlobalMode,
    Placement,
    PlacementPreference,
    PortConfig,
    RestartPolicy,
    ServiceMode,
    SpreadOver,
)
from swarmd.model.states import (
    Availability,
    NodeState,
    PublishMode,
    RestartCondition,
    TaskState,
    UpdateState,
)
from swarmd.store.changes import Create, SetDesiredState
from tests.support.cluster import Swarm, a_node, a_service_spec, a_task_spec

GLOBAL = ServiceMode(global_=GlobalMode())


def test_a_new_service_gets_its_replicas_spread_over_the_nodes() -> None:
    swarm = Swarm(nodes=3)
    service_id = swarm.create(a_service_spec(replicas=6))
    swarm.converge()
    assert swarm.nodes_of(service_id) == {"n1": 2, "n2": 2, "n3": 2}
    assert len(swarm.running(service_id)) == 6


def test_creating_a_task_takes_one_write_that_names_its_node() -> None:
    swarm = Swarm(nodes=1)
    swarm.create(a_service_spec(replicas=2))
    actions = swarm.plan()
    assert all(isinstance(action, Create) for action in actions)
    tasks = [action.record for action in actions]
    assert [(t.node_id, t.status.state, t.desired_state) for t in tasks] == [
        ("n1", TaskState.ASSIGNED, TaskState.RUNNING)
    ] * 2
    assert actions[0].reason == "replica 1 of web is missing"


def test_status_reports_of_tasks_coming_up_lead_to_no_pass() -> None:
    swarm = Swarm(nodes=1)
    swarm.create(a_service_spec())
    swarm.settle()
    swarm.report(swarm.store.tasks()[0], TaskState.STARTING)
    swarm.report(swarm.store.tasks()[0], TaskState.RUNNING)
    assert not swarm.planner.dirty


def test_a_large_service_is_created_in_entries_of_bounded_size() -> None:
    swarm = Swarm(nodes=2)
    service_id = swarm.create(a_service_spec(replicas=2500))
    sizes = []
    while actions := swarm.plan():
        sizes.append(len(actions))
    assert sizes == [1000, 1000, 500]
    assert swarm.nodes_of(service_id) == {"n1": 1250, "n2": 1250}


def test_scaling_down_takes_from_the_nodes_with_most_copies() -> None:
    swarm = Swarm(nodes=1)
    service_id = swarm.create(a_service_spec(replicas=3))
    swarm.converge()
    swarm.put_node(a_node("n2"))
    swarm.scale(service_id, 4)
    swarm.converge()
    assert swarm.nodes_of(service_id) == {"n1": 3, "n2": 1}
    swarm.scale(service_id, 2)
    swarm.converge()
    assert swarm.nodes_of(service_id) == {"n1": 1, "n2": 1}
    assert len(swarm.tasks(service_id)) == 2


def test_scaling_up_fills_the_lowest_free_slots() -> None:
    swarm = Swarm(nodes=2)
    service_id = swarm.create(a_service_spec(replicas=4))
    swarm.converge()
    swarm.scale(service_id, 2)
    swarm.converge()
    kept = set(swarm.slots(service_id))
    swarm.scale(service_id, 5)
    swarm.converge()
    assert swarm.slots(service_id) == [1, 2, 3, 4, 5]
    assert kept <= set(swarm.slots(service_id))


def test_scaling_does_not_touch_the_tasks_that_stay() -> None:
    swarm = Swarm(nodes=2)
    service_id = swarm.create(a_service_spec(replicas=3))
    swarm.converge()
    before = {task.id for task in swarm.tasks(service_id)}
    swarm.scale(service_id, 6)
    swarm.converge()
    assert before <= {task.id for task in swarm.running(service_id)}
    assert swarm.status(service_id) is None


def test_a_failed_task_is_replaced_at_once_and_started_after_the_delay() -> None:
    swarm = Swarm(nodes=1)
    service_id = swarm.create(a_service_spec())
    swarm.converge()
    swarm.report(swarm.running(service_id)[0], TaskState.FAILED, "exit 1")
    swarm.rest()
    old, new = swarm.tasks(service_id)
    assert old.desired_state is TaskState.SHUTDOWN
    assert (new.status.state, new.desired_state) == (TaskState.READY, TaskState.READY)
    swarm.advance(5 * SECOND - 1 - (swarm.now - new.created_at))
    assert not swarm.running(service_id)
    swarm.advance(1)
    assert [task.id for task in swarm.running(service_id)] == [new.id]


def test_tasks_of_a_node_that_dies_are_replaced_in_one_entry_without_delay() -> None:
    swarm = Swarm(nodes=2)
    swarm.create(a_service_spec(replicas=4))
    swarm.converge()
    swarm.set_node("n1", state=NodeState.DOWN)
    actions = swarm.plan()
    assert [type(action) for action in actions].count(SetDesiredState) == 2
    created = [action.record for action in actions if isinstance(action, Create)]
    assert [(t.node_id, t.desired_state) for t in created] == [("n2", TaskState.RUNNING)] * 2
    assert swarm.plan() == ()


def test_a_node_that_is_only_out_of_touch_keeps_its_tasks_and_gets_no_new_ones() -> None:
    swarm = Swarm(nodes=2)
    service_id = swarm.create(a_service_spec(replicas=2))
    swarm.converge()
    swarm.set_node("n1", state=NodeState.UNKNOWN)
    assert swarm.plan() == ()
    swarm.scale(service_id, 4)
    swarm.settle()
    assert swarm.nodes_of(service_id) == {"n1": 1, "n2": 3}


def test_draining_starts_the_replacement_when_the_old_task_has_stopped() -> None:
    swarm = Swarm(nodes=2)
    service_id = swarm.create(a_service_spec(replicas=2))
    swarm.converge()
    swarm.set_node("n1", availability=Availability.DRAIN)
    swarm.plan()
    new = next(t for t in swarm.tasks(service_id) if t.desired_state is TaskState.READY)
    assert new.node_id == "n2"
    swarm.converge()
    assert swarm.nodes_of(service_id) == {"n2": 2}
    assert swarm.now - new.created_at < 5 * SECOND


def test_a_replacement_waits_a_minute_at_most_for_a_task_that_does_not_stop() -> None:
    swarm = Swarm(nodes=2)
    service_id = swarm.create(a_service_spec())
    swarm.converge()
    stubborn = swarm.running(service_id)[0]
    swarm.fate = lambda task: None
    swarm.set_node(stubborn.node_id, availability=Availability.DRAIN)
    swarm.settle()
    new = next(t for t in swarm.tasks(service_id) if t.desired_state is TaskState.READY)
    assert swarm.deadline == new.created_at + MINUTE
    swarm.now = swarm.deadline
    swarm.settle()
    assert swarm.store.get_task(new.id).desired_state is TaskState.RUNNING


def test_a_paused_node_keeps_its_tasks_and_gets_no_new_ones() -> None:
    swarm = Swarm(nodes=2)
    service_id = swarm.create(a_service_spec(replicas=2))
    swarm.converge()
    swarm.set_node("n1", availability=Availability.PAUSE)
    swarm.scale(service_id, 5)
    swarm.converge()
    assert swarm.nodes_of(service_id) == {"n1": 1, "n2": 4}


def test_tasks_of_a_removed_node_are_orphaned_and_replaced() -> None:
    swarm = Swarm(nodes=2)
    service_id = swarm.create(a_service_spec(replicas=2))
    swarm.converge()
    lost = next(task for task in swarm.tasks(service_id) if task.node_id == "n1")
    swarm.remove_node("n1")
    swarm.plan()
    after = swarm.store.get_task(lost.id)
    assert after.status.state is TaskState.ORPHANED
    assert "deleted" in after.status.err
    swarm.converge()
    assert swarm.nodes_of(service_id) == {"n2": 2}


def test_removing_a_service_leaves_no_task_behind() -> None:
    swarm = Swarm(nodes=2)
    service_id = swarm.create(a_service_spec(replicas=5))
    swarm.step()
    swarm.remove(service_id)
    swarm.converge()
    assert swarm.store.tasks() == ()
    assert not swarm.planner.dirty


def test_history_is_trimmed_to_the_limit() -> None:
    swarm = Swarm(nodes=1, task_history=2)
    policy = RestartPolicy(delay_ns=0)
    service_id = swarm.create(a_service_spec(task=a_task_spec(restart_policy=policy)))
    for _ in range(6):
        swarm.converge()
        swarm.report(swarm.running(service_id)[0], TaskState.FAILED)
    swarm.converge()
    states = [task.status.state for task in swarm.tasks(service_id)]
    assert states == [TaskState.FAILED, TaskState.RUNNING]


@pytest.mark.parametrize("limit", [0, 1])
def test_a_short_history_does_not_forget_the_restart_delay(limit: int) -> None:
    swarm = Swarm(nodes=1, task_history=limit)
    service_id = swarm.create(a_service_spec())
    swarm.converge()
    swarm.report(swarm.running(service_id)[0], TaskState.FAILED)
    swarm.rest()
    assert not swarm.running(service_id)
    assert swarm.deadline is not None
    swarm.converge()
    assert [task.status.state for task in swarm.tasks(service_id)] == [TaskState.RUNNING]


def test_restarts_end_after_the_attempts_allowed_and_the_election_does_not_renew_them() -> None:
    swarm = Swarm(nodes=1)
    policy = RestartPolicy(delay_ns=0, max_attempts=2)
    service_id = swarm.create(a_service_spec(task=a_task_spec(restart_policy=policy)))
    swarm.fate = lambda task: TaskState.FAILED if task.status.state is TaskState.RUNNING else None
    swarm.converge()
    assert len(swarm.tasks(service_id)) == 3
    assert {task.status.state for task in swarm.tasks(service_id)} == {TaskState.FAILED}
    swarm.elect()
    swarm.converge()
    assert len(swarm.tasks(service_id)) == 3


def test_a_task_that_cannot_be_prepared_is_retried_once_per_delay() -> None:
    swarm = Swarm(nodes=1)
    service_id = swarm.create(a_service_spec())
    swarm.fate = lambda task: TaskState.REJECTED
    swarm.advance(21 * SECOND)
    made = [change for entry in swarm.log for change in entry.changes if change.old is None]
    tasks = [change for change in made if change.kind.value == "task"]
    assert 3 <= len(tasks) <= 6
    assert swarm.tasks(service_id)


@pytest.mark.parametrize(
    ("condition", "end", "tasks"),
    [
        pytest.param(RestartCondition.ANY, TaskState.COMPLETE, 2, id="any, completed"),
        pytest.param(RestartCondition.ON_FAILURE, TaskState.COMPLETE, 1, id="failure, completed"),
        pytest.param(RestartCondition.ON_FAILURE, TaskState.FAILED, 2, id="failure, failed"),
        pytest.param(RestartCondition.NONE, TaskState.FAILED, 1, id="none, failed"),
    ],
)
def test_the_restart_condition_decides_whether_there_is_a_successor(
    condition: RestartCondition, end: TaskState, tasks: int
) -> None:
    swarm = Swarm(nodes=1)
    policy = RestartPolicy(condition=condition)
    service_id = swarm.create(a_service_spec(task=a_task_spec(restart_policy=policy)))
    swarm.converge()
    swarm.report(swarm.running(service_id)[0], end)
    swarm.converge()
    assert len(swarm.tasks(service_id)) == tasks


def test_a_task_nobody_can_take_says_why_and_what_would_help() -> None:
    swarm = Swarm()
    swarm.put_node(a_node("small", cpus=1))
    swarm.put_node(a_node("away", state=NodeState.DOWN))
    service_id = swarm.create(a_service_spec(task=a_task_spec(cpus=2, memory=512 << 20)))
    swarm.converge()
    (task,) = swarm.tasks(service_id)
    assert (task.status.state, task.node_id) == (TaskState.PENDING, "")
    assert task.status.err == (
        "no suitable node (1 node not available for new tasks; insufficient resources on 1 node); "
        "bring nodes back or set their availability to active, "
        "or add a node with 2 CPUs and 512 MiB of memory free or lower the reservation"
    )


def test_a_waiting_task_costs_nothing_until_something_changes() -> None:
    swarm = Swarm(nodes=1)
    service_id = swarm.create(a_service_spec(task=a_task_spec(cpus=64)))
    swarm.converge()
    index = swarm.store.index
    assert not swarm.planner.dirty
    swarm.put_node(a_node("large", cpus=128))
    swarm.converge()
    assert swarm.nodes_of(service_id) == {"large": 1}
    assert swarm.store.index > index


def test_a_waiting_task_takes_the_room_that_another_leaves() -> None:
    swarm = Swarm(nodes=1)
    first = swarm.create(a_service_spec("first", task=a_task_spec(cpus=3)))
    swarm.converge()
    second = swarm.create(a_service_spec("second", task=a_task_spec(cpus=3)))
    swarm.converge()
    assert not swarm.running(second)
    swarm.remove(first)
    swarm.converge()
    assert len(swarm.running(second)) == 1


def test_replicas_are_spread_over_the_values_of_a_label_first() -> None:
    swarm = Swarm()
    for name, zone in (("a1", "a"), ("a2", "a"), ("a3", "a"), ("b1", "b")):
        swarm.put_node(a_node(name, labels={"zone": zone}))
    spread = PlacementPreference(spread=SpreadOver(spread_descriptor="node.labels.zone"))
    spec = a_task_spec(placement=Placement(preferences=(spread,)))
    service_id = swarm.create(a_service_spec(replicas=6, task=spec))
    swarm.converge()
    assert swarm.nodes_of(service_id) == {"a1": 1, "a2": 1, "a3": 1, "b1": 3}


def test_a_label_that_changes_moves_the_tasks_that_need_it() -> None:
    swarm = Swarm()
    for name in ("n1", "n2"):
        swarm.put_node(a_node(name, labels={"disk": "ssd"}))
    placement = Placement(constraints=("node.labels.disk == ssd",))
    service_id = swarm.create(a_service_spec(replicas=2, task=a_task_spec(placement=placement)))
    swarm.converge()
    node = swarm.store.get_node("n1")
    swarm.put_node(replace(node, spec=replace(node.spec, labels={"disk": "hdd"})))
    swarm.plan()
    rejected = [t for t in swarm.tasks(service_id) if t.status.state is TaskState.REJECTED]
    assert [task.status.err for task in rejected] == [
        "assigned node no longer meets constraints: node.labels.disk == ssd"
    ]
    swarm.converge()
    assert swarm.nodes_of(service_id) == {"n2": 2}


def test_a_global_service_runs_once_on_every_node_that_qualifies() -> None:
    swarm = Swarm(nodes=2)
    swarm.put_node(a_node("special", labels={"kind": "other"}))
    placement = Placement(constraints=("node.labels.kind != other",))
    spec = a_service_spec("all", mode=GLOBAL, task=a_task_spec(placement=placement))
    service_id = swarm.create(spec)
    swarm.converge()
    assert swarm.nodes_of(service_id) == {"n1": 1, "n2": 1}
    swarm.put_node(a_node("n3"))
    swarm.converge()
    assert swarm.nodes_of(service_id) == {"n1": 1, "n2": 1, "n3": 1}
    swarm.set_node("n3", availability=Availability.DRAIN)
    swarm.converge()
    assert swarm.nodes_of(service_id) == {"n1": 1, "n2": 1}


def test_a_global_task_comes_back_with_its_node() -> None:
    swarm = Swarm(nodes=2)
    service_id = swarm.create(a_service_spec("all", mode=GLOBAL))
    swarm.converge()
    swarm.set_node("n1", state=NodeState.DOWN)
    swarm.converge()
    assert swarm.nodes_of(service_id) == {"n2": 1}
    swarm.set_node("n1", state=NodeState.READY)
    swarm.converge()
    assert len(swarm.running(service_id)) == 2


def a_published(name: str, *ports: PortConfig, **fields: object):  # type: ignore[no-untyped-def]
    return a_service_spec(name, endpoint_spec=EndpointSpec(ports=ports), **fields)


def test_tasks_carry_the_published_ports_that_were_chosen() -> None:
    swarm = Swarm(nodes=1)
    service_id = swarm.create(a_published("web", PortConfig(target_port=80)))
    swarm.converge()
    endpoint = swarm.store.get_service(service_id).endpoint
    assert endpoint.ports == (PortConfig(target_port=80, published_port=30000),)
    assert swarm.running(service_id)[0].ports == endpoint.ports


def test_tasks_wait_for_a_port_another_service_holds_and_say_so() -> None:
    swarm = Swarm(nodes=1)
    port = PortConfig(target_port=80, published_port=8080)
    first = swarm.create(a_published("first", port))
    second = swarm.create(a_published("second", port))
    swarm.converge()
    (task,) = swarm.tasks(second)
    assert task.status.state is TaskState.NEW
    assert task.status.err == (
        "published port 8080/tcp is held by service first; publish another port or remove it there"
    )
    swarm.remove(first)
    swarm.converge()
    assert len(swarm.running(second)) == 1


def test_a_host_port_allows_one_task_per_node() -> None:
    swarm = Swarm(nodes=2)
    port = PortConfig(target_port=80, published_port=80, publish_mode=PublishMode.HOST)
    service_id = swarm.create(a_published("web", port, replicas=3))
    swarm.converge()
    assert swarm.nodes_of(service_id) == {"n1": 1, "n2": 1, "": 1}
    waiting = next(task for task in swarm.tasks(service_id) if not task.node_id)
    assert "host-mode port already in use on 2 nodes" in waiting.status.err


def test_max_replicas_limits_the_tasks_of_a_node() -> None:
    swarm = Swarm(nodes=2)
    spec = a_task_spec(placement=Placement(max_replicas=1))
    service_id = swarm.create(a_service_spec(replicas=3, task=spec))
    swarm.converge()
    assert swarm.nodes_of(service_id) == {"n1": 1, "n2": 1, "": 1}


def test_a_node_that_fails_a_service_again_and_again_is_avoided() -> None:
    swarm = Swarm(nodes=2)
    policy = RestartPolicy(delay_ns=0)
    swarm.fate = lambda task: TaskState.FAILED if task.node_id == "n1" else None
    service_id = swarm.create(a_service_spec(replicas=4, task=a_task_spec(restart_policy=policy)))
    swarm.converge(within_ns=4 * MINUTE)
    assert swarm.nodes_of(service_id) == {"n2": 4}


def test_an_assignment_refused_at_commit_is_planned_again_and_not_counted_twice() -> None:
    swarm = Swarm()
    service_id = swarm.create(a_service_spec(task=a_task_spec(cpus=3)))
    swarm.settle()
    swarm.put_node(a_node("n1"))
    actions = swarm.planner.plan(swarm.env)
    swarm.report(swarm.tasks(service_id)[0], TaskState.PENDING, "seen by somebody else")
    refused = swarm.commit(*actions, atomic=False)
    assert refused.refusals != (None,)
    swarm.converge()
    assert swarm.nodes_of(service_id) == {"n1": 1}
    assert len(swarm.running(service_id)) == 1


def test_a_task_is_placed_when_its_predecessor_has_made_room_by_stopping() -> None:
    swarm = Swarm()
    swarm.put_node(a_node("n1", cpus=2))
    web = swarm.create(a_service_spec(replicas=2, task=a_task_spec(cpus=1)))
    swarm.converge()
    spec = swarm.store.get_service(web).spec
    swarm.update(web, replace(spec, task_template=a_task_spec(image="web:2", cpus=1)))
    swarm.converge()
    assert len(swarm.running(web)) == 2
    assert swarm.status(web) is UpdateState.COMPLETED
