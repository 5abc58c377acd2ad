"""What commands ask a daemon, in records: the one place of the CLI that sees messages.

Every call has a deadline. Failures become `CliError`s with a next step; which one depends on what
the daemon said.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import aclosing, asynccontextmanager
from typing import Any, TypeVar

from swarmd.cli.errors import NO_SWARM_HINT, NOT_MANAGER_HINT, TIMED_OUT, CliError
from swarmd.cli.standing import Listed, Standing
from swarmd.cli.target import Target
from swarmd.model.cluster import Cluster, ClusterSpec
from swarmd.model.errors import Code
from swarmd.model.node import Node, NodeSpec
from swarmd.model.service import Service
from swarmd.model.spec import ServiceSpec
from swarmd.model.task import Task
from swarmd.rpc import convert
from swarmd.rpc.errors import RpcError
from swarmd.rpc.pb import cluster as asked
from swarmd.rpc.pb import control, local, logbroker, objects, types
from swarmd.rpc.pb import updates as updating
from swarmd.rpc.pb import watch as watching
from swarmd.runtime.timeouts import timeout

CONTROL = "docker.swarmkit.v1.Control"
CLUSTER = "swarmd.v1.Cluster"
LOGS = "docker.swarmkit.v1.Logs"
LOCAL = "swarmd.v1.Local"
UPDATES = "swarmd.v1.Updates"
WATCH = "docker.swarmkit.v1.Watch"
# Longer than an election with the first write after it, shorter than a person's patience.
CALL_S = 20.0
# Joining waits for a certificate and a first session; a lost manager costs a few attempts.
MEMBERSHIP_S = 60.0
UPDATE_ATTEMPTS = 5
_OUT_OF_SEQUENCE = "update out of sequence"

T = TypeVar("T")


class Client:
    """Calls to one daemon."""

    def __init__(self, stub: Callable[[str], Any]) -> None:
        self.stub = stub  # of services that few commands need
        self._control = stub(CONTROL)
        self._cluster = stub(CLUSTER)
        self._logs = stub(LOGS)
        self._local = stub(LOCAL)
        self._updates = stub(UPDATES)
        self._watch = stub(WATCH)

    async def ask(self, method: str, request: Any) -> Any:
        """Any call of the Control service."""
        return await _in_time(getattr(self._control, method)(request))

    async def services(self) -> list[Service]:
        answer = await _in_time(self._control.ListServices(control.ListServicesRequest()))
        return [convert.service_from_pb(service) for service in answer.services]

    async def service(self, service_id: str) -> Service:
        request = control.GetServiceRequest(service_id=service_id)
        return convert.service_from_pb((await _in_time(self._control.GetService(request))).service)

    async def create_service(self, spec: ServiceSpec) -> Service:
        request = control.CreateServiceRequest(spec=convert.service_spec_to_pb(spec))
        answer = await _in_time(self._control.CreateService(request))
        return convert.service_from_pb(answer.service)

    async def update_service(
        self, service_id: str, change: Callable[[ServiceSpec], ServiceSpec]
    ) -> Service:
        """Change the spec, again when somebody else changed the service in between."""

        async def attempt() -> Service:
            service = await self.service(service_id)
            request = control.UpdateServiceRequest(
                service_id=service_id,
                service_version=types.Version(index=service.version),
                spec=convert.service_spec_to_pb(change(service.spec)),
            )
            answer = await _in_time(self._control.UpdateService(request))
            return convert.service_from_pb(answer.service)

        return await _in_sequence(attempt)

    async def roll_back_service(self, service_id: str) -> Service:
        async def attempt() -> Service:
            service = await self.service(service_id)
            request = control.UpdateServiceRequest(
                service_id=service_id,
                service_version=types.Version(index=service.version),
                spec=convert.service_spec_to_pb(service.spec),
                rollback=control.UpdateServiceRequest.PREVIOUS,
            )
            answer = await _in_time(self._control.UpdateService(request))
            return convert.service_from_pb(answer.service)

        return await _in_sequence(attempt)

    async def roll_back_to(self, service_id: str, spec_version: int) -> Service:
        """Go back to any version that is remembered."""

        def ask(version: types.Version) -> Awaitable[object]:
            request = updating.RollBackServiceRequest(
                service_id=service_id,
                service_version=version,
                spec_version=types.Version(index=spec_version),
            )
            return self._updates.RollBackService(request)  # type: ignore[no-any-return]

        return await self._steer(service_id, ask)

    async def pause_update(self, service_id: str) -> Service:
        def ask(version: types.Version) -> Awaitable[object]:
            request = updating.PauseUpdateRequest(service_id=service_id, service_version=version)
            return self._updates.PauseUpdate(request)  # type: ignore[no-any-return]

        return await self._steer(service_id, ask)

    async def resume_update(self, service_id: str) -> Service:
        def ask(version: types.Version) -> Awaitable[object]:
            request = updating.ResumeUpdateRequest(service_id=service_id, service_version=version)
            return self._updates.ResumeUpdate(request)  # type: ignore[no-any-return]

        return await self._steer(service_id, ask)

    async def _steer(
        self, service_id: str, ask: Callable[[types.Version], Awaitable[object]]
    ) -> Service:
        async def attempt() -> Service:
            service = await self.service(service_id)
            await _in_time(ask(types.Version(index=service.version)))
            return await self.service(service_id)

        return await _in_sequence(attempt)

    async def remove_service(self, service_id: str) -> None:
        await _in_time(
            self._control.RemoveService(control.RemoveServiceRequest(service_id=service_id))
        )

    async def counts(self, service_ids: Iterable[str]) -> dict[str, tuple[int, int, int]]:
        """Running, wanted and completed tasks by service id."""
        request = control.ListServiceStatusesRequest(services=service_ids)
        answer = await _in_time(self._control.ListServiceStatuses(request))
        return {
            status.service_id: (
                status.running_tasks,
                status.desired_tasks,
                status.completed_tasks,
            )
            for status in answer.statuses
        }

    async def tasks(
        self, *, service_ids: Iterable[str] = (), node_ids: Iterable[str] = ()
    ) -> list[Task]:
        filters = control.ListTasksRequest.Filters(service_ids=service_ids, node_ids=node_ids)
        answer = await _in_time(self._control.ListTasks(control.ListTasksRequest(filters=filters)))
        return [convert.task_from_pb(task) for task in answer.tasks]

    async def find_task(self, task_id: str) -> Task | None:
        """A task by its id; None when it is gone."""
        try:
            answer = await self.ask("GetTask", control.GetTaskRequest(task_id=task_id))
        except RpcError as error:
            if error.code is Code.NOT_FOUND:
                return None
            raise
        return convert.task_from_pb(answer.task)

    async def nodes(self) -> list[Listed]:
        answer = await _in_time(self._control.ListNodes(control.ListNodesRequest()))
        return [_listed(node) for node in answer.nodes]

    async def update_node(self, node_id: str, change: Callable[[NodeSpec], NodeSpec]) -> Node:
        async def attempt() -> Node:
            answer = await _in_time(self._control.GetNode(control.GetNodeRequest(node_id=node_id)))
            node = convert.node_from_pb(answer.node)
            request = control.UpdateNodeRequest(
                node_id=node_id,
                node_version=types.Version(index=node.version),
                spec=convert.node_spec_to_pb(change(node.spec)),
            )
            updated = await _in_time(self._control.UpdateNode(request))
            return convert.node_from_pb(updated.node)

        return await _in_sequence(attempt)

    async def remove_node(self, node_id: str, *, force: bool) -> None:
        request = control.RemoveNodeRequest(node_id=node_id, force=force)
        await _in_time(self._control.RemoveNode(request))

    async def cluster(self) -> Cluster:
        answer = await _in_time(self._control.ListClusters(control.ListClustersRequest()))
        if not answer.clusters:
            raise CliError("the swarm has no cluster object yet; try again in a moment")
        return convert.cluster_from_pb(answer.clusters[0])

    async def update_cluster(self, change: Callable[[ClusterSpec], ClusterSpec]) -> Cluster:
        async def attempt() -> Cluster:
            cluster = await self.cluster()
            request = control.UpdateClusterRequest(
                cluster_id=cluster.id,
                cluster_version=types.Version(index=cluster.version),
                spec=convert.cluster_spec_to_pb(change(cluster.spec)),
            )
            answer = await _in_time(self._control.UpdateCluster(request))
            return convert.cluster_from_pb(answer.cluster)

        return await _in_sequence(attempt)

    async def rotate_token(self, *, worker: bool, manager: bool) -> Cluster:
        async def attempt() -> Cluster:
            cluster = await self.cluster()
            request = control.UpdateClusterRequest(
                cluster_id=cluster.id,
                cluster_version=types.Version(index=cluster.version),
                spec=convert.cluster_spec_to_pb(cluster.spec),
                rotation=control.KeyRotation(worker_join_token=worker, manager_join_token=manager),
            )
            answer = await _in_time(self._control.UpdateCluster(request))
            return convert.cluster_from_pb(answer.cluster)

        return await _in_sequence(attempt)

    async def logs(
        self, request: logbroker.SubscribeLogsRequest
    ) -> AsyncIterator[logbroker.SubscribeLogsMessage]:
        """Lines as they come; without `follow` the stream ends by itself.

        Raises:
            RpcError: it broke off, or something is missing.
        """
        stream = self._logs.SubscribeLogs(request)
        async with aclosing(stream):
            async for answer in stream:
                yield answer

    async def watch(self, request: watching.WatchRequest) -> AsyncIterator[watching.WatchMessage]:
        """Committed changes as this manager applies them; the first message has none.

        Raises:
            RpcError: the watch can't begin, or has ended.
        """
        stream = self._watch.Watch(request)
        async with aclosing(stream):
            async for message in stream:
                yield message

    async def ask_leader(self, method: str, request: Any, seconds: float = CALL_S) -> Any:
        """Any call of swarmd's own Cluster service."""
        return await _in_time(getattr(self._cluster, method)(request), seconds)

    async def explain(self, *, service_id: str = "", task_id: str = "") -> asked.ExplainResponse:
        """What the leader says about a service, or about one of its tasks."""
        request = asked.ExplainRequest()
        if task_id:
            request.task_id = task_id
        else:
            request.service_id = service_id
        answer: asked.ExplainResponse = await _in_time(self._cluster.Explain(request))
        return answer

    async def info(self) -> local.InfoResponse:
        answer: local.InfoResponse = await _in_time(self._local.Info(local.InfoRequest()))
        return answer

    async def init(self, request: local.InitRequest) -> local.InitResponse:
        answer: local.InitResponse = await _in_time(self._local.Init(request), MEMBERSHIP_S)
        return answer

    async def join(self, request: local.JoinRequest) -> local.JoinResponse:
        answer: local.JoinResponse = await _in_time(self._local.Join(request), MEMBERSHIP_S)
        return answer

    async def leave(self, *, force: bool) -> local.LeaveResponse:
        request = local.LeaveRequest(force=force)
        answer: local.LeaveResponse = await _in_time(self._local.Leave(request), MEMBERSHIP_S)
        return answer

    async def stop(self, *, stop_tasks: bool) -> None:
        """End the daemon."""
        await _in_time(self._local.StopDaemon(local.StopRequest(stop_tasks=stop_tasks)))


