"""Cron services: which run to start now, and when to look again.

A moment of the schedule is *settled* once a run was started for it or it was given up; the service
remembers up to where that is so. Moments not settled wait: for a manager that leads, or, where two
runs at a time are forbidden, for the end of the run that is going. What becomes of them then is the
missed-run policy's to say. The newest is on time for a minute; all others are missed.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

from msgspec.structs import replace

from swarmd.model.instant import MINUTE, Instant
from swarmd.model.schedule import Schedule, due_between, parse_schedule
from swarmd.model.service import CronStatus, Service
from swarmd.model.spec import Cron
from swarmd.model.states import Concurrency, MissedRuns, RunOutcome
from swarmd.orchestrator import runs

ON_TIME_NS = 1 * MINUTE
CAUGHT_UP_MAX = 100  # missed runs that are made up for, the newest
GOING_MAX = 100  # runs at a time, even where that is allowed


class Step(NamedTuple):
    """What is to be done about the moments that have come."""

    start: Instant | None  # begin a run for this moment
    settled_until: Instant
    missed: int  # moments given up by this step
    look_again: Instant | None


def decide(cron: Cron, status: CronStatus, *, going: int, now: Instant) -> Step:
    """The next run to start, if one is due; one at a time, so call again once it is committed."""
    since = status.considered_until
    full = going >= (1 if cron.concurrency is Concurrency.FORBID else GOING_MAX)
    if cron.suspended or (full and cron.concurrency is not Concurrency.REPLACE):
        return Step(None, since, 0, None)
    schedule = read_schedule(cron.schedule, cron.time_zone)
    if schedule is None:
        return Step(None, since, 0, None)
    due = due_between(schedule, since, now, latest=CAUGHT_UP_MAX)
    if not due.number:
        return Step(None, since, 0, schedule.next_after(max(since, now)))
    newest = due.latest[-1]
    deadline_ns = cron.starting_deadline_ns
    timely = [at for at in due.latest if not deadline_ns or now - at <= deadline_ns]
    chosen: Instant | None = None
    match cron.missed_runs:
        case MissedRuns.SKIP:
            chosen = newest if timely and now - newest <= ON_TIME_NS else None
        case MissedRuns.ALL if cron.concurrency is not Concurrency.REPLACE:
            chosen = timely[0] if timely else None
            if chosen is not None and chosen != newest:
                passed = due.number - len(due.latest) + due.latest.index(chosen)
                return Step(chosen, chosen, passed, now)
        case _:
            chosen = newest if timely else None
    return Step(
        chosen,
        newest,
        due.number - (chosen is not None),
        schedule.next_after(max(newest, now)),
    )


def follow(
    service: Service, outcomes: dict[int, RunOutcome], now: Instant
) -> tuple[Service | None, str, Instant | None]:
    """The service with ended runs written down and the next begun; None when nothing is new.

    Answers also why, and when to look again.
    """
    cron = service.spec.mode.cron
    assert cron is not None
    base = service
    if base.cron_status is None:
        base = replace(base, cron_status=CronStatus(considered_until=base.created_at))
    assert base.cron_status is not None
    written, reasons = base, []
    if outcomes:
        written = runs.ended(written, outcomes, now)
        reasons += [f"run {number} {outcome.value}" for number, outcome in outcomes.items()]
    status = written.cron_status
    assert status is not None
    step = decide(cron, status, going=len(runs.going(written)), now=now)
    if step.start is not None or step.missed:
        settled = replace(
            status, considered_until=step.settled_until, missed=status.missed + step.missed
        )
        written = replace(written, cron_status=settled)
    if step.start is not None:
        written = runs.begun(written, due_at=step.start, now=now)
        reasons.append(f"run {runs.iteration(written)} is due")
    elif step.missed:
        reasons.append(f"{step.missed} runs were missed")
    changed = written if written is not base else None
    return changed, f"{service.spec.name}: {', '.join(reasons)}", step.look_again


@lru_cache(maxsize=1024)
def read_schedule(text: str, time_zone: str) -> Schedule | None:
    """A stored schedule; None for one that can't be read on this machine.

    Specs are checked before they are stored, but another manager may lack a time zone.
    """
    try:
        return parse_schedule(text, time_zone)
    except ValueError:
        return None
