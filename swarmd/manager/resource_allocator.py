"""`ResourceAllocator` of the wire contract: nodes attach what they run by themselves to networks.

A node that starts a container outside of any service, as by `docker run --network`, asks for a
place in a network. It is given a task of its own that holds nothing but the addresses, and reaches
it as any other assignment; giving the place up again deletes the task.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from swarmd.manager.control.core import SubmitsTransactions
from swarmd.model.env import Ids
from swarmd.model.errors import Code, Rejection, invalid, not_found
from swarmd.model.ids import NodeId, TaskId
from swarmd.model.instant import Instant
from swarmd.model.network import Network
from swarmd.model.spec import AttachmentSpec, NetworkAttachmentConfig, TaskSpec
from swarmd.model.states import TaskState
from swarmd.model.task import Task, TaskStatus
from swarmd.rpc.call import Call
from swarmd.rpc.pb import resource as pb
from swarmd.runtime.clock import Clock
from swarmd.store.changes import Create, Delete, Kind, Transaction
from swarmd.store.view import View

RESOURCE_ALLOCATOR = "docker.swarmkit.v1.ResourceAllocator"
ADDRESSES_MAX = 2  # one per family
ALIASES_MAX = 64


class ResourceAllocator:
    """Runs on the leader; what is attached belongs to the node that asked.

    Args:
        read_barrier: returns once the replica holds everything acknowledged before the call.
    """

    def __init__(
        self,
        view: View,
        writer: SubmitsTransactions,
        *,
        clock: Clock,
        ids: Ids,
        read_barrier: Callable[[], Awaitable[object]],
    ) -> None:
        self._view = view
        self._writer = writer
        self._clock = clock
        self._ids = ids
        self._read_barrier = read_barrier

    async def AttachNetwork(
        self, call: Call, request: pb.AttachNetworkRequest
    ) -> pb.AttachNetworkResponse:
        """A task on the caller's node with a place in the network; it waits for its addresses."""
        node_id = _caller(call)
        if not request.config.target:
            raise invalid("invalid argument: the network to attach to is missing")
        if len(request.config.addresses) > ADDRESSES_MAX:
            raise invalid(
                f"no more than {ADDRESSES_MAX} addresses can be asked for, one per family"
            )
        if len(request.config.aliases) > ALIASES_MAX:
            raise invalid(f"no more than {ALIASES_MAX} aliases can be given to one attachment")
        await self._read_barrier()
        if self._view.find_node(node_id) is None:
            raise not_found("node", node_id)
        network = self._network(request.config.target)
        if not network.spec.attachable:
            raise Rejection(
                Code.PERMISSION_DENIED,
                f"network {network.spec.name} ({network.id}) is for services only; make one with "
                "`swarmd network create --attachable`",
            )
        place = NetworkAttachmentConfig(
            target=network.id,
            aliases=tuple(request.config.aliases),
            addresses=tuple(request.config.addresses),
            driver_opts=dict(request.config.driver_attachment_opts),
        )
        now = Instant(self._clock.now())
        task = Task(
            id=TaskId(self._ids.new()),
            node_id=node_id,
            spec=TaskSpec(
                networks=(place,), attachment=AttachmentSpec(container_id=request.container_id)
            ),
            desired_state=TaskState.RUNNING,
            status=TaskStatus(state=TaskState.NEW, timestamp=now, message="created"),
        )
        create = Create(task, f"a container of the node's own is attached to {network.spec.name}")
        await self._writer.submit(Transaction((create,)))
        return pb.AttachNetworkResponse(attachment_id=task.id)

    async def DetachNetwork(
        self, call: Call, request: pb.DetachNetworkRequest
    ) -> pb.DetachNetworkResponse:
        node_id = _caller(call)
        if not request.attachment_id:
            raise invalid("invalid argument: the attachment to give up is missing")
        await self._read_barrier()
        task = self._view.get_task(request.attachment_id)
        if task.spec.attachment is None or task.node_id != node_id:
            raise Rejection(
                Code.PERMISSION_DENIED, f"task {task.id} is no attachment of node {node_id}"
            )
        delete = Delete(Kind.TASK, task.id, reason="detached by its node")
        await self._writer.submit(Transaction((delete,)))
        return pb.DetachNetworkResponse()

    def _network(self, word: str) -> Network:
        """A network by its id or its name."""
        network = self._view.find_network(word) or self._view.find_network_by_name(word)
        if network is None:
            raise not_found("network", word)
        return network


def _caller(call: Call) -> NodeId:
    if not call.node_id:
        raise Rejection(
            Code.PERMISSION_DENIED, "attachments are for nodes, which show their certificates"
        )
    return NodeId(call.node_id)
