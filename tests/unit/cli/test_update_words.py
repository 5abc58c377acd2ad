"""What an update waits for, as its progress says it."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from swarmd.cli.update_words import awaits
from swarmd.model.ids import NodeId, ServiceId, TaskId
from swarmd.model.instant import SECOND
from swarmd.model.service import Service, UpdateStatus
from swarmd.model.spec import UpdateConfig
from swarmd.model.states import TaskState, UpdateState
from swarmd.model.task import Task, TaskStatus
from tests.support.specs import a_spec

NAMES = {"n1": "one", "n2": "two"}
UPDATING = UpdateStatus(state=UpdateState.UPDATING, message="update in progress")
S = TaskState


def a_task(
    slot: int, state: TaskState, wanted: TaskState, *, err: str = "", node: str = "n1"
) -> Task:
    return Task(
        id=TaskId(f"t{slot}{state.word}{wanted.word}"),
        slot=slot,
        node_id=NodeId(node),
        service_name="web",
        status=TaskStatus(state=state, err=err),
        desired_state=wanted,
    )


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        pytest.param(
            [a_task(1, S.RUNNING, S.SHUTDOWN)],
            [a_task(1, S.READY, S.READY, node="n2")],
            "waits for web.1 on one to stop",
            id="the old one stops",
        ),
        pytest.param(
            [],
            [a_task(2, S.PREPARING, S.RUNNING, node="n2"), a_task(3, S.STARTING, S.RUNNING)],
            "waits for web.2 on two, which is preparing and 1 more",
            id="the new one starts",
        ),
        pytest.param(
            [],
            [a_task(2, S.PENDING, S.RUNNING, err="no suitable node", node="")],
            "waits for web.2, which is pending: no suitable node",
            id="no node",
        ),
        pytest.param(
            [], [a_task(2, S.READY, S.READY)], "waits to start web.2 on one again", id="a restart"
        ),
        pytest.param(
            [a_task(2, S.RUNNING, S.RUNNING)],
            [a_task(1, S.RUNNING, S.RUNNING)],
            "pauses 30s between tasks",
            id="the delay",
        ),
        pytest.param([], [a_task(1, S.RUNNING, S.RUNNING)], "verifying", id="the monitoring"),
    ],
)
def test_an_update_says_which_task_it_waits_for_and_where(old, new, expected):
    spec = a_spec(update_config=UpdateConfig(parallelism=1, delay_ns=30 * SECOND))
    service = Service(id=ServiceId("s"), spec=spec, update_status=UPDATING)
    assert awaits(service, [*old, *new], new, NAMES) == expected


def test_failures_and_slots_that_had_to_stop_first_are_mentioned():
    message = "update in progress; slot 1 stops first, as its new task has no room"
    status = replace(UPDATING, message=message, failures=2)
    service = Service(id=ServiceId("s"), spec=a_spec(), update_status=status)
    running = [a_task(1, S.RUNNING, S.RUNNING)]
    assert awaits(service, running, running, NAMES) == (
        "verifying; 2 failed so far; slot 1 stops first, as its new task has no room"
    )
