"""What must never happen in an update, and what must come about, whatever it is told and whatever
befalls it; and the rules of failure as a table."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from swarmd.model.ids import ServiceId
from swarmd.model.instant import SECOND
from swarmd.model.spec import RestartPolicy, ServiceSpec, UpdateConfig
from swarmd.model.states import FailureAction, TaskState, UpdateOrder, UpdateState
from swarmd.model.task import Task
from swarmd.store.changes import Update
from tests.support.cluster import Swarm, a_service_spec, a_task_spec

POLICY = RestartPolicy(delay_ns=5 * SECOND)
ENDED = (
    UpdateState.COMPLETED,
    UpdateState.PAUSED,
    UpdateState.ROLLBACK_COMPLETED,
    UpdateState.ROLLBACK_PAUSED,
)
NEW, OLD = "web:2", "web:1"


def a_spec(image: str, config: UpdateConfig, replicas: int) -> ServiceSpec:
    return a_service_spec(
        replicas=replicas,
        task=a_task_spec(image=image, restart_policy=POLICY),
        update_config=config,
        rollback_config=replace(config, failure_action=FailureAction.PAUSE),
    )


def image(task: Task) -> str:
    assert task.spec.container_spec is not None
    return task.spec.container_spec.image


def updating(config: UpdateConfig, replicas: int) -> tuple[Swarm, ServiceId]:
    swarm = Swarm(nodes=3)
    service_id = swarm.create(a_spec(OLD, config, replicas))
    swarm.converge()
    swarm.update(service_id, a_spec(NEW, config, replicas))
    return swarm, service_id


configs = st.builds(
    UpdateConfig,
    parallelism=st.integers(0, 3),
    delay_ns=st.sampled_from([0, 1 * SECOND, 7 * SECOND]),
    monitor_ns=st.sampled_from([0, 2 * SECOND, 5 * SECOND]),
    failure_action=st.sampled_from([FailureAction.PAUSE, FailureAction.ROLLBACK]),
    max_failure_ratio=st.sampled_from([0.0, 0.34, 0.6]),
    order=st.sampled_from(UpdateOrder),
    task_timeout_ns=st.sampled_from([0, 30 * SECOND]),
)


def up(swarm: Swarm, service_id: ServiceId) -> int:
    return len({task.slot for task in swarm.running(service_id)})


@settings(max_examples=80, deadline=None)
@given(config=configs, replicas=st.integers(1, 6), elect_every=st.integers(0, 4))
def test_no_more_slots_are_down_than_the_order_and_parallelism_allow(
    config: UpdateConfig, replicas: int, elect_every: int
) -> None:
    swarm, service_id = updating(config, replicas)
    least = replicas if config.order is UpdateOrder.START_FIRST else replicas - config.parallelism
    if config.order is UpdateOrder.STOP_FIRST and not config.parallelism:
        least = 0
    for steps in range(1000):
        if elect_every and steps % elect_every == 0:
            swarm.elect()
        moved = swarm.step()
        assert up(swarm, service_id) >= least
        if not moved:
            at = swarm.deadline
            if at is None:
                break
            swarm.now = max(at, swarm.now)
    assert swarm.status(service_id) is UpdateState.COMPLETED
    assert {image(task) for task in swarm.running(service_id)} == {NEW}


@settings(max_examples=80, deadline=None)
@given(
    config=configs,
    replicas=st.integers(1, 6),
    bad=st.sets(st.integers(1, 6)),
    elect_every=st.integers(0, 4),
)
def test_every_update_comes_to_an_end_and_start_first_never_costs_a_slot(
    config: UpdateConfig, replicas: int, bad: set[int], elect_every: int
) -> None:
    swarm, service_id = updating(config, replicas)
    swarm.fate = lambda task: (
        TaskState.FAILED
        if image(task) == NEW and task.slot in bad and task.status.state is TaskState.STARTING
        else None
    )
    for steps in range(1500):
        if elect_every and steps % elect_every == 0:
            swarm.elect()
        moved = swarm.step()
        if config.order is UpdateOrder.START_FIRST:
            assert up(swarm, service_id) == replicas
        if swarm.status(service_id) in ENDED:
            break
        if not moved:
            at = swarm.deadline
            assert at is not None, "an update that has not ended waits for something"
            swarm.now = max(at, swarm.now)
    assert swarm.status(service_id) in ENDED
    if not bad & set(range(1, replicas + 1)):
        assert swarm.status(service_id) is UpdateState.COMPLETED


@settings(max_examples=50, deadline=None)
@given(config=configs, after=st.integers(0, 12), failing=st.booleans(), elect=st.booleans())
def test_a_paused_update_changes_no_version(
    config: UpdateConfig, after: int, failing: bool, elect: bool
) -> None:
    swarm, service_id = updating(config, 4)
    for _ in range(after):
        swarm.step()
    service = swarm.store.get_service(service_id)
    status = service.update_status
    if status is None or status.state is not UpdateState.UPDATING:
        return
    paused = replace(status, state=UpdateState.PAUSED)
    swarm.accept(Update(replace(service, update_status=paused), service.version))
    swarm.rest()  # what was in flight is finished
    before = {task.slot: image(task) for task in swarm.wanted(service_id)}
    if failing:
        for task in swarm.running(service_id):
            swarm.report(task, TaskState.FAILED)
    if elect:
        swarm.elect()
    swarm.advance(60 * SECOND)
    assert swarm.status(service_id) is UpdateState.PAUSED
    assert {task.slot: image(task) for task in swarm.running(service_id)} == before


P, R, C = FailureAction.PAUSE, FailureAction.ROLLBACK, FailureAction.CONTINUE
STOP, START = UpdateOrder.STOP_FIRST, UpdateOrder.START_FIRST


@pytest.mark.parametrize("order", [STOP, START])
@pytest.mark.parametrize("parallelism", [0, 1, 2])
@pytest.mark.parametrize(
    ("action", "ratio", "bad", "ends"),
    [
        pytest.param(P, 0.0, 0, UpdateState.COMPLETED, id="no failure"),
        pytest.param(P, 0.0, 1, UpdateState.PAUSED, id="one failure pauses"),
        pytest.param(R, 0.0, 1, UpdateState.ROLLBACK_COMPLETED, id="one failure rolls back"),
        pytest.param(R, 0.0, 4, UpdateState.ROLLBACK_COMPLETED, id="all failures roll back"),
        pytest.param(P, 0.5, 3, UpdateState.PAUSED, id="more than the ratio"),
        pytest.param(R, 0.5, 3, UpdateState.ROLLBACK_COMPLETED, id="more than it, rolled back"),
    ],
)
def test_the_ratio_and_the_action_decide_how_an_update_ends(
    action: FailureAction,
    ratio: float,
    bad: int,
    ends: UpdateState,
    parallelism: int,
    order: UpdateOrder,
) -> None:
    config = UpdateConfig(
        parallelism=parallelism, failure_action=action, max_failure_ratio=ratio, order=order
    )
    swarm, service_id = updating(config, 4)
    swarm.fate = lambda task: TaskState.FAILED if image(task) == NEW and task.slot <= bad else None
    swarm.advance(300 * SECOND)
    assert swarm.status(service_id) is ends


@pytest.mark.parametrize(
    ("action", "bad"), [(P, 2), (C, 2), (C, 4)], ids=["exactly the ratio", "going on", "all fail"]
)
def test_failures_that_are_borne_let_the_update_complete(action: FailureAction, bad: int) -> None:
    config = UpdateConfig(parallelism=1, failure_action=action, max_failure_ratio=0.5)
    swarm, service_id = updating(config, 4)
    swarm.fate = lambda task: TaskState.FAILED if image(task) == NEW and task.slot <= bad else None
    swarm.advance(300 * SECOND)
    status = swarm.store.get_service(service_id).update_status
    assert status is not None
    assert status.state is UpdateState.COMPLETED
    assert Fraction(status.failures, 4) == Fraction(bad, 4)


@pytest.mark.parametrize(
    ("dies_after_s", "ends"),
    [(1, UpdateState.PAUSED), (3, UpdateState.PAUSED), (4, UpdateState.UPDATING)],
)
def test_a_failure_counts_as_long_as_the_task_is_monitored(
    dies_after_s: int, ends: UpdateState
) -> None:
    config = UpdateConfig(parallelism=1, delay_ns=20 * SECOND, monitor_ns=3 * SECOND)
    swarm, service_id = updating(config, 3)
    swarm.rest()
    (new,) = [task for task in swarm.running(service_id) if image(task) == NEW]
    swarm.now = new.ran_at + dies_after_s * SECOND
    swarm.report(new, TaskState.FAILED)
    swarm.elect()
    swarm.settle()
    assert swarm.status(service_id) is ends
