"""Global services: which nodes want a task."""

from __future__ import annotations

from enum import Enum

from swarmd.model.node import Node
from swarmd.model.service import Service
from swarmd.model.states import Availability, NodeState
from swarmd.orchestrator.constraints import of_task, satisfies
from swarmd.orchestrator.nodes import is_invalid
from swarmd.orchestrator.taints import evicting, forbidden, tolerations_of


class Wish(Enum):
    """What a global service wants of a node."""

    TASK = "task"  # one task should run there
    LEAVE = "leave"  # what runs there stays, nothing new comes
    NOTHING = "nothing"  # no task may stay there


def wish(service: Service, node: Node | None) -> Wish:
    """Whether `node` should run a task of a global service.

    A paused node keeps what it has, as does one that is out of touch, and one with a taint that
    only new tasks have to tolerate.
    """
    if node is None or is_invalid(node):
        return Wish.NOTHING
    spec = service.spec.task_template
    if not satisfies(node, of_task(spec)):
        return Wish.NOTHING
    if node.spec.taints:
        tolerations = tolerations_of(spec)
        if evicting(node.spec.taints, tolerations):
            return Wish.NOTHING
        if forbidden(node.spec.taints, tolerations):
            return Wish.LEAVE
    active = node.spec.availability is Availability.ACTIVE
    return Wish.TASK if active and node.status.state is NodeState.READY else Wish.LEAVE
