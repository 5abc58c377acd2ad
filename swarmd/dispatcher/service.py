"""gRPC in front of the dispatcher: `docker.swarmkit.v1.Dispatcher`, and two services of our own.

Every answer is made from the store at the moment it is sent. Heartbeats and status reports are
plain functions, as there are many of them and none waits for anything.
"""

from __future__ import annotations

from collections.abc import AsyncIterator

from swarmd.dispatcher.core.assignments import CHANGES_PER_MESSAGE_MAX, AssignmentChain
from swarmd.dispatcher.dispatcher import Dispatcher
from swarmd.dispatcher.messages import assignments_message
from swarmd.model.errors import Code, Rejection
from swarmd.model.ids import NodeId, TaskId
from swarmd.model.task import TaskStatus
from swarmd.rpc.answering import parse
from swarmd.rpc.call import Call
from swarmd.rpc.convert import description_from_pb, task_status_from_pb
from swarmd.rpc.pb import cluster as cluster_pb
from swarmd.rpc.pb import dispatcher as pb

DISPATCHER = "docker.swarmkit.v1.Dispatcher"
NODE_LIFECYCLE = "swarmd.v1.NodeLifecycle"
RELAYS = "swarmd.v1.Relays"

_EMPTY = b""  # UpdateTaskStatusResponse and its kind have no fields


class DispatcherService:
    """Answers agents. `own_node_id` is who calls through the local socket."""

    def __init__(self, dispatcher: Dispatcher, *, own_node_id: NodeId) -> None:
        self._dispatcher = dispatcher
        self._own_node_id = own_node_id

    async def Session(self, call: Call, request: pb.SessionRequest) -> AsyncIterator[object]:
        """Registers the node; a message at first and whenever there is news for the node."""
        link = await self._dispatcher.open(
            self._caller(call),
            request.session_id,
            addr=host_of(call.peer.address),
            description=description_from_pb(request.description),
        )
        with link.listen() as bell, self._dispatcher.attended(link, call.line):
            yield self._dispatcher.message_for(link)
            while True:
                await bell.wait()
                if bell.news:
                    bell.news = False
                    yield self._dispatcher.message_for(link)

    def Heartbeat(self, call: Call, request: pb.HeartbeatRequest) -> bytes:
        return self._dispatcher.beat(self._caller(call), request.session_id)

    async def Assignments(self, call: Call, request: pb.AssignmentsRequest) -> AsyncIterator[bytes]:
        """Everything first, then what changes; the chain never breaks."""
        node_id = self._caller(call)
        store = self._dispatcher.store
        link = self._dispatcher.link_of(node_id, request.session_id)
        with link.listen() as bell:
            bell.wants_tasks = True
            chain = AssignmentChain(node_id, store.login_version)
            yield assignments_message(chain.begin(store.tasks_of_node(node_id)), store)
            while True:
                await bell.wait()
                changed = bell.take_tasks(CHANGES_PER_MESSAGE_MAX)
                step = chain.advance(changed, store.find_task)
                if step is not None:
                    yield assignments_message(step, store)

    def UpdateTaskStatus(self, call: Call, request: pb.UpdateTaskStatusRequest) -> bytes:
        """Statuses without a task, or of unknown tasks, never fail the call."""
        node_id = self._caller(call)
        self._dispatcher.link_of(node_id, request.session_id)
        statuses: dict[TaskId, TaskStatus] = {}
        for update in request.updates:
            if update.task_id and update.HasField("status"):
                statuses[TaskId(update.task_id)] = task_status_from_pb(update.status)
        self._dispatcher.report(node_id, statuses)
        return _EMPTY

    def UpdateVolumeStatus(self, call: Call, request: pb.UpdateVolumeStatusRequest) -> bytes:
        """There are no cluster volumes whose status could change; the session is checked."""
        self._dispatcher.link_of(self._caller(call), request.session_id)
        return _EMPTY

    def _caller(self, call: Call) -> NodeId:
        return caller_of(call, self._own_node_id)


class NodeLifecycleService:
    """Lets a node say that it goes for good."""

    def __init__(self, dispatcher: Dispatcher, *, own_node_id: NodeId) -> None:
        self._dispatcher = dispatcher
        self._own_node_id = own_node_id

    async def Leave(
        self, call: Call, request: cluster_pb.LeaveClusterRequest
    ) -> cluster_pb.LeaveClusterResponse:
        await self._dispatcher.leave(caller_of(call, self._own_node_id))
        return cluster_pb.LeaveClusterResponse()


class RelaysService:
    """Lets managers that relay sessions pass on heartbeats and say which machines are silent."""

    def __init__(self, dispatcher: Dispatcher) -> None:
        self._dispatcher = dispatcher

    def RelayHeartbeats(
        self, call: Call, request: cluster_pb.RelayHeartbeatsRequest
    ) -> cluster_pb.RelayHeartbeatsResponse:
        """Who calls has checked that the nodes may."""
        response = cluster_pb.RelayHeartbeatsResponse()
        for heartbeat in request.heartbeats:
            node_id = NodeId(heartbeat.node_id or call.node_id)
            try:
                asked = parse(pb.HeartbeatRequest.FromString, heartbeat.request, call.method)
                answer = self._dispatcher.beat(node_id, asked.session_id)
            except Rejection as rejection:
                response.answers.add(code=rejection.code, message=rejection.message)
            else:
                response.answers.add(response=answer)
        return response

    def ReportSilence(
        self, call: Call, request: cluster_pb.ReportSilenceRequest
    ) -> cluster_pb.ReportSilenceResponse:
        for told in request.lines:
            self._dispatcher.note_silence(
                NodeId(told.node_id), told.line, via=call.node_id, silent_ns=told.silent_ns
            )
        return cluster_pb.ReportSilenceResponse()


def caller_of(call: Call, own_node_id: NodeId) -> NodeId:
    """The node that calls, by its certificate, or this one by its own socket."""
    if call.node_id:
        return NodeId(call.node_id)
    if call.peer.local:
        return own_node_id
    raise Rejection(Code.PERMISSION_DENIED, f"{call.method} needs a node certificate")


def host_of(address: str) -> str:
    """The host in host:port; an IPv6 address comes without its brackets."""
    host, separator, _ = address.rpartition(":")
    return (host if separator else address).strip("[]")
