"""Which tasks of a slot are history, and how much of it is kept."""

from __future__ import annotations

import pytest

from swarmd.model.cluster import Cluster, ClusterSpec, OrchestrationConfig
from swarmd.model.ids import ClusterId, ServiceId, TaskId
from swarmd.model.service import Service
from swarmd.model.spec import RestartPolicy
from swarmd.model.states import TaskState
from swarmd.model.task import Task, TaskStatus
from swarmd.orchestrator.reaper import disposable, history_limit
from tests.support.cluster import a_service_spec, a_task_spec


def a_task(name: str, state: TaskState, desired: TaskState = TaskState.SHUTDOWN) -> Task:
    return Task(id=TaskId(name), desired_state=desired, status=TaskStatus(state=state))


FAILED = [a_task(name, TaskState.FAILED) for name in "abcd"]
RUNNING = a_task("r", TaskState.RUNNING, TaskState.RUNNING)
WAITING = a_task("w", TaskState.READY, TaskState.READY)


@pytest.mark.parametrize(
    ("history", "limit", "names"),
    [
        pytest.param([*FAILED, RUNNING], 3, "ab", id="the oldest beyond the limit"),
        pytest.param([*FAILED, RUNNING], 5, "", id="within the limit"),
        pytest.param([*FAILED, RUNNING], -1, "", id="no limit"),
        pytest.param([*FAILED, RUNNING], 0, "abcd", id="no history"),
        pytest.param([*FAILED, WAITING], 0, "abc", id="a start that is due needs its past"),
        pytest.param(FAILED, 0, "abc", id="the last task decides whether the slot restarts"),
        pytest.param(
            [a_task("x", TaskState.RUNNING), *FAILED, RUNNING], 1, "abcd", id="not while running"
        ),
        pytest.param(
            [a_task("x", TaskState.SHUTDOWN, TaskState.REMOVE), RUNNING], 5, "x", id="removed"
        ),
        pytest.param(
            [a_task("x", TaskState.RUNNING, TaskState.REMOVE), RUNNING], 0, "", id="not stopped"
        ),
        pytest.param([a_task("x", TaskState.PENDING, TaskState.REMOVE)], 5, "x", id="never placed"),
    ],
)
def test_what_can_be_deleted(history: list[Task], limit: int, names: str) -> None:
    assert "".join(task.id for task in disposable(tuple(history), limit)) == names


def test_limited_attempts_are_counted_in_the_history_which_must_be_long_enough() -> None:
    policy = RestartPolicy(max_attempts=7)
    limited = a_service_spec(task=a_task_spec(restart_policy=policy))
    cluster = Cluster(
        id=ClusterId("c"),
        spec=ClusterSpec(orchestration=OrchestrationConfig(task_history_retention_limit=2)),
    )
    assert history_limit(Service(id=ServiceId("s"), spec=limited), cluster) == 8
    assert history_limit(Service(id=ServiceId("s"), spec=a_service_spec()), cluster) == 2
    assert history_limit(Service(id=ServiceId("s"), spec=a_service_spec()), None) == 5