@asynccontextmanager
async def connected(target: Target) -> AsyncIterator[Client]:
    """A client of the target's daemon.

    Raises:
        CliError: no daemon runs there.
    """
    if not target.listening():
        raise no_daemon(target)
    channel = target.dial(target.socket)
    try:
        yield Client(channel.stub)
    except RpcError as error:
        raise explained(error, target) from None
    finally:
        await channel.close()


def run(target: Target, /, work: Callable[[Client], Awaitable[T]]) -> T:
    """Do `work` with a connection, from a synchronous command."""

    async def connect_and_work() -> T:
        async with connected(target) as client:
            return await work(client)

    return asyncio.run(connect_and_work())


def no_daemon(target: Target) -> CliError:
    return CliError(f"no swarmd daemon is running at {target.socket}", hint=NO_SWARM_HINT)


def explained(error: RpcError, target: Target | None = None) -> CliError:
    """What a failed call means to the person who asked for it."""
    message = error.message.rstrip(".")
    if "not part of a swarm" in message or "not part of any swarm" in message:
        return CliError(message, hint=NO_SWARM_HINT)
    if "not a swarm manager" in message or "not a manager" in message:
        return CliError(message, hint=NOT_MANAGER_HINT)
    if error.code is Code.UNAVAILABLE and error.unprocessed and target is not None:
        return no_daemon(target)
    if error.code is Code.DEADLINE_EXCEEDED:
        return CliError(message, hint="`swarmd info` shows the managers", exit_code=TIMED_OUT)
    return CliError(message)


async def _in_time(call: Awaitable[T], seconds: float = CALL_S) -> T:
    try:
        async with timeout(seconds):
            return await call
    except TimeoutError:
        raise RpcError(
            Code.DEADLINE_EXCEEDED,
            f"the daemon did not answer within {seconds:g} s; "
            "the swarm may have lost the majority of its managers",
        ) from None


async def _in_sequence(attempt: Callable[[], Awaitable[T]]) -> T:
    """Repeat a read and write that lost a race against another write."""
    for _ in range(UPDATE_ATTEMPTS - 1):
        try:
            return await attempt()
        except RpcError as error:
            if _OUT_OF_SEQUENCE not in error.message:
                raise
    return await attempt()


def _listed(message: objects.Node) -> Listed:
    standing = None
    if message.HasField("manager_status"):
        status = message.manager_status
        standing = Standing(
            addr=status.addr,
            leader=status.leader,
            reachable=status.reachability == types.RaftMemberStatus.REACHABLE,
        )
    return Listed(convert.node_from_pb(message), standing)
