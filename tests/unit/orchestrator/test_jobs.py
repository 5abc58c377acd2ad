"""Jobs over a fake swarm: completions, retries, runs on update, and leaders lost in between."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from swarmd.model.ids import ServiceId
from swarmd.model.instant import SECOND
from swarmd.model.spec import GlobalJob, ReplicatedJob, RestartPolicy, ServiceMode, ServiceSpec
from swarmd.model.states import Availability, NodeState, RestartCondition, TaskState
from swarmd.model.task import Task
from swarmd.orchestrator.counts import counts
from tests.support.cluster import Swarm, a_node, a_service_spec, a_task_spec

RETRY = RestartPolicy(condition=RestartCondition.ON_FAILURE, delay_ns=SECOND, max_attempts=2)
ENDS = (TaskState.COMPLETE, TaskState.FAILED)
EVERYWHERE = ServiceMode(global_job=GlobalJob())


def a_job(*, total: int = 1, at_once: int | None = None, name: str = "job",
          policy: RestartPolicy = RETRY) -> ServiceSpec:  # fmt: skip
    mode = ServiceMode(replicated_job=ReplicatedJob(at_once, total))
    return a_service_spec(name, mode=mode, task=a_task_spec(restart_policy=policy))


def a_global_job(policy: RestartPolicy = RETRY) -> ServiceSpec:
    return a_service_spec("job", mode=EVERYWHERE, task=a_task_spec(restart_policy=policy))


def finishing(task: Task) -> TaskState | None:
    """Every task completes once it runs."""
    return TaskState.COMPLETE if task.status.state is TaskState.RUNNING else None


def failing(task: Task) -> TaskState | None:
    return TaskState.FAILED if task.status.state is TaskState.RUNNING else None


def states(swarm: Swarm, service_id: ServiceId) -> Counter[TaskState]:
    return Counter(task.status.state for task in swarm.tasks(service_id))


def up(swarm: Swarm, service_id: ServiceId) -> list[Task]:
    return [t for t in swarm.tasks(service_id) if t.status.state is TaskState.RUNNING]


def test_a_job_runs_its_completions_as_many_at_once_as_it_may() -> None:
    swarm = Swarm(nodes=2)
    job = swarm.create(a_job(total=5, at_once=2))
    most = 0
    for _ in range(100):
        running = up(swarm, job)
        most = max(most, len(running))
        if len(running) == 2 or (not swarm.step() and running):
            swarm.report(running[0], TaskState.COMPLETE)
    swarm.converge()
    assert most == 2
    assert states(swarm, job) == {TaskState.COMPLETE: 5}
    assert sorted(task.slot for task in swarm.tasks(job)) == [1, 2, 3, 4, 5]
    assert swarm.plan() == ()


def test_tasks_of_a_job_are_wanted_complete_and_know_their_run() -> None:
    swarm = Swarm(nodes=1)
    job = swarm.create(a_job(total=2))
    swarm.settle()
    assert [(t.desired_state, t.job_iteration) for t in swarm.tasks(job)] == [
        (TaskState.COMPLETE, 0)
    ] * 2


def test_a_failed_completion_is_tried_again_after_the_delay() -> None:
    swarm = Swarm(nodes=1)
    job = swarm.create(a_job())
    swarm.rest()
    swarm.report(up(swarm, job)[0], TaskState.FAILED, "boom")
    swarm.rest()
    assert not up(swarm, job)
    swarm.advance(SECOND)
    assert len(up(swarm, job)) == 1


@pytest.mark.parametrize("spec", [a_job(total=2), a_global_job()], ids=["replicated", "global"])
def test_restarts_that_are_used_up_stay_used_up_whatever_happens_next(spec: ServiceSpec) -> None:
    swarm = Swarm(nodes=2)
    swarm.fate = failing
    job = swarm.create(spec)
    swarm.converge()
    # A first attempt and two restarts, in each of two places.
    assert states(swarm, job) == {TaskState.FAILED: 6}
    swarm.set_node("n1", availability=Availability.DRAIN)
    swarm.set_node("n1", availability=Availability.ACTIVE)
    swarm.fate = lambda task: None
    swarm.create(a_service_spec("other"))
    swarm.elect()
    swarm.converge()
    assert states(swarm, job) == {TaskState.FAILED: 6}


def test_a_job_without_restarts_tries_each_completion_once() -> None:
    swarm = Swarm(nodes=1)
    swarm.fate = failing
    job = swarm.create(a_job(total=3, policy=RestartPolicy(condition=RestartCondition.NONE)))
    swarm.converge()
    assert states(swarm, job) == {TaskState.FAILED: 3}


def test_a_completion_is_not_repeated_even_if_the_policy_restarts_everything() -> None:
    swarm = Swarm(nodes=1)
    swarm.fate = finishing
    job = swarm.create(a_job(policy=RestartPolicy(condition=RestartCondition.ANY)))
    swarm.converge()
    assert states(swarm, job) == {TaskState.COMPLETE: 1}


def test_an_update_runs_the_job_again_and_ends_what_is_left_of_the_run_before() -> None:
    swarm = Swarm(nodes=1)
    job = swarm.create(a_job(total=2))
    swarm.rest()
    swarm.report(up(swarm, job)[0], TaskState.COMPLETE)
    swarm.update(job, swarm.store.get_service(job).spec)
    swarm.rest()
    assert [t.job_iteration for t in up(swarm, job)] == [1, 1]
    swarm.fate = finishing
    swarm.converge()
    of_run = [t for t in swarm.tasks(job) if t.job_iteration == 1]
    assert [t.status.state for t in of_run] == [TaskState.COMPLETE] * 2


def test_a_task_of_the_next_run_waits_until_the_one_before_it_has_stopped() -> None:
    swarm = Swarm(nodes=1)
    job = swarm.create(a_job())
    swarm.rest()
    swarm.update(job, swarm.store.get_service(job).spec)
    swarm.settle()
    old, new = swarm.tasks(job)
    assert (old.desired_state, new.desired_state) == (TaskState.SHUTDOWN, TaskState.READY)


def test_history_of_many_runs_is_trimmed() -> None:
    swarm = Swarm(nodes=1, task_history=2)
    swarm.fate = finishing
    job = swarm.create(a_job(total=2, policy=RestartPolicy()))
    for _ in range(6):
        swarm.converge()
        swarm.update(job, swarm.store.get_service(job).spec)
    swarm.converge()
    assert len(swarm.tasks(job)) == 2 * (1 + 2)


def test_the_completions_of_a_run_are_never_trimmed() -> None:
    swarm = Swarm(nodes=1, task_history=1)
    swarm.fate = finishing
    job = swarm.create(a_job(total=4, at_once=1))
    swarm.converge()
    assert states(swarm, job) == {TaskState.COMPLETE: 4}


def test_a_global_job_runs_once_on_each_node_also_on_one_that_comes_later() -> None:
    swarm = Swarm(nodes=2)
    swarm.fate = finishing
    job = swarm.create(a_global_job())
    swarm.converge()
    swarm.put_node(a_node("n3"))
    swarm.converge()
    assert sorted(t.node_id for t in swarm.tasks(job)) == ["n1", "n2", "n3"]
    assert states(swarm, job) == {TaskState.COMPLETE: 3}


def test_a_node_that_was_down_gets_its_task_of_a_global_job_when_it_is_back() -> None:
    swarm = Swarm(nodes=2)
    job = swarm.create(a_global_job())
    swarm.rest()
    swarm.set_node("n1", state=NodeState.DOWN)
    swarm.rest()
    swarm.fate = finishing
    swarm.set_node("n1", state=NodeState.READY)
    swarm.converge()
    done = [t.node_id for t in swarm.tasks(job) if t.status.state is TaskState.COMPLETE]
    assert sorted(done) == ["n1", "n2"]


def test_a_task_lost_with_its_node_is_replaced_elsewhere_without_delay() -> None:
    swarm = Swarm(nodes=2)
    job = swarm.create(a_job())
    swarm.rest()
    lost = up(swarm, job)[0]
    swarm.set_node(lost.node_id, state=NodeState.DOWN)
    swarm.rest()
    assert [t.node_id for t in up(swarm, job) if t.id != lost.id] != [lost.node_id]
    assert len(up(swarm, job)) == 2  # as far as can be known


def test_removing_a_job_removes_all_of_its_tasks() -> None:
    swarm = Swarm(nodes=1)
    job = swarm.create(a_job(total=3))
    swarm.rest()
    swarm.report(up(swarm, job)[0], TaskState.COMPLETE)
    swarm.remove(job)
    swarm.converge()
    assert swarm.tasks(job) == ()


def test_counts_are_those_of_the_latest_run() -> None:
    swarm = Swarm(nodes=1)
    job = swarm.create(a_job(total=4, at_once=2))
    swarm.rest()
    swarm.report(up(swarm, job)[0], TaskState.COMPLETE)
    swarm.rest()
    service = swarm.store.get_service(job)
    assert counts(service, swarm.tasks(job)) == (2, 2, 1)
    swarm.update(job, service.spec)
    assert counts(swarm.store.get_service(job), swarm.tasks(job)) == (2, 0, 0)


events = st.one_of(
    st.tuples(st.just("end"), st.integers(0, 20), st.sampled_from(ENDS)),
    st.tuples(st.just("node"), st.sampled_from(["n1", "n2"]), st.sampled_from(list(NodeState))),
    st.tuples(st.just("drain"), st.sampled_from(["n1", "n2"]), st.sampled_from(list(Availability))),
    st.tuples(st.just("again")),
    st.tuples(st.just("time"), st.integers(0, 5)),
    st.tuples(st.just("elect")),
)  # fmt: skip


def happen(swarm: Swarm, job: ServiceId, event: tuple) -> None:  # type: ignore[type-arg]
    match event:
        case ("end", number, state):
            running = up(swarm, job)
            if running:
                swarm.report(running[number % len(running)], state)
        case ("node", name, state):
            swarm.set_node(name, state=state)
        case ("drain", name, availability):
            swarm.set_node(name, availability=availability)
        case ("again",):
            swarm.update(job, swarm.store.get_service(job).spec)
        case ("time", seconds):
            swarm.advance(seconds * SECOND)
        case ("elect",):
            swarm.elect()


@settings(max_examples=80, deadline=None)
@given(st.lists(events, max_size=25), st.booleans(), st.booleans())
def test_after_the_faults_stop_a_job_completes_unless_its_restarts_are_used_up(
    history: list[tuple],  # type: ignore[type-arg]
    everywhere: bool,
    limited: bool,
) -> None:
    swarm = Swarm(nodes=2, task_history=1)
    policy = replace(RETRY, max_attempts=1 if limited else 0)
    spec = a_global_job(policy) if everywhere else a_job(total=4, at_once=2, policy=policy)
    job = swarm.create(spec)
    for event in history:
        happen(swarm, job, event)
        running = Counter(
            t.slot for t in swarm.tasks(job)
            if t.desired_state is TaskState.COMPLETE and t.status.state <= TaskState.RUNNING
        )  # fmt: skip
        assert sum(running.values()) <= 2 or everywhere
    for name in ("n1", "n2"):
        swarm.settle()
        swarm.put_node(a_node(name, cpus=64))
    swarm.fate = finishing
    swarm.converge()
    iteration = swarm.store.get_service(job).job_status.job_iteration  # type: ignore[union-attr]
    current = [t for t in swarm.tasks(job) if t.job_iteration == iteration]
    places = {t.slot or t.node_id for t in current}
    done = {t.slot or t.node_id for t in current if t.status.state is TaskState.COMPLETE}
    assert len(places) == (2 if everywhere else 4)
    for place in places - done:
        attempts = [t for t in current if (t.slot or t.node_id) == place]
        assert limited
        assert len(attempts) == 2
    assert swarm.plan() == ()
    before = swarm.store.index
    swarm.elect()
    swarm.converge()
    assert swarm.store.index == before
