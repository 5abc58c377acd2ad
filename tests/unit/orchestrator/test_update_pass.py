"""What an update does beyond replacing slots: timeouts, making room, pausing, elections."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from msgspec.structs import replace

from swarmd.model import versions
from swarmd.model.ids import ServiceId
from swarmd.model.instant import SECOND
from swarmd.model.spec import EndpointSpec, RestartPolicy, UpdateConfig
from swarmd.model.states import Balance, FailureAction, TaskState, UpdateOrder, UpdateState
from swarmd.model.task import Task
from swarmd.store.changes import Update
from tests.support.cluster import Swarm
from tests.support.updates import START_FIRST, a_spec, image, images, update_status, updating


def steer(swarm: Swarm, service_id: ServiceId, state: UpdateState) -> None:
    """Pause or resume as the API does."""
    service = swarm.store.get_service(service_id)
    status = replace(update_status(swarm, service_id), state=state)
    if state in (UpdateState.UPDATING, UpdateState.ROLLBACK_STARTED):
        status = replace(status, failures=0, resumed_at=swarm.now)
    swarm.accept(Update(replace(service, update_status=status), service.version))


class StuckSwarm(Swarm):
    """Tasks of web:2 hang in STARTING unless told to stop."""

    hangs = True

    def _next_state(self, task: Task) -> TaskState | None:
        state = super()._next_state(task)
        stuck = self.hangs and image(task) == "web:2" and state is TaskState.RUNNING
        return None if stuck else state


def stuck(config: UpdateConfig) -> tuple[StuckSwarm, ServiceId]:
    swarm = StuckSwarm(nodes=2)
    service_id = swarm.create(a_spec("web:1", config))
    swarm.converge()
    swarm.update(service_id, a_spec("web:2", config))
    return swarm, service_id


@pytest.mark.parametrize("order", list(UpdateOrder))
def test_a_task_that_does_not_run_in_time_has_failed_and_says_so(order: UpdateOrder) -> None:
    swarm, service_id = stuck(UpdateConfig(parallelism=1, order=order, task_timeout_ns=9 * SECOND))
    swarm.advance(8 * SECOND)
    assert swarm.status(service_id) is UpdateState.UPDATING
    swarm.advance(2 * SECOND)
    assert swarm.status(service_id) is UpdateState.PAUSED
    (late,) = [t for t in swarm.tasks(service_id) if t.status.state is TaskState.FAILED]
    assert late.status.err == "not running within 9s: it is starting"
    assert late.desired_state is TaskState.SHUTDOWN
    kept = 2 if order is UpdateOrder.START_FIRST else 1
    assert images(swarm, service_id) == ["web:1"] * kept


def test_another_way_to_balance_replaces_no_task_and_another_drain_timeout_does() -> None:
    config = UpdateConfig(parallelism=1)
    swarm = Swarm(nodes=2)
    service_id = swarm.create(a_spec("web:1", config))
    swarm.converge()
    first = {task.id for task in swarm.running(service_id)}
    hashed = EndpointSpec(balance=Balance.SOURCE_HASH, weight_label="cpus")
    swarm.update(service_id, a_spec("web:1", config, endpoint_spec=hashed))
    swarm.converge()
    assert {task.id for task in swarm.running(service_id)} == first
    assert swarm.status(service_id) is not UpdateState.UPDATING
    drained = replace(hashed, drain_timeout_ns=1)
    swarm.update(service_id, a_spec("web:1", config, endpoint_spec=drained))
    swarm.converge()
    assert first.isdisjoint(task.id for task in swarm.running(service_id))


def test_the_time_to_run_begins_when_the_old_task_has_stopped() -> None:
    config = UpdateConfig(parallelism=1, task_timeout_ns=9 * SECOND)
    swarm, service_id = stuck(config)
    swarm.settle()
    (old,) = [t for t in swarm.tasks(service_id) if t.desired_state is TaskState.SHUTDOWN]
    swarm.now += 20 * SECOND
    swarm.report(old, TaskState.SHUTDOWN)
    swarm.settle()
    swarm.advance(8 * SECOND)
    assert swarm.status(service_id) is UpdateState.UPDATING
    swarm.advance(2 * SECOND)
    assert swarm.status(service_id) is UpdateState.PAUSED


def test_a_task_that_finds_no_node_in_time_keeps_the_reason() -> None:
    config = replace(START_FIRST, task_timeout_ns=5 * SECOND)
    swarm = Swarm(nodes=1)
    service_id = swarm.create(a_spec("web:1", config))
    swarm.converge()
    swarm.update(service_id, a_spec("web:2", config, task={"cpus": 99}))
    swarm.advance(10 * SECOND)
    assert swarm.status(service_id) is UpdateState.PAUSED
    assert images(swarm, service_id) == ["web:1"] * 2
    (late,) = [t for t in swarm.tasks(service_id) if t.status.state is TaskState.FAILED]
    assert late.status.err.startswith("not running within 5s: no suitable node")


def test_a_paused_update_changes_nothing_not_even_when_tasks_fail() -> None:
    swarm, service_id = updating(UpdateConfig(parallelism=1, delay_ns=30 * SECOND))
    swarm.advance(10 * SECOND)
    steer(swarm, service_id, UpdateState.PAUSED)
    assert images(swarm, service_id) == ["web:1", "web:2"]
    for task in swarm.running(service_id):
        swarm.report(task, TaskState.FAILED)
    swarm.elect()
    swarm.advance(600 * SECOND)
    assert images(swarm, service_id) == ["web:1", "web:2"]
    assert swarm.status(service_id) is UpdateState.PAUSED
    steer(swarm, service_id, UpdateState.UPDATING)
    swarm.converge()
    assert images(swarm, service_id) == ["web:2"] * 2
    assert swarm.status(service_id) is UpdateState.COMPLETED


def test_resuming_forgives_the_failures_that_paused_the_update() -> None:
    patient = {"restart_policy": RestartPolicy(delay_ns=60 * SECOND)}
    swarm, service_id = updating(UpdateConfig(parallelism=1), replicas=3, task=patient)
    swarm.fate = lambda task: TaskState.FAILED if image(task) == "web:2" else None
    swarm.advance(1 * SECOND)
    assert swarm.status(service_id) is UpdateState.PAUSED
    assert update_status(swarm, service_id).failures == 1
    swarm.fate = lambda task: None
    steer(swarm, service_id, UpdateState.UPDATING)
    swarm.converge()
    assert images(swarm, service_id) == ["web:2"] * 3
    assert swarm.status(service_id) is UpdateState.COMPLETED


def test_resuming_counts_slots_that_are_still_coming_up() -> None:
    swarm, service_id = stuck(UpdateConfig(parallelism=1))
    swarm.rest()
    steer(swarm, service_id, UpdateState.PAUSED)
    steer(swarm, service_id, UpdateState.UPDATING)
    swarm.rest()
    assert images(swarm, service_id) == ["web:1"], "one slot at a time"


def test_failures_are_written_down_so_that_an_election_cannot_forget_them() -> None:
    """The history is so short that the failed tasks are gone before the election."""
    swarm = Swarm(nodes=2, task_history=1)
    config = UpdateConfig(parallelism=1, max_failure_ratio=0.5, delay_ns=60 * SECOND)
    service_id = swarm.create(a_spec("web:1", config, replicas=4))
    swarm.converge()
    swarm.fate = lambda task: TaskState.FAILED if image(task) == "web:2" else None
    swarm.update(
        service_id, a_spec("web:2", config, replicas=4, task={"restart_policy": RestartPolicy()})
    )
    swarm.advance(100 * SECOND)
    assert update_status(swarm, service_id).failures == 2
    assert swarm.status(service_id) is UpdateState.UPDATING
    swarm.elect()
    swarm.advance(100 * SECOND)
    assert swarm.status(service_id) is UpdateState.PAUSED


def test_attempts_that_were_trimmed_still_count_after_elections() -> None:
    """One slot fails again and again beside its old task; history keeps one of its tasks."""
    swarm = Swarm(nodes=2, task_history=1)
    config = replace(START_FIRST, max_failure_ratio=0.9)
    slow = {"restart_policy": RestartPolicy(delay_ns=10 * SECOND)}
    service_id = swarm.create(a_spec("web:1", config, replicas=5, task=slow))
    swarm.converge()
    swarm.fate = lambda task: TaskState.FAILED if image(task) == "web:2" else None
    swarm.update(service_id, a_spec("web:2", config, replicas=5, task=slow))
    for _ in range(30):
        swarm.advance(10 * SECOND)
        swarm.elect()
    assert swarm.status(service_id) is UpdateState.PAUSED
    assert update_status(swarm, service_id).failures == 5
    assert images(swarm, service_id) == ["web:1"] * 5


def test_a_slot_in_flight_whose_node_dies_goes_on_with_its_successor() -> None:
    swarm, service_id = stuck(UpdateConfig(parallelism=1))
    swarm.rest()
    (new,) = [t for t in swarm.wanted(service_id) if image(t) == "web:2"]
    swarm.remove_node(new.node_id)
    swarm.hangs = False
    swarm.converge()
    assert images(swarm, service_id) == ["web:2"] * 2
    assert swarm.status(service_id) is UpdateState.COMPLETED


def test_an_automatic_rollback_remembers_what_failed() -> None:
    config = UpdateConfig(parallelism=1, failure_action=FailureAction.ROLLBACK)
    swarm, service_id = updating(config)
    swarm.fate = lambda task: TaskState.FAILED if image(task) == "web:2" else None
    swarm.converge()
    service = swarm.store.get_service(service_id)
    assert service.previous_spec is None
    assert [version.spec for version in versions.past(service)] == [a_spec("web:2", config)]


def everything(swarm: Swarm, service_id: ServiceId) -> object:
    """What people see of a service, without ids and times."""
    status = swarm.store.get_service(service_id).update_status
    return (
        status and (status.state, status.failures),
        sorted(
            (task.slot, image(task), task.status.state.word, task.desired_state.word)
            for task in swarm.tasks(service_id)
        ),
    )


def crash_once(task: Task) -> TaskState | None:
    return TaskState.FAILED if image(task) == "web:2" and task.slot == 2 else None


SCENARIOS = {
    "stop-first": (UpdateConfig(parallelism=1, delay_ns=2 * SECOND), None),
    "start-first": (replace(START_FIRST, parallelism=2, delay_ns=1 * SECOND), None),
    "failing, paused": (UpdateConfig(parallelism=2, max_failure_ratio=0.3), crash_once),
    "failing, rolled back": (
        UpdateConfig(parallelism=1, failure_action=FailureAction.ROLLBACK),
        crash_once,
    ),
    "failing, going on": (
        UpdateConfig(parallelism=1, failure_action=FailureAction.CONTINUE),
        crash_once,
    ),
    "failing beside the old one": (
        replace(START_FIRST, max_failure_ratio=0.5, delay_ns=1 * SECOND),
        crash_once,
    ),
}


@pytest.mark.parametrize("name", SCENARIOS)
def test_an_election_at_any_step_changes_nothing_of_an_update(name: str) -> None:
    config, fate = SCENARIOS[name]
    expected = _transcript(config, fate, elect_at=None)
    assert len(expected) > 5
    for step in range(len(expected)):
        assert _transcript(config, fate, elect_at=step) == expected, f"election at step {step}"


def _transcript(
    config: UpdateConfig, fate: Callable[[Task], TaskState | None] | None, elect_at: int | None
) -> list[object]:
    policy = {"restart_policy": RestartPolicy(delay_ns=5 * SECOND)}
    swarm = Swarm(nodes=3)
    service_id = swarm.create(a_spec("web:1", config, replicas=4, task=policy))
    swarm.converge()
    swarm.update(service_id, a_spec("web:2", config, replicas=4, task=policy))
    if fate is not None:
        swarm.fate = fate
    seen: list[object] = []
    until = swarm.now + 60 * SECOND
    while swarm.now < until and len(seen) < 80:
        if len(seen) == elect_at:
            swarm.elect()
        if not swarm.step():
            at = swarm.deadline
            if at is None:
                break
            swarm.now = max(at, swarm.now)
        seen.append(everything(swarm, service_id))
    return seen
