"""Service specs as a whole, and which changes an update may make.

Checks run in a fixed order, so that a spec with several faults always gets the same answer: name,
resources, restart policy, placement, secrets and configs, what to run, mode, update settings,
ports, networks.
"""

from __future__ import annotations

from swarmd.manager.validate.limits import (
    MIN_AVAILABLE,
    PRIORITY,
    UPDATE_DELAY,
    UPDATE_MONITOR,
    UPDATE_PARALLELISM,
    UPDATE_RATIO,
    UPDATE_TASK_TIMEOUT,
)
from swarmd.manager.validate.log_driver import check_log_driver
from swarmd.manager.validate.mode import check_mode
from swarmd.manager.validate.names import check_labels, check_name
from swarmd.manager.validate.placement import check_placement
from swarmd.manager.validate.ports import check_endpoint
from swarmd.manager.validate.references import check_references, check_spec_networks
from swarmd.manager.validate.task import (
    check_container,
    check_resources,
    check_restart_policy,
)
from swarmd.manager.validate.templates import check_templates
from swarmd.model import modes
from swarmd.model.errors import Code, Rejection
from swarmd.model.spec import ServiceSpec, UpdateConfig


def check_service_spec(spec: ServiceSpec) -> None:
    """Refuse a spec that is not valid by itself, whatever else the cluster holds."""
    task = spec.task_template
    check_name("service", spec.name)
    check_labels("service", spec.labels)
    check_resources(task.resources)
    check_restart_policy(task.restart_policy)
    check_placement(task.placement)
    check_references(task.container_spec)
    check_log_driver(task.log_driver, within="task.log_driver")
    check_container(task)
    check_templates(spec)
    check_mode(spec)
    PRIORITY.check(task.priority, within="task")
    MIN_AVAILABLE.check(spec.min_available)
    _check_update(spec.update_config, within="update")
    _check_update(spec.rollback_config, within="rollback")
    check_endpoint(spec.endpoint_spec)
    check_spec_networks(spec)


def check_service_update(old: ServiceSpec, new: ServiceSpec) -> None:
    """Refuse changes that would make it another service."""
    if new.name != old.name:
        raise Rejection(
            Code.UNIMPLEMENTED,
            f"service {old.name} cannot be renamed to {new.name}; create another service instead",
        )
    if new.networks != old.networks and new.task_template.networks == old.task_template.networks:
        raise Rejection(
            Code.UNIMPLEMENTED,
            f"changing the networks of service {old.name} is done in its task template, not in the "
            "service spec's own list",
        )
    if modes.members(new.mode) != modes.members(old.mode):
        raise Rejection(
            Code.UNIMPLEMENTED,
            f"service mode change is not allowed: service {old.name} is {modes.word(old.mode)}; "
            "create another service instead",
        )


def _check_update(config: UpdateConfig | None, *, within: str) -> None:
    if config is None:
        return
    UPDATE_PARALLELISM.check(config.parallelism, within=within)
    UPDATE_DELAY.check(config.delay_ns, within=within)
    UPDATE_MONITOR.check(config.monitor_ns, within=within)
    UPDATE_RATIO.check(config.max_failure_ratio, within=within)
    UPDATE_TASK_TIMEOUT.check(config.task_timeout_ns, within=within)
