"""What the flags of `service create` and `service update` do to a spec. Pure.

Both commands gather `Changes`; creation applies them to an empty spec, an update to the stored one.
A field that is None leaves things as they are. Messages that swarm tells absent from empty, such as
the restart policy, come into being with the first flag that concerns them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from msgspec import Struct
from msgspec.structs import replace

from swarmd.cli.container_changes import ContainerChanges, changed
from swarmd.cli.health_options import changed_health
from swarmd.cli.mode_options import changed_mode
from swarmd.model.defaults import DEFAULT_UPDATE_CONFIG
from swarmd.model.file_versions import family
from swarmd.model.record import Record
from swarmd.model.spec import (
    ConfigReference,
    ContainerSpec,
    DiscreteResource,
    EndpointSpec,
    GenericResource,
    LogDriver,
    Mount,
    NetworkAttachmentConfig,
    Placement,
    PlacementPreference,
    Platform,
    PortConfig,
    ResourceRequirements,
    Resources,
    RestartPolicy,
    SecretReference,
    ServiceSpec,
    TaskSpec,
    UpdateConfig,
)
from swarmd.model.states import Balance, ResolutionMode, RestartCondition

R = TypeVar("R", bound=Record)
Fields = Mapping[str, Any]  # of a record, by attribute


class Changes(Struct, kw_only=True, frozen=True):
    """One command's wishes. Removals happen before additions, so a value can be replaced."""

    replicas: int | None = None
    mode: Fields = {}  # of the mode that the service has
    labels: Mapping[str, str] = {}
    labels_removed: tuple[str, ...] = ()
    container: Fields = {}  # scalar fields of the container spec
    health: Fields = {}
    surroundings: ContainerChanges = ContainerChanges()
    container_labels: Mapping[str, str] = {}
    container_labels_removed: tuple[str, ...] = ()
    env: tuple[str, ...] = ()
    env_removed: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    groups_removed: tuple[str, ...] = ()
    limits: Fields = {}
    reservations: Fields = {}
    swap: Fields = {}  # of the resource requirements
    restart: Fields = {}
    constraints: tuple[str, ...] = ()
    constraints_removed: tuple[str, ...] = ()
    preferences: tuple[PlacementPreference, ...] = ()
    preferences_removed: tuple[PlacementPreference, ...] = ()
    affinities: tuple[str, ...] = ()
    affinities_removed: tuple[str, ...] = ()
    tolerations: tuple[str, ...] = ()
    tolerations_removed: tuple[str, ...] = ()
    platforms: tuple[Platform, ...] = ()
    platforms_removed: tuple[Platform, ...] = ()
    generic: Mapping[str, int] = {}  # numbers reserved, by kind
    generic_removed: tuple[str, ...] = ()
    placement: Fields = {}  # scalar fields of the placement
    max_replicas: int | None = None
    priority: int | None = None
    min_available: int | None = None
    update: Fields = {}
    rollback: Fields = {}
    ports: tuple[PortConfig, ...] = ()
    ports_removed: tuple[PortConfig, ...] = ()
    endpoint_mode: ResolutionMode | None = None
    drain_timeout_ns: int | None = None
    balance: Balance | None = None
    weight_label: str | None = None
    networks: tuple[NetworkAttachmentConfig, ...] = ()
    networks_removed: tuple[str, ...] = ()  # ids or names, as they stand in the spec
    secrets: tuple[SecretReference, ...] = ()
    secrets_removed: tuple[str, ...] = ()  # ids or names
    configs: tuple[ConfigReference, ...] = ()
    configs_removed: tuple[str, ...] = ()
    mounts: tuple[Mount, ...] = ()
    mounts_removed: tuple[str, ...] = ()  # targets
    log_driver: str | None = None
    log_options: Mapping[str, str] = {}
    force: bool = False


