"""When a service is what its spec asks for, and when it never will be."""

from __future__ import annotations

import pytest

from swarmd.cli.convergence import Phase, Progress, progress
from swarmd.model.ids import NodeId, ServiceId, TaskId
from swarmd.model.instant import Instant
from swarmd.model.service import Service, UpdateStatus
from swarmd.model.spec import GlobalMode, Placement, RestartPolicy, ServiceMode
from swarmd.model.states import RestartCondition, TaskState, UpdateState
from swarmd.model.task import ContainerStatus, Task, TaskStatus
from tests.support.specs import a_container, a_spec, a_task_spec

OLD = a_task_spec(container_spec=a_container(command=("old",)))
RUNNING, FAILED, SHUTDOWN = TaskState.RUNNING, TaskState.FAILED, TaskState.SHUTDOWN


def a_service(replicas: int = 2, *, update: UpdateState | None = None, **fields: object) -> Service:
    return Service(
        id=ServiceId("s"),
        spec=a_spec(replicas=replicas, **fields),
        spec_version=7,
        update_status=UpdateStatus(state=update, message="because") if update else None,
    )


def a_task(
    slot: int,
    state: TaskState = RUNNING,
    *,
    desired: TaskState = RUNNING,
    old: bool = False,
    err: str = "",
    exit_code: int = 0,
    node: str = "",
    spec_version: int = 7,
    **fields: object,
) -> Task:
    template = a_task_spec(**fields)
    return Task(
        id=TaskId(f"t{slot}-{state.word}-{desired.word}-{old}-{err}"),
        service_id=ServiceId("s"),
        slot=slot,
        node_id=NodeId(node),
        spec=OLD if old else template,
        spec_version=6 if old else spec_version,
        desired_state=desired,
        created_at=Instant(slot),
        status=TaskStatus(state=state, err=err, container=ContainerStatus(exit_code=exit_code)),
    )


DONE, WAITING, BROKEN = Phase.DONE, Phase.WAITING, Phase.FAILED
PAIR = (a_task(1), a_task(2))


@pytest.mark.parametrize(
    ("service", "tasks", "expected"),
    [
        pytest.param(a_service(), PAIR, (DONE, 2, 2), id="all run"),
        pytest.param(a_service(0), (), (DONE, 0, 0), id="none are wanted"),
        pytest.param(a_service(), (a_task(1),), (WAITING, 1, 2), id="one is missing"),
        pytest.param(
            a_service(), (a_task(1), a_task(2, TaskState.STARTING)), (WAITING, 1, 2), id="starting"
        ),
        pytest.param(
            a_service(), (a_task(1), a_task(2, old=True)), (WAITING, 1, 2), id="one is of old"
        ),
        pytest.param(
            a_service(task_template=a_task_spec(placement=Placement(max_replicas=1))),
            (a_task(1, spec_version=6), a_task(2, spec_version=6)),
            (DONE, 2, 2),
            id="they stay where they are",
        ),
        pytest.param(
            a_service(1), (a_task(1), a_task(2, desired=SHUTDOWN)), (WAITING, 1, 1), id="stopping"
        ),
        pytest.param(
            a_service(1),
            (a_task(1), a_task(2, SHUTDOWN, desired=SHUTDOWN)),
            (DONE, 1, 1),
            id="past",
        ),
        pytest.param(a_service(update=UpdateState.UPDATING), PAIR, (WAITING, 2, 2), id="verifying"),
        pytest.param(a_service(update=UpdateState.COMPLETED), PAIR, (DONE, 2, 2), id="updated"),
        pytest.param(a_service(update=UpdateState.PAUSED), PAIR, (BROKEN, 2, 2), id="paused"),
        pytest.param(
            a_service(update=UpdateState.ROLLBACK_STARTED), PAIR, (WAITING, 2, 2), id="going back"
        ),
        pytest.param(
            a_service(update=UpdateState.ROLLBACK_COMPLETED), PAIR, (BROKEN, 2, 2), id="went back"
        ),
        pytest.param(
            a_service(update=UpdateState.ROLLBACK_PAUSED), PAIR, (BROKEN, 2, 2), id="stuck there"
        ),
    ],
)
def test_one_look_tells_how_far_a_service_is(service, tasks, expected):
    state = progress(service, tasks)
    assert (state.phase, state.running, state.wanted) == expected


@pytest.mark.parametrize(
    ("update", "phase"),
    [
        (UpdateState.ROLLBACK_STARTED, WAITING),
        (UpdateState.ROLLBACK_COMPLETED, DONE),
        (UpdateState.ROLLBACK_PAUSED, BROKEN),
    ],
)
def test_a_roll_back_that_was_asked_for_is_no_failure(update, phase):
    assert progress(a_service(update=update), PAIR, rolling_back=True).phase is phase


def test_a_service_with_nothing_on_its_way_is_stuck():
    failed = a_task(2, FAILED, desired=SHUTDOWN, err="no such file")
    assert progress(a_service(), (a_task(1), failed)).stuck
    coming = a_task(2, TaskState.PENDING)
    assert not progress(a_service(), (a_task(1), failed, coming)).stuck


def test_reasons_are_counted_and_the_most_frequent_comes_first():
    tasks = [a_task(1, TaskState.PENDING, err="no suitable node")]
    tasks += [a_task(slot, FAILED, desired=SHUTDOWN, exit_code=3) for slot in (2, 3)]
    tasks += [a_task(4, FAILED, desired=SHUTDOWN, old=True, err="not about this spec")]
    assert progress(a_service(3), tasks).problems == ("2 tasks: exit code 3", "no suitable node")


def test_a_global_service_waits_for_every_node_it_was_given():
    service = a_service(mode=ServiceMode(global_=GlobalMode()))
    tasks = (a_task(0, node="a"), a_task(0, TaskState.PREPARING, node="b"))
    state = progress(service, tasks)
    assert (state.phase, state.running, state.wanted) == (WAITING, 1, 2)
    nobody = progress(service, ())
    assert nobody == Progress(WAITING, 0, 0, "no node qualifies", stuck=True)


@pytest.mark.parametrize(
    ("condition", "phase"),
    [
        (RestartCondition.NONE, DONE),
        (RestartCondition.ON_FAILURE, DONE),
        (RestartCondition.ANY, WAITING),
    ],
)
def test_tasks_that_end_successfully_and_stay_so_are_done(condition, phase):
    template = a_task_spec(restart_policy=RestartPolicy(condition=condition))
    service = a_service(1, task_template=template)
    ended = a_task(
        1, TaskState.COMPLETE, desired=SHUTDOWN, restart_policy=RestartPolicy(condition=condition)
    )
    assert progress(service, (ended,)).phase is phase
