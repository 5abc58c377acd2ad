"""The restart supervisor's arithmetic over histories of a slot."""

from __future__ import annotations

import pytest

from swarmd.model.ids import NodeId, ServiceId, TaskId
from swarmd.model.instant import MINUTE, SECOND, Instant
from swarmd.model.spec import RestartPolicy
from swarmd.model.states import NodeState, RestartCondition, TaskState
from swarmd.model.task import Task, TaskStatus
from swarmd.orchestrator.restart import (
    delay_ns,
    first_desired_state,
    retry_at,
    should_restart,
    starts_at,
)
from swarmd.store.changes import Create, Entry, Transaction
from swarmd.store.store import Store
from tests.support.cluster import Swarm, a_node, a_service_spec, a_task_spec

T0 = 1_000 * SECOND


def a_store(*, state: NodeState = NodeState.READY) -> Store:
    store = Store()
    nodes = (Create(a_node("n1", state=state)), Create(a_node("n2")))
    store.apply(1, Entry(Instant(0), NodeId("n2"), (Transaction(nodes),)))
    return store


def a_task(
    name: str,
    *,
    at: int = T0,
    state: TaskState = TaskState.FAILED,
    desired: TaskState = TaskState.SHUTDOWN,
    ended: int = T0,
    version: int = 1,
    policy: RestartPolicy | None = None,
    node: str = "n1",
    image: str = "web:1",
) -> Task:
    return Task(
        id=TaskId(name),
        service_id=ServiceId("s"),
        slot=1,
        created_at=Instant(at),
        status=TaskStatus(state=state, timestamp=Instant(ended)),
        desired_state=desired,
        node_id=NodeId(node),
        spec_version=version,
        spec=a_task_spec(image=image, restart_policy=policy),
    )


@pytest.mark.parametrize(
    ("tasks", "attempts", "again"),
    [
        pytest.param(1, 1, True, id="the first task was no restart"),
        pytest.param(2, 1, False, id="one restart was all"),
        pytest.param(3, 3, True, id="two of three"),
        pytest.param(9, 0, True, id="unlimited"),
    ],
)
def test_attempts_are_the_tasks_after_the_first(tasks: int, attempts: int, again: bool) -> None:
    policy = RestartPolicy(max_attempts=attempts)
    history = tuple(a_task(f"t{i}", policy=policy) for i in range(tasks))
    assert should_restart(history[-1], history) is again


def test_attempts_of_another_version_do_not_count() -> None:
    policy = RestartPolicy(max_attempts=1)
    old = tuple(a_task(f"old{i}", version=1, policy=policy) for i in range(3))
    new = a_task("new", version=2, policy=policy)
    assert should_restart(new, (*old, new))


def test_attempts_before_the_window_do_not_count() -> None:
    policy = RestartPolicy(max_attempts=2, window_ns=10 * SECOND)
    history = tuple(
        a_task(f"t{seconds}", at=T0 + seconds * SECOND, policy=policy) for seconds in (0, 1, 20)
    )
    late = a_task("late", at=T0 + 21 * SECOND, ended=T0 + 25 * SECOND, policy=policy)
    soon = a_task("soon", at=T0 + 2 * SECOND, ended=T0 + 5 * SECOND, policy=policy)
    assert not should_restart(late, (*history, late))
    assert should_restart(soon, (*history[:2], a_task("x", at=T0 + 26 * SECOND), soon)) is False
    assert should_restart(soon, (*history[:2], soon)) is False
    assert should_restart(soon, (history[0], soon))


def test_a_successor_of_a_failed_task_starts_after_the_delay() -> None:
    old = a_task("old", policy=RestartPolicy(delay_ns=3 * SECOND))
    new = a_task(
        "new",
        state=TaskState.READY,
        desired=TaskState.READY,
        policy=RestartPolicy(delay_ns=3 * SECOND),
    )
    assert starts_at(new, (old, new), a_store()) == T0 + 3 * SECOND


@pytest.mark.parametrize(
    "old",
    [
        pytest.param(a_task("old", state=TaskState.ORPHANED), id="its node was removed"),
        pytest.param(a_task("old", state=TaskState.SHUTDOWN), id="it was told to stop"),
        pytest.param(a_task("old", desired=TaskState.REMOVE), id="its slot was given up"),
        pytest.param(a_task("old", version=0, image="web:0"), id="it was of another version"),
        pytest.param(a_task("old", node="gone"), id="its node is gone"),
    ],
)
def test_there_is_no_delay_when_nothing_has_crashed(old: Task) -> None:
    assert delay_ns(a_task("new"), (old,), a_store()) == 0


def test_there_is_no_delay_when_the_node_died() -> None:
    assert delay_ns(None, (a_task("old"),), a_store(state=NodeState.DOWN)) == 0


def test_a_new_version_number_with_the_same_spec_keeps_the_delay() -> None:
    assert delay_ns(a_task("new", version=2), (a_task("old", version=1),), a_store()) == 5 * SECOND


def test_a_successor_waits_for_the_old_task_to_stop_but_a_minute_at_most() -> None:
    stopping = a_task("old", state=TaskState.RUNNING)
    new = a_task("new", state=TaskState.READY, desired=TaskState.READY)
    assert starts_at(new, (stopping, new), a_store()) == T0 + MINUTE
    dead = a_store(state=NodeState.DOWN)
    assert starts_at(new, (stopping, new), dead) == T0


