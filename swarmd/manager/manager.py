"""The manager half of a node: a replica of the state, and on the leader everything that acts.

Services are registered when the manager starts; what only the leader may do starts with each term
and stops with it. A term's first act on a new cluster is to found it.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Callable
from pathlib import Path
from random import Random
from ssl import SSLContext
from typing import NamedTuple

from swarmd.ca.founding import signer_of
from swarmd.dispatcher.dispatcher import Dispatcher
from swarmd.dispatcher.messages import ManagerPeer
from swarmd.dispatcher.service import (
    DISPATCHER,
    NODE_LIFECYCLE,
    RELAYS,
    DispatcherService,
    NodeLifecycleService,
    RelaysService,
)
from swarmd.manager.acknowledgements import ACKNOWLEDGEMENTS, Acknowledgements
from swarmd.manager.ca_service import CA_SERVICE, NODE_CA_SERVICE, CAService, NodeCAService, Signs
from swarmd.manager.cluster_images import CLUSTER_IMAGES, ClusterImages
from swarmd.manager.cluster_service import CLUSTER, ClusterService
from swarmd.manager.cluster_volumes import CLUSTER_VOLUMES, ClusterVolumes
from swarmd.manager.consensus import Consensus
from swarmd.manager.control import Control, ControlEnv
from swarmd.manager.doctor import DOCTOR, Doctor
from swarmd.manager.endpoints_service import EndpointsService
from swarmd.manager.engine import Engine
from swarmd.manager.errands import ERRANDS, Errands
from swarmd.manager.exec_broker import EXEC, EXEC_BROKER, ExecBroker
from swarmd.manager.log_broker import LOG_BROKER, LOGS, LogBroker
from swarmd.manager.login_renewal import LoginRenewal
from swarmd.manager.membership_service import HealthService, MembershipService
from swarmd.manager.network_keys import KeyRotation
from swarmd.manager.patience import election_patience
from swarmd.manager.registries_service import REGISTRIES, RegistriesService
from swarmd.manager.replica import Replica
from swarmd.manager.resource_allocator import RESOURCE_ALLOCATOR, ResourceAllocator
from swarmd.manager.role_manager import RoleManager
from swarmd.manager.swarm_clock import SwarmClock
from swarmd.manager.wanted_images import WANTED_IMAGES, WantedImagesService
from swarmd.manager.watch_service import WATCH, WatchService
from swarmd.manager.writer import Writer
from swarmd.model.cluster import RootCA
from swarmd.model.env import Env, Ids
from swarmd.model.errors import Rejection
from swarmd.model.ids import NodeId
from swarmd.model.instant import Instant
from swarmd.orchestrator.allocator.books import Books
from swarmd.raft.config import RaftConfig
from swarmd.raft.node import RaftNode
from swarmd.raft.ports import Disk
from swarmd.raft.status import Leadership
from swarmd.raft.threads import StoppableWorker, ThreadWorker
from swarmd.rpc.methods import MEMBERSHIP
from swarmd.rpc.router import Router
from swarmd.runtime.chance import RandomIds
from swarmd.runtime.clock import Clock
from swarmd.runtime.supervise import Supervisor
from swarmd.store.changes import Committed, Kind, Transaction
from swarmd.store.store import Store

log = logging.getLogger(__name__)

CONTROL = "docker.swarmkit.v1.Control"
HEALTH = "docker.swarmkit.v1.Health"
ENDPOINTS = "swarmd.v1.Endpoints"
UPDATES = "swarmd.v1.Updates"
MEMBERS_LOOK_S = 1.0
SERVICES = (
    *(CONTROL, UPDATES, CLUSTER, MEMBERSHIP, HEALTH, ENDPOINTS, CA_SERVICE, NODE_CA_SERVICE),
    *(ACKNOWLEDGEMENTS, DOCTOR),
    *(DISPATCHER, NODE_LIFECYCLE, RELAYS, LOGS, LOG_BROKER, WATCH, EXEC, EXEC_BROKER),
    *(REGISTRIES, WANTED_IMAGES, ERRANDS, CLUSTER_IMAGES, CLUSTER_VOLUMES, RESOURCE_ALLOCATOR),
)


def draw_raft_id(entropy: Callable[[int], bytes] = secrets.token_bytes) -> str:
    """A Raft id that no member ever had: 63 random bits, never zero."""
    return str((int.from_bytes(entropy(8)) >> 1) or 1)


class Ground(NamedTuple):
    """What a manager stands on besides its arguments: the machine's, unless it is simulated."""

    raft_config: RaftConfig | None = None
    raft_disk: Disk | None = None  # None: the Raft directory
    raft_worker: Callable[[str], StoppableWorker] = ThreadWorker
    ids: Ids = RandomIds()
    entropy: Callable[[int], bytes] = secrets.token_bytes
    signer_of: Callable[[RootCA], Signs] = signer_of


