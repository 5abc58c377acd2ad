"""Dispatcher, log broker and agents over real sockets with mutual TLS; the clients are grpcio's."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from msgspec.structs import replace

from swarmd.agent.log_reader import LogRecord, LogStream
from swarmd.agent.remotes import Remote, Remotes
from swarmd.agent.session import AgentSession
from swarmd.dispatcher.dispatcher import Dispatcher
from swarmd.dispatcher.messages import ManagerPeer
from swarmd.dispatcher.service import (
    DISPATCHER,
    NODE_LIFECYCLE,
    DispatcherService,
    NodeLifecycleService,
)
from swarmd.manager.log_broker import LOG_BROKER, LogBroker
from swarmd.model.cluster import DispatcherConfig
from swarmd.model.errors import Code
from swarmd.model.ids import NodeId, TaskId
from swarmd.model.instant import MILLISECOND, Instant
from swarmd.model.node import NodeDescription
from swarmd.model.states import NodeState, Role, TaskState
from swarmd.rpc.call import Call, Peer
from swarmd.rpc.errors import RpcError
from swarmd.rpc.exchange import Exchange
from swarmd.rpc.h2.hpack_decoder import BlockCache
from swarmd.rpc.h2.limits import Limits
from swarmd.rpc.identity import from_certificate
from swarmd.rpc.pb import cluster as cluster_pb
from swarmd.rpc.pb import dispatcher as pb
from swarmd.rpc.pb import logbroker as log_pb
from swarmd.rpc.router import Router
from swarmd.rpc.server_connection import ServerConnection
from swarmd.runtime.chance import RandomIds
from swarmd.runtime.clock import SystemClock
from swarmd.runtime.supervise import Supervisor
from swarmd.store.changes import Create, SetDesiredState, Update
from tests.support.certs import CLUSTER, issue, server_context, shared_ca
from tests.support.grpc_channel import StockChannel
from tests.support.manager import a_manager, a_task
from tests.support.worker import PaperWorker

LEADER = NodeId("m1")


class Leading:
    """Leadership and relay of a manager that leads, and so never passes anything on."""

    def is_leader(self) -> bool:
        return True

    async def find_leader(self) -> str:
        return ""

    async def pass_on(self, exchange: Exchange) -> bytes | None:
        raise AssertionError("a leader answers by itself")


class Connection(asyncio.Protocol):
    """Learns who is calling once TLS is up, and leaves the rest to the server's connection."""

    def __init__(self, router: Router, tasks: Supervisor, open_now: set[ServerConnection]) -> None:
        self._router = router
        self._tasks = tasks
        self._open_now = open_now

    def connection_made(self, transport: Any) -> None:
        certificate = transport.get_extra_info("ssl_object").getpeercert(binary_form=True)
        host, port = transport.get_extra_info("peername")[:2]
        served = ServerConnection(
            router=self._router,
            relay=Leading(),
            peer=Peer(
                identity=from_certificate(certificate) if certificate else None,
                address=f"{host}:{port}",
            ),
            limits=Limits(),
            cache=BlockCache(),
            tasks=self._tasks,
            on_lost=self._open_now.discard,
        )
        self._open_now.add(served)
        transport.set_protocol(served)
        served.connection_made(transport)


class Swarm:
    """A leader that listens on loopback, and agents that find it there."""

    def __init__(self, *nodes: str) -> None:
        self.addr = ""
        self.store, self.writer = a_manager(*nodes)
        self.dispatcher = Dispatcher(
            self.store,
            self.writer,
            clock=SystemClock(),
            ids=RandomIds(),
            managers=lambda: [ManagerPeer(LEADER, self.addr)],
            leader_addr=lambda: self.addr,
        )
        self.broker = LogBroker(self.store, ids=RandomIds(), own_node_id=LEADER)
        self.router = Router(cluster_id=lambda: CLUSTER, is_removed=lambda _: False)
        self.router.leadership = Leading()
        service = DispatcherService(self.dispatcher, own_node_id=LEADER)
        lifecycle = NodeLifecycleService(self.dispatcher, own_node_id=LEADER)
        self.router.register(DISPATCHER, service)
        self.router.register(NODE_LIFECYCLE, lifecycle)
        self.router.register(LOG_BROKER, self.broker)
        self.workers: dict[str, PaperWorker] = {}
        self.sessions: dict[str, AgentSession] = {}

    def channel(self, node: str, addr: str = "") -> StockChannel:
        return StockChannel(addr or self.addr, issue(shared_ca(), node))

    @asynccontextmanager
    async def running(self, *agents: str) -> AsyncIterator[Swarm]:
        calls, open_now = Supervisor("server"), set[ServerConnection]()
        context = server_context(issue(shared_ca(), LEADER, Role.MANAGER))
        server = await asyncio.get_running_loop().create_server(
            lambda: Connection(self.router, calls, open_now), "127.0.0.1", 0, ssl=context
        )
        self.addr = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
        async with asyncio.timeout(60), asyncio.TaskGroup() as tasks:
            self.broker.start()
            running = [tasks.create_task(self.dispatcher.run())]
            running += [tasks.create_task(self._agent(name).run()) for name in agents]
            try:
                yield self
            finally:
                for task in reversed(running):
                    task.cancel()
                self.broker.stop()
                server.close()
        for connection in tuple(open_now):
            connection.abort()
        await until(lambda: not open_now)
        await calls.stop()

    def _agent(self, name: str) -> AgentSession:
        pair = issue(shared_ca(), name)
        self.workers[name] = PaperWorker(obliging=True)
        self.sessions[name] = AgentSession(
            node_id=NodeId(name),
            worker=self.workers[name],
            remotes=Remotes([Remote(self.addr)], rng=random.Random(2), on_change=lambda _: None),
            dial=lambda addr: StockChannel(addr, pair),
            describe=lambda: NodeDescription(hostname=name),
            rng=random.Random(3),
            on_message=lambda _: None,
        )
        return self.sessions[name]


