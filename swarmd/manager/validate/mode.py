"""Modes of services: exactly one, with numbers in range, and settings that can work together."""

from __future__ import annotations

from swarmd.manager.validate.limits import (
    COMPLETIONS,
    CONCURRENT,
    LEASE,
    REPLICAS,
    RUNS_KEPT,
    STARTING_DEADLINE,
)
from swarmd.model import modes
from swarmd.model.errors import invalid
from swarmd.model.schedule import parse_schedule
from swarmd.model.spec import Cron, ReplicatedJob, ServiceSpec, Stateful
from swarmd.model.states import UpdateOrder


def check_mode(spec: ServiceSpec) -> None:
    """Refuse no mode, several, and settings the mode has no use for."""
    mode = spec.mode
    words = modes.members(mode)
    if not words:
        raise invalid("mode is missing: a service is replicated or global")
    if len(words) > 1:
        raise invalid(f"mode is both {' and '.join(words)}: choose one")
    if mode.replicated is not None:
        REPLICAS.check(mode.replicated.replicas)
    if modes.is_job(mode) and (spec.update_config is not None or spec.rollback_config is not None):
        raise invalid(
            f"update config cannot be used with mode {modes.word(mode)}: "
            "a job runs again when it is updated"
        )
    if mode.replicated_job is not None:
        _check_job(mode.replicated_job)
    if mode.cron is not None:
        _check_cron(mode.cron)
    if mode.stateful is not None:
        _check_stateful(spec, mode.stateful)


def _check_job(job: ReplicatedJob) -> None:
    COMPLETIONS.check(job.total_completions)
    CONCURRENT.check(job.max_concurrent)


def _check_cron(cron: Cron) -> None:
    try:
        parse_schedule(cron.schedule, cron.time_zone)
    except ValueError as error:
        raise invalid(f"cron: {error}") from None
    _check_job(cron.job)
    STARTING_DEADLINE.check(cron.starting_deadline_ns)
    RUNS_KEPT.check(cron.successful_runs_kept, within="successful")
    RUNS_KEPT.check(cron.failed_runs_kept, within="failed")


def _check_stateful(spec: ServiceSpec, stateful: Stateful) -> None:
    REPLICAS.check(stateful.replicas)
    LEASE.check(stateful.lease_ns)
    for config in (spec.update_config, spec.rollback_config):
        if config is not None and config.order is UpdateOrder.START_FIRST:
            raise invalid(
                "update.order start-first cannot be used with mode stateful: "
                "an ordinal never has two tasks at once; use stop-first"
            )
