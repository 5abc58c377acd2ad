"""Rolling updates over a fake swarm: order, pace, failures, rollbacks, elections."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from swarmd.model.ids import ServiceId
from swarmd.model.instant import SECOND
from swarmd.model.spec import EndpointSpec, Placement, RestartPolicy, ServiceSpec, UpdateConfig
from swarmd.model.states import FailureAction, TaskState, UpdateOrder, UpdateState
from swarmd.model.task import Task
from tests.support.cluster import Swarm, a_node, a_service_spec, a_task_spec

NOW = RestartPolicy(delay_ns=0)
PATIENT = RestartPolicy(delay_ns=3600 * SECOND)


def a_spec(image: str, config: UpdateConfig, *, policy: RestartPolicy = NOW) -> ServiceSpec:
    task = a_task_spec(image=image, restart_policy=policy)
    return a_service_spec(replicas=4, task=task, update_config=config, rollback_config=config)


def image(task: Task) -> str:
    assert task.spec.container_spec is not None
    return task.spec.container_spec.image


def images(swarm: Swarm, service_id: ServiceId) -> list[str]:
    return sorted(image(task) for task in swarm.running(service_id))


def updating(config: UpdateConfig, *, policy: RestartPolicy = NOW) -> tuple[Swarm, ServiceId]:
    """A running service whose image was just changed from web:1 to web:2."""
    swarm = Swarm(nodes=2)
    service_id = swarm.create(a_spec("web:1", config, policy=policy))
    swarm.converge()
    swarm.update(service_id, a_spec("web:2", config, policy=policy))
    return swarm, service_id


def fail_new(task: Task) -> TaskState | None:
    return TaskState.FAILED if image(task) == "web:2" else None


def test_an_update_replaces_every_task_and_completes_after_the_last_was_monitored() -> None:
    swarm, service_id = updating(UpdateConfig(parallelism=2, monitor_ns=7 * SECOND))
    swarm.rest()
    assert images(swarm, service_id) == ["web:2"] * 4
    assert swarm.status(service_id) is UpdateState.UPDATING
    before = swarm.now
    swarm.converge()
    status = swarm.store.get_service(service_id).update_status
    assert status is not None
    assert (status.state, status.message) == (UpdateState.COMPLETED, "update completed")
    assert status.completed_at - before <= 7 * SECOND


@pytest.mark.parametrize("parallelism", [1, 2, 3])
@pytest.mark.parametrize("order", list(UpdateOrder))
def test_no_more_slots_are_in_flight_than_the_parallelism_allows(
    parallelism: int, order: UpdateOrder
) -> None:
    swarm, service_id = updating(UpdateConfig(parallelism=parallelism, order=order))
    low, high = 4, 0
    while swarm.step():
        low = min(low, len(swarm.running(service_id)))
        high = max(high, sum(t.status.state <= TaskState.RUNNING for t in swarm.tasks(service_id)))
    assert images(swarm, service_id) == ["web:2"] * 4
    if order is UpdateOrder.START_FIRST:
        assert low == 4
    else:
        assert low >= 4 - parallelism
    assert high <= 4 + parallelism


def test_the_next_slots_wait_for_the_delay() -> None:
    swarm, service_id = updating(UpdateConfig(parallelism=2, delay_ns=30 * SECOND))
    swarm.advance(29 * SECOND)
    assert images(swarm, service_id) == ["web:1", "web:1", "web:2", "web:2"]
    swarm.advance(2 * SECOND)
    assert images(swarm, service_id) == ["web:2"] * 4


def test_the_new_task_of_a_slot_waits_until_the_old_one_has_stopped() -> None:
    swarm, service_id = updating(UpdateConfig(parallelism=1))
    swarm.settle()
    old, new = (task for task in swarm.tasks(service_id) if task.slot == 1)
    assert old.desired_state is TaskState.SHUTDOWN
    assert new.desired_state is TaskState.READY
    swarm.report(old, TaskState.SHUTDOWN)
    swarm.settle()
    assert swarm.store.get_task(new.id).desired_state is TaskState.RUNNING


def test_too_many_failures_pause_the_update_and_say_which_task_it_was() -> None:
    config = UpdateConfig(parallelism=1, max_failure_ratio=0.25)
    swarm, service_id = updating(config, policy=PATIENT)
    swarm.fate = fail_new
    swarm.rest()
    swarm.advance(3600 * SECOND)
    status = swarm.store.get_service(service_id).update_status
    assert status is not None
    assert status.state is UpdateState.PAUSED
    culprit = status.message.removeprefix(
        "update paused due to failure or early termination of task "
    )
    assert image(swarm.store.get_task(culprit)) == "web:2"
    assert images(swarm, service_id) == ["web:1"] * 2


def test_a_paused_service_goes_on_with_the_next_spec() -> None:
    swarm, service_id = updating(UpdateConfig(parallelism=1), policy=PATIENT)
    swarm.fate = fail_new
    swarm.advance(1 * SECOND)
    assert swarm.status(service_id) is UpdateState.PAUSED
    swarm.update(service_id, a_spec("web:3", UpdateConfig(parallelism=2)))
    swarm.converge()
    assert images(swarm, service_id) == ["web:3"] * 4
    assert swarm.status(service_id) is UpdateState.COMPLETED


def test_failures_roll_the_service_back_if_asked_to() -> None:
    config = UpdateConfig(parallelism=1, failure_action=FailureAction.ROLLBACK)
    swarm, service_id = updating(config)
    swarm.fate = fail_new
    swarm.converge()
    service = swarm.store.get_service(service_id)
    assert service.update_status is not None
    assert service.update_status.state is UpdateState.ROLLBACK_COMPLETED
    assert service.spec == a_spec("web:1", config)
    assert images(swarm, service_id) == ["web:1"] * 4


def test_a_rollback_keeps_tasks_that_already_fit() -> None:
    swarm, service_id = updating(UpdateConfig(parallelism=1, delay_ns=60 * SECOND))
    swarm.advance(10 * SECOND)
    untouched = {task.id for task in swarm.running(service_id) if image(task) == "web:1"}
    assert len(untouched) == 3
    swarm.roll_back(service_id)
    swarm.converge()
    assert untouched <= {task.id for task in swarm.running(service_id)}
    assert images(swarm, service_id) == ["web:1"] * 4
    assert swarm.status(service_id) is UpdateState.ROLLBACK_COMPLETED


def test_a_rollback_that_fails_is_paused() -> None:
    config = UpdateConfig(parallelism=1, failure_action=FailureAction.ROLLBACK)
    swarm, service_id = updating(config, policy=PATIENT)
    swarm.rest()
    swarm.fate = lambda task: TaskState.FAILED if image(task) == "web:1" else None
    swarm.roll_back(service_id)
    swarm.advance(1 * SECOND)
    assert swarm.status(service_id) is UpdateState.ROLLBACK_PAUSED


def test_an_update_that_is_to_continue_ignores_failures() -> None:
    config = UpdateConfig(parallelism=1, failure_action=FailureAction.CONTINUE)
    swarm, service_id = updating(config, policy=RestartPolicy(delay_ns=30 * SECOND))
    swarm.fate = fail_new
    swarm.advance(600 * SECOND)
    assert not [task for task in swarm.wanted(service_id) if image(task) == "web:1"]
    assert swarm.status(service_id) is UpdateState.COMPLETED


def test_a_failure_after_the_monitoring_does_not_count() -> None:
    config = UpdateConfig(parallelism=1, delay_ns=20 * SECOND, monitor_ns=5 * SECOND)
    swarm, service_id = updating(config)
    swarm.advance(10 * SECOND)
    (new,) = [task for task in swarm.running(service_id) if image(task) == "web:2"]
    swarm.report(new, TaskState.FAILED, "late")
    swarm.converge()
    assert swarm.status(service_id) is UpdateState.COMPLETED
    assert images(swarm, service_id) == ["web:2"] * 4


def test_starting_first_keeps_the_old_task_while_the_new_one_fails() -> None:
    config = UpdateConfig(
        parallelism=1, order=UpdateOrder.START_FIRST, failure_action=FailureAction.CONTINUE
    )
    swarm, service_id = updating(config, policy=RestartPolicy(delay_ns=30 * SECOND))
    swarm.fate = fail_new
    swarm.advance(300 * SECOND)
    assert images(swarm, service_id) == ["web:1"] * 4
    swarm.fate = lambda task: None
    swarm.converge()
    assert images(swarm, service_id) == ["web:2"] * 4
    assert swarm.status(service_id) is UpdateState.COMPLETED


def test_an_election_resumes_the_update_where_it_was() -> None:
    swarm, service_id = updating(UpdateConfig(parallelism=1, delay_ns=30 * SECOND))
    swarm.advance(10 * SECOND)
    started = swarm.store.get_service(service_id).update_status
    swarm.elect()
    swarm.advance(5 * SECOND)
    assert images(swarm, service_id) == ["web:1"] * 3 + ["web:2"]
    swarm.converge()
    assert images(swarm, service_id) == ["web:2"] * 4
    ended = swarm.store.get_service(service_id).update_status
    assert started is not None
    assert ended is not None
    assert (ended.state, ended.started_at) == (UpdateState.COMPLETED, started.started_at)


def test_an_election_does_not_forget_failures() -> None:
    config = UpdateConfig(parallelism=1, max_failure_ratio=0.25)
    swarm, service_id = updating(config, policy=RestartPolicy(delay_ns=30 * SECOND))
    swarm.rest()
    new = [task for task in swarm.running(service_id) if image(task) == "web:2"]
    swarm.report(new[0], TaskState.FAILED)
    swarm.settle()
    assert swarm.status(service_id) is UpdateState.UPDATING
    swarm.elect()
    swarm.report(new[1], TaskState.FAILED)
    swarm.settle()
    assert swarm.status(service_id) is UpdateState.PAUSED


def test_a_new_constraint_replaces_only_tasks_on_nodes_that_do_not_meet_it() -> None:
    swarm = Swarm()
    swarm.put_node(a_node("ssd", labels={"disk": "ssd"}))
    swarm.put_node(a_node("hdd", labels={"disk": "hdd"}))
    spec = a_service_spec(replicas=2)
    service_id = swarm.create(spec)
    swarm.converge()
    (fine,) = [task.id for task in swarm.running(service_id) if task.node_id == "ssd"]
    placement = Placement(constraints=("node.labels.disk == ssd",))
    template = replace(spec.task_template, placement=placement)
    swarm.update(service_id, replace(spec, task_template=template))
    swarm.converge()
    assert swarm.nodes_of(service_id) == {"ssd": 2}
    assert fine in {task.id for task in swarm.running(service_id)}


def test_another_endpoint_replaces_tasks_that_a_new_constraint_would_let_stay() -> None:
    swarm = Swarm()
    swarm.put_node(a_node("ssd", labels={"disk": "ssd"}))
    spec = a_service_spec(replicas=2)
    service_id = swarm.create(spec)
    swarm.converge()
    before = {task.id for task in swarm.running(service_id)}
    placement = Placement(constraints=("node.labels.disk == ssd",))
    template = replace(spec.task_template, placement=placement)
    changed = replace(spec, task_template=template, endpoint_spec=EndpointSpec(drain_timeout_ns=1))
    swarm.update(service_id, changed)
    swarm.converge()
    assert before.isdisjoint(task.id for task in swarm.running(service_id))


def test_tasks_that_never_found_a_node_are_replaced_without_a_trace() -> None:
    swarm = Swarm(nodes=1)
    service_id = swarm.create(a_service_spec(replicas=2, task=a_task_spec(cpus=99)))
    swarm.converge()
    swarm.update(service_id, a_service_spec(replicas=2, task=a_task_spec(cpus=1)))
    swarm.converge()
    assert len(swarm.running(service_id)) == len(swarm.tasks(service_id)) == 2
