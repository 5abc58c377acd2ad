"""Endpoint tables end to end without a network: a store, the service, and a follower's balancer."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import aclosing

from msgspec.structs import replace

from swarmd.agent.endpoints import TableReport
from swarmd.lb.core.tables import Tables
from swarmd.manager.endpoints_service import EndpointsService
from swarmd.model.ids import NetworkId, NodeId, ServiceId, TaskId
from swarmd.model.instant import Instant
from swarmd.model.network import IPAMConfig, IPAMOptions, Network, NetworkAttachment, NetworkSpec
from swarmd.model.node import Node, NodeDescription
from swarmd.model.service import Endpoint, Service
from swarmd.model.spec import PortConfig, ServiceSpec
from swarmd.model.states import TaskState
from swarmd.model.task import Task, TaskStatus
from swarmd.network.core.tables import NetworkTable
from swarmd.rpc.call import Call, Peer
from swarmd.rpc.identity import WORKER, Identity
from swarmd.rpc.pb import endpoints as pb
from swarmd.store.changes import Action, Create, Entry, Transaction, Update
from swarmd.store.store import Store

WATCH = "/swarmd.v1.Endpoints/Watch"


class RecordingDataPlane:
    """Keeps the tables it is handed."""

    def __init__(self) -> None:
        self.applied: list[Tables] = []
        self.networks: Mapping[NetworkId, NetworkTable] = {}

    @property
    def tasks(self) -> list[str]:
        """Tasks of all services in the latest table."""
        rows = self.applied[-1].services.values() if self.applied else ()
        return [backend.task_id for row in rows for backend in row.backends]

    async def apply(
        self, published: Tables, networks: Mapping[NetworkId, NetworkTable]
    ) -> Mapping[NetworkId, TableReport]:
        self.applied.append(published)
        self.networks = networks
        return {}


class DirectStub:
    """A client of a service in the same process, with messages as they travel."""

    def __init__(self, service: EndpointsService, node_id: str = "") -> None:
        self._service = service
        self._peer = Peer(Identity(node_id, "c1", (WORKER,))) if node_id else Peer()

    async def Watch(self, request: pb.WatchEndpointsRequest) -> AsyncIterator[pb.EndpointsMessage]:
        async with aclosing(self._service.Watch(Call(self._peer, WATCH), request)) as watch:
            async for data in watch:
                yield pb.EndpointsMessage.FromString(data)


def commit(store: Store, *actions: Action) -> None:
    entry = Entry(Instant(1), NodeId("m1"), (Transaction(actions, atomic=False),))
    store.apply(store.index + 1, entry)


def a_published_service(store: Store) -> None:
    """Service `web` on port 8080, and node `n1` at 10.0.0.1."""
    ports = (PortConfig(target_port=80, published_port=8080),)
    commit(
        store,
        Create(Node(id=NodeId("n1"), description=NodeDescription(data_addr="10.0.0.1"))),
        Create(
            Service(
                id=ServiceId("web"), spec=ServiceSpec(name="web"), endpoint=Endpoint(ports=ports)
            )
        ),
    )


def a_running_task(store: Store, name: str) -> None:
    commit(
        store,
        Create(
            Task(
                id=TaskId(name),
                service_id=ServiceId("web"),
                node_id=NodeId("n1"),
                desired_state=TaskState.RUNNING,
                status=TaskStatus(state=TaskState.RUNNING),
            )
        ),
    )


def a_network(store: Store, name: str, number: int = 1) -> None:
    config = IPAMConfig(subnet=f"10.0.{number}.0/24", gateway=f"10.0.{number}.1")
    network = Network(
        id=NetworkId(name), spec=NetworkSpec(name=name), ipam=IPAMOptions(configs=(config,))
    )
    commit(store, Create(network))


def take_part(store: Store, node_id: str, *networks: str) -> None:
    """Have a node on exactly these networks; it is made if it isn't there."""
    attachments = tuple(
        NetworkAttachment(network_id=NetworkId(one), addresses=("10.0.1.2/24",)) for one in networks
    )
    node = store.find_node(node_id)
    if node is None:
        commit(store, Create(Node(id=NodeId(node_id), attachments=attachments)))
    else:
        commit(store, Update(replace(node, attachments=attachments), base=node.version))
