"""Simulated tasks report what a stock agent would."""

from __future__ import annotations

from swarmd.rpc.pb import objects, types
from tests.bench.swarm.fake_tasks import FakeTasks


def a_task(*, desired: int = types.RUNNING, state: int = types.ASSIGNED) -> objects.Task:
    task = objects.Task(id="t1", service_id="s1")
    task.desired_state = types.TaskState.Name(desired)
    task.status.state = types.TaskState.Name(state)
    return task


def states_of(tasks: FakeTasks) -> list[int]:
    """Every state that one task reports until it comes to rest."""
    states = []
    while stepped := tasks.advance():
        states.append(stepped["t1"].state)
    return states


def test_a_task_goes_through_every_state_until_it_runs() -> None:
    tasks = FakeTasks()
    tasks.assign(complete=True, updates={"t1": a_task()}, removed=[])
    assert states_of(tasks) == [
        types.ACCEPTED,
        types.PREPARING,
        types.READY,
        types.STARTING,
        types.RUNNING,
    ]


def test_a_task_wanted_ready_waits_there_until_it_is_wanted_running() -> None:
    tasks = FakeTasks()
    tasks.assign(complete=True, updates={"t1": a_task(desired=types.READY)}, removed=[])
    assert states_of(tasks)[-1] == types.READY
    tasks.assign(complete=False, updates={"t1": a_task()}, removed=[])
    assert states_of(tasks) == [types.STARTING, types.RUNNING]


def test_a_running_task_that_is_to_stop_reports_shutdown_once() -> None:
    tasks = FakeTasks()
    tasks.assign(complete=True, updates={"t1": a_task(state=types.RUNNING)}, removed=[])
    assert states_of(tasks) == []
    tasks.assign(complete=False, updates={"t1": a_task(desired=types.SHUTDOWN)}, removed=[])
    assert states_of(tasks) == [types.SHUTDOWN]


def test_a_desired_state_never_goes_back() -> None:
    tasks = FakeTasks()
    tasks.assign(complete=True, updates={"t1": a_task(desired=types.SHUTDOWN)}, removed=[])
    tasks.assign(complete=False, updates={"t1": a_task()}, removed=[])
    assert states_of(tasks) == [types.SHUTDOWN]


def test_what_a_complete_set_does_not_name_is_forgotten() -> None:
    tasks = FakeTasks()
    tasks.assign(complete=True, updates={"t1": a_task()}, removed=[])
    assert tasks.assign(complete=True, updates={}, removed=[]) == 1
    assert tasks.tasks == {}
    assert states_of(tasks) == []