def apply(spec: ServiceSpec, changes: Changes) -> ServiceSpec:
    """`spec` with the changes made.

    Raises:
        ValueError: they cannot be made to this spec; the message says why.
    """
    return replace(
        spec,
        labels=_labels(spec.labels, changes.labels, changes.labels_removed),
        task_template=_task(spec.task_template, changes),
        mode=changed_mode(spec.mode, replicas=changes.replicas, fields=changes.mode),
        update_config=_policy(spec.update_config, changes.update),
        rollback_config=_policy(spec.rollback_config, changes.rollback),
        endpoint_spec=_endpoint(spec.endpoint_spec, changes),
        min_available=_either(spec.min_available, changes.min_available),
    )


def _either(present: int, wanted: int | None) -> int:
    return present if wanted is None else wanted


def scaled(spec: ServiceSpec, replicas: int) -> ServiceSpec:
    """`spec` with another number of replicas.

    Raises:
        ValueError: the service is global.
    """
    return replace(spec, mode=changed_mode(spec.mode, replicas=replicas, fields={}))


def _task(task: TaskSpec, changes: Changes) -> TaskSpec:
    return replace(
        task,
        container_spec=_container(task.container_spec or ContainerSpec(), changes),
        resources=_resources(task.resources, changes),
        restart_policy=_restart(task.restart_policy, changes.restart),
        placement=_placement(task.placement, changes),
        log_driver=_log_driver(task.log_driver, changes),
        networks=with_references(
            task.networks, changes.networks, lambda row: row.target in changes.networks_removed
        ),
        priority=_either(task.priority, changes.priority),
        force_update=task.force_update + (1 if changes.force else 0),
    )


def _container(spec: ContainerSpec, changes: Changes) -> ContainerSpec:
    return replace(
        changed(spec, changes.surroundings),
        **changes.container,
        healthcheck=changed_health(spec.healthcheck, changes.health),
        labels=_labels(spec.labels, changes.container_labels, changes.container_labels_removed),
        env=_env(spec.env, changes.env, changes.env_removed),
        groups=_items(spec.groups, changes.groups, changes.groups_removed),
        secrets=with_references(
            spec.secrets,
            changes.secrets,
            lambda row: (
                {row.secret_id, row.secret_name, family(row.secret_name)}
                & set(changes.secrets_removed)
            ),
        ),
        configs=with_references(
            spec.configs,
            changes.configs,
            lambda row: (
                {row.config_id, row.config_name, family(row.config_name)}
                & set(changes.configs_removed)
            ),
        ),
        mounts=_mounts(spec.mounts, changes),
    )


def _mounts(present: tuple[Mount, ...], changes: Changes) -> tuple[Mount, ...]:
    """A target that is mounted again shows the new mount in the place of the old."""
    mounts = {mount.target: mount for mount in present}
    for target in changes.mounts_removed:
        mounts.pop(target, None)
    added = {mount.target: mount for mount in changes.mounts}
    if len(added) < len(changes.mounts):
        # The managers name the target that is there twice.
        return (*mounts.values(), *changes.mounts)
    return tuple({**mounts, **added}.values())


def _labels(
    present: Mapping[str, str], added: Mapping[str, str], removed: tuple[str, ...]
) -> dict[str, str]:
    kept = {key: value for key, value in present.items() if key not in removed}
    return {**kept, **added}


def _env(
    present: tuple[str, ...], added: tuple[str, ...], removed: tuple[str, ...]
) -> tuple[str, ...]:
    """A name that is set again takes its new value in its old place."""
    by_name = {item.partition("=")[0]: item for item in present}
    for name in removed:
        by_name.pop(name, None)
    by_name.update((item.partition("=")[0], item) for item in added)
    return tuple(by_name.values())


T = TypeVar("T")


def with_references(
    present: tuple[T, ...], added: tuple[T, ...], removed: Callable[[T], object]
) -> tuple[T, ...]:
    """References without those that are removed, and with the new ones behind."""
    return tuple(row for row in present if not removed(row)) + added


