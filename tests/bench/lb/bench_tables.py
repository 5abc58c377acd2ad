"""What it costs a manager to tell nodes of changes, and to learn who acts on them.

    python tests/bench/lb/bench_tables.py [nodes]

A store, the services and all watchers in one process, with messages as they travel and without a
transport. CPU time, as that stays comparable when the machine is busy.
"""

from __future__ import annotations

import asyncio
import sys
import time

from msgspec.structs import replace

from swarmd.manager.acknowledgements import Acknowledgements
from swarmd.manager.endpoints_service import EndpointsService
from swarmd.model.ids import NetworkId, NodeId, ServiceId, TaskId
from swarmd.model.network import NetworkAttachment
from swarmd.model.node import NodeStatus
from swarmd.model.states import NodeState, TaskState
from swarmd.model.task import Task, TaskStatus
from swarmd.rpc.call import Call, Peer
from swarmd.rpc.identity import WORKER, Identity
from swarmd.rpc.pb import endpoints as pb
from swarmd.runtime.clock import SystemClock
from swarmd.store.changes import Create, Update
from swarmd.store.store import Store
from tests.support.endpoints import a_network, a_published_service, commit, take_part

NODES = 500
CHANGES = 50
BACK = NetworkId("back")


class Swarm:
    """A published service on a network that all nodes take part in."""

    def __init__(self, nodes: int) -> None:
        self.store = Store()
        a_published_service(self.store)
        a_network(self.store, BACK)
        self.names = [f"w{number}" for number in range(nodes)]
        for name in self.names:
            take_part(self.store, name, BACK)
            node = self.store.get_node(name)
            ready = replace(node, status=NodeStatus(state=NodeState.READY))
            commit(self.store, Update(ready, base=node.version))
        self.endpoints = EndpointsService(self.store, clock=SystemClock())
        self.acknowledgements = Acknowledgements(self.store, self.endpoints)
        self.received = asyncio.Semaphore(0)

    async def watch(self, name: str) -> None:
        async for _ in self.endpoints.Watch(call(name), pb.WatchEndpointsRequest()):
            self.received.release()

    async def all_received(self) -> None:
        for _ in self.names:
            await self.received.acquire()

    def start_task(self, number: int) -> None:
        place = NetworkAttachment(network_id=BACK, addresses=(f"10.0.2.{number}/24",))
        task = Task(
            id=TaskId(f"t{number}"),
            service_id=ServiceId("web"),
            slot=number + 1,
            node_id=NodeId("n1"),
            desired_state=TaskState.RUNNING,
            status=TaskStatus(state=TaskState.RUNNING),
            networks=(place,),
        )
        commit(self.store, Create(task))

    def acknowledge(self, name: str) -> None:
        tables = [pb.AppliedTable(network_id=one, version=self.store.index) for one in ("", BACK)]
        request = pb.AcknowledgeRequest(tables=tables)
        self.acknowledgements.Acknowledge(call(name), request)


def call(name: str) -> Call:
    return Call(Peer(Identity(name, "c1", (WORKER,))), "bench")


async def measure(nodes: int) -> None:
    swarm = Swarm(nodes)
    async with asyncio.TaskGroup() as group:
        watching = [group.create_task(swarm.watch(name)) for name in swarm.names]
        await swarm.all_received()
        begun = time.process_time_ns()
        for number in range(CHANGES):
            swarm.start_task(number)
            await swarm.all_received()
        show(f"a change told to {nodes} nodes", begun, CHANGES)
        for one in watching:
            one.cancel()

    begun = time.process_time_ns()
    for name in swarm.names:
        swarm.acknowledge(name)
    show("an acknowledgement, without the call", begun, nodes)

    request = pb.SettledRequest(version=swarm.store.index, published=True, network_ids=[BACK])
    begun = time.process_time_ns()
    for _ in range(CHANGES):
        await swarm.acknowledgements.Settled(call("w1"), request)
    show(f"whether {nodes} nodes are settled", begun, CHANGES)
    swarm.acknowledgements.close()
    swarm.endpoints.close()


def show(what: str, begun_ns: int, times: int) -> None:
    print(f"{what:40} {(time.process_time_ns() - begun_ns) / times / 1000:9.1f} us")


if __name__ == "__main__":
    asyncio.run(measure(int(sys.argv[1]) if len(sys.argv) > 1 else NODES))
