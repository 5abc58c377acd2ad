"""What `service inspect` says of a service's mode: runs and schedules. Pure."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from swarmd.model.instant import SECOND, Instant, format_duration
from swarmd.model.modes import lease_ns
from swarmd.model.schedule import find_zone, upcoming
from swarmd.model.service import CronRun, Service
from swarmd.model.spec import Cron
from swarmd.orchestrator import runs
from swarmd.orchestrator.cron import read_schedule

NEXT_RUNS = 3


def next_runs(cron: Cron, now: int) -> list[str]:
    """When the next runs are due, by the clocks of the schedule's zone; none if suspended."""
    schedule = read_schedule(cron.schedule, cron.time_zone)
    if cron.suspended or schedule is None:
        return []
    return [_shown(at, cron) for at in upcoming(schedule, Instant(now), NEXT_RUNS)]


def mode_lines(service: Service, now: int) -> dict[str, str]:
    """The lines of a job, cron or stateful service; none for other modes."""
    mode = service.spec.mode
    if mode.stateful is not None:
        return {
            "Order": mode.stateful.start_order.value,
            "Lease": format_duration(lease_ns(mode.stateful)),
        }
    if mode.cron is None:
        return {"Run": str(runs.iteration(service))} if service.job_status is not None else {}
    cron, status = mode.cron, service.cron_status
    zone = f" {cron.time_zone}" if cron.time_zone else ""
    return {
        "Schedule": f"{cron.schedule}{zone}" + (" (suspended)" if cron.suspended else ""),
        "Next runs": ", ".join(next_runs(cron, now)),
        "Past runs": ", ".join(_run(run, cron) for run in runs.remembered(service)),
        "Missed": str(status.missed if status else 0),
    }


def cron_document(service: Service, now: int) -> dict[str, Any]:
    """The same for programs."""
    cron = service.spec.mode.cron
    if cron is None:
        return {}
    return {
        "Missed": service.cron_status.missed if service.cron_status else 0,
        "NextRuns": next_runs(cron, now),
        "Runs": [
            {
                "Iteration": run.iteration,
                "Outcome": run.outcome.value,
                "DueAt": _shown(run.due_at, cron),
                "StartedAt": _shown(run.started_at, cron),
                **({"EndedAt": _shown(run.ended_at, cron)} if run.ended_at else {}),
            }
            for run in runs.remembered(service)
        ],
    }


def _run(run: CronRun, cron: Cron) -> str:
    return f"{run.iteration} {run.outcome.value} ({_shown(run.due_at, cron)})"


def _shown(at: Instant, cron: Cron) -> str:
    moment = datetime.fromtimestamp(at // SECOND, find_zone(cron.time_zone))
    return moment.isoformat(sep=" ", timespec="seconds")
