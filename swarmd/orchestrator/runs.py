"""Which runs of a job are going, and what becomes of a job's status when its spec changes.

A job has one run at a time, numbered by its iteration: each change of the spec begins the next.
A cron service has a list of runs, begun by its schedule or by force.
"""

from __future__ import annotations

from msgspec.structs import replace

from swarmd.model import modes
from swarmd.model.errors import failed_precondition
from swarmd.model.instant import Instant
from swarmd.model.service import CronRun, CronStatus, JobStatus, Service
from swarmd.model.spec import Cron
from swarmd.model.states import Concurrency, RunOutcome


def iteration(service: Service) -> int:
    """The number of the latest run."""
    return service.job_status.job_iteration if service.job_status else 0


def going(service: Service) -> tuple[int, ...]:
    """The iterations of runs that have not ended, oldest first."""
    if service.spec.mode.cron is None:
        return (iteration(service),)
    return tuple(run.iteration for run in remembered(service) if not run.ended_at)


def remembered(service: Service) -> tuple[CronRun, ...]:
    """The runs of a cron service that are going or kept in mind."""
    return service.cron_status.runs if service.cron_status else ()


def waits_for_earlier(service: Service) -> bool:
    """Whether a task waits until those of earlier runs in its slot have stopped."""
    cron = service.spec.mode.cron
    return cron is None or cron.concurrency is not Concurrency.ALLOW


def created(service: Service, now: Instant) -> Service:
    """A new service with the status its mode needs."""
    if not modes.is_job(service.spec.mode):
        return service
    if service.spec.mode.cron is not None:
        return replace(service, cron_status=CronStatus(considered_until=now))
    return replace(service, job_status=JobStatus(last_execution=now))


def after_spec_change(old: Service, new: Service, now: Instant) -> Service:
    """`new` with the next run of a job begun, or its schedule followed from `now` on.

    Runs that a former schedule missed, or that fell into a suspension, are not made up for. A
    forced update of a cron service starts a run at once.

    Raises:
        Rejection: a run is forced while one is going and the service forbids two.
    """
    if not modes.is_job(new.spec.mode):
        return new
    cron = new.spec.mode.cron
    if cron is None:
        next_run = JobStatus(job_iteration=iteration(old) + 1, last_execution=now)
        return replace(new, job_status=next_run, update_status=None)
    status = old.cron_status or CronStatus(considered_until=old.created_at)
    if _when(cron) != _when(old.spec.mode.cron):
        status = replace(status, considered_until=max(status.considered_until, now))
    new = replace(new, cron_status=status, update_status=None)
    if new.spec.task_template.force_update <= old.spec.task_template.force_update:
        return new
    if cron.concurrency is Concurrency.FORBID and going(new):
        raise failed_precondition(
            f"run {going(new)[-1]} of {new.spec.name} is still going and the service forbids two "
            "at a time; wait for its end, or allow or replace runs with --concurrency"
        )
    return begun(new, due_at=now, now=now)


def begun(service: Service, *, due_at: Instant, now: Instant) -> Service:
    """`service` with one more run; those it replaces, if so asked, have ended."""
    cron, status = service.spec.mode.cron, service.cron_status or CronStatus()
    assert cron is not None
    number = iteration(service) + 1
    runs = status.runs
    if cron.concurrency is Concurrency.REPLACE:
        runs = tuple(
            run if run.ended_at else replace(run, ended_at=now, outcome=RunOutcome.REPLACED)
            for run in runs
        )
    runs = (*runs, CronRun(iteration=number, due_at=due_at, started_at=now))
    return replace(
        service,
        job_status=JobStatus(job_iteration=number, last_execution=now),
        cron_status=replace(status, runs=kept(runs, cron)),
    )


def ended(service: Service, outcomes: dict[int, RunOutcome], now: Instant) -> Service:
    """`service` with the outcomes of runs written down."""
    cron, status = service.spec.mode.cron, service.cron_status
    assert cron is not None
    assert status is not None
    runs = tuple(
        replace(run, ended_at=now, outcome=outcomes[run.iteration])
        if run.iteration in outcomes
        else run
        for run in status.runs
    )
    return replace(service, cron_status=replace(status, runs=kept(runs, cron)))


def kept(runs: tuple[CronRun, ...], cron: Cron) -> tuple[CronRun, ...]:
    """The runs that are going, and of those that ended as many as the limits say."""
    successes, failures = modes.runs_kept(cron)
    left = {True: successes, False: failures}
    found: list[CronRun] = []
    for run in reversed(runs):
        if run.ended_at:
            succeeded = run.outcome is RunOutcome.SUCCEEDED
            if left[succeeded] <= 0:
                continue
            left[succeeded] -= 1
        found.append(run)
    return tuple(reversed(found))


def _when(cron: Cron | None) -> tuple[str, str, bool] | None:
    return (cron.schedule, cron.time_zone, cron.suspended) if cron is not None else None
