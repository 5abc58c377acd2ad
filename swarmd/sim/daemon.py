"""One simulated daemon: the shipped manager and agent halves over simulated ground.

This is the simulator's counterpart of `node.daemon`: the same router, server, relay, manager,
session and worker, put together over a virtual network, disk, executor and clock. A manager
without a Raft directory asks the others to take it in; a certificate of another role begins or ends
the manager half while tasks run on.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

from swarmd.agent.conversation import DISPATCHER, News
from swarmd.agent.files import NodeFiles
from swarmd.agent.leases import Leases
from swarmd.agent.remotes import Remote, Remotes
from swarmd.agent.session import AgentSession
from swarmd.agent.worker import Worker
from swarmd.manager.manager import Manager
from swarmd.model.ids import NodeId
from swarmd.model.node import LEASE_PLUGIN, EngineDescription, NodeDescription
from swarmd.model.spec import Platform, Resources
from swarmd.model.states import Role
from swarmd.node.leaving import tell_managers
from swarmd.node.manager_half import ManagerHalf
from swarmd.raft.config import RaftConfig
from swarmd.raft.errors import StateError
from swarmd.rpc.accepting import Switch
from swarmd.rpc.channel import Channel, Stub
from swarmd.rpc.client_connection import ClientCall, ClientConnection
from swarmd.rpc.errors import RpcError
from swarmd.rpc.h2.limits import TRUSTED
from swarmd.rpc.identity import Identity
from swarmd.rpc.metadata import EMPTY, Metadata
from swarmd.rpc.relay import LeaderRelay
from swarmd.rpc.router import Router
from swarmd.rpc.server import Server
from swarmd.rpc.tls import GRPC_ALPN, RAFT_ALPN
from swarmd.runtime.clock import Clock
from swarmd.runtime.supervise import Supervisor
from swarmd.sim.containers import Containers, SimExecutor
from swarmd.sim.custody import Custody
from swarmd.sim.disk import SimDisk
from swarmd.sim.enrolling import obtain
from swarmd.sim.identity import CLUSTER, Papers
from swarmd.sim.network import SimContext
from swarmd.sim.parts import SimWorker, TasksFile, memory_database
from swarmd.sim.premises import SimPremises
from swarmd.store.changes import Transaction

JOIN_RETRY_S = 1.0
RENEWAL_RETRY_S = 1.0
# Calls that a retry may deliver twice, the second time late, after others that were made later.
REPEATABLE = frozenset(
    {
        "/docker.swarmkit.v1.Dispatcher/UpdateTaskStatus",
        "/docker.swarmkit.v1.Dispatcher/Heartbeat",
        "/docker.swarmkit.v1.RaftMembership/Join",
    }
)
Repeats = Callable[[], float | None]
PORT = 2377


class Seat(NamedTuple):
    """What a daemon finds on its machine when it starts. Everything here outlives it."""

    node_id: NodeId
    host: str
    role: Callable[[], Role]  # of the certificate, as of now
    renewed: Callable[[Papers], None]  # keeps another certificate
    others: tuple[str, ...]  # addresses of managers to begin with
    learnt: Callable[[tuple[str, ...]], None]  # keeps the addresses of all managers
    raft_disk: SimDisk
    tasks_file: TasksFile
    containers: Containers
    clock: Clock
    repeats: Repeats
    custody: Callable[[], Custody]


class SimChannel(Channel):
    """A channel whose TLS is the network's word for who is who.

    Args:
        repeats: how long after a call it arrives once more; None for not at all.
    """

    def __init__(
        self, address: str, context: SimContext, clock: Clock, repeats: Repeats = lambda: None
    ) -> None:
        super().__init__(address, clock=clock)
        self._sim_context = context
        self._repeats = repeats
        self.custody: Callable[[], Custody] | None = None

    def stub(self, service: str) -> Stub:
        made = super().stub(service)
        if service == DISPATCHER and self.custody is not None:
            setattr(made, "Assignments", _watched(made.Assignments, self.custody()))  # noqa: B010
        return made

    async def start(
        self,
        path: str,
        message: bytes | None,
        *,
        metadata: Metadata = EMPTY,
        timeout_ns: int | None = None,
    ) -> ClientCall:
        call = await super().start(path, message, metadata=metadata, timeout_ns=timeout_ns)
        after_s = self._repeats() if path in REPEATABLE and message is not None else None
        if after_s is not None and message is not None:
            loop = asyncio.get_running_loop()
            loop.call_later(
                after_s,
                lambda: loop.create_task(self._repeat(path, message, metadata), name="repeated"),
            )
        return call

    async def _repeat(self, path: str, message: bytes, metadata: Metadata) -> None:
        if self._closed:
            return
        try:
            await self.unary(path, message, metadata=metadata, timeout_ns=10**9)
        except RpcError:
            return  # whoever called has had its answer

    async def _dial(self) -> ClientConnection:
        host, _, port = self.address.rpartition(":")
        _, connection = await asyncio.get_running_loop().create_connection(
            lambda: ClientConnection(limits=TRUSTED, clock=self._clock),
            host,
            int(port),
            ssl=self._sim_context,
        )
        return connection


def _watched(stream: Callable[..., Any], custody: Custody) -> Callable[..., Any]:
    async def watched(request: Any, **options: Any) -> AsyncIterator[Any]:
        async with aclosing(stream(request, **options)) as messages:
            async for message in messages:
                custody.take(message)
                yield message

    return watched


class SimServer(Server):
    """The shipped server on a simulated port."""

    async def open(self, host: str) -> None:
        self._remote = await asyncio.get_running_loop().create_server(
            lambda: Switch(self._greet), host, PORT
        )


class SimDaemon:
    """Everything of one node that dies with its process.

    Args:
        founding: the records of a new cluster, for the manager that founds it.
        on_manager: told the manager before it starts, for checkers to listen.
        on_fatal: told when the manager half has stopped for good.
        on_damage: told when the Raft directory can't be used.
    """

    def __init__(
        self,
        seat: Seat,
        *,
        rng: Random,
        raft_config: RaftConfig,
        make_worker: Callable[[str], SimWorker],
        founding: Transaction | None,
        on_manager: Callable[[Manager], None],
        on_fatal: Callable[[str], None],
        on_damage: Callable[[str], None],
    ) -> None:
        self.seat = seat
        self.address = f"{seat.host}:{PORT}"
        self._founding = founding
        self._on_damage = on_damage
        self._listening = False
        self._rng = rng
        self._tasks = Supervisor("daemon")
        self._session_tasks = Supervisor("agent.session")
        self._role_changed = asyncio.Event()
        self._expected = seat.role()  # what the next certificate is to say
        self._renewal_due = asyncio.Event()
        self._renewals = 0
        # What a certificate says is the business of the machine's endpoint.
        self._rpc_context = SimContext.make(b"", GRPC_ALPN)
        self.router = Router(cluster_id=lambda: CLUSTER, is_removed=self._is_removed)
        relay = self._relay = LeaderRelay(
            router=self.router,
            connect=self.dial,
            own_address=lambda: self.address,
            clock=seat.clock,
        )
        self.server = SimServer(router=self.router, relay=relay, clock=seat.clock)
        self.server.register_protocol(RAFT_ALPN, self._accept_raft)
        self.remotes = Remotes(
            [Remote(address) for address in seat.others], rng=rng, on_change=self._keep_managers
        )
        self._premises = SimPremises(
            seat.raft_disk,
            node_id=seat.node_id,
            address=self.address,
            raft_config=raft_config,
            router=self.router,
            dial=self.dial,
            make_worker=make_worker,
            clock=seat.clock,
            rng=rng,
            on_manager=on_manager,
            on_removed_node=self.server.close_node,
            on_fatal=on_fatal,
        )
        self.managing = ManagerHalf(
            self._premises,
            node_id=seat.node_id,
            address=self.address,
            role=seat.role,
            managers=lambda: [remote.addr for remote in self.remotes.all()],
            on_removed=self._role_changed.set,
        )
        leases = Leases(now=seat.clock.monotonic)
        files = self.files = NodeFiles()
        self.worker = Worker(
            Path("/nonexistent"),
            seat.node_id,
            SimExecutor(seat.containers, leases, files),
            clock=seat.clock,
            open_db=memory_database(seat.tasks_file),
        )
        self.session = AgentSession(
            node_id=seat.node_id,
            worker=self.worker,
            remotes=self.remotes,
            dial=self._dial_as_agent,
            leases=leases,
            files=files,
            describe=self._describe,
            rng=rng,
            on_message=self._on_news,
        )

    async def run(self) -> None:
        """Be a node until the process is killed."""
        self._tasks.keep(self._relay.run, name="relay")
        self._tasks.keep(self._follow_role, name="role")
        self._tasks.keep(self._renew, name="renewal")
        await self.worker.start()
        self._session_tasks.keep(self.session.run, name="session")

    async def leave(self) -> bool:
        """Be a node no more: stop all tasks and tell the managers; whether one has heard it."""
        await self._tasks.stop()
        await self._session_tasks.stop()
        await self.worker.drain()
        return await tell_managers(self.remotes.all(), self.dial)

    def dial(self, address: str) -> SimChannel:
        return SimChannel(address, self._rpc_context, self.seat.clock, self.seat.repeats)

    def _dial_as_agent(self, address: str) -> SimChannel:
        channel = self.dial(address)
        channel.custody = self.seat.custody
        return channel

    # --- the certificate

    def _on_news(self, news: News) -> None:
        self._expected = news.node.role
        if self._expected is not self.seat.role():
            self._renewal_due.set()

    async def _renew(self) -> None:
        """Ask for another certificate whenever the managers want this node in another role."""
        while True:
            await self._renewal_due.wait()
            self._renewal_due.clear()
            if self._expected is self.seat.role():
                continue
            self._renewals += 1
            addresses = [remote.addr for remote in self.remotes.all()]
            csr = f"renewal {self._renewals} of {self._rng.getrandbits(64)}".encode()
            papers = await obtain(addresses, self.dial, csr=csr, token="", rng=self._rng)
            if papers is not None and papers.role is not self.seat.role():
                self.seat.renewed(papers)
                self._role_changed.set()
                await self._relay.reconnect()
            if self._expected is not self.seat.role():
                await asyncio.sleep(RENEWAL_RETRY_S)
                self._renewal_due.set()

    async def _follow_role(self) -> None:
        """Begin and end to be a manager as the certificate says."""
        while True:
            self._role_changed.clear()
            if self.seat.role() is Role.MANAGER:
                await self._become_manager()
            else:
                await self.managing.end()
                await self._unlisten()
            await self._role_changed.wait()

    async def _become_manager(self) -> None:
        if self.managing.is_complete:
            return
        if not self._listening:
            self._listening = True
            await self.server.open(self.seat.host)
        try:
            if self._founding is not None and not self._premises.is_initialised():
                founding, self._founding = self._founding, None
                await self.managing.found(str(self._rng.getrandbits(62) | 1), founding)
            else:
                await self.managing.start()
        except StateError as error:
            self._on_damage(str(error))

    async def _unlisten(self) -> None:
        if self._listening:
            self._listening = False
            await self.server.unlisten()

    # --- the manager half

    @property
    def manager(self) -> Manager | None:
        return self.managing.manager

    def _accept_raft(self, identity: Identity) -> asyncio.Protocol:
        if self.manager is None:
            return _Closed()
        return self.manager.raft.accept(identity)

    def _is_removed(self, node_id: str) -> bool:
        cluster = self.manager.store.find_cluster() if self.manager else None
        return cluster is not None and node_id in cluster.removed_nodes

    # --- the agent half

    def _describe(self) -> NodeDescription:
        return NodeDescription(
            hostname=self.seat.node_id,
            platform=Platform(architecture="x86_64", os="linux"),
            resources=Resources(nano_cpus=4 * 10**9, memory_bytes=8 << 30),
            engine=EngineDescription(engine_version="sim", plugins=(LEASE_PLUGIN,)),
            data_addr=self.seat.host,
            runtime="simulated",
        )

    def _keep_managers(self, remotes: tuple[Remote, ...]) -> None:
        self.seat.learnt(tuple(remote.addr for remote in remotes))


class _Closed(asyncio.Protocol):
    """Ends a connection that came before this manager was ready; its peer tries again."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        transport.close()
