"""Numbers used where a spec is silent (swarm mode's, except where noted)."""

from __future__ import annotations

from swarmd.model import modes
from swarmd.model.instant import MILLISECOND, SECOND
from swarmd.model.spec import (
    ContainerSpec,
    Placement,
    Resources,
    RestartPolicy,
    ServiceSpec,
    TaskSpec,
    UpdateConfig,
)
from swarmd.model.states import RestartCondition

STOP_GRACE_PERIOD_NS = 10 * SECOND
RESTART_DELAY_NS = 5 * SECOND
UPDATE_MONITOR_NS = 5 * SECOND
HEARTBEAT_FLOOR_NS = 100 * MILLISECOND

NO_PLACEMENT = Placement()
NO_RESOURCES = Resources()
NO_RESTART_POLICY = RestartPolicy()
DEFAULT_UPDATE_CONFIG = UpdateConfig(parallelism=1)


def restart_policy(spec: TaskSpec) -> RestartPolicy:
    return spec.restart_policy or NO_RESTART_POLICY


def restart_condition(spec: TaskSpec) -> RestartCondition:
    return restart_policy(spec).condition or RestartCondition.ANY


def restart_delay_ns(spec: TaskSpec) -> int:
    delay_ns = restart_policy(spec).delay_ns
    return RESTART_DELAY_NS if delay_ns is None else delay_ns


def placement(spec: TaskSpec) -> Placement:
    return spec.placement or NO_PLACEMENT


def reservations(spec: TaskSpec) -> Resources:
    """What the task keeps for itself on its node."""
    return (spec.resources.reservations if spec.resources else None) or NO_RESOURCES


def limits(spec: TaskSpec) -> Resources:
    return (spec.resources.limits if spec.resources else None) or NO_RESOURCES


def container(spec: TaskSpec) -> ContainerSpec:
    if spec.container_spec is None:
        raise AssertionError("task specs without a container are refused before they are stored")
    return spec.container_spec


def stop_grace_period_ns(spec: TaskSpec) -> int:
    period_ns = container(spec).stop_grace_period_ns
    return STOP_GRACE_PERIOD_NS if period_ns is None else period_ns


def replicas(spec: ServiceSpec) -> int:
    """How many slots a replicated or stateful service wants; absent means one."""
    return modes.replicas(spec.mode)


def update_config(spec: ServiceSpec) -> UpdateConfig:
    return spec.update_config or DEFAULT_UPDATE_CONFIG


def rollback_config(spec: ServiceSpec) -> UpdateConfig:
    return spec.rollback_config or DEFAULT_UPDATE_CONFIG