def test_a_task_that_failed_before_its_start_is_not_replaced_before_it_was_due() -> None:
    old = a_task("old")
    new = a_task("new", state=TaskState.REJECTED, desired=TaskState.READY)
    assert retry_at(new, (old, new), a_store()) == T0 + 5 * SECOND
    started = a_task("new", state=TaskState.REJECTED, desired=TaskState.RUNNING)
    assert retry_at(started, (old, started), a_store()) is None


def test_a_new_task_runs_at_once_unless_its_slot_holds_it_back() -> None:
    store = a_store()
    failed, stopping = a_task("failed"), a_task("stopping", state=TaskState.RUNNING)

    def first(*history: Task, same_spec: bool = True) -> TaskState:
        last = history[-1] if history else None
        return first_desired_state(history, predecessor=last, same_spec=same_spec, view=store)

    assert first() is TaskState.RUNNING
    assert first(failed) is TaskState.READY
    assert first(failed, same_spec=False) is TaskState.RUNNING
    assert first(stopping) is TaskState.READY


GROWING = RestartPolicy(delay_ns=1 * SECOND, max_delay_ns=10 * SECOND)


def failures(*lifetimes_s: int, policy: RestartPolicy = GROWING) -> tuple[Task, ...]:
    """Tasks that failed one after the other, each after so many seconds."""
    found: list[Task] = []
    at = T0
    for number, seconds in enumerate(lifetimes_s):
        ended = at + seconds * SECOND
        found.append(a_task(f"t{number}", at=at, ended=ended, policy=policy))
        at = ended
    return tuple(found)


@pytest.mark.parametrize(
    ("lifetimes_s", "seconds"),
    [
        pytest.param((1,), 1, id="the first failure"),
        pytest.param((1, 2), 2, id="doubled"),
        pytest.param((1, 2, 3, 5), 8, id="and again"),
        pytest.param((1, 2, 3, 5, 9), 10, id="never beyond the longest"),
        pytest.param((1, 2, 3, 5, 9, 11, 11, 11), 10, id="and it stays there"),
        pytest.param((1, 2, 3, 20), 1, id="one that held out long starts anew"),
        pytest.param((1, 2, 20, 2), 2, id="counting from the one that held out"),
    ],
)
def test_a_growing_delay_doubles_with_each_failure_in_a_row(
    lifetimes_s: tuple[int, ...], seconds: int
) -> None:
    assert delay_ns(None, failures(*lifetimes_s), a_store()) == seconds * SECOND


def test_failures_of_another_version_or_tasks_told_to_stop_end_the_row() -> None:
    old = a_task("old", version=0, image="web:0", policy=GROWING)
    told = a_task("told", state=TaskState.SHUTDOWN, policy=GROWING)
    for before in (old, told):
        assert delay_ns(None, (before, *failures(1, 2)), a_store()) == 2 * SECOND


def test_a_delay_without_a_longest_stays_as_it_is() -> None:
    policy = RestartPolicy(delay_ns=3 * SECOND)
    assert delay_ns(None, failures(1, 1, 1, 1, policy=policy), a_store()) == 3 * SECOND


def test_enough_history_is_kept_to_reach_the_longest_delay() -> None:
    policy = RestartPolicy(delay_ns=1 * SECOND, max_delay_ns=600 * SECOND)
    swarm = Swarm(nodes=1, task_history=1)
    swarm.fate = lambda t: TaskState.FAILED if t.status.state is TaskState.RUNNING else None
    swarm.create(a_service_spec(task=a_task_spec(restart_policy=policy)))
    waits = []
    for _ in range(14):
        swarm.rest()
        at = swarm.deadline
        assert at is not None
        waits.append(round((at - swarm.now) / SECOND))
        swarm.now = at
    assert waits == [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 600, 600, 600, 600]


def restarts(condition: RestartCondition, state: TaskState, attempts: int, window_ns: int) -> bool:
    policy = RestartPolicy(condition=condition, max_attempts=attempts, window_ns=window_ns)
    history = tuple(
        a_task(f"t{n}", at=T0 + n * SECOND, ended=T0 + 4 * SECOND, state=state, policy=policy)
        for n in range(3)
    )
    return should_restart(history[-1], history)


ANY, ON_FAILURE, NONE = RestartCondition.ANY, RestartCondition.ON_FAILURE, RestartCondition.NONE
COMPLETE, FAILED, REJECTED = TaskState.COMPLETE, TaskState.FAILED, TaskState.REJECTED
ORPHANED, SHUTDOWN = TaskState.ORPHANED, TaskState.SHUTDOWN


@pytest.mark.parametrize("state", [COMPLETE, FAILED, REJECTED, ORPHANED, SHUTDOWN])
@pytest.mark.parametrize("condition", list(RestartCondition))
@pytest.mark.parametrize(
    ("attempts", "window_s", "left"),
    [
        pytest.param(0, 0, True, id="without limit"),
        pytest.param(2, 0, False, id="both restarts used up"),
        pytest.param(3, 0, True, id="one left"),
        pytest.param(2, 3, True, id="one of them before the window"),
        pytest.param(1, 3, False, id="one in the window"),
        pytest.param(1, 2, True, id="the window is open at its start"),
    ],
)
def test_the_table_of_conditions_attempts_and_windows(
    condition: RestartCondition, state: TaskState, attempts: int, window_s: int, left: bool
) -> None:
    asked = condition is ANY or (condition is ON_FAILURE and state is not COMPLETE)
    assert restarts(condition, state, attempts, window_s * SECOND) is (asked and left)
