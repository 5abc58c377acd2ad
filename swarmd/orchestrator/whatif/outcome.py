"""The difference between a swarm now and in the end: places of services, and loads of nodes.

A place is a slot, an ordinal, or a node of a service that runs everywhere; each run of a job has
its own. What counts is where its task is, whether it is the same one, and why it has no node.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple, TypeAlias

from msgspec import Struct

from swarmd.model.ids import NodeId, ServiceId
from swarmd.model.states import TaskState
from swarmd.model.task import Task
from swarmd.orchestrator.scheduler.fleet import Fleet
from swarmd.orchestrator.scheduler.making_room import label
from swarmd.orchestrator.scheduler.node_info import NodeInfo
from swarmd.orchestrator.slots import SlotKey, slot_key
from swarmd.store.view import View

STARTED = "started"
STOPPED = "stopped"
MOVED = "moved"
REPLACED = "replaced"  # by another task on the same node
PENDING = "pending"

_Place: TypeAlias = tuple[ServiceId, SlotKey, int]


class Shift(Struct, frozen=True):
    """What becomes of one place; nodes by host name, empty for none."""

    service_id: ServiceId
    service_name: str
    task: str
    kind: str
    from_node: str
    to_node: str
    reason: str = ""


class NodeLoad(Struct, frozen=True):
    """What is on a node before and after."""

    node_id: NodeId
    hostname: str
    ready: bool
    tasks_before: int
    tasks_after: int
    nano_cpus_before: int
    nano_cpus_after: int
    nano_cpus_total: int
    memory_bytes_before: int
    memory_bytes_after: int
    memory_bytes_total: int


class Outcome(NamedTuple):
    shifts: tuple[Shift, ...]
    loads: tuple[NodeLoad, ...]
    pending: int
    settled: bool
    duration_ns: int


class Before:
    """What has to be known of a state before it changes."""

    def __init__(self, view: View) -> None:
        self.tasks = _tasks(view.tasks())
        self.names = {node.id: node.hostname or node.id for node in view.nodes()}
        self.labels = {place: label(task, view) for place, task in self.tasks.items()}
        self.loads = _loads(view)


def compare(before: Before, after: View, *, settled: bool, duration_ns: int) -> Outcome:
    """The difference that a rehearsal made."""
    tasks = _tasks(after.tasks())
    names = before.names | {node.id: node.hostname or node.id for node in after.nodes()}
    shifts = []
    for place in dict.fromkeys((*before.tasks, *tasks)):
        old, new = before.tasks.get(place), tasks.get(place)
        shift = _shift(old, new, after, names, before.labels.get(place))
        if shift is not None:
            shifts.append((shift.service_name, place[1:], shift))
    shifts.sort(key=lambda item: (item[0], str(type(item[1][0])), item[1]))
    return Outcome(
        shifts=tuple(shift for *_, shift in shifts),
        loads=_compared(before.loads, _loads(after)),
        pending=sum(not _node(task) for task in tasks.values()),
        settled=settled,
        duration_ns=duration_ns,
    )


def _tasks(tasks: Iterable[Task]) -> dict[_Place, Task]:
    """The task that stands for each place: the latest wanted one, rather one that has a node."""
    found: dict[_Place, Task] = {}
    for task in tasks:
        if task.desired_state > TaskState.COMPLETE or task.status.state > TaskState.RUNNING:
            continue
        place = (task.service_id, slot_key(task), task.job_iteration or 0)
        other = found.get(place)
        if other is None or not (_node(other) and not _node(task)):
            found[place] = task
    return found


def _node(task: Task) -> NodeId:
    return task.node_id if task.status.state >= TaskState.ASSIGNED else NodeId("")


def _shift(
    old: Task | None, new: Task | None, after: View, names: dict[NodeId, str], name: str | None
) -> Shift | None:
    task = new or old
    assert task is not None
    left = _node(old) if old is not None else NodeId("")
    found = _node(new) if new is not None else NodeId("")
    kind, reason = _kind(old, new, left, found), ""
    if kind is None:
        return None
    if kind == PENDING and new is not None:
        reason = new.status.err
    elif old is not None:
        end = after.find_task(old.id)
        reason = end.desired_reason if end is not None else ""
    return Shift(
        service_id=task.service_id,
        service_name=task.service_name,
        task=name or label(task, after),
        kind=kind,
        from_node=names.get(left, left),
        to_node=names.get(found, found),
        reason=reason,
    )


def _kind(old: Task | None, new: Task | None, left: NodeId, found: NodeId) -> str | None:
    if new is not None and not found:
        return PENDING
    if new is None:
        return STOPPED if left else None
    if not left:
        return STARTED
    if left != found:
        return MOVED
    return REPLACED if old is not None and old.id != new.id else None


def _loads(view: View) -> dict[NodeId, NodeInfo]:
    return {info.id: info for info in Fleet.of(view)}


def _compared(
    before: dict[NodeId, NodeInfo], after: dict[NodeId, NodeInfo]
) -> tuple[NodeLoad, ...]:
    loads = []
    for node_id in dict.fromkeys((*before, *after)):
        old, new = before.get(node_id), after.get(node_id)
        known = new or old
        assert known is not None
        was, becomes = _amounts(old), _amounts(new)
        loads.append(
            NodeLoad(
                node_id=node_id,
                hostname=known.node.hostname or node_id,
                ready=new is not None and new.ready,
                tasks_before=was.tasks,
                tasks_after=becomes.tasks,
                nano_cpus_before=was.nano_cpus,
                nano_cpus_after=becomes.nano_cpus,
                nano_cpus_total=known.cpus_total,
                memory_bytes_before=was.memory_bytes,
                memory_bytes_after=becomes.memory_bytes,
                memory_bytes_total=known.memory_total,
            )
        )
    return tuple(loads)


class _Amounts(NamedTuple):
    tasks: int = 0
    nano_cpus: int = 0
    memory_bytes: int = 0


def _amounts(info: NodeInfo | None) -> _Amounts:
    """What the tasks on a node take up that are wanted there."""
    loads = [load for load in info.loads.values() if load.active] if info is not None else []
    return _Amounts(
        len(loads),
        sum(load.nano_cpus for load in loads),
        sum(load.memory_bytes for load in loads),
    )
