"""Slots: the places of a service that tasks fill one after another.

A replicated service has slots 1, 2, …; a global service has one per node, named by the node's id.
All tasks of a slot, present and past, are its history, oldest first. This module judges one slot:
which tasks stand for it, and whether they are what the service's spec asks for now.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import Enum
from typing import NamedTuple, TypeAlias

from msgspec.structs import replace

from swarmd.model.endpoints import alike_for_tasks
from swarmd.model.ids import NodeId, ServiceId
from swarmd.model.node import Node
from swarmd.model.service import Service
from swarmd.model.spec import EndpointSpec, TaskSpec
from swarmd.model.states import TaskState, UpdateState
from swarmd.model.task import Task
from swarmd.orchestrator.constraints import of_task, satisfies
from swarmd.orchestrator.nodes import is_leaving
from swarmd.orchestrator.restart import should_restart
from swarmd.orchestrator.taints import evicting, tolerations_of
from swarmd.store.view import View

SlotKey: TypeAlias = int | NodeId

ROLLING_BACK = (UpdateState.ROLLBACK_STARTED, UpdateState.ROLLBACK_PAUSED)


def slot_key(task: Task) -> SlotKey:
    return task.slot or task.node_id


def history_of(view: View, service_id: ServiceId, key: SlotKey) -> tuple[Task, ...]:
    """All tasks of a slot, oldest first."""
    if isinstance(key, int):
        return view.tasks_of_slot(service_id, key)
    return tuple(
        task for task in view.tasks_of_node(key) if task.service_id == service_id and not task.slot
    )


class Difference(Enum):
    """How the spec of a task relates to the one its service has now."""

    NONE = "none"
    PLACEMENT = "placement"  # only where it may run differs
    WORK = "work"


class SpecJudge:
    """Tells whether tasks are what one spec of a service asks for.

    Tasks share their spec objects, so each distinct one is compared once.
    """

    def __init__(self, service: Service) -> None:
        self.service = service  # its present record; only the spec of its tasks is fixed here
        self._wanted = service.spec.task_template
        self._constraints = of_task(self._wanted)
        self._tolerations = tolerations_of(self._wanted)
        self._seen: dict[int, tuple[TaskSpec, Difference]] = {}  # keeps what it has an id of
        self._endpoints: dict[int, tuple[EndpointSpec | None, bool]] = {}  # whether they are alike

    def judges(self, service: Service) -> bool:
        """Whether this judge's answers hold for `service` as well."""
        return (
            service.spec.endpoint_spec == self.service.spec.endpoint_spec
            and service.spec.task_template == self._wanted
        )

    def is_dirty(self, task: Task, view: View) -> bool:
        """Whether an update has to replace the task."""
        if task.spec_version == self.service.spec_version:
            return False
        difference = self._difference(task.spec)
        if difference is Difference.WORK or not self._is_served_alike(task.endpoint_spec):
            return True
        if difference is Difference.NONE:
            return False
        node = view.find_node(task.node_id) if task.node_id else None
        return node is None or not self._may_stay(node)

    def _is_served_alike(self, spec: EndpointSpec | None) -> bool:
        known = self._endpoints.get(id(spec))
        if known is None:
            known = (spec, alike_for_tasks(spec, self.service.spec.endpoint_spec))
            self._endpoints[id(spec)] = known
        return known[1]

    def _may_stay(self, node: Node) -> bool:
        """Whether the spec as it is now lets a task stay where it is."""
        return satisfies(node, self._constraints) and not evicting(
            node.spec.taints, self._tolerations
        )

    def _difference(self, spec: TaskSpec) -> Difference:
        known = self._seen.get(id(spec))
        if known is not None:
            return known[1]
        if spec == self._wanted:
            difference = Difference.NONE
        elif replace(spec, placement=None) == replace(self._wanted, placement=None):
            difference = Difference.PLACEMENT
        else:
            difference = Difference.WORK
        self._seen[id(spec)] = (spec, difference)
        return difference


class Slot(NamedTuple):
    """One slot as judged at one version of the store."""

    key: SlotKey
    history: tuple[Task, ...]
    current: tuple[Task, ...]  # tasks that stand for the slot; none: the slot is dead
    outdated: bool  # the updater has work here


def judge_slot(key: SlotKey, history: tuple[Task, ...], judge: SpecJudge, view: View) -> Slot:
    """Which tasks stand for a slot: those wanted to run, else a last one that needs no successor.

    During a rollback a finished task does not count, so that its slot is filled again. A task about
    to leave its node is no matter for updates once it has a successor, nor is one that comes to
    take over from another.
    """
    active = tuple(task for task in history if task.desired_state <= TaskState.RUNNING)
    current = active or _finished(history, judge.service)
    staying = tuple(task for task in active if not is_leaving(task, view)) or current
    staying = tuple(task for task in staying if not takes_over(task, staying))
    outdated = len(staying) > 1 or (bool(staying) and judge.is_dirty(staying[0], view))
    return Slot(key, history, current, outdated)


def takes_over(task: Task, others: Iterable[Task]) -> bool:
    """Whether a task came to take the place of one of the others."""
    return bool(task.replaces) and any(other.id == task.replaces for other in others)


def _finished(history: tuple[Task, ...], service: Service) -> tuple[Task, ...]:
    status = service.update_status
    if not history or (status is not None and status.state in ROLLING_BACK):
        return ()
    newest = history[-1]
    if newest.desired_state is TaskState.REMOVE or should_restart(newest, history):
        return ()
    return (newest,)
