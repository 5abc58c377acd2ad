"""The Control API of one manager without Raft, and the means to set a scene for it."""

from __future__ import annotations

import asyncio
import itertools
from typing import Any

from swarmd.manager.control import Control, ControlEnv, ManagerMember
from swarmd.manager.control.core import SubmitsTransactions
from swarmd.model.ids import NetworkId, NodeId
from swarmd.model.network import Network, NetworkSpec
from swarmd.model.node import Node, NodeDescription, NodeSpec, NodeStatus
from swarmd.model.states import NodeState, Role
from swarmd.orchestrator.allocator.subnets import allocate_network
from swarmd.rpc.call import Call, Peer
from swarmd.store.changes import Create
from swarmd.store.store import Store
from tests.support.hand_clock import HandClock
from tests.support.manager import InstantWriter, a_manager


class CountedIds:
    """`id1`, `id2`, …"""

    def __init__(self) -> None:
        self._numbers = itertools.count(1)

    def new(self) -> str:
        return f"id{next(self._numbers)}"


class Api:
    """A `Control` over a store that a test can look into.

    `barriers` counts the linearizable reads; `blocker` is what the quorum guard answers.
    """

    def __init__(self) -> None:
        self.store: Store
        self.writer: InstantWriter
        self.store, self.writer = a_manager()
        self.clock = HandClock(10**18)
        self.members: tuple[ManagerMember, ...] = ()
        self.blocker: str | None = None
        self.barriers = 0
        self.control: Control
        self.use_writer(self.writer)
        self.add_network("ingress", ingress=True)

    def use_writer(self, writer: SubmitsTransactions) -> None:
        """Serve with another writer from now on."""
        self.control = Control(
            ControlEnv(
                view=self.store,
                writer=writer,
                read_barrier=self._barrier,
                clock=self.clock,
                ids=CountedIds(),
                members=lambda: self.members,
                demotion_blocker=lambda _node_id: self.blocker,
                entropy=lambda size: b"\x05" * size,
            )
        )

    async def call(self, method: str, request: Any) -> Any:
        call = Call(Peer(local=True), f"/docker.swarmkit.v1.Control/{method}")
        answer = getattr(self.control, method)(call, request)
        return await answer if asyncio.iscoroutine(answer) else answer

    def add_node(self, name: str, **fields: Any) -> Node:
        """A ready worker; its id and host name are `name`."""
        role = fields.pop("role", Role.WORKER)
        fields = {
            "status": NodeStatus(state=NodeState.READY, addr="10.0.0.1"),
            "description": NodeDescription(hostname=name),
            "spec": NodeSpec(role=role),
            "role": role,
            **fields,
        }
        self.writer.write(Create(Node(id=NodeId(name), **fields)))
        return self.store.get_node(name)

    def add_network(self, name: str, **fields: Any) -> Network:
        """A network as the API makes it; its id is its name."""
        network = allocate_network(
            Network(id=NetworkId(name), spec=NetworkSpec(name=name, **fields)),
            self.store.networks(),
            self.store.find_cluster(),
        )
        self.writer.write(Create(network))
        return self.store.get_network(name)

    def add_manager(self, name: str, *, leader: bool = False, reachable: bool = True) -> Node:
        """A ready manager that is a member of the Raft group."""
        number = len(self.members) + 1
        self.members += (ManagerMember(name, number, f"10.0.0.{number}:2377", leader, reachable),)
        return self.add_node(name, role=Role.MANAGER)

    async def _barrier(self) -> None:
        self.barriers += 1
        await asyncio.sleep(0)
