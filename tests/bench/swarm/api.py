"""The Control API as the scenarios use it, over one manager's control socket."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from swarmd.rpc.channel import Channel
from swarmd.rpc.pb import control, objects, specs, types

CALL_S = 60.0
LIGHT_POLL_S = 0.1  # counts
HEAVY_POLL_S = 0.5  # lists


def a_spec(name: str, *, replicas: int | None) -> specs.ServiceSpec:
    """A service without networks; global when `replicas` is None."""
    spec = specs.ServiceSpec()
    spec.annotations.name = name
    spec.task.container.image = "busybox:1"
    spec.task.container.command.extend(["sleep", "1000000"])
    if replicas is None:
        getattr(spec, "global").SetInParent()
    else:
        spec.replicated.replicas = replicas
    spec.update.parallelism = 0  # all at once
    return spec


class Api:
    """Calls of one client; `close` it in the end."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._stub = channel.stub("docker.swarmkit.v1.Control")

    async def close(self) -> None:
        await self._channel.close()

    async def tokens(self) -> Any:
        answer = await self._stub.ListClusters(control.ListClustersRequest(), timeout_s=CALL_S)
        return answer.clusters[0].root_ca.join_tokens

    async def nodes(self) -> list[objects.Node]:
        answer = await self._stub.ListNodes(control.ListNodesRequest(), timeout_s=CALL_S)
        return list(answer.nodes)

    async def create(self, spec: specs.ServiceSpec, *, timeout_s: float = CALL_S) -> str:
        """Create a service and return its id."""
        request = control.CreateServiceRequest(spec=spec)
        answer = await self._stub.CreateService(request, timeout_s=timeout_s)
        return str(answer.service.id)

    async def change(self, service_id: str, change: Callable[[specs.ServiceSpec], None]) -> None:
        """Update a service's spec."""
        request = control.GetServiceRequest(service_id=service_id)
        service = (await self._stub.GetService(request, timeout_s=CALL_S)).service
        change(service.spec)
        await self._stub.UpdateService(
            control.UpdateServiceRequest(
                service_id=service_id, service_version=service.meta.version, spec=service.spec
            ),
            timeout_s=CALL_S,
        )

    async def remove(self, service_id: str) -> None:
        request = control.RemoveServiceRequest(service_id=service_id)
        await self._stub.RemoveService(request, timeout_s=CALL_S)

    async def label(self, node_id: str, key: str, value: str) -> None:
        """Set a label of a node."""
        request = control.GetNodeRequest(node_id=node_id)
        node = (await self._stub.GetNode(request, timeout_s=CALL_S)).node
        node.spec.annotations.labels[key] = value
        await self._stub.UpdateNode(
            control.UpdateNodeRequest(
                node_id=node_id, node_version=node.meta.version, spec=node.spec
            ),
            timeout_s=CALL_S,
        )

    async def tasks(self, service_id: str, *, current: bool = False) -> list[objects.Task]:
        """A service's tasks; with `current`, those of its present spec that are to run."""
        request = control.ListTasksRequest()
        request.filters.service_ids.append(service_id)
        if current:
            request.filters.up_to_date = True
            request.filters.desired_states.append(types.RUNNING)
        answer = await self._stub.ListTasks(request, timeout_s=CALL_S)
        return list(answer.tasks)

    async def running(self, service_id: str) -> int:
        """How many tasks of a service run, counted by the manager."""
        request = control.ListServiceStatusesRequest(services=[service_id])
        answer = await self._stub.ListServiceStatuses(request, timeout_s=CALL_S)
        return int(answer.statuses[0].running_tasks)

    async def until_running(self, service_id: str, count: int) -> None:
        while await self.running(service_id) < count:
            await asyncio.sleep(LIGHT_POLL_S)

    async def until_current(self, service_id: str, count: int) -> None:
        """Wait until `count` tasks of the present spec run."""
        while True:
            tasks = await self.tasks(service_id, current=True)
            if sum(task.status.state == types.RUNNING for task in tasks) >= count:
                return
            await asyncio.sleep(HEAVY_POLL_S)

    async def until_tasks(self, service_id: str, count: int) -> None:
        """Wait until a service has no more than `count` tasks, those that are to go included.

        What slots remember of tasks that failed stays as long as the slots do.
        """
        while True:
            tasks = await self.tasks(service_id)
            left = sum(
                task.status.state <= types.RUNNING or task.desired_state == types.REMOVE
                for task in tasks
            )
            if left <= count:
                return
            await asyncio.sleep(HEAVY_POLL_S)
