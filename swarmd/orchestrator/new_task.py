"""Making a task from a service: the one place where the fields of a new task are decided."""

from __future__ import annotations

from swarmd.model.cluster import Cluster
from swarmd.model.env import Env
from swarmd.model.ids import NodeId, TaskId
from swarmd.model.service import Service
from swarmd.model.states import TaskState
from swarmd.model.task import Task, TaskStatus
from swarmd.orchestrator.slots import SlotKey

CREATED = "created"


def new_task(
    service: Service, key: SlotKey, desired: TaskState, *, cluster: Cluster | None, env: Env
) -> Task:
    """A task for slot `key` of `service` as its spec is now, not yet assigned.

    A slot that is a node's id binds the task to that node.
    """
    spec = service.spec.task_template
    default_driver = cluster.spec.task_defaults.log_driver if cluster else None
    return Task(
        id=TaskId(env.ids.new()),
        service_id=service.id,
        slot=key if isinstance(key, int) else 0,
        node_id=NodeId("") if isinstance(key, int) else key,
        spec=spec,
        spec_version=service.spec_version,
        service_name=service.spec.name,
        service_labels=service.spec.labels,
        desired_state=desired,
        status=TaskStatus(state=TaskState.NEW, timestamp=env.now, message=CREATED),
        endpoint_spec=service.spec.endpoint_spec,
        ports=service.endpoint.ports if service.endpoint else (),
        log_driver=spec.log_driver or default_driver,
    )
