"""Whose logs a client wants: the nodes to ask, and the tasks that nobody can be asked about."""

from __future__ import annotations

from typing import NamedTuple

from swarmd.model.errors import invalid
from swarmd.model.ids import NodeId, ServiceId, TaskId
from swarmd.model.states import TaskState
from swarmd.model.task import Task
from swarmd.store.view import View


class Selector(NamedTuple):
    """Tasks by themselves, by service or by node."""

    service_ids: tuple[ServiceId, ...] = ()
    node_ids: tuple[NodeId, ...] = ()
    task_ids: tuple[TaskId, ...] = ()


class Selection(NamedTuple):
    nodes: tuple[NodeId, ...]
    unplaced: tuple[TaskId, ...]  # selected tasks without a node


def check(selector: Selector, view: View) -> None:
    """Raises: Rejection when nothing is selected, or something that doesn't exist."""
    if not any(selector):
        raise invalid("log selector must not be empty; name services, tasks or nodes")
    for service_id in selector.service_ids:
        if not view.tasks_of_service(service_id):
            view.get_service(service_id)
    for task_id in selector.task_ids:
        view.get_task(task_id)
    for node_id in selector.node_ids:
        view.get_node(node_id)


def select(selector: Selector, view: View, *, follow: bool) -> Selection:
    """The nodes that may hold lines of the selected tasks, in a stable order.

    Who doesn't follow wants what has been written, which takes a task that has run.
    """
    tasks = [view.find_task(task_id) for task_id in selector.task_ids]
    for service_id in selector.service_ids:
        tasks += [
            task
            for task in view.tasks_of_service(service_id)
            if follow or task.status.state >= TaskState.RUNNING
        ]
    nodes = dict.fromkeys(selector.node_ids)
    unplaced: dict[TaskId, None] = {}
    for task in tasks:
        if task is not None and task.node_id:
            nodes[task.node_id] = None
        elif task is not None:
            unplaced[task.id] = None
    return Selection(tuple(nodes), tuple(unplaced))


def concerns(selector: Selector, task: Task) -> bool:
    """Whether a task that was created or moved belongs to the selection."""
    return (
        task.id in selector.task_ids
        or task.service_id in selector.service_ids
        or task.node_id in selector.node_ids
    )
