"""The constraint enforcer: tasks whose node no longer qualifies are turned away.

Labels, roles, taints, resources of a node and the ratios at which they are sold may change after
tasks were placed. The orchestrator then replaces what this module rejects.
"""

from __future__ import annotations

from swarmd.model import defaults
from swarmd.model.node import Node
from swarmd.model.spec import TaskSpec
from swarmd.model.states import Availability, TaskState
from swarmd.model.task import Task
from swarmd.orchestrator.capacity import NO_OVERSELL, capacity
from swarmd.orchestrator.constraints import of_task, satisfies
from swarmd.orchestrator.generic import Stock
from swarmd.orchestrator.taints import evicting, tolerations_of
from swarmd.store.view import View

MESSAGE = "task rejected by constraint enforcer"
ERR = "assigned node no longer meets constraints"


def violations(node: Node, view: View) -> list[tuple[Task, str]]:
    """Tasks that may not stay on `node`, each with the reason.

    Constraints and tolerations are those its service has now. Resources go to the tasks that came
    first; the later ones that do not fit any more are the ones to go. On a paused node only taints
    are enforced; a node that is being drained loses all of its tasks anyway.
    """
    if node.spec.availability is Availability.DRAIN or node.description is None:
        return []
    paused = node.spec.availability is Availability.PAUSE
    remaining = _Remaining(node, view)
    found = []
    for task in view.tasks_of_node(node.id):
        wanted = TaskState.ASSIGNED <= task.desired_state <= TaskState.COMPLETE
        if not task.service_id:
            continue  # what its node runs by itself is not for the swarm to end
        if not wanted or not TaskState.ASSIGNED <= task.status.state < TaskState.COMPLETE:
            continue
        service = view.find_service(task.service_id)
        spec = service.spec.task_template if service else task.spec
        why = _unwelcome(node, spec, paused=paused)
        if not why and not paused and not remaining.take(task):
            why = f"{ERR}: its resources shrank below what is reserved on it"
        if why:
            found.append((task, why))
    return found


def _unwelcome(node: Node, spec: TaskSpec, *, paused: bool) -> str:
    """Why a task of this spec may not stay, whatever else is on the node; empty if it may."""
    taints = evicting(node.spec.taints, tolerations_of(spec)) if node.spec.taints else ()
    if taints:
        return f"assigned node has taint {taints[0].text}, which the service doesn't tolerate"
    if not paused and not satisfies(node, of_task(spec)):
        return f"{ERR}: {', '.join(defaults.placement(spec).constraints)}"
    return ""


class _Remaining:
    """What of a node is not yet taken by the tasks looked at so far."""

    def __init__(self, node: Node, view: View) -> None:
        cluster = view.find_cluster()
        oversell = cluster.spec.scheduling.oversell if cluster else NO_OVERSELL
        self._cpus, self._memory = capacity(node, oversell)
        self._stock = Stock()
        described = node.description.resources if node.description else None
        self._stock.describe(described or defaults.NO_RESOURCES)

    def take(self, task: Task) -> bool:
        """Take off what the task reserves; False if there is not enough, and nothing is taken."""
        reserved = defaults.reservations(task.spec)
        claims = task.assigned_generic_resources
        if reserved.nano_cpus > max(self._cpus, 0) or reserved.memory_bytes > max(self._memory, 0):
            return False
        if claims and not self._stock.can_hold(claims):
            return False
        self._cpus -= reserved.nano_cpus
        self._memory -= reserved.memory_bytes
        self._stock.hold(claims, 1)
        return True
