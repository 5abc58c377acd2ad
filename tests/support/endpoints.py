"""Endpoint tables end to end without a network: a store, the service, and a follower's balancer."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import aclosing

from swarmd.lb.core.plan import PortKey
from swarmd.lb.core.tables import Tables
from swarmd.lb.kernel import BalancerReport, FrontendStats
from swarmd.manager.endpoints_service import EndpointsService
from swarmd.model.ids import NodeId, ServiceId, TaskId
from swarmd.model.instant import Instant
from swarmd.model.node import Node, NodeDescription
from swarmd.model.service import Endpoint, Service
from swarmd.model.spec import PortConfig, ServiceSpec
from swarmd.model.states import TaskState
from swarmd.model.task import Task, TaskStatus
from swarmd.rpc.call import Call, Peer
from swarmd.rpc.pb import endpoints as pb
from swarmd.store.changes import Action, Create, Entry, Transaction
from swarmd.store.store import Store

WATCH = "/swarmd.v1.Endpoints/Watch"


class RecordingBalancer:
    """Keeps the tables it is handed."""

    name = "recording"

    def __init__(self) -> None:
        self.applied: list[Tables] = []

    @property
    def tasks(self) -> list[str]:
        """Tasks of all services in the latest table."""
        rows = self.applied[-1].services.values() if self.applied else ()
        return [backend.task_id for row in rows for backend in row.backends]

    async def apply(self, tables: Tables) -> BalancerReport:
        self.applied.append(tables)
        return BalancerReport(tables.version)

    def stats(self) -> dict[PortKey, FrontendStats]:
        return {}

    async def close(self) -> None:
        self.applied.clear()


class DirectStub:
    """A client of a service in the same process, with messages as they travel."""

    def __init__(self, service: EndpointsService) -> None:
        self._service = service

    async def Watch(self, request: pb.WatchEndpointsRequest) -> AsyncIterator[pb.EndpointsMessage]:
        async with aclosing(self._service.Watch(Call(Peer(), WATCH), request)) as watch:
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
