"""Making a task from a service: the one place where the fields of a new task are decided."""

from __future__ import annotations

from swarmd.model import modes
from swarmd.model.cluster import Cluster
from swarmd.model.env import Env
from swarmd.model.ids import NodeId, TaskId
from swarmd.model.service import Service
from swarmd.model.states import TaskState
from swarmd.model.task import Task, TaskStatus
from swarmd.orchestrator.slots import SlotKey

CREATED = "created"
NO_NODE = NodeId("")
NOTHING = TaskId("")


def new_task(
    service: Service,
    key: SlotKey,
    desired: TaskState,
    *,
    cluster: Cluster | None,
    env: Env,
    iteration: int | None = None,
    last_node: NodeId = NO_NODE,
    replaces: TaskId = NOTHING,
) -> Task:
    """A task for slot `key` of `service` as its spec is now, not yet assigned.

    A slot that is a node's id binds the task to that node.

    Args:
        iteration: the run of a job that the task belongs to.
        last_node: where the slot was before, for tasks that would rather return there.
        replaces: the task that stops once this one runs.
    """
    if iteration is not None and desired is TaskState.RUNNING:
        desired = TaskState.COMPLETE
    spec = service.spec.task_template
    default_driver = cluster.spec.task_defaults.log_driver if cluster else None
    return Task(
        id=TaskId(env.ids.new()),
        service_id=service.id,
        slot=key if isinstance(key, int) else 0,
        node_id=last_node if isinstance(key, int) else key,
        spec=spec,
        spec_version=service.spec_version,
        service_name=service.spec.name,
        service_labels=service.spec.labels,
        desired_state=desired,
        status=TaskStatus(state=TaskState.NEW, timestamp=env.now, message=CREATED),
        endpoint_spec=service.spec.endpoint_spec,
        ports=service.endpoint.ports if service.endpoint else (),
        log_driver=spec.log_driver or default_driver,
        job_iteration=iteration,
        replaces=replaces,
        lease_ns=modes.lease_ns(service.spec.mode.stateful),
        allow=cluster.spec.allow if cluster else (),
    )
