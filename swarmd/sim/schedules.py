"""Schedules of cron services: every moment that has come is settled, once, whoever leads.

A moment has a run, or is written down as missed; what an entry says about how far a schedule has
been followed has to add up. Once faults have stopped, runs begin and succeed again by themselves.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from swarmd.model.ids import ServiceId
from swarmd.model.instant import SECOND
from swarmd.model.service import CronStatus, Service
from swarmd.model.states import Concurrency, RunOutcome
from swarmd.store.changes import Committed
from swarmd.store.store import Store

PUNCTUAL = "punctual"  # label of a service whose schedule is followed to the end
EVERY = re.compile(r"@every (\d+)s")
# Beyond so many moments the managers count no more than they have to.
COUNTED_MAX = 1000
SUCCESSES = 2  # runs after the last fault that show a schedule is followed


class Schedules:
    """Looks at each entry once; remembers for which moments there were runs."""

    def __init__(self) -> None:
        self._runs: dict[tuple[ServiceId, int], int] = {}  # by due time: the number of the run

    def check(self, committed: Committed) -> Iterator[str]:
        """What an entry has done to cron services that it should not have."""
        if committed.restored:
            return
        for change in committed.changes:
            new, old = change.new, change.old
            if not isinstance(new, Service) or new.cron_status is None:
                continue
            before = old if isinstance(old, Service) else None
            known = _latest(before)
            for run in new.cron_status.runs:
                if run.iteration > known:
                    yield from self._check_begun(new, run.iteration, run.due_at)
            if before is not None and before.cron_status is not None:
                yield from _check_followed(before, before.cron_status, new, new.cron_status)

    def _check_begun(self, service: Service, iteration: int, due_at: int) -> Iterator[str]:
        assert service.cron_status is not None
        first = self._runs.setdefault((service.id, due_at), iteration)
        if first != iteration:
            yield f"runs {first} and {iteration} of {service.spec.name} were due at once"
        cron = service.spec.mode.cron
        if cron is None or cron.concurrency is Concurrency.ALLOW:
            return
        going = [run.iteration for run in service.cron_status.runs if not run.ended_at]
        if going != [iteration]:
            yield f"runs {going} of {service.spec.name} are going at once"


def followed(store: Store) -> dict[ServiceId, int]:
    """The latest run of every schedule that is to be followed to the end."""
    return {
        service.id: _latest(service)
        for service in store.services()
        if PUNCTUAL in service.spec.labels
    }


def unfollowed(store: Store, since: Mapping[ServiceId, int]) -> Iterator[str]:
    """Those without enough runs that were begun after the ones of `since`, and succeeded."""
    for service_id, latest in since.items():
        service = store.find_service(service_id)
        if service is None:
            continue
        runs = service.cron_status.runs if service.cron_status is not None else ()
        done = [
            run for run in runs if run.iteration > latest and run.outcome is RunOutcome.SUCCEEDED
        ]
        if len(done) < SUCCESSES:
            yield f"{service.spec.name} had {len(done)} successful runs since its run {latest}"


def _check_followed(
    before: Service, was: CronStatus, after: Service, now: CronStatus
) -> Iterator[str]:
    name = after.spec.name
    if now.considered_until < was.considered_until:
        yield f"the schedule of {name} went back"
    if _when(before) != _when(after):
        return
    moments = _moments(after, was.considered_until, now.considered_until)
    # A run that a user has forced is due when it was asked for, which settles nothing.
    begun = sum(
        run.iteration > _latest(before)
        and was.considered_until < run.due_at <= now.considered_until
        for run in now.runs
    )
    settled = begun + now.missed - was.missed
    if moments is not None and (settled > moments or (settled < moments <= COUNTED_MAX)):
        yield (
            f"{moments} moments of the schedule of {name} have come, of which {begun} have a run "
            f"and {now.missed - was.missed} were missed"
        )


def _moments(service: Service, since: int, until: int) -> int | None:
    """How many moments there are after `since` up to `until`; None for other schedules."""
    cron = service.spec.mode.cron
    found = EVERY.fullmatch(cron.schedule) if cron is not None else None
    if found is None:
        return None
    period_ns = int(found[1]) * SECOND
    return until // period_ns - since // period_ns


def _when(service: Service) -> tuple[str, bool] | None:
    cron = service.spec.mode.cron
    return (cron.schedule, cron.suspended) if cron is not None else None


def _latest(service: Service | None) -> int:
    status = service.job_status if service is not None else None
    return status.job_iteration if status is not None else 0
