"""The plan of a rebalance: moves in the order in which they can be made, and what stays."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from itertools import chain
from typing import NamedTuple

from msgspec.structs import replace

from swarmd.model.cluster import Cluster
from swarmd.model.env import Env
from swarmd.model.ids import NodeId, ServiceId, TaskId
from swarmd.model.instant import Instant
from swarmd.model.service import Service
from swarmd.model.states import Strategy, TaskState
from swarmd.model.task import Task
from swarmd.orchestrator.new_task import new_task
from swarmd.orchestrator.rebalance.emptying import Emptier
from swarmd.orchestrator.rebalance.leveling import Leveler, Step
from swarmd.orchestrator.rebalance.movable import Guests, Movable, find_movable
from swarmd.orchestrator.rebalance.portions import Portions, at_once, portions_of
from swarmd.orchestrator.scheduler.filters import Filters
from swarmd.orchestrator.scheduler.fleet import Fleet
from swarmd.store.view import View

MOVES_MAX = 100_000
COUNTED = 3  # to count a task takes as long as to look at so many
BINPACK = Strategy.BINPACK


class Move(NamedTuple):
    """One running task that is to be replaced by one on another node."""

    task: Task
    to: NodeId
    reason: str
    spec_version: int = 0  # of the service when it was planned


class Planned(NamedTuple):
    moves: tuple[Move, ...]
    under_way: tuple[Task, ...]  # tasks of moves begun before
    notes: tuple[str, ...]


def plan_moves(
    view: View,
    now: Instant,
    *,
    services: Collection[ServiceId] = (),
    not_to: Collection[NodeId] = (),
    limit: int = MOVES_MAX,
) -> Planned:
    """The moves that bring tasks to where the scheduler would rather have them; none if it is fine.

    Args:
        view: it must not change meanwhile.
        services: only tasks of these are moved; of all if none are named.
        not_to: nodes to which nothing is moved.
        limit: plan no more than so many moves, those under way among them.
    """
    return at_once(look_for_moves(view, now, services=services, not_to=not_to, limit=limit))


def look_for_moves(
    view: View,
    now: Instant,
    *,
    services: Collection[ServiceId] = (),
    not_to: Collection[NodeId] = (),
    limit: int = MOVES_MAX,
) -> Portions[Planned]:
    """`plan_moves` in portions, between which the store may change.

    Each service is seen as it is when its turn comes. A move that has become wrong meanwhile is
    refused when it is begun or placed.
    """
    fleet = yield from _fleet_of(view)
    movable = yield from find_movable(view, fleet, now, services=services, not_to=not_to)
    planned = yield from _planned(view, fleet, movable, limit)
    yield from _let_go(fleet)
    return planned


def _planned(view: View, fleet: Fleet, movable: Movable, limit: int) -> Portions[Planned]:
    room = limit - len(movable.under_way)
    if room <= 0 or not movable.movers:
        return Planned((), movable.under_way, movable.notes)
    versions = {mover.service.id: mover.service.spec_version for mover in movable.movers}
    moves: dict[TaskId, Move] = {}
    moved_on = False
    for step in _steps(view, fleet, movable):
        if isinstance(step, int):
            yield step
            continue
        before = moves.pop(step.task.id, None)  # moved on: one move instead of two
        moved_on = moved_on or before is not None
        if step.target.id != step.task.node_id:
            reason = before.reason if before is not None else step.reason
            version = versions[step.task.service_id]
            moves[step.task.id] = Move(step.task, step.target.id, reason, version)
        if len(moves) >= room:
            break
    found = list(moves.values())
    if moved_on:
        found = yield from _in_order(found, view, movable)
    return Planned(tuple(found), movable.under_way, movable.notes)


def _fleet_of(view: View) -> Portions[Fleet]:
    """A fleet of one's own."""
    cluster = view.find_cluster()
    fleet = Fleet(cluster.spec.scheduling if cluster else None)
    for nodes in portions_of(view.nodes()):
        for node in nodes:
            fleet.put_node(node)
        yield len(nodes)
    for service_id in view.services_with_tasks():
        for tasks in portions_of(view.tasks_of_service(service_id)):
            for task in tasks:
                fleet.track(task)
            yield COUNTED * len(tasks)
    return fleet


def _let_go(fleet: Fleet) -> Portions[None]:
    """Forget the loads of a fleet that is used no more; 30,000 at once take ten milliseconds."""
    for info in fleet:
        loads = len(info.loads)
        info.loads.clear()
        yield loads


def _in_order(moves: list[Move], view: View, movable: Movable) -> Portions[list[Move]]:
    """The moves in an order in which each finds the room that it needs.

    Those that wait for each other are left out; they are planned again when the others are made.
    """
    fleet = yield from _fleet_of(view)
    for task in movable.under_way:
        fleet.forget(task.replaces)
    requirements = {mover.service.id: mover.requirement for mover in movable.movers}
    ordered: list[Move] = []
    waiting = moves
    while waiting:
        left = []
        for move in waiting:
            info = fleet.find(move.to)
            filters = Filters(fleet, requirements[move.task.service_id])
            if info is not None and filters.takes(info):
                fleet.track(replace(move.task, node_id=move.to))
                ordered.append(move)
            else:
                left.append(move)
        yield len(waiting)
        if len(left) == len(waiting):
            break
        waiting = left
    return ordered


def begun(move: Move, service: Service, cluster: Cluster | None, env: Env) -> tuple[Task, str]:
    """The task that begins a move, to be created, and why."""
    task = new_task(
        service,
        move.task.slot,
        TaskState.RUNNING,
        cluster=cluster,
        env=env,
        last_node=move.to,
        replaces=move.task.id,
    )
    task = replace(task, reserved_node_id=move.to)
    return task, f"takes over from task {move.task.id}: {move.reason}"


def _steps(view: View, fleet: Fleet, movable: Movable) -> Iterator[Step | int]:
    """Evening out and freeing in turns until there is nothing left to do.

    It ends, as freeing takes no notice of what is evened out, and nothing becomes uneven by it.
    """
    guests = Guests(view, fleet)
    homes: dict[TaskId, NodeId] = {}
    packed = {service.id for service in view.services() if _strategy(service, fleet) is BINPACK}
    levelers = [
        Leveler(mover, fleet, guests, homes, packed)
        for mover in movable.movers
        if mover.strategy is Strategy.SPREAD
    ]
    emptier = Emptier({mover.service.id: mover for mover in movable.movers}, fleet, guests, homes)
    while True:
        moved = False
        for step in chain(_level(levelers), emptier.steps(view)):
            moved = moved or not isinstance(step, int)
            yield step
        if not moved:
            return


def _level(levelers: list[Leveler]) -> Iterator[Step | int]:
    """First what matters to services, then the loads of nodes."""
    for whole in (False, True):
        moved = True
        while moved:
            moved = False
            for leveler in levelers:
                for step in leveler.steps(whole=whole):
                    moved = moved or not isinstance(step, int)
                    yield step


def _strategy(service: Service, fleet: Fleet) -> Strategy:
    placement = service.spec.task_template.placement
    return (placement.strategy if placement else None) or fleet.scheduling.strategy
