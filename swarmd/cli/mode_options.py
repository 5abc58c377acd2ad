"""The flags that belong to the mode of a service, and what they do to it.

Which flags a mode understands is said once, in `_UNDERSTANDS`; another one is refused by name.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import click

from swarmd.cli.params import COUNT, DURATION

if TYPE_CHECKING:
    from swarmd.model.spec import ServiceMode

MODES = ("replicated", "global", "replicated-job", "global-job", "cron", "stateful")
OPTIONS: list[Any] = [
    click.option("--max-concurrent", type=COUNT, help="Job: so many tasks at once."),
    click.option("--schedule", help="Cron: as '*/5 * * * *', @daily or '@every 90s'."),
    click.option("--time-zone", metavar="ZONE", help="Cron: of the schedule, as Europe/Rome."),
    click.option(
        "--concurrency",
        type=click.Choice(["allow", "forbid", "replace"]),
        help="Cron: when a run is due while one is going [forbid].",
    ),
    click.option(
        "--missed-runs",
        type=click.Choice(["skip", "once", "all"]),
        help="Cron: what becomes of runs that could not start in time [once].",
    ),
    click.option("--starting-deadline", type=DURATION, help="Cron: later than this is too late."),
    click.option("--suspend/--resume", "suspended", default=None, help="Cron: no runs for now."),
    click.option("--successful-runs", type=COUNT, help="Cron: so many are remembered [3]."),
    click.option("--failed-runs", type=COUNT, help="Cron: so many are remembered [1]."),
    click.option(
        "--start-order",
        type=click.Choice(["ordered", "parallel"]),
        help="Stateful: one ordinal after the other, or all at once [ordered].",
    ),
    click.option(
        "--lease",
        type=DURATION,
        help="Stateful: a task ends when its node hears of no manager for so long [15s].",
    ),
]
_FLAGS = {
    "max_concurrent": "--max-concurrent",
    "schedule": "--schedule",
    "time_zone": "--time-zone",
    "concurrency": "--concurrency",
    "missed_runs": "--missed-runs",
    "starting_deadline_ns": "--starting-deadline",
    "suspended": "--suspend",
    "successful_runs_kept": "--successful-runs",
    "failed_runs_kept": "--failed-runs",
    "start_order": "--start-order",
    "lease_ns": "--lease",
}
_JOB = frozenset({"replicas", "max_concurrent"})
_STATEFUL = frozenset({"replicas", "start_order", "lease_ns"})
_UNDERSTANDS: Mapping[str, frozenset[str]] = {
    "replicated": frozenset({"replicas"}),
    "global": frozenset(),
    "replicated-job": _JOB,
    "global-job": frozenset(),
    "cron": frozenset(_FLAGS) - _STATEFUL | _JOB,
    "stateful": _STATEFUL,
}


def mode_fields(flags: Mapping[str, Any]) -> dict[str, Any]:
    """The values given, by the names of fields."""
    from swarmd.model.states import Concurrency, MissedRuns, StartOrder

    words = {"concurrency": Concurrency, "missed_runs": MissedRuns, "start_order": StartOrder}
    found: dict[str, Any] = {}
    for name, flag in _FLAGS.items():
        key = "suspended" if name == "suspended" else flag.removeprefix("--").replace("-", "_")
        value = flags.get(key)
        if value is not None:
            found[name] = words[name](value) if name in words else value
    return found


def empty_mode(word: str) -> ServiceMode:
    """A mode with nothing said about it yet."""
    from swarmd.model.spec import (
        Cron,
        GlobalJob,
        GlobalMode,
        Replicated,
        ReplicatedJob,
        ServiceMode,
        Stateful,
    )

    match word:
        case "global":
            return ServiceMode(global_=GlobalMode())
        case "replicated-job":
            return ServiceMode(replicated_job=ReplicatedJob(total_completions=1))
        case "global-job":
            return ServiceMode(global_job=GlobalJob())
        case "cron":
            return ServiceMode(cron=Cron())
        case "stateful":
            return ServiceMode(stateful=Stateful(replicas=1))
        case _:
            return ServiceMode(replicated=Replicated(replicas=1))


def changed_mode(
    mode: ServiceMode, *, replicas: int | None, fields: Mapping[str, Any]
) -> ServiceMode:
    """`mode` with other numbers and settings.

    Raises:
        ValueError: the mode has no use for one of them.
    """
    from msgspec.structs import replace

    from swarmd.model import modes
    from swarmd.model.spec import Replicated, ReplicatedJob

    wanted = dict(fields) if replicas is None else {"replicas": replicas, **fields}
    word = modes.word(mode)
    for name in wanted:
        if name not in _UNDERSTANDS[word]:
            raise ValueError(_refusal(name, word))
    if not wanted:
        return mode
    if mode.replicated is not None:
        return replace(mode, replicated=Replicated(replicas=replicas))
    if mode.stateful is not None:
        return replace(mode, stateful=replace(mode.stateful, **wanted))
    job = modes.counted_job(mode) or ReplicatedJob()
    total = wanted.pop("replicas", None)
    at_once = wanted.pop("max_concurrent", None)
    job = ReplicatedJob(
        total_completions=job.total_completions if total is None else total,
        max_concurrent=job.max_concurrent if at_once is None else at_once,
    )
    if mode.cron is not None:
        return replace(mode, cron=replace(mode.cron, job=job, **wanted))
    return replace(mode, replicated_job=job)


def _refusal(name: str, word: str) -> str:
    if name == "replicas" and word in ("global", "global-job"):
        return f"the service is {word}, it runs once on every node and has no replicas"
    return f"{_FLAGS.get(name, '--replicas')} cannot be used with mode {word}"
