"""What preemption never does, whatever runs and whatever is asked for; and its transcript."""

from __future__ import annotations

from collections.abc import Iterator

from hypothesis import given, settings
from hypothesis import strategies as st

from swarmd.model import defaults
from swarmd.model.ids import ServiceId
from swarmd.model.spec import ReplicatedJob, ServiceMode
from swarmd.model.states import NodeState, TaskState
from swarmd.model.task import Task
from swarmd.orchestrator.scheduler.preempt import is_costly
from swarmd.store.changes import Change
from tests.support.cluster import Swarm, a_node, a_service_spec, a_task_spec

PREEMPTED = "preempted by"


@st.composite
def contested(draw: st.DrawFn) -> Swarm:
    """A small swarm, services of several priorities that come one after another, a lost node."""
    swarm = Swarm(seed=draw(st.integers(0, 1000)))
    for number in range(draw(st.integers(1, 3))):
        swarm.put_node(a_node(f"n{number}", cpus=draw(st.sampled_from([2, 4]))))
    for number in range(draw(st.integers(2, 5))):
        task = a_task_spec(
            cpus=draw(st.sampled_from([0.5, 1, 2])), priority=draw(st.integers(-1, 3))
        )
        fields: dict[str, object] = {"min_available": draw(st.sampled_from([0, 0, 1, 2]))}
        if draw(st.integers(0, 4)) == 0:
            fields["mode"] = ServiceMode(replicated_job=ReplicatedJob(total_completions=2))
        swarm.create(
            a_service_spec(f"s{number}", replicas=draw(st.integers(1, 4)), task=task, **fields)
        )
        for _ in range(draw(st.integers(0, 4))):
            swarm.step()
            if draw(st.booleans()):
                swarm.elect()
    if draw(st.booleans()):
        swarm.set_node("n0", state=NodeState.DOWN)
    return swarm


def preemptions(swarm: Swarm) -> Iterator[tuple[Change, Task, int]]:
    """Each end of a task by preemption, with the priority that caused it."""
    for entry in swarm.log:
        for change in entry.changes:
            if change.reason.startswith(PREEMPTED) and isinstance(change.old, Task):
                yield change, change.old, int(change.reason.rpartition(" ")[2].rstrip(")"))


@settings(max_examples=60, deadline=None)
@given(contested())
def test_victims_are_lower_and_services_keep_what_they_must(swarm: Swarm) -> None:
    available: dict[ServiceId, int] = {}
    swarm.converge()
    for _, victim, winner in preemptions(swarm):
        assert victim.spec.priority < winner
    for service in swarm.store.services():
        available[service.id] = service.spec.min_available
    running: dict[str, dict[str, Task]] = {}
    for entry in swarm.log:
        taken: dict[str, int] = {}
        before = {key: len(tasks) for key, tasks in running.items()}
        for change in entry.changes:
            task = change.new if change.new is not None else change.old
            if not isinstance(task, Task):
                continue
            mine = running.setdefault(task.service_id, {})
            works = (
                change.new is not None
                and task.status.state is TaskState.RUNNING
                and task.desired_state <= TaskState.COMPLETE
            )
            if change.reason.startswith(PREEMPTED) and task.id in mine:
                taken[task.service_id] = taken.get(task.service_id, 0) + 1
            if works:
                mine[task.id] = task
            else:
                mine.pop(task.id, None)
        for service_id, count in taken.items():
            needed = available[ServiceId(service_id)]
            assert not needed or before[service_id] - count >= needed


@settings(max_examples=60, deadline=None)
@given(contested())
def test_it_comes_to_rest_and_nobody_waits_who_could_have_a_place(swarm: Swarm) -> None:
    swarm.converge()
    waiting = [
        task
        for task in swarm.store.tasks()
        if task.status.state < TaskState.ASSIGNED and task.desired_state <= TaskState.COMPLETE
    ]
    assert not any(task.reserved_node_id for task in waiting)
    for node in swarm.store.nodes():
        if node.status.state is not NodeState.READY:
            continue
        assert node.description is not None
        assert node.description.resources is not None
        residents = [
            task
            for task in swarm.store.tasks_of_node(node.id)
            if TaskState.ASSIGNED <= task.status.state <= TaskState.RUNNING
        ]
        free = node.description.resources.nano_cpus - sum(map(_cpus, residents))
        for task in waiting:
            freely = [
                other
                for other in residents
                if other.spec.priority < task.spec.priority
                and not swarm.store.get_service(other.service_id).spec.min_available
            ]
            assert _cpus(task) > free + sum(map(_cpus, freely))


def _cpus(task: Task) -> int:
    return defaults.reservations(task.spec).nano_cpus


@settings(max_examples=40, deadline=None)
@given(contested())
def test_a_new_leader_agrees_with_the_old_one_when_all_is_done(swarm: Swarm) -> None:
    swarm.converge()
    swarm.elect()
    assert swarm.plan() == ()


def test_the_transcript_of_a_preemption() -> None:
    swarm = Swarm(nodes=1)
    swarm.create(a_service_spec("batch", task=a_task_spec(cpus=4)))
    swarm.converge()
    start = len(swarm.log)
    swarm.create(a_service_spec("web", task=a_task_spec(cpus=4, priority=10)))
    swarm.converge()
    assert [line for entry in swarm.log[start:] for line in map(_line, entry.changes)] == [
        "service: ",
        "batch.1 running/SHUTDOWN at n1: preempted by web.1 (priority 10)",
        "web.1 pending/RUNNING for n1: replica 1 of web is missing",
        "batch.1 pending/READY: replica 1 of batch is missing",
        "batch.1 shutdown/SHUTDOWN at n1: shutdown",
        "batch.1 pending/RUNNING: its turn to start has come",
        "web.1 assigned/RUNNING at n1: scheduler confirmed task can run on preassigned node",
        "web.1 accepted/RUNNING at n1: accepted",
        "web.1 preparing/RUNNING at n1: preparing",
        "web.1 ready/RUNNING at n1: ready",
        "web.1 starting/RUNNING at n1: starting",
        "web.1 running/RUNNING at n1: running",
    ]


def _line(change: Change) -> str:
    task = change.new
    if not isinstance(task, Task):
        return f"{change.kind.value}: {change.reason}"
    where = f" at {task.node_id}" if task.node_id else ""
    where = f" for {task.reserved_node_id}" if task.reserved_node_id else where
    state = f"{task.status.state.word}/{task.desired_state.name}"
    return f"{task.service_name}.{task.slot} {state}{where}: {change.reason}"


def test_jobs_are_costly_and_plain_tasks_are_not() -> None:
    swarm = Swarm(nodes=1)
    swarm.create(a_service_spec("plain"))
    job = ServiceMode(replicated_job=ReplicatedJob())
    swarm.create(a_service_spec("job", mode=job))
    swarm.settle()
    assert {t.service_name: is_costly(t) for t in swarm.store.tasks()} == {
        "plain": False,
        "job": True,
    }
