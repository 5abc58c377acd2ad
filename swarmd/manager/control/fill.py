"""A service spec with the defaults written out, for clients that ask to see them. Pure."""

from __future__ import annotations

from msgspec.structs import replace

from swarmd.model import defaults, modes
from swarmd.model.spec import (
    Replicated,
    ReplicatedJob,
    ResourceRequirements,
    RestartPolicy,
    ServiceMode,
    ServiceSpec,
    TaskSpec,
    UpdateConfig,
)


def with_defaults(spec: ServiceSpec) -> ServiceSpec:
    """`spec` with every absent field set to what decisions use in its place."""
    job = modes.is_job(spec.mode)
    return replace(
        spec,
        task_template=_task(spec.task_template),
        mode=_mode(spec.mode),
        update_config=None if job else _update(defaults.update_config(spec)),
        rollback_config=None if job else _update(defaults.rollback_config(spec)),
    )


def _task(task: TaskSpec) -> TaskSpec:
    policy = defaults.restart_policy(task)
    container = task.container_spec
    if container is not None:
        container = replace(container, stop_grace_period_ns=defaults.stop_grace_period_ns(task))
    return replace(
        task,
        container_spec=container,
        resources=task.resources or ResourceRequirements(),
        restart_policy=RestartPolicy(
            condition=defaults.restart_condition(task),
            delay_ns=defaults.restart_delay_ns(task),
            max_attempts=policy.max_attempts,
            window_ns=policy.window_ns,
            max_delay_ns=policy.max_delay_ns,
        ),
        placement=defaults.placement(task),
    )


def _mode(mode: ServiceMode) -> ServiceMode:
    if mode.replicated is not None:
        return ServiceMode(replicated=Replicated(replicas=modes.replicas(mode)))
    if mode.replicated_job is not None:
        return ServiceMode(replicated_job=_job(mode.replicated_job))
    if mode.cron is not None:
        successes, failures = modes.runs_kept(mode.cron)
        cron = replace(
            mode.cron,
            job=_job(mode.cron.job),
            successful_runs_kept=successes,
            failed_runs_kept=failures,
        )
        return ServiceMode(cron=cron)
    if mode.stateful is not None:
        filled = replace(
            mode.stateful,
            replicas=modes.replicas(mode),
            lease_ns=modes.lease_ns(mode.stateful),
        )
        return ServiceMode(stateful=filled)
    return mode


def _job(job: ReplicatedJob) -> ReplicatedJob:
    return ReplicatedJob(
        max_concurrent=modes.concurrency(job), total_completions=modes.completions(job)
    )


def _update(config: UpdateConfig) -> UpdateConfig:
    if config.monitor_ns is not None:
        return config
    return replace(config, monitor_ns=defaults.UPDATE_MONITOR_NS)
