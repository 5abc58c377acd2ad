"""What an assignment message changes on a node, worked out before anything is done."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct

from swarmd.agent.core import task_machine
from swarmd.model.ids import TaskId
from swarmd.model.task import Task


class Changes(Struct, frozen=True):
    """Tasks to take on, to go on with differently, and to remove with all they left."""

    added: tuple[Task, ...] = ()
    updated: tuple[Task, ...] = ()
    removed: tuple[TaskId, ...] = ()


def changes(
    known: Mapping[TaskId, Task],
    *,
    complete: bool,
    updates: tuple[Task, ...],
    removed: tuple[TaskId, ...],
) -> Changes:
    """How `known` has to change; a complete set removes every task it does not list."""
    added: list[Task] = []
    updated: list[Task] = []
    for task in updates:
        if task.id not in known:
            added.append(task)
            continue
        merged = task_machine.merged(known[task.id], task)
        if merged is not None:
            updated.append(merged)
    if complete:
        listed = {task.id for task in updates}
        gone = tuple(task_id for task_id in known if task_id not in listed)
    else:
        gone = tuple(task_id for task_id in removed if task_id in known)
    return Changes(tuple(added), tuple(updated), gone)
