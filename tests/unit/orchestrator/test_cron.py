"""Cron services: which runs are started, missed and remembered, also by the next leader."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from swarmd.model.errors import Rejection
from swarmd.model.ids import ServiceId
from swarmd.model.instant import HOUR, MINUTE, SECOND, Instant
from swarmd.model.service import CronRun, CronStatus
from swarmd.model.spec import Cron, ReplicatedJob, RestartPolicy, ServiceMode
from swarmd.model.states import Concurrency, MissedRuns, RestartCondition, RunOutcome, TaskState
from swarmd.model.task import Task
from swarmd.orchestrator.cron import CAUGHT_UP_MAX, Step, decide
from tests.support.cluster import Swarm, a_service_spec, a_task_spec

T0 = Instant(1_699_999_200 * SECOND)  # a full hour
ONCE_ONLY = RestartPolicy(condition=RestartCondition.NONE)


def a_cron(**fields: object) -> Cron:
    return Cron(schedule="*/10 * * * *", **fields)  # type: ignore[arg-type]


def settled(minutes: float) -> Instant:
    return Instant(T0 + int(minutes * MINUTE))


SKIP, ONCE, ALL = MissedRuns.SKIP, MissedRuns.ONCE, MissedRuns.ALL


@pytest.mark.parametrize(
    ("cron", "now", "going", "expected"),
    [
        pytest.param(a_cron(), 9, 0, (None, 0, 0, 10), id="nothing is due"),
        pytest.param(a_cron(), 10, 0, (10, 10, 0, 20), id="on time to the nanosecond"),
        pytest.param(a_cron(missed_runs=SKIP), 10.9, 0, (10, 10, 0, 20), id="skip, on time"),
        pytest.param(a_cron(missed_runs=SKIP), 12, 0, (None, 10, 1, 20), id="skip, late"),
        pytest.param(a_cron(missed_runs=SKIP), 30.5, 0, (30, 30, 2, 40), id="skip, several"),
        pytest.param(a_cron(missed_runs=ONCE), 35, 0, (30, 30, 2, 40), id="once, late"),
        pytest.param(a_cron(missed_runs=ALL), 35, 0, (10, 10, 0, 35), id="all, the oldest first"),
        pytest.param(
            a_cron(missed_runs=ONCE, starting_deadline_ns=2 * MINUTE), 35, 0, (None, 30, 3, 40),
            id="once, too late for all",
        ),
        pytest.param(
            a_cron(missed_runs=ALL, starting_deadline_ns=16 * MINUTE), 35, 0, (20, 20, 1, 35),
            id="all within the deadline",
        ),
        pytest.param(a_cron(), 10, 1, (None, 0, 0, None), id="forbid waits for the end"),
        pytest.param(
            a_cron(concurrency=Concurrency.ALLOW), 10, 3, (10, 10, 0, 20), id="allow does not"
        ),
        pytest.param(
            a_cron(concurrency=Concurrency.REPLACE, missed_runs=ALL), 35, 1, (30, 30, 2, 40),
            id="replace never starts what it would end at once",
        ),
        pytest.param(a_cron(suspended=True), 35, 0, (None, 0, 0, None), id="suspended"),
    ],
)  # fmt: skip
def test_which_run_starts(cron: Cron, now: float, going: int, expected: tuple) -> None:  # type: ignore[type-arg]
    start, until, missed, again = expected
    step = decide(cron, CronStatus(considered_until=T0), going=going, now=settled(now))
    assert step == Step(
        None if start is None else settled(start),
        settled(until),
        missed,
        None if again is None else settled(again),
    )


def test_no_more_than_a_hundred_missed_runs_are_made_up_for() -> None:
    cron = Cron(schedule="* * * * *", missed_runs=ALL, concurrency=Concurrency.ALLOW)
    step = decide(cron, CronStatus(considered_until=T0), going=0, now=settled(300))
    assert step.start == settled(300 - CAUGHT_UP_MAX + 1)
    assert step.missed == 300 - CAUGHT_UP_MAX


# Over a fake swarm.


def a_swarm(now: Instant = T0) -> Swarm:
    swarm = Swarm(nodes=2)
    swarm.now = now
    return swarm


def put(swarm: Swarm, cron: Cron) -> ServiceId:
    task = a_task_spec(restart_policy=ONCE_ONLY)
    return swarm.create(a_service_spec("backup", mode=ServiceMode(cron=cron), task=task))


def finishing(task: Task) -> TaskState | None:
    return TaskState.COMPLETE if task.status.state is TaskState.RUNNING else None


def recorded(swarm: Swarm, service_id: ServiceId) -> tuple[CronRun, ...]:
    status = swarm.store.get_service(service_id).cron_status
    return status.runs if status else ()


def outcomes(swarm: Swarm, service_id: ServiceId) -> list[tuple[int, RunOutcome]]:
    return [(run.iteration, run.outcome) for run in recorded(swarm, service_id)]


def test_a_run_is_committed_before_its_tasks_and_ends_with_them() -> None:
    swarm = a_swarm()
    cron = put(swarm, a_cron(job=ReplicatedJob(total_completions=2)))
    swarm.advance(9 * MINUTE)
    assert swarm.tasks(cron) == ()
    swarm.now = settled(10)
    swarm.plan()
    assert outcomes(swarm, cron) == [(1, RunOutcome.RUNNING)]
    assert swarm.tasks(cron) == ()
    swarm.fate = finishing
    swarm.rest()
    assert [t.job_iteration for t in swarm.tasks(cron)] == [1, 1]
    assert outcomes(swarm, cron) == [(1, RunOutcome.SUCCEEDED)]


def test_runs_are_remembered_by_outcome_and_their_tasks_with_them() -> None:
    swarm = a_swarm()
    cron = put(swarm, a_cron(successful_runs_kept=2, failed_runs_kept=1))
    for number in range(8):
        ends_badly = number in (1, 3)
        swarm.fate = (lambda t: TaskState.FAILED if t.status.state is TaskState.RUNNING else None) \
            if ends_badly else finishing  # fmt: skip
        swarm.advance(10 * MINUTE)
    assert outcomes(swarm, cron) == [
        (4, RunOutcome.FAILED),
        (7, RunOutcome.SUCCEEDED),
        (8, RunOutcome.SUCCEEDED),
    ]
    assert [t.job_iteration for t in swarm.tasks(cron)] == [4, 7, 8]


def test_forbidden_runs_wait_for_the_one_that_is_going() -> None:
    swarm = a_swarm()
    cron = put(swarm, a_cron())
    swarm.advance(35 * MINUTE)
    assert outcomes(swarm, cron) == [(1, RunOutcome.RUNNING)]
    swarm.fate = finishing
    swarm.advance(SECOND)
    assert outcomes(swarm, cron) == [(1, RunOutcome.SUCCEEDED), (2, RunOutcome.SUCCEEDED)]
    status = swarm.store.get_service(cron).cron_status
    assert status is not None
    assert status.missed == 1


def test_allowed_runs_overlap_and_each_completes() -> None:
    swarm = a_swarm()
    job = ReplicatedJob(max_concurrent=1, total_completions=2)
    cron = put(swarm, a_cron(concurrency=Concurrency.ALLOW, job=job))
    swarm.advance(30 * MINUTE)
    assert [t.job_iteration for t in swarm.tasks(cron)] == [1, 2, 3]
    swarm.fate = finishing
    swarm.advance(SECOND)
    assert outcomes(swarm, cron) == [(n, RunOutcome.SUCCEEDED) for n in (1, 2, 3)]
    assert len(swarm.tasks(cron)) == 6


def test_a_replacing_run_waits_until_the_tasks_of_the_one_before_have_stopped() -> None:
    swarm = a_swarm()
    cron = put(swarm, a_cron(concurrency=Concurrency.REPLACE))
    swarm.advance(10 * MINUTE)
    swarm.now = settled(20)
    swarm.settle()
    old, new = swarm.tasks(cron)
    assert (old.desired_state, new.desired_state) == (TaskState.SHUTDOWN, TaskState.READY)
    swarm.rest()
    assert outcomes(swarm, cron) == [(1, RunOutcome.REPLACED), (2, RunOutcome.RUNNING)]


def test_runs_due_while_there_was_no_leader_are_made_up_for_once() -> None:
    swarm = a_swarm()
    swarm.fate = finishing
    cron = put(swarm, a_cron())
    swarm.settle()
    swarm.now = settled(47)
    swarm.elect()
    swarm.advance(SECOND)
    assert [run.due_at for run in recorded(swarm, cron)] == [settled(40)]


def test_all_runs_due_while_there_was_no_leader_run_one_after_the_other() -> None:
    swarm = a_swarm()
    swarm.fate = finishing
    cron = put(swarm, a_cron(missed_runs=ALL, successful_runs_kept=10))
    swarm.settle()
    swarm.now = settled(47)
    swarm.elect()
    swarm.advance(SECOND)
    assert [run.due_at for run in recorded(swarm, cron)] == [settled(n) for n in (10, 20, 30, 40)]


def test_runs_that_fell_into_a_suspension_are_not_made_up_for() -> None:
    swarm = a_swarm()
    swarm.fate = finishing
    cron = put(swarm, a_cron(suspended=True))
    swarm.advance(HOUR)
    spec = swarm.store.get_service(cron).spec
    swarm.update(cron, replace(spec, mode=ServiceMode(cron=a_cron())))
    swarm.advance(MINUTE)
    assert recorded(swarm, cron) == ()
    swarm.advance(10 * MINUTE)
    assert len(recorded(swarm, cron)) == 1


def forced(swarm: Swarm, cron: ServiceId) -> None:
    spec = swarm.store.get_service(cron).spec
    task = replace(spec.task_template, force_update=spec.task_template.force_update + 1)
    swarm.update(cron, replace(spec, task_template=task))


def test_a_forced_update_starts_a_run_now_and_other_updates_do_not() -> None:
    swarm = a_swarm()
    cron = put(swarm, a_cron())
    swarm.update(cron, replace(swarm.store.get_service(cron).spec, labels={"a": "b"}))
    assert recorded(swarm, cron) == ()
    forced(swarm, cron)
    swarm.rest()
    assert [t.job_iteration for t in swarm.tasks(cron)] == [1]


def test_a_run_is_not_forced_beside_another_where_that_is_forbidden() -> None:
    swarm = a_swarm()
    cron = put(swarm, a_cron())
    forced(swarm, cron)
    with pytest.raises(Rejection, match="run 1 of backup is still going"):
        forced(swarm, cron)


@pytest.mark.parametrize("concurrency", list(Concurrency))
@pytest.mark.parametrize("missed", list(MissedRuns))
def test_a_new_leader_at_every_step_neither_doubles_nor_loses_a_run(
    concurrency: Concurrency, missed: MissedRuns
) -> None:
    def story(*, elections: bool) -> tuple[list[Instant], int]:
        swarm = a_swarm()
        swarm.fate = finishing
        job = ReplicatedJob(total_completions=2, max_concurrent=1)
        cron = put(swarm, a_cron(concurrency=concurrency, missed_runs=missed, job=job,
                                 successful_runs_kept=100))  # fmt: skip
        for _ in range(8):
            swarm.now = Instant(swarm.now + 5 * MINUTE)
            for _ in range(12):
                if elections:
                    swarm.elect()
                swarm.plan()
                if elections:
                    swarm.elect()
                swarm.step()
        completed = sum(t.status.state is TaskState.COMPLETE for t in swarm.tasks(cron))
        return [run.due_at for run in recorded(swarm, cron)], completed

    calm = story(elections=False)
    assert story(elections=True) == calm
    assert calm == ([settled(10 * n) for n in (1, 2, 3, 4)], 8)
