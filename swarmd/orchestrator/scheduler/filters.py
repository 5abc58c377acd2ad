"""Whether a node can take a task: the filters, in the order in which they are asked.

A node is refused by the first filter that fails, and that one is what people are told. Filters
that depend on what is already on the node are asked again after every placement.
"""

from __future__ import annotations

from enum import IntEnum

from msgspec import Struct

from swarmd.model import defaults
from swarmd.model.constraint import Constraint
from swarmd.model.ids import ServiceId
from swarmd.model.spec import Platform, Resources
from swarmd.model.task import Task
from swarmd.orchestrator.constraints import of_task, satisfies
from swarmd.orchestrator.scheduler.node_info import HostPort, NodeInfo, Version, host_ports

_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}


class Refusal(IntEnum):
    """Why a node can't take a task; the order is that of the filters."""

    NOT_READY = 1
    RESOURCES = 2
    CONSTRAINTS = 3
    PLATFORM = 4
    HOST_PORT = 5
    MAX_REPLICAS = 6


class Requirement(Struct, frozen=True):
    """What tasks of one service version ask of a node."""

    service_id: ServiceId
    version: Version
    reserved: Resources
    constraints: tuple[Constraint, ...]
    platforms: tuple[Platform, ...]
    ports: tuple[HostPort, ...]
    max_replicas: int
    preferences: tuple[str, ...]  # spread descriptors, outermost first


def requirement_of(task: Task) -> Requirement:
    """What `task`, and every task of the same service version, asks of a node."""
    placement = defaults.placement(task.spec)
    return Requirement(
        service_id=task.service_id,
        version=(task.service_id, task.spec_version),
        reserved=defaults.reservations(task.spec),
        constraints=of_task(task.spec),
        platforms=placement.platforms,
        ports=host_ports(task.ports),
        max_replicas=placement.max_replicas,
        preferences=tuple(
            preference.spread.spread_descriptor
            for preference in placement.preferences
            if preference.spread is not None
        ),
    )


def refusal(info: NodeInfo, requirement: Requirement) -> Refusal | None:
    """The first filter by which the node refuses the task; None when it can take it."""
    if not info.ready:
        return Refusal.NOT_READY
    if not _has_room(info, requirement.reserved):
        return Refusal.RESOURCES
    if requirement.constraints and not satisfies(info.node, requirement.constraints):
        return Refusal.CONSTRAINTS
    if requirement.platforms and not _runs_on(info, requirement.platforms):
        return Refusal.PLATFORM
    return _crowding(info, requirement)


def refusal_by_load(info: NodeInfo, requirement: Requirement) -> Refusal | None:
    """As `refusal`, looking only at filters whose answer a placement can change."""
    if not _has_room(info, requirement.reserved):
        return Refusal.RESOURCES
    return _crowding(info, requirement)


def _crowding(info: NodeInfo, requirement: Requirement) -> Refusal | None:
    if any(port in info.used_ports for port in requirement.ports):
        return Refusal.HOST_PORT
    limit = requirement.max_replicas
    if limit and info.active_of.get(requirement.service_id, 0) >= limit:
        return Refusal.MAX_REPLICAS
    return None


def _has_room(info: NodeInfo, reserved: Resources) -> bool:
    if not reserved.nano_cpus and not reserved.memory_bytes:
        return True
    total = info.resources
    cpus_fit = not reserved.nano_cpus or info.cpus + reserved.nano_cpus <= total.nano_cpus
    memory_fits = (
        not reserved.memory_bytes or info.memory + reserved.memory_bytes <= total.memory_bytes
    )
    return cpus_fit and memory_fits


def _runs_on(info: NodeInfo, platforms: tuple[Platform, ...]) -> bool:
    description = info.node.description
    actual = description.platform if description else None
    if actual is None:
        return False
    architecture = _ARCHITECTURES.get(actual.architecture, actual.architecture)
    return any(
        (not wanted.os or wanted.os == actual.os)
        and (
            not wanted.architecture
            or _ARCHITECTURES.get(wanted.architecture, wanted.architecture) == architecture
        )
        for wanted in platforms
    )
