"""What tasks of one service version ask of a node, taken from their spec once."""

from __future__ import annotations

from functools import lru_cache

from msgspec import Struct

from swarmd.model import defaults
from swarmd.model.affinity import Affinity, parse_affinity
from swarmd.model.constraint import Constraint
from swarmd.model.node import ENCRYPTION_PLUGIN, LEASE_PLUGIN
from swarmd.model.spec import Placement
from swarmd.model.states import Strategy
from swarmd.model.task import Task
from swarmd.orchestrator.constraints import of_task
from swarmd.orchestrator.generic import wanted_of
from swarmd.orchestrator.scheduler.load import HostPort, Kind, host_ports
from swarmd.orchestrator.scheduler.order import Size
from swarmd.orchestrator.scheduler.statics import Plugin, Statics
from swarmd.orchestrator.taints import tolerations_of

_BUILT_IN_LOG_DRIVERS = ("", "none")


class Requirement(Struct, frozen=True):
    """`kind` says what the tasks are, the rest what they want."""

    kind: Kind
    size: Size
    statics: Statics
    ports: tuple[HostPort, ...]
    max_replicas: int
    affinities: tuple[Affinity, ...]
    preferences: tuple[str, ...]  # labels to spread over, outermost first
    strategy: Strategy | None  # None: the cluster's

    @property
    def attributes(self) -> tuple[str, ...]:
        """The attributes of nodes that matter, in a fixed order."""
        return _attributes(self.statics.constraints, self.preferences)


def requirement_of(
    task: Task, network_drivers: tuple[str, ...] = (), encryptions: tuple[str, ...] = ()
) -> Requirement:
    """What `task`, and every task of the same service version, asks of a node.

    Args:
        network_drivers: of the networks that the task takes part in.
        encryptions: the mechanisms of those of them that are encrypted.
    """
    placement = defaults.placement(task.spec)
    reserved = defaults.reservations(task.spec)
    return Requirement(
        kind=Kind(task),
        size=Size(reserved.nano_cpus, reserved.memory_bytes, wanted_of(reserved)),
        statics=Statics(
            constraints=of_task(task.spec),
            platforms=placement.platforms,
            plugins=_plugins(task, network_drivers, encryptions),
            tolerations=tolerations_of(task.spec),
        ),
        ports=host_ports(task.ports),
        max_replicas=placement.max_replicas,
        affinities=_affinities(placement.affinities) if placement.affinities else (),
        preferences=_levels(placement),
        strategy=placement.strategy,
    )


@lru_cache(maxsize=4096)
def _attributes(
    constraints: tuple[Constraint, ...], preferences: tuple[str, ...]
) -> tuple[str, ...]:
    keys = {constraint.key for constraint in constraints}
    return tuple(sorted(keys.union(preferences)))


def _levels(placement: Placement) -> tuple[str, ...]:
    named = (preference.spread for preference in placement.preferences)
    return tuple(
        spread.spread_descriptor
        for spread in named
        if spread is not None and is_label(spread.spread_descriptor)
    )


def is_label(descriptor: str) -> bool:
    return descriptor.casefold().startswith(("node.labels.", "engine.labels."))


def _plugins(
    task: Task, network_drivers: tuple[str, ...], encryptions: tuple[str, ...]
) -> tuple[Plugin, ...]:
    spec = task.spec
    wanted: dict[Plugin, None] = {("Network", driver): None for driver in network_drivers}
    wanted.update(((ENCRYPTION_PLUGIN, mechanism), None) for mechanism in encryptions)
    if task.lease_ns:
        wanted[LEASE_PLUGIN.type, LEASE_PLUGIN.name] = None
    if spec.log_driver is not None and spec.log_driver.name not in _BUILT_IN_LOG_DRIVERS:
        wanted["Log", spec.log_driver.name] = None
    return tuple(wanted)


@lru_cache(maxsize=4096)
def _affinities(texts: tuple[str, ...]) -> tuple[Affinity, ...]:
    """Specs are checked before they are stored; text that is no affinity asks nothing."""
    try:
        return tuple(parse_affinity(text) for text in texts)
    except ValueError:
        return ()
