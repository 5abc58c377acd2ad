"""A manager's store and writer without Raft: what is written is applied at once."""

from __future__ import annotations

import asyncio
import zlib

from swarmd.model.cluster import Cluster, RootCA
from swarmd.model.errors import Code, Rejection
from swarmd.model.ids import ClusterId, NodeId, ServiceId, TaskId
from swarmd.model.instant import Instant
from swarmd.model.node import Node, NodeStatus
from swarmd.model.spec import ContainerSpec, TaskSpec
from swarmd.model.states import NodeState, TaskState
from swarmd.model.task import Task, TaskStatus
from swarmd.store.changes import Action, Create, Entry, Transaction
from swarmd.store.store import Store

LEADER = NodeId("leader")


class InstantWriter:
    """Commits every transaction by itself, in the order they come.

    `entries` keeps what was written. While `refusing` is set every write is refused with it.
    """

    def __init__(self, store: Store) -> None:
        self.store = store
        self.entries: list[Transaction] = []
        self.refusing: Rejection | None = None

    async def submit(self, transaction: Transaction) -> int:
        await asyncio.sleep(0)
        if self.refusing is not None:
            raise self.refusing
        self.entries.append(transaction)
        applied = self.store.apply(
            self.store.index + 1, Entry(Instant(1_000), LEADER, (transaction,))
        )
        if transaction.atomic and applied.refusals[0] is not None:
            raise applied.refusals[0]
        return applied.index

    def write(self, *actions: Action) -> None:
        """Commit without waiting, for setting a scene."""
        applied = self.store.apply(
            self.store.index + 1, Entry(Instant(1_000), LEADER, (Transaction(actions),))
        )
        if applied.refusals[0] is not None:
            raise applied.refusals[0]


def no_quorum() -> Rejection:
    return Rejection(Code.UNAVAILABLE, "the managers have no quorum")


def a_cluster(root: bytes = b"root") -> Cluster:
    return Cluster(id=ClusterId("c1"), root_ca=RootCA(ca_cert=root))


def a_node(name: str, state: NodeState = NodeState.UNKNOWN) -> Node:
    return Node(id=NodeId(name), status=NodeStatus(state=state))


SPEC = TaskSpec(container_spec=ContainerSpec(command=("sleep", "1000")))


def a_task(
    name: str,
    *,
    node: str,
    state: TaskState = TaskState.ASSIGNED,
    desired: TaskState = TaskState.RUNNING,
    service: str = "s1",
) -> Task:
    return Task(
        id=TaskId(name),
        service_id=ServiceId(service),
        service_name=service,
        slot=zlib.crc32(name.encode()) + 1,  # a slot has one task at a time
        node_id=NodeId(node),
        spec=SPEC,
        desired_state=desired,
        status=TaskStatus(state=state, timestamp=Instant(1)),
    )


def a_manager(*nodes: str) -> tuple[Store, InstantWriter]:
    """A founded cluster with these nodes."""
    store = Store()
    writer = InstantWriter(store)
    writer.write(Create(a_cluster()), *(Create(a_node(name)) for name in nodes))
    return store, writer
