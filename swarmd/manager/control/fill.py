"""A service spec with the defaults written out, for clients that ask to see them. Pure."""

from __future__ import annotations

from msgspec.structs import replace

from swarmd.model import defaults
from swarmd.model.spec import (
    Replicated,
    ResourceRequirements,
    RestartPolicy,
    ServiceMode,
    ServiceSpec,
    TaskSpec,
    UpdateConfig,
)


def with_defaults(spec: ServiceSpec) -> ServiceSpec:
    """`spec` with every absent field set to what decisions use in its place."""
    return replace(
        spec,
        task_template=_task(spec.task_template),
        mode=_mode(spec),
        update_config=_update(defaults.update_config(spec)),
        rollback_config=_update(defaults.rollback_config(spec)),
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
        ),
        placement=defaults.placement(task),
    )


def _mode(spec: ServiceSpec) -> ServiceMode:
    if spec.mode.replicated is None:
        return spec.mode
    return ServiceMode(replicated=Replicated(replicas=defaults.replicas(spec)))


def _update(config: UpdateConfig) -> UpdateConfig:
    if config.monitor_ns is not None:
        return config
    return replace(config, monitor_ns=defaults.UPDATE_MONITOR_NS)
