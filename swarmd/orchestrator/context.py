"""What the decisions of one planning pass share."""

from __future__ import annotations

from typing import NamedTuple

from swarmd.model.cluster import Cluster
from swarmd.model.env import Env
from swarmd.model.ids import NodeId, TaskId
from swarmd.model.service import Service
from swarmd.model.states import TaskState
from swarmd.model.task import Task
from swarmd.orchestrator.actions import Plan
from swarmd.orchestrator.attaching import Attaching
from swarmd.orchestrator.fences import Fences
from swarmd.orchestrator.new_task import NO_NODE, NOTHING, new_task
from swarmd.orchestrator.restart import first_desired_state
from swarmd.orchestrator.scheduler.fleet import Fleet
from swarmd.orchestrator.slots import SlotKey
from swarmd.store.view import View


class Pass(NamedTuple):
    """The state that is read, the chance and time that may be used, the plan that is written."""

    view: View
    env: Env
    plan: Plan
    cluster: Cluster | None
    fences: Fences
    fleet: Fleet  # what is on the nodes now; who changes it to look ahead changes it back
    networks: Attaching

    def add_task(
        self,
        service: Service,
        key: SlotKey,
        desired: TaskState,
        *,
        reason: str,
        iteration: int | None = None,
        last_node: NodeId = NO_NODE,
        replaces: TaskId = NOTHING,
    ) -> Task:
        """Plan a new task for a slot."""
        task = new_task(
            service,
            key,
            desired,
            cluster=self.cluster,
            env=self.env,
            iteration=iteration,
            last_node=last_node,
            replaces=replaces,
        )
        self.plan.create(task, reason)
        return task

    def succeed(
        self,
        service: Service,
        key: SlotKey,
        history: tuple[Task, ...],
        *,
        predecessor: Task | None,
        reason: str,
        iteration: int | None = None,
        last_node: NodeId = NO_NODE,
    ) -> Task:
        """Plan a new task for a slot that has a past; it waits where the past makes it wait."""
        same_spec = predecessor is not None and (
            predecessor.spec_version == service.spec_version
            or predecessor.spec == service.spec.task_template
        )
        same_spec = same_spec and (predecessor is None or predecessor.job_iteration == iteration)
        desired = first_desired_state(
            history, predecessor=predecessor, same_spec=same_spec, view=self.view
        )
        return self.add_task(
            service, key, desired, reason=reason, iteration=iteration, last_node=last_node
        )
