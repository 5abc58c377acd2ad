"""From a committed task to a client's connection, with everything in between but the network."""

from __future__ import annotations

import asyncio
import random
from pathlib import Path

from swarmd.agent.endpoints import BalancerOnly, EndpointsFollower
from swarmd.lb.proxy import Place, ProxyBalancer
from swarmd.manager.endpoints_service import EndpointsService
from swarmd.model.ids import NodeId, ServiceId, TaskId
from swarmd.model.node import Node, NodeDescription
from swarmd.model.service import Endpoint, Service
from swarmd.model.spec import PortConfig, ServiceSpec
from swarmd.model.states import PublishMode, TaskState
from swarmd.model.task import Task, TaskStatus
from swarmd.runtime.clock import SystemClock
from swarmd.store.changes import Create, SetDesiredState
from swarmd.store.store import Store
from tests.support.echo import TcpTask, ask, eventually, free_port, running
from tests.support.endpoints import DirectStub, commit

ENTRY = "127.0.0.9"


def task_record(task: TcpTask) -> Task:
    port = PortConfig(target_port=80, published_port=task.port, publish_mode=PublishMode.HOST)
    return Task(
        id=TaskId(task.name),
        service_id=ServiceId("web"),
        node_id=NodeId("n1"),
        desired_state=TaskState.RUNNING,
        status=TaskStatus(state=TaskState.RUNNING, ports=(port,)),
    )


async def test_a_published_port_follows_the_tasks_of_its_service(tmp_path: Path) -> None:
    published = free_port(ENTRY)
    store = Store()
    commit(
        store,
        Create(Node(id=NodeId("n1"), description=NodeDescription(data_addr="127.0.0.1"))),
        Create(
            Service(
                id=ServiceId("web"),
                spec=ServiceSpec(name="web"),
                endpoint=Endpoint(ports=(PortConfig(target_port=80, published_port=published),)),
            )
        ),
    )
    service = EndpointsService(store, clock=SystemClock())
    balancer = ProxyBalancer(
        place=Place(node_name="node-9", listen=(ENTRY,)),
        clock=SystemClock(),
        rng=random.Random(9),
    )
    follower = EndpointsFollower(
        BalancerOnly(balancer), path=tmp_path / "kept.json", rng=random.Random(9)
    )
    follower.follow(DirectStub(service))
    tasks = [TcpTask("a"), TcpTask("b")]

    async def answering() -> set[str]:
        try:
            return {(await ask(ENTRY, published))[0] for _ in range(4)}
        except ConnectionError:
            return set()

    async def eventually_answering(names: set[str]) -> None:
        async with asyncio.timeout(10):
            while await answering() != names:
                await asyncio.sleep(0.01)

    async with running(*tasks), asyncio.TaskGroup() as group:
        following = group.create_task(follower.run())
        try:
            await eventually(lambda: follower.tables.version > 0)
            assert await answering() == set()
            for task in tasks:
                commit(store, Create(task_record(task)))
            await eventually_answering({"a", "b"})
            commit(store, SetDesiredState(TaskId("a"), TaskState.SHUTDOWN))
            await eventually_answering({"b"})
            service.close()
            assert await answering() == {"b"}
        finally:
            following.cancel()
            await balancer.close()
            service.close()
