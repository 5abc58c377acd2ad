"""What to write down of what agents report: only news, and never a step back.

Both functions compare wishes with the view and answer the actions still needed. Once the actions
are applied they answer none, so a caller repeats them until there is nothing left to do.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from msgspec.structs import replace

from swarmd.model.ids import NodeId, TaskId
from swarmd.model.instant import Instant
from swarmd.model.node import NodeDescription
from swarmd.model.states import NodeState, TaskState
from swarmd.model.task import Task, TaskStatus
from swarmd.store.changes import SetTaskStatus, Update
from swarmd.store.view import View


class NodeWish(NamedTuple):
    """How a node is to be shown; None leaves a field as it is."""

    state: NodeState
    message: str = ""
    addr: str | None = None
    description: NodeDescription | None = None


def node_actions(
    wishes: Mapping[NodeId, NodeWish], view: View, now: Instant
) -> dict[NodeId, Update]:
    """The writes that make nodes look as wished; nodes that are gone need none.

    `since` changes with the state and with nothing else: it tells one time of silence from another.
    """
    actions: dict[NodeId, Update] = {}
    for node_id, wish in wishes.items():
        node = view.find_node(node_id)
        if node is None:
            continue
        addr = node.status.addr if wish.addr is None else wish.addr
        since = now if wish.state is not node.status.state else node.status.since
        status = replace(
            node.status, state=wish.state, message=wish.message, addr=addr, since=since
        )
        wanted = replace(node, status=status, description=wish.description or node.description)
        if wanted != node:
            reason = f"node {node_id} is {wish.state.value}"
            if wish.message:
                reason += f": {wish.message}"
            actions[node_id] = Update(wanted, base=node.version, reason=reason)
    return actions


def status_actions(
    statuses: Mapping[TaskId, TaskStatus], view: View
) -> dict[TaskId, SetTaskStatus]:
    """The writes for reported statuses that say something new."""
    actions: dict[TaskId, SetTaskStatus] = {}
    for task_id, status in statuses.items():
        task = view.find_task(task_id)
        if task is not None and is_news(task, status):
            actions[task_id] = SetTaskStatus(task_id, status)
    return actions


def is_news(task: Task, status: TaskStatus) -> bool:
    """Whether a report tells more than what is stored; states never go back."""
    known = task.status
    if status.state != known.state:
        return status.state > known.state
    return status != replace(known, applied_by=status.applied_by, applied_at=status.applied_at)


def orphaned(tasks: Iterable[Task], status: TaskStatus) -> dict[TaskId, TaskStatus]:
    """Statuses for the tasks that a node took with it when it was away for too long."""
    return {
        task.id: replace(
            task.status,
            state=status.state,
            err=status.err,
            timestamp=status.timestamp,
            message=status.message,
        )
        for task in tasks
        if TaskState.ASSIGNED <= task.status.state <= TaskState.RUNNING
    }
