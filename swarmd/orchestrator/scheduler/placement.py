"""Tasks of one service version and a fleet in, a node or a reason for each out.

This is the whole of placing, apart from where tasks come from and how decisions are recorded: the
scheduler runs it on the planner's fleet, questions such as "what if" run it on a fleet of their own
(`Fleet.of`). Every decision is counted on the fleet at once, for those that follow.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from swarmd.model.claims import claim_of
from swarmd.model.env import Rng
from swarmd.model.ids import NodeId
from swarmd.model.instant import Instant
from swarmd.model.spec import GenericResource
from swarmd.model.states import TaskState
from swarmd.model.task import Task
from swarmd.orchestrator.scheduler.explain import explain
from swarmd.orchestrator.scheduler.filters import Filters
from swarmd.orchestrator.scheduler.fleet import Fleet
from swarmd.orchestrator.scheduler.load import Load
from swarmd.orchestrator.scheduler.node_info import NodeInfo
from swarmd.orchestrator.scheduler.requirement import Requirement
from swarmd.orchestrator.scheduler.spread import Placer


class Decision(NamedTuple):
    """What became of one task: a node and what it holds there, or why there is none."""

    task: Task
    node_id: NodeId | None
    claims: tuple[GenericResource, ...] = ()
    why: str = ""


def place(
    fleet: Fleet, requirement: Requirement, tasks: Iterable[Task], *, now: Instant, rng: Rng
) -> Iterator[Decision]:
    """Decide for tasks of one service version.

    A task without a slot that names a node gets that one or none, as does one that is to move
    there, and an ordinal that has its data there; another one with a slot that names a node returns
    there if it can. They come first, then the others, each in the order given. A decision is
    counted on `fleet` before it is handed out; what is not asked for any more is not decided.

    Args:
        requirement: that of every one of the tasks.
    """
    filters = Filters(fleet, requirement)
    free: list[Task] = []
    for task in tasks:
        info = fleet.find(task.node_id) if task.node_id else None
        if info is not None and filters.refusal(info) is None:
            yield _decided(fleet, filters, task, info)
        elif task.node_id and (not task.slot or task.replaces):
            known = [info] if info is not None else []
            yield Decision(task, None, why=explain(fleet, filters, known))
        elif info is not None and (volume := claim_of(task)):
            where = info.node.hostname or info.id
            why = explain(fleet, filters, [info])
            yield Decision(task, None, why=f"its volume {volume} is on node {where}: {why}")
        else:
            free.append(task)
    placer = Placer(fleet, filters, now=now, rng=rng) if free else None
    why = ""  # once no node takes one of these tasks, none takes another
    for task in free:
        info = placer.take() if placer is not None and not why else None
        if info is not None:
            yield _decided(fleet, filters, task, info)
        else:
            why = why or explain(fleet, filters)
            yield Decision(task, None, why=why)


def _decided(fleet: Fleet, filters: Filters, task: Task, info: NodeInfo) -> Decision:
    requirement = filters.requirement
    size = requirement.size
    claims = info.stock.choose(size.generic) if size.generic else ()
    active = task.desired_state <= TaskState.COMPLETE
    load = Load(
        filters.kind,
        task.slot,
        size.nano_cpus,
        size.memory_bytes,
        active,
        requirement.ports,
        claims,
    )
    fleet.put(task.id, load, info)
    return Decision(task, info.id, claims)