def _items(present: tuple[T, ...], added: tuple[T, ...], removed: tuple[T, ...]) -> tuple[T, ...]:
    kept = tuple(item for item in present if item not in removed)
    return kept + tuple(item for item in added if item not in kept)


def _resources(
    present: ResourceRequirements | None, changes: Changes
) -> ResourceRequirements | None:
    generic = changes.generic or changes.generic_removed
    if not (changes.limits or changes.reservations or changes.swap or generic):
        return present
    present = present or ResourceRequirements()
    reservations = _amounts(present.reservations, changes.reservations)
    if generic:
        reservations = _with_generic(reservations or Resources(), changes)
    return replace(
        present,
        limits=_amounts(present.limits, changes.limits),
        reservations=reservations,
        **changes.swap,
    )


def _with_generic(reservations: Resources, changes: Changes) -> Resources:
    """A kind that is reserved again gets its new number in its old place."""
    counts = {
        resource.discrete_resource_spec.kind: resource.discrete_resource_spec.value
        for resource in reservations.generic_resources
        if resource.discrete_resource_spec is not None
    }
    for kind in changes.generic_removed:
        counts.pop(kind, None)
    counts.update(changes.generic)
    resources = tuple(
        GenericResource(discrete_resource_spec=DiscreteResource(kind=kind, value=count))
        for kind, count in counts.items()
    )
    return replace(reservations, generic_resources=resources)


def _amounts(present: Resources | None, changes: Fields) -> Resources | None:
    return replace(present or Resources(), **changes) if changes else present


def _restart(present: RestartPolicy | None, changes: Fields) -> RestartPolicy | None:
    if not changes:
        return present
    policy = present or RestartPolicy(condition=RestartCondition.ANY)
    return replace(policy, **changes)


def _policy(present: UpdateConfig | None, changes: Fields) -> UpdateConfig | None:
    return replace(present or DEFAULT_UPDATE_CONFIG, **changes) if changes else present


def _placement(present: Placement | None, changes: Changes) -> Placement | None:
    before = present or Placement()
    after = replace(
        before,
        **changes.placement,
        affinities=_items(before.affinities, changes.affinities, changes.affinities_removed),
        tolerations=_items(before.tolerations, changes.tolerations, changes.tolerations_removed),
        platforms=_items(before.platforms, changes.platforms, changes.platforms_removed),
        constraints=_items(before.constraints, changes.constraints, changes.constraints_removed),
        preferences=_items(before.preferences, changes.preferences, changes.preferences_removed),
        max_replicas=before.max_replicas if changes.max_replicas is None else changes.max_replicas,
    )
    return present if after == before else after


def _log_driver(present: LogDriver | None, changes: Changes) -> LogDriver | None:
    if changes.log_driver is None and not changes.log_options:
        return present
    before = present or LogDriver(name="json-file")
    if changes.log_driver is not None and changes.log_driver != before.name:
        before = LogDriver(name=changes.log_driver)
    return replace(before, options={**before.options, **changes.log_options})


def _endpoint(present: EndpointSpec | None, changes: Changes) -> EndpointSpec | None:
    before = present or EndpointSpec()
    kept = tuple(
        port
        for port in before.ports
        if not any(_meant(wanted, port) for wanted in changes.ports_removed)
    )
    after = replace(
        before,
        mode=before.mode if changes.endpoint_mode is None else changes.endpoint_mode,
        ports=kept + tuple(port for port in changes.ports if port not in kept),
        drain_timeout_ns=(
            before.drain_timeout_ns
            if changes.drain_timeout_ns is None
            else changes.drain_timeout_ns
        ),
        balance=before.balance if changes.balance is None else changes.balance,
        weight_label=(
            before.weight_label if changes.weight_label is None else changes.weight_label
        ),
    )
    return present if after == before else after


def _meant(wanted: PortConfig, port: PortConfig) -> bool:
    """Ports are removed by target port and protocol, and by published port where it is given."""
    return (
        wanted.target_port == port.target_port
        and wanted.protocol is port.protocol
        and wanted.published_port in (0, port.published_port)
    )
