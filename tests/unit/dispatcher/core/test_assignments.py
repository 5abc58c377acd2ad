"""The difference between what a node was given and what it should have."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from swarmd.dispatcher.core.assignments import AssignmentChain, Step, same_to_the_agent
from swarmd.model.ids import NodeId, TaskId
from swarmd.model.instant import Instant
from swarmd.model.states import TaskState
from swarmd.model.task import Task, TaskStatus
from tests.support.manager import a_task

N1 = NodeId("n1")
T1 = TaskId("t1")


def in_state(task: Task, state: TaskState) -> Task:
    return replace(
        task, status=TaskStatus(state=state), version=task.version + 1, updated_at=Instant(9)
    )


def test_the_first_message_is_complete_and_holds_what_is_assigned() -> None:
    mine = a_task("t1", node="n1")
    early = a_task("t2", node="n1", state=TaskState.PENDING)
    other = a_task("t3", node="n2")
    step = AssignmentChain(N1).begin([mine, early, other])
    assert step == Step(True, "", "1", (mine,), ())


def test_a_node_without_tasks_gets_an_empty_complete_message() -> None:
    assert AssignmentChain(N1).begin([]) == Step(True, "", "1", (), ())


def test_each_message_builds_on_the_one_before() -> None:
    chain = AssignmentChain(N1)
    chain.begin([])
    task = a_task("t1", node="n1")
    first = chain.advance([T1], {T1: task}.get)
    second = chain.advance([T1], {}.get)
    assert first == Step(False, "1", "2", (task,), ())
    assert second == Step(False, "2", "3", (), (T1,))


def test_what_the_agent_reported_itself_is_not_sent_back() -> None:
    chain, task = AssignmentChain(N1), a_task("t1", node="n1")
    chain.begin([task])
    assert chain.advance([T1], {T1: in_state(task, TaskState.RUNNING)}.get) is None


def test_a_new_desired_state_is_sent() -> None:
    chain = AssignmentChain(N1)
    task = a_task("t1", node="n1", state=TaskState.RUNNING)
    chain.begin([task])
    stopped = replace(task, desired_state=TaskState.SHUTDOWN)
    step = chain.advance([T1], {T1: stopped}.get)
    assert step is not None
    assert step.updates == (stopped,)


def test_a_task_that_is_still_only_assigned_is_sent_again_when_its_status_changes() -> None:
    task = a_task("t1", node="n1")
    again = replace(task, status=replace(task.status, message="confirmed"))
    assert not same_to_the_agent(task, again)
    assert same_to_the_agent(task, replace(task, version=7))


def test_a_task_that_was_never_sent_is_not_taken_away() -> None:
    chain = AssignmentChain(N1)
    chain.begin([])
    assert chain.advance([T1], {}.get) is None


def test_a_task_is_taken_away_once() -> None:
    chain = AssignmentChain(N1)
    chain.begin([a_task("t1", node="n1")])
    assert chain.advance([T1, T1], {}.get) == Step(False, "1", "2", (), (T1,))
    assert chain.advance([T1], {}.get) is None
    assert len(chain) == 0


@pytest.mark.parametrize("field", ["spec_version", "slot", "service_name"])
def test_any_other_change_is_sent(field: str) -> None:
    task = a_task("t1", node="n1", state=TaskState.RUNNING)
    value = "other" if field == "service_name" else 99
    assert not same_to_the_agent(task, replace(task, **{field: value}))


@pytest.mark.parametrize("field", ["ran_at", "reserved_node_id", "replaces", "version"])
def test_what_the_managers_note_for_themselves_is_not_sent(field: str) -> None:
    task = a_task("t1", node="n1", state=TaskState.RUNNING)
    value = 99 if field in ("ran_at", "version") else "other"
    assert same_to_the_agent(task, replace(task, **{field: value}))


NAMES = [TaskId(f"t{number}") for number in range(5)]
WORLDS = st.dictionaries(
    st.sampled_from(NAMES),
    st.tuples(
        st.sampled_from(["n1", "n2"]),
        st.sampled_from([TaskState.PENDING, TaskState.ASSIGNED, TaskState.RUNNING]),
        st.sampled_from([TaskState.RUNNING, TaskState.SHUTDOWN]),
    ),
)


@given(worlds=st.lists(WORLDS, min_size=1, max_size=8))
@settings(deadline=None)
def test_an_agent_that_follows_the_chain_has_what_it_should_have(
    worlds: list[dict[TaskId, tuple[str, TaskState, TaskState]]],
) -> None:
    chain, held, position = AssignmentChain(N1), dict[TaskId, Task](), ""
    for number, world in enumerate(worlds):
        tasks = {
            name: a_task(name, node=node, state=state, desired=desired)
            for name, (node, state, desired) in world.items()
        }
        step = chain.begin(tasks.values()) if number == 0 else chain.advance(NAMES, tasks.get)
        if step is not None:
            assert step.applies_to == position
            position = step.results_in
            held.update({task.id: task for task in step.updates})
            for gone in step.removed:
                del held[gone]
        wanted = {
            name: task.desired_state
            for name, task in tasks.items()
            if task.node_id == N1 and task.status.state >= TaskState.ASSIGNED
        }
        assert {name: task.desired_state for name, task in held.items()} == wanted
