"""The constraint enforcer: tasks whose node no longer qualifies are turned away.

Labels, roles and resources of a node may change after tasks were placed. The orchestrator then
replaces what this module rejects.
"""

from __future__ import annotations

from swarmd.model import defaults
from swarmd.model.node import Node
from swarmd.model.states import Availability, TaskState
from swarmd.model.task import Task
from swarmd.orchestrator.constraints import of_task, satisfies
from swarmd.store.view import View

MESSAGE = "task rejected by constraint enforcer"
ERR = "assigned node no longer meets constraints"


def violations(node: Node, view: View) -> list[tuple[Task, str]]:
    """Tasks that may not stay on `node`, each with the reason.

    Constraints are those its service has now. Resources go to the tasks that came first; the
    later ones that do not fit any more are the ones to go.
    """
    if node.spec.availability is not Availability.ACTIVE or node.description is None:
        return []
    total = node.description.resources or defaults.NO_RESOURCES
    cpus, memory = total.nano_cpus, total.memory_bytes
    found = []
    for task in view.tasks_of_node(node.id):
        wanted = TaskState.ASSIGNED <= task.desired_state <= TaskState.COMPLETE
        if not wanted or not TaskState.ASSIGNED <= task.status.state < TaskState.COMPLETE:
            continue
        service = view.find_service(task.service_id)
        spec = service.spec.task_template if service else task.spec
        reserved = defaults.reservations(task.spec)
        if not satisfies(node, of_task(spec)):
            found.append((task, f"{ERR}: {_constraints(task, view)}"))
        elif reserved.nano_cpus > cpus or reserved.memory_bytes > memory:
            if reserved.nano_cpus or reserved.memory_bytes:
                found.append((task, f"{ERR}: its resources shrank below what is reserved on it"))
        else:
            cpus -= reserved.nano_cpus
            memory -= reserved.memory_bytes
    return found


def _constraints(task: Task, view: View) -> str:
    service = view.find_service(task.service_id)
    spec = service.spec.task_template if service else task.spec
    return ", ".join(defaults.placement(spec).constraints)
