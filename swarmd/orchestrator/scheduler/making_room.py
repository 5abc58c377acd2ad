"""Making room for tasks that found no node: who is told to go, and what is written down.

A node on which room is made is reserved: the waiting task's record names it, and from then on the
task counts there like one that runs, beside those that are stopping. So nobody else fits in
between, also after an election, as the reservation is part of the store. It holds for as long as
the room will be there once what stops on the node has stopped; else other room is made.
"""

from __future__ import annotations

from msgspec.structs import replace

from swarmd.model.claims import claim_of
from swarmd.model.ids import NodeId, TaskId
from swarmd.model.states import TaskState
from swarmd.model.task import Task, TaskStatus
from swarmd.orchestrator.actions import Plan
from swarmd.orchestrator.available import Spare
from swarmd.orchestrator.scheduler.filters import Filters
from swarmd.orchestrator.scheduler.fleet import Fleet
from swarmd.orchestrator.scheduler.preempt import Preemption, Room
from swarmd.orchestrator.scheduler.requirement import Requirement
from swarmd.store.view import View

NO_NODE = NodeId("")
PENDING = "pending task scheduling"
PREEMPTED = "preempted by"
NAMED_MAX = 4


class Rooms:
    """The reservations of one pass; `tentative` collects tasks whose count has to be checked."""

    def __init__(self, fleet: Fleet, plan: Plan, view: View, tentative: list[TaskId]) -> None:
        self._fleet = fleet
        self._plan = plan
        self._view = view
        self._tentative = tentative
        self._spare = Spare(view, plan.ending)

    def aim(self, task: Task) -> Task:
        """The task as it has to be placed: on the node reserved for it, whose room it frees."""
        if not task.reserved_node_id:
            return task
        self._fleet.forget(task.id)
        return replace(task, node_id=task.reserved_node_id)

    def maker(self, requirement: Requirement) -> RoomMaker:
        """Makes room for tasks of one service version that no node takes."""
        preemption = Preemption(
            self._fleet,
            Filters(self._fleet, requirement),
            self._view,
            self._spare,
            now=self._plan.now,
            sparable=lambda task_id: not self._plan.touches(task_id),
        )
        return RoomMaker(self, preemption, requirement.kind.spec.priority)

    def may_preempt(self, priority: int) -> bool:
        """Whether there is anything that tasks of this priority may take the place of."""
        return self._fleet.scheduling.preemption and any(
            kind.spec.priority < priority for kind in self._fleet.kinds
        )

    def holds(self, task: Task, preemption: Preemption) -> bool:
        """Whether room is being made for a task; if so its reservation counts again."""
        info = self._fleet.find(task.reserved_node_id) if task.reserved_node_id else None
        if info is None or not preemption.comes_free(info):
            return False
        self._fleet.track(task)
        return True

    def reserve(self, task: Task, room: Room, priority: int) -> Task:
        """Have the victims go; answers the task with its reservation, which counts from now on."""
        name = label(task, self._view)
        for victim in room.victims:
            self._spare.take(victim)
            self._evict(victim, f"{name} (priority {priority})", room)
        text = _text(room, self._view)
        reserved = replace(
            task,
            reserved_node_id=room.info.id,
            status=TaskStatus(
                state=TaskState.PENDING, timestamp=self._plan.now, message=PENDING, err=text
            ),
        )
        self._fleet.track(reserved)
        self._tentative.append(task.id)
        return reserved

    def _evict(self, victim: Task, winner: str, room: Room) -> None:
        self._tentative.append(victim.id)
        if victim.status.state >= TaskState.ASSIGNED:
            self._plan.shut_down(victim, f"{PREEMPTED} {winner}")
            self._fleet.track(replace(victim, desired_state=TaskState.SHUTDOWN))
            return
        why = f"its room on {_host(room)} went to {winner}"
        self._fleet.forget(victim.id)
        status = replace(victim.status, timestamp=self._plan.now, message=PENDING, err=why)
        homeless = replace(victim, reserved_node_id=NO_NODE, status=status)
        self._plan.write_task(homeless, base=victim.version, reason=why)


class RoomMaker:
    """Decides for tasks that no node takes now."""

    def __init__(self, rooms: Rooms, preemption: Preemption, priority: int) -> None:
        self._rooms = rooms
        self._preemption = preemption
        self._priority = priority
        self._may_preempt = rooms.may_preempt(priority)
        self._hopeless = False  # nothing helps one of these tasks, so nothing helps another

    @property
    def worth_another_try(self) -> bool:
        """Whether the next pass may make room that this one could not."""
        return self._preemption.passed_over

    def decide(self, task: Task, why: str) -> Task | None:
        """The record of a waiting task as it has to be now; None if it may stay as it is.

        Args:
            why: what the nodes say about it.
        """
        if self._rooms.holds(task, self._preemption):
            return None
        bound = not task.slot or bool(claim_of(task))
        if self._may_preempt and not (self._hopeless and not bound):
            room = self._preemption.find(task.node_id if bound else None)
            if room is not None:
                return self._rooms.reserve(task, room, self._priority)
            self._hopeless = self._hopeless or not bound
        state = max(TaskState.PENDING, task.status.state)
        if task.status.err == why and task.status.state == state and not task.reserved_node_id:
            return None
        status = replace(task.status, state=state, message=PENDING, err=why)
        return replace(task, reserved_node_id=NO_NODE, status=status)


def label(task: Task, view: View) -> str:
    """A task as people call it: its service with its slot, its ordinal or its node."""
    if task.lease_ns:
        return task.name
    node = view.find_node(task.node_id) if not task.slot else None
    return f"{task.service_name}.{task.slot or (node.hostname if node else '') or task.node_id}"


def _text(room: Room, view: View) -> str:
    where = f"waits for room on {_host(room)}"
    if not room.victims:
        return f"{where}, where tasks are stopping"
    names = [
        f"{label(victim, view)} (priority {victim.spec.priority})"
        for victim in room.victims[:NAMED_MAX]
    ]
    more = len(room.victims) - len(names)
    listed = ", ".join(names) + (f" and {more} more" if more else "")
    return f"{where}: preempts {listed}"


def _host(room: Room) -> str:
    return room.info.node.hostname or room.info.id