class Manager:
    """One manager; its Raft directory must have been founded or prepared before `start`.

    Args:
        founding: the records of a new cluster, written in its first term.
        on_removed_node: told the id of every node that is removed from the cluster.
    """

    def __init__(
        self,
        *,
        node_id: NodeId,
        raft_directory: Path,
        raft_context: Callable[[], SSLContext],
        advertise_addr: str,
        router: Router,
        clock: Clock,
        rng: Random,
        founding: Transaction | None,
        on_removed_node: Callable[[str], None],
        on_fatal: Callable[[str], None],
        ground: Ground | None = None,
    ) -> None:
        ground = ground or Ground()
        self.store = Store()
        self.raft = RaftNode(
            raft_directory,
            Replica(self.store),
            client_ssl=raft_context,
            rng=Random(rng.getrandbits(64)),
            address=advertise_addr,
            on_leadership=self._on_leadership,
            on_fatal=on_fatal,
            config=ground.raft_config,
            disk=ground.raft_disk,
            make_worker=ground.raft_worker,
        )
        self.consensus = Consensus(self.raft)
        self.founded = asyncio.Event()
        self._node_id = node_id
        self._router = router
        self._own_clock = clock
        self._clock = SwarmClock(clock)
        self._rng = rng
        self._ids = ground.ids
        self._entropy = ground.entropy
        self._signer_of = ground.signer_of
        self._founding = founding
        self._on_removed_node = on_removed_node
        self._leadership = asyncio.Event()
        self._tasks = Supervisor("manager")
        self.writer = Writer(self.consensus.propose, node_id=node_id, clock=self._clock)
        self.dispatcher = Dispatcher(
            self.store,
            self.writer,
            clock=self._clock,
            ids=self._ids,
            managers=self._manager_peers,
            leader_addr=self.consensus.leader_addr,
        )
        self._log_broker = LogBroker(self.store, ids=self._ids, own_node_id=node_id)
        self._exec_broker = ExecBroker(self.store, self.writer, ids=self._ids, own_node_id=node_id)
        self._logins = LoginRenewal(self.store, self.writer)
        self._errands = Errands(ids=self._ids, own_node_id=node_id)
        self._membership = MembershipService(
            self.raft, self.store, draw_raft_id=lambda: draw_raft_id(ground.entropy)
        )
        self._endpoints: EndpointsService | None = None
        self._acknowledgements: Acknowledgements | None = None
        self._watch: WatchService | None = None
        self._engine: Engine | None = None  # while this manager leads

    @property
    def books(self) -> Books | None:
        """Who holds which addresses and ports, for questions; None while another leads."""
        return self._engine.books if self._engine is not None else None

    async def start(self) -> None:
        """Join in Raft and answer calls.

        Raises:
            StateError: the Raft directory can't be used; the message says why.
        """
        self.store.subscribe(self._clock.observe)
        self.store.subscribe(self._observe)
        self._watch = WatchService(self.store)
        await self.raft.start()
        self.writer.start()
        self._endpoints = EndpointsService(self.store, clock=self._clock)
        self._acknowledgements = Acknowledgements(self.store, self._endpoints)
        control = Control(
            ControlEnv(
                view=self.store,
                writer=self.writer,
                read_barrier=self.consensus.read_barrier,
                clock=self._clock,
                ids=self._ids,
                members=self.consensus.members,
                demotion_blocker=self.consensus.demotion_blocker,
                entropy=self._entropy,
            )
        )
        implementations: dict[str, object] = {
            CONTROL: control,
            UPDATES: control,
            REGISTRIES: RegistriesService(
                self.store,
                self.writer,
                self._logins,
                read_barrier=self.consensus.read_barrier,
            ),
            WANTED_IMAGES: WantedImagesService(self.store),
            ERRANDS: self._errands,
            CLUSTER_IMAGES: ClusterImages(
                self.store, self._errands, read_barrier=self.consensus.read_barrier
            ),
            CLUSTER_VOLUMES: ClusterVolumes(
                self.store, self._errands, read_barrier=self.consensus.read_barrier
            ),
            CLUSTER: ClusterService(
                self.store,
                self.writer,
                clock=self._clock,
                read_barrier=self.consensus.read_barrier,
                env=self._env,
                fleet=lambda: self._engine.fleet if self._engine is not None else None,
            ),
            RESOURCE_ALLOCATOR: ResourceAllocator(
                self.store,
                self.writer,
                clock=self._clock,
                ids=self._ids,
                read_barrier=self.consensus.read_barrier,
            ),
            MEMBERSHIP: self._membership,
            HEALTH: HealthService(self.raft),
            ENDPOINTS: self._endpoints,
            ACKNOWLEDGEMENTS: self._acknowledgements,
            DOCTOR: Doctor(
                self.store,
                self._errands,
                self._endpoints,
                self._acknowledgements,
                managers=lambda: [(one.node_id, one.addr) for one in self._manager_peers()],
                read_barrier=self.consensus.read_barrier,
                clock=self._own_clock,
            ),
            CA_SERVICE: CAService(self.store),
            NODE_CA_SERVICE: NodeCAService(
                self.store, self.writer, self._own_clock, signer_of=self._signer_of
            ),
            DISPATCHER: DispatcherService(self.dispatcher, own_node_id=self._node_id),
            NODE_LIFECYCLE: NodeLifecycleService(self.dispatcher, own_node_id=self._node_id),
            RELAYS: RelaysService(self.dispatcher),
            LOGS: self._log_broker,
            WATCH: self._watch,
            LOG_BROKER: self._log_broker,
            EXEC: self._exec_broker,
            EXEC_BROKER: self._exec_broker,
        }
        for service in SERVICES:
            self._router.register(service, implementations[service])
        self._router.leadership = self.consensus
        self._tasks.keep(self._lead, name="lead")

    async def stop(self) -> None:
        self._router.leadership = None
        for service in SERVICES:
            self._router.unregister(service)
        await self._tasks.stop()
        await self._membership.stop()
        if self._acknowledgements is not None:
            self._acknowledgements.close()
        if self._endpoints is not None:
            self._endpoints.close()
        if self._watch is not None:
            self._watch.close()
        await self.writer.stop()
        await self.raft.stop()

    def _on_leadership(self, leadership: Leadership) -> None:
        self._leadership.set()

    async def _lead(self) -> None:
        """Run the leader's components for as long as this manager leads, again and again."""
        while True:
            while not self.raft.is_leader:
                self._leadership.clear()
                await self._leadership.wait()
            term = self.raft.term
            log.info("leader.elected term=%d node.id=%s", term, self._node_id)
            components = Supervisor("leader")
            try:
                await self._found()
                self._log_broker.start()
                engine = Engine(self.store, self.writer, clock=self._clock, env=self._env)
                self._engine = engine
                roles = RoleManager(self.store, self.writer, self.raft, own_node_id=self._node_id)
                components.keep(engine.run, name="engine")
                components.keep(self.dispatcher.run, name="dispatcher")
                components.keep(roles.run, name="roles")
                keys = KeyRotation(
                    self.store, self.writer, clock=self._clock, entropy=self._entropy
                )
                components.keep(keys.run, name="network_keys")
                components.keep(self._logins.run, name="logins")
                components.keep(self._watch_members, name="members")
                while self.raft.is_leader and self.raft.term == term:
                    self._leadership.clear()
                    await self._leadership.wait()
                log.warning("leader.lost term=%d node.id=%s", term, self._node_id)
            finally:
                self._engine = None
                self._log_broker.stop()
                self._exec_broker.stop()
                if self._acknowledgements is not None:
                    self._acknowledgements.stop()
                self._errands.stop()
                await components.stop()

    async def _found(self) -> None:
        if self._founding is not None and self.store.find_cluster() is None:
            try:
                await self.writer.submit(self._founding)
            except Rejection as rejection:
                log.error("cluster.founding_failed reason=%s", rejection.message)
                raise
        self.founded.set()

    async def _watch_members(self) -> None:
        """Tell agents when the list of managers has changed."""
        known: tuple[ManagerPeer, ...] = ()
        while True:
            peers = self._manager_peers()
            if peers != known:
                known = peers
                self.dispatcher.refresh()
            await asyncio.sleep(MEMBERS_LOOK_S)

    def _manager_peers(self) -> tuple[ManagerPeer, ...]:
        return tuple(
            ManagerPeer(NodeId(member.node_id), member.address) for member in self.raft.members
        )

    def _env(self) -> Env:
        return Env(
            now=Instant(self._clock.now()),
            ids=self._ids,
            rng=self._rng,
            monotonic_ns=self._clock.monotonic(),
        )

    def _observe(self, committed: Committed) -> None:
        self.raft.set_patience(election_patience(self.store.task_count(), self.store.node_count()))
        for change in committed.changes:
            if change.kind is Kind.NODE and change.new is None:
                self._on_removed_node(change.id)
