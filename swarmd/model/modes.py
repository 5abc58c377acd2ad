"""What the mode of a service means: its word, whether it is a job, bound to nodes, or numbered.

Every other package asks here, so that a mode is one thing everywhere. Numbers a spec leaves out
are filled in.
"""

from __future__ import annotations

from swarmd.model.instant import SECOND
from swarmd.model.spec import Cron, ReplicatedJob, ServiceMode, Stateful

LEASE_NS = 15 * SECOND
SUCCESSFUL_RUNS_KEPT = 3
FAILED_RUNS_KEPT = 1

_WORDS = {
    "replicated": "replicated",
    "global_": "global",
    "replicated_job": "replicated-job",
    "global_job": "global-job",
    "cron": "cron",
    "stateful": "stateful",
}


def members(mode: ServiceMode) -> tuple[str, ...]:
    """The words of the modes that are set; a valid spec sets exactly one."""
    return tuple(word for name, word in _WORDS.items() if getattr(mode, name) is not None)


def word(mode: ServiceMode) -> str:
    """The mode as people write it, for example `replicated-job`."""
    return next(iter(members(mode)), "replicated")


def is_bound(mode: ServiceMode) -> bool:
    """Whether there is one task per node rather than a number of slots."""
    return mode.global_ is not None or mode.global_job is not None


def is_job(mode: ServiceMode) -> bool:
    """Whether tasks run to completion instead of for good."""
    return mode.replicated_job is not None or mode.global_job is not None or mode.cron is not None


def counted_job(mode: ServiceMode) -> ReplicatedJob | None:
    """The number of completions a job or one run of a cron service wants; None for other modes."""
    return mode.cron.job if mode.cron is not None else mode.replicated_job


def completions(job: ReplicatedJob) -> int:
    return 1 if job.total_completions is None else job.total_completions


def concurrency(job: ReplicatedJob) -> int:
    """How many tasks may run at once; 0 means as many as there are completions, like absent."""
    return job.max_concurrent or completions(job)


def replicas(mode: ServiceMode) -> int:
    """How many slots a replicated or stateful service wants; absent means one."""
    wanted = mode.stateful.replicas if mode.stateful else None
    if mode.replicated is not None:
        wanted = mode.replicated.replicas
    return 1 if wanted is None else wanted


def lease_ns(stateful: Stateful | None) -> int:
    """How long a stateful task goes on without word from the managers; 0 for other tasks."""
    if stateful is None:
        return 0
    return LEASE_NS if stateful.lease_ns is None else stateful.lease_ns


def runs_kept(cron: Cron) -> tuple[int, int]:
    """How many successful and how many failed runs are remembered."""
    kept, failed = cron.successful_runs_kept, cron.failed_runs_kept
    return (
        SUCCESSFUL_RUNS_KEPT if kept is None else kept,
        FAILED_RUNS_KEPT if failed is None else failed,
    )
