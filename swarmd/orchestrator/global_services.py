"""Global services: which nodes want a task."""

from __future__ import annotations

from enum import Enum

from swarmd.model.node import Node
from swarmd.model.service import Service
from swarmd.model.states import Availability, NodeState
from swarmd.orchestrator.constraints import of_task, satisfies
from swarmd.orchestrator.nodes import is_invalid


class Wish(Enum):
    """What a global service wants of a node."""

    TASK = "task"  # one task should run there
    LEAVE = "leave"  # what runs there stays, nothing new comes
    NOTHING = "nothing"  # no task may stay there


def wish(service: Service, node: Node | None) -> Wish:
    """Whether `node` should run a task of a global service.

    A paused node keeps what it has, as does one that is out of touch.
    """
    if node is None or is_invalid(node):
        return Wish.NOTHING
    if not satisfies(node, of_task(service.spec.task_template)):
        return Wish.NOTHING
    active = node.spec.availability is Availability.ACTIVE
    return Wish.TASK if active and node.status.state is NodeState.READY else Wish.LEAVE