async def until(holds: Callable[[], bool]) -> None:
    while not holds():
        await asyncio.sleep(0.01)


async def test_tasks_of_several_nodes_run_and_are_known_to_run() -> None:
    names = [f"n{number}" for number in range(5)]
    async with Swarm(*names).running(*names) as swarm:
        swarm.writer.write(
            *(Create(a_task(f"t{number}", node=names[number % 5])) for number in range(200))
        )
        await until(
            lambda: all(task.status.state is TaskState.RUNNING for task in swarm.store.tasks())
        )
        swarm.writer.write(SetDesiredState(TaskId("t0"), TaskState.SHUTDOWN))
        await until(lambda: swarm.store.get_task("t0").status.state is TaskState.SHUTDOWN)
        assert {node.status.addr for node in swarm.store.nodes()} == {"127.0.0.1"}
        assert {node.status.state for node in swarm.store.nodes()} == {NodeState.READY}


async def test_a_complete_set_larger_than_the_flow_control_windows_arrives() -> None:
    swarm = Swarm("n1")
    swarm.writer.write(*(Create(a_task(f"t{n:05}", node="n1")) for n in range(3000)))
    async with swarm.running("n1"):
        await until(lambda: len(swarm.workers["n1"].tasks) == 3000)


async def test_heartbeats_keep_a_node_ready_and_their_end_makes_it_down() -> None:
    swarm = Swarm("n1")
    cluster = swarm.store.cluster()
    spec = replace(cluster.spec, dispatcher=DispatcherConfig(heartbeat_period_ns=100 * MILLISECOND))
    swarm.writer.write(Update(replace(cluster, spec=spec), base=cluster.version))
    async with swarm.running(), asyncio.TaskGroup() as tasks:
        agent = tasks.create_task(swarm._agent("n1").run())
        await swarm.sessions["n1"].wait_for_manager()
        await asyncio.sleep(1)  # three missed heartbeats would be 0.3 s
        assert swarm.store.get_node("n1").status.state is NodeState.READY
        agent.cancel()
        await until(lambda: swarm.store.get_node("n1").status.state is NodeState.DOWN)
        assert swarm.store.get_node("n1").status.message == "heartbeat failure"


async def test_logs_flow_from_the_node_to_the_reader() -> None:
    swarm = Swarm("n1")
    swarm.writer.write(Create(a_task("t1", node="n1")))
    async with swarm.running("n1"):
        await until(lambda: swarm.store.get_task("t1").status.state is TaskState.RUNNING)
        swarm.workers["n1"].lines = [
            LogRecord(
                task_id=TaskId("t1"),
                stream=LogStream.STDOUT,
                timestamp=Instant(number),
                data=b"x" * 200,
            )
            for number in range(5000)
        ]
        request = log_pb.SubscribeLogsRequest(selector=log_pb.LogSelector(task_ids=["t1"]))
        answers = swarm.broker.SubscribeLogs(Call(Peer(local=True), "a method"), request)
        lines = [line.timestamp.nanos async for answer in answers for line in answer.messages]
        assert lines == list(range(5000))


async def test_a_node_that_leaves_is_down_at_once() -> None:
    async with Swarm("n1").running() as swarm:
        channel = swarm.channel("n1")
        await channel.stub(NODE_LIFECYCLE).Leave(cluster_pb.LeaveClusterRequest())
        node = swarm.store.get_node("n1")
        assert (node.status.state, node.status.message) == (NodeState.DOWN, "left the swarm")
        await channel.close()


async def test_errors_reach_the_agent_with_their_codes() -> None:
    async with Swarm("n1").running() as swarm:
        channel = swarm.channel("n1")
        stub = channel.stub(DISPATCHER)
        with pytest.raises(RpcError) as refusal:
            await stub.Heartbeat(pb.HeartbeatRequest(session_id="x"))
        assert (refusal.value.code, refusal.value.message) == (
            Code.NOT_FOUND,
            "node not registered",
        )
        with pytest.raises(RpcError) as refusal:
            await anext(stub.Tasks(pb.TasksRequest(session_id="x")))
        assert refusal.value.code is Code.UNIMPLEMENTED
        await channel.close()


async def test_a_node_of_another_cluster_gets_no_session() -> None:
    async with Swarm("n1").running() as swarm:
        stranger = StockChannel(swarm.addr, issue(shared_ca(), "n1", cluster_id="another"))
        with pytest.raises(RpcError) as refusal:
            await anext(stranger.stub(DISPATCHER).Session(pb.SessionRequest()))
        assert refusal.value.code is Code.PERMISSION_DENIED
        await stranger.close()
