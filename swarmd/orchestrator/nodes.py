"""What the state of a node means for the tasks on it."""

from __future__ import annotations

from swarmd.model.ids import NodeId
from swarmd.model.node import Node
from swarmd.model.states import Availability, NodeState, TaskState
from swarmd.model.task import Task
from swarmd.store.view import View


def is_lost(node: Node | None) -> bool:
    """Nothing will be heard of tasks there: the node is down or removed.

    A node that is merely unknown or disconnected, as after a change of leader, is not lost.
    """
    return node is None or node.status.state is NodeState.DOWN


def is_invalid(node: Node | None) -> bool:
    """Tasks must not stay there: the node is lost or being drained."""
    return node is None or is_lost(node) or node.spec.availability is Availability.DRAIN


def has_stopped(task: Task, view: View) -> bool:
    """Whether a task runs no more, or never got anywhere, as far as can ever be known."""
    if not TaskState.ASSIGNED <= task.status.state <= TaskState.RUNNING:
        return True
    return bool(task.node_id) and is_lost(view.find_node(task.node_id))


def on_invalid_node(task: Task, view: View) -> bool:
    return bool(task.node_id) and is_invalid(view.find_node(NodeId(task.node_id)))


def is_leaving(task: Task, view: View) -> bool:
    """Whether a task runs well on a node that is being drained, so that it may go in good order.

    Tasks bound to their node have nowhere to go and just end with it.
    """
    if not task.slot or task.status.state is not TaskState.RUNNING:
        return False
    if task.desired_state > TaskState.RUNNING:
        return False
    node = view.find_node(task.node_id)
    return node is not None and is_invalid(node) and not is_lost(node)
