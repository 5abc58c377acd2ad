"""Fleets for tests of the scheduler: nodes and tasks in a line each, and placing as it is done."""

from __future__ import annotations

import random
from collections.abc import Iterable

from msgspec.structs import replace

from swarmd.model import defaults
from swarmd.model.cluster import SchedulingConfig
from swarmd.model.ids import NodeId, ServiceId, TaskId
from swarmd.model.instant import SECOND, Instant
from swarmd.model.node import Node
from swarmd.model.spec import (
    DiscreteResource,
    GenericResource,
    NamedResource,
    Placement,
    PlacementPreference,
    PortConfig,
    ResourceRequirements,
    SpreadOver,
)
from swarmd.model.states import TaskState
from swarmd.model.task import Task, TaskStatus
from swarmd.orchestrator.scheduler.fleet import Fleet
from swarmd.orchestrator.scheduler.placement import Decision, place
from swarmd.orchestrator.scheduler.requirement import requirement_of
from tests.support.cluster import a_task_spec

NOW = Instant(1_000 * SECOND)


def a_task(
    name: str = "t",
    *,
    node: str = "",
    service: str = "s",
    slot: int = 1,
    ports: tuple[PortConfig, ...] = (),
    labels: dict[str, str] | None = None,
    generic: tuple[GenericResource, ...] = (),
    claims: tuple[GenericResource, ...] = (),
    **spec: object,
) -> Task:
    """A task that runs on `node`, or that waits for one; `spec` is as for `a_task_spec`."""
    template = a_task_spec(**spec)  # type: ignore[arg-type]
    if generic:
        reserved = replace(defaults.reservations(template), generic_resources=generic)
        template = replace(template, resources=ResourceRequirements(reservations=reserved))
    return Task(
        id=TaskId(name),
        service_id=ServiceId(service),
        service_name=service,
        service_labels=labels or {},
        slot=slot,
        node_id=NodeId(node),
        status=TaskStatus(state=TaskState.RUNNING if node else TaskState.PENDING),
        desired_state=TaskState.RUNNING,
        spec=template,
        ports=ports,
        assigned_generic_resources=claims,
    )


def a_fleet(
    nodes: Iterable[Node], *tasks: Task, scheduling: SchedulingConfig | None = None
) -> Fleet:
    fleet = Fleet(scheduling)
    for node in nodes:
        fleet.put_node(node)
    for task in tasks:
        fleet.track(task)
    return fleet


def decide(
    fleet: Fleet, task: Task, count: int = 1, *, seed: int = 1, drivers: tuple[str, ...] = ()
) -> list[Decision]:
    """Place `count` tasks like `task`; their ids are its id with a number."""
    tasks = [numbered(task, number) for number in range(count)]
    requirement = requirement_of(task, drivers)
    return list(place(fleet, requirement, tasks, now=NOW, rng=random.Random(seed)))


def nodes_for(fleet: Fleet, task: Task, count: int = 1, *, seed: int = 1) -> list[str]:
    """Where `count` tasks like `task` go, those that go anywhere."""
    return [str(made.node_id) for made in decide(fleet, task, count, seed=seed) if made.node_id]


def spread_over(*descriptors: str, **fields: object) -> Placement:
    preferences = tuple(
        PlacementPreference(spread=SpreadOver(spread_descriptor=name)) for name in descriptors
    )
    return Placement(preferences=preferences, **fields)  # type: ignore[arg-type]


def discrete(kind: str, value: int) -> GenericResource:
    return GenericResource(discrete_resource_spec=DiscreteResource(kind=kind, value=value))


def named(kind: str, *values: str) -> tuple[GenericResource, ...]:
    return tuple(
        GenericResource(named_resource_spec=NamedResource(kind=kind, value=value))
        for value in values
    )


def numbered(task: Task, number: int) -> Task:
    """Another task like `task`, with the next slot for the next number."""
    return replace(task, id=TaskId(f"{task.id}-{number}"), slot=task.slot and task.slot + number)
