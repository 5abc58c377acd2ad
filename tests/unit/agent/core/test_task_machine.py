"""What a task does next on its node, and what becomes of its status."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from swarmd.agent.core.task_machine import (
    DONE,
    Delayed,
    Failed,
    Outcome,
    Step,
    Surroundings,
    after,
    meanwhile,
    merged,
    next_step,
)
from swarmd.model.ids import TaskId
from swarmd.model.instant import Instant
from swarmd.model.spec import PortConfig
from swarmd.model.states import TaskState
from swarmd.model.task import ContainerStatus, Task, TaskStatus

S = TaskState


@pytest.mark.parametrize(
    ("desired", "state", "step"),
    [
        (S.RUNNING, S.NEW, Step.ACCEPT),
        (S.RUNNING, S.ASSIGNED, Step.ACCEPT),
        (S.RUNNING, S.ACCEPTED, Step.BEGIN_PREPARING),
        (S.RUNNING, S.PREPARING, Step.PREPARE),
        (S.READY, S.PREPARING, Step.PREPARE),
        (S.READY, S.READY, Step.NOTHING),
        (S.RUNNING, S.READY, Step.BEGIN_STARTING),
        (S.RUNNING, S.STARTING, Step.START),
        (S.READY, S.STARTING, Step.NOTHING),
        (S.RUNNING, S.RUNNING, Step.WAIT),
        (S.COMPLETE, S.RUNNING, Step.WAIT),
        (S.RUNNING, S.FAILED, Step.NOTHING),
        (S.COMPLETE, S.COMPLETE, Step.NOTHING),
        (S.SHUTDOWN, S.ASSIGNED, Step.SHUTDOWN),
        (S.SHUTDOWN, S.RUNNING, Step.SHUTDOWN),
        (S.REMOVE, S.RUNNING, Step.SHUTDOWN),
        (S.SHUTDOWN, S.COMPLETE, Step.NOTHING),
        (S.REMOVE, S.FAILED, Step.NOTHING),
    ],
)
def test_the_next_step_follows_from_both_states(
    desired: TaskState, state: TaskState, step: Step
) -> None:
    assert next_step(desired=desired, state=state) is step


def test_success_moves_the_state_and_clears_an_earlier_error() -> None:
    status = TaskStatus(state=S.PREPARING, err="no space", timestamp=Instant(1))
    assert after(status, Step.PREPARE, DONE, now=Instant(2)) == TaskStatus(
        state=S.READY, message="prepared", timestamp=Instant(2)
    )


@pytest.mark.parametrize(
    ("state", "becomes"),
    [
        (S.ASSIGNED, S.REJECTED),
        (S.READY, S.REJECTED),
        (S.STARTING, S.FAILED),
        (S.RUNNING, S.FAILED),
    ],
)
def test_a_failure_rejects_before_starting_and_fails_from_then_on(
    state: TaskState, becomes: TaskState
) -> None:
    status = after(TaskStatus(state=state), Step.WAIT, Failed("broken"), now=Instant(2))
    assert (status.state, status.err) == (becomes, "broken")


def test_a_delay_keeps_the_state_and_shows_why() -> None:
    status = after(TaskStatus(state=S.STARTING), Step.START, Delayed("busy"), now=Instant(2))
    assert (status.state, status.err) == (S.STARTING, "busy")


def test_the_timestamp_stays_when_nothing_else_changes() -> None:
    status = TaskStatus(state=S.STARTING, err="busy", timestamp=Instant(1))
    assert after(status, Step.START, Delayed("busy"), now=Instant(2)) == status


def test_container_and_ports_are_reported_only_from_starting_on() -> None:
    seen = Surroundings(ContainerStatus(pid=7), (PortConfig(target_port=80, published_port=81),))
    early = after(TaskStatus(), Step.PREPARE, DONE, now=Instant(1), surroundings=seen)
    late = after(TaskStatus(), Step.START, DONE, now=Instant(1), surroundings=seen)
    assert (early.container, early.ports) == (None, ())
    assert (late.container, late.ports) == (seen.container, seen.ports)


def test_a_note_is_added_to_the_message() -> None:
    status = after(TaskStatus(), Step.START, DONE, now=Instant(1), note="without limits")
    assert status.message == "started; without limits"


outcomes = st.one_of(st.just(DONE), st.builds(Failed, st.text()), st.builds(Delayed, st.text()))


@given(st.sampled_from(TaskState), st.sampled_from(TaskState), outcomes)
def test_a_step_never_takes_a_task_back(
    desired: TaskState, state: TaskState, outcome: Outcome
) -> None:
    step = next_step(desired=desired, state=state)
    if step is not Step.NOTHING:
        assert after(TaskStatus(state=state), step, outcome, now=Instant(1)).state >= state


@given(st.sampled_from(TaskState))
def test_with_every_step_succeeding_each_desired_state_is_reached_in_bounded_steps(
    desired: TaskState,
) -> None:
    status = TaskStatus(state=S.ASSIGNED)
    for _ in range(10):
        step = next_step(desired=desired, state=status.state)
        if step is Step.NOTHING:
            break
        status = after(status, step, DONE, now=Instant(1))
    assert next_step(desired=desired, state=status.state) is Step.NOTHING


KNOWN = Task(id=TaskId("t"), desired_state=S.RUNNING, status=TaskStatus(state=S.RUNNING), version=3)


def test_an_update_that_says_nothing_new_is_ignored() -> None:
    assert merged(KNOWN, replace(KNOWN, status=TaskStatus(state=S.ASSIGNED), version=9)) is None


def test_an_update_that_would_lower_the_desired_state_is_ignored() -> None:
    known = replace(KNOWN, desired_state=S.SHUTDOWN)
    assert merged(known, KNOWN) is None


def test_what_the_node_saw_outlives_an_update() -> None:
    sent = replace(KNOWN, desired_state=S.SHUTDOWN, status=TaskStatus(state=S.ASSIGNED))
    assert merged(KNOWN, sent) == replace(sent, status=KNOWN.status)


def test_what_a_step_is_about_is_said_until_it_has_ended() -> None:
    status = TaskStatus(state=TaskState.PREPARING, message="preparing", err="tried in vain")
    told = meanwhile(status, "pulling web 1/2 MB", now=Instant(5))
    assert (told.state, told.message, told.err) == (status.state, "pulling web 1/2 MB", "")
    assert told.timestamp == 5
    assert meanwhile(told, "pulling web 1/2 MB", now=Instant(6)) is told
    done = after(told, Step.PREPARE, DONE, now=Instant(7))
    assert done.message == "prepared"
