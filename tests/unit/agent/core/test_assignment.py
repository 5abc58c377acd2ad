"""Assignment messages against the tasks a node knows."""

from __future__ import annotations

from msgspec.structs import replace

from swarmd.agent.core.assignment import Changes, changes
from swarmd.model.ids import TaskId
from swarmd.model.states import TaskState
from swarmd.model.task import Task

A = Task(id=TaskId("a"), desired_state=TaskState.RUNNING)
B = Task(id=TaskId("b"), desired_state=TaskState.RUNNING)
KNOWN = {A.id: A, B.id: B}


def test_a_complete_set_removes_what_it_does_not_list() -> None:
    assert changes(KNOWN, complete=True, updates=(A,), removed=()) == Changes(removed=(B.id,))


def test_an_incremental_set_leaves_the_rest_alone() -> None:
    stopped = replace(A, desired_state=TaskState.SHUTDOWN)
    assert changes(KNOWN, complete=False, updates=(stopped,), removed=()) == Changes(
        updated=(stopped,)
    )


def test_removing_a_task_nobody_knows_is_nothing() -> None:
    removed = (TaskId("x"), B.id)
    assert changes(KNOWN, complete=False, updates=(), removed=removed) == Changes(removed=(B.id,))


def test_new_tasks_are_added() -> None:
    assert changes({}, complete=True, updates=(A, B), removed=()) == Changes(added=(A, B))
