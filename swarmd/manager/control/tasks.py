"""Tasks: read them and, rarely, remove one; they are never created through the API."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from swarmd.manager.control.core import Calls, require_id
from swarmd.manager.control.filters import Common, NamedAs, one_of
from swarmd.model.endpoints import alike_for_tasks
from swarmd.model.ids import NodeId, ServiceId, TaskId
from swarmd.model.states import TaskState
from swarmd.model.task import Task
from swarmd.rpc.call import Call
from swarmd.rpc.convert import task_to_pb
from swarmd.rpc.pb import control
from swarmd.store.changes import Action, Delete, Kind, SetDesiredState, Transaction

RUNTIME = "container"
# Tasks turned into messages before others get their turn: about five milliseconds.
SLICE = 250


class TaskCalls(Calls):
    async def GetTask(self, call: Call, request: control.GetTaskRequest) -> control.GetTaskResponse:
        task_id = require_id(request.task_id, "task")
        await self._synchronize()
        return control.GetTaskResponse(task=task_to_pb(self._view.get_task(task_id)))

    async def ListTasks(
        self, call: Call, request: control.ListTasksRequest
    ) -> control.ListTasksResponse:
        await self._synchronize()
        wanted = request.filters
        common = Common(
            names=wanted.names,
            name_prefixes=tuple(wanted.name_prefixes),
            id_prefixes=tuple(wanted.id_prefixes),
            labels=wanted.labels,
        )
        states = frozenset(wanted.desired_states)
        chosen = [
            task
            for task in self._candidates(wanted)
            if common.match(NamedAs(task.id, task.name, task.service_labels))
            and one_of(task.service_id, wanted.service_ids)
            and one_of(task.node_id, wanted.node_ids)
            and (not states or task.desired_state.value in states)
            and one_of(RUNTIME, wanted.runtimes)
            and not (wanted.up_to_date and self._outdated(task))
        ]
        response = control.ListTasksResponse()
        # The choice is of one moment. Long lists are written in slices all the same, as a leader
        # that stands still for long is taken for dead.
        for begin in range(0, len(chosen), SLICE):
            if begin:
                await asyncio.sleep(0)
            response.tasks.extend(task_to_pb(task) for task in chosen[begin : begin + SLICE])
        return response

    async def RemoveTask(
        self, call: Call, request: control.RemoveTaskRequest
    ) -> control.RemoveTaskResponse:
        """The orchestrator puts another one into its place.

        A task of an ordinal is kept until its node says that it has stopped.
        """
        task_id = TaskId(require_id(request.task_id, "task"))
        task = self._view.find_task(task_id)
        reason = "removed by a user"
        remove: Action = Delete(Kind.TASK, task_id, reason=reason)
        if task is not None and task.lease_ns:
            remove = SetDesiredState(task_id, TaskState.REMOVE, reason)
        await self._env.writer.submit(Transaction((remove,)))
        return control.RemoveTaskResponse()

    def _candidates(self, wanted: control.ListTasksRequest.Filters) -> Iterable[Task]:
        """Tasks from the narrowest index that the filters allow."""
        if wanted.service_ids:
            return (
                task
                for service_id in dict.fromkeys(wanted.service_ids)
                for task in self._view.tasks_of_service(ServiceId(service_id))
            )
        if wanted.node_ids:
            return (
                task
                for node_id in dict.fromkeys(wanted.node_ids)
                for task in self._view.tasks_of_node(NodeId(node_id))
            )
        return self._view.tasks()

    def _outdated(self, task: Task) -> bool:
        """Made from an older spec than the service has now, unless that asks for the same task."""
        service = self._view.find_service(task.service_id)
        if service is None:
            return True
        return task.spec_version != service.spec_version and (
            task.spec != service.spec.task_template
            or not alike_for_tasks(task.endpoint_spec, service.spec.endpoint_spec)
        )
