"""The daemon: one process per node, from its state directory to its last breath.

This is the composition root. It opens the state directory, serves the control socket, resumes the
cluster it was part of, and otherwise waits to be told: `init` founds a cluster, `join` enters one,
`leave` ends the membership. Tasks are never touched by the daemon's own comings and goings.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import signal
from random import Random
from typing import TYPE_CHECKING

from msgspec.structs import replace

from swarmd.agent.executors.keeper_link import KeeperLost
from swarmd.agent.state_db import StateLost, StateUnwritable
from swarmd.ca.credentials import NodeCredentials
from swarmd.ca.founding import found
from swarmd.ca.problems import KeystoreProblem
from swarmd.model.cluster import (
    DEFAULT_ADDRESS_POOL,
    DEFAULT_SUBNET_SIZE,
    Cluster,
    ClusterSpec,
)
from swarmd.model.errors import Code, Rejection, failed_precondition
from swarmd.model.ids import ClusterId, NetworkId, NodeId
from swarmd.model.instant import Instant
from swarmd.model.node import Node, NodeSpec
from swarmd.model.states import Availability, Role
from swarmd.raft.errors import RaftError
from swarmd.rpc.channel import Channel
from swarmd.rpc.relay import LeaderRelay
from swarmd.rpc.router import NOT_A_MANAGER, Router
from swarmd.rpc.server import Server
from swarmd.runtime.chance import RandomIds, system_rng
from swarmd.runtime.clock import SystemClock
from swarmd.runtime.supervise import Supervisor
from swarmd.runtime.timeouts import timeout
from swarmd.store.changes import Create, Transaction

from .address import advertised, check_is_local, split, with_port
from .config import DaemonConfig
from .enrolment import Enrolment
from .executor_access import ExecutorAccess
from .image_service import IMAGES, ImageService
from .leaving import say_goodbye, tell_leaving, why_managers_stay
from .local_service import LOCAL, LocalService
from .member import ClusterMember
from .memory import Memory, wipe_raft
from .moving import Whereabouts, moved
from .new_cluster import ingress_network
from .paths import Paths
from .remote_authority import RemoteAuthority
from .security import SecurityContext
from .settings import Remote, Settings
from .state_dir import StateDir, StateDirError
from .volume_service import VOLUMES, VolumeService

if TYPE_CHECKING:
    from swarmd.manager.manager import Manager

log = logging.getLogger(__name__)

RESUME_PAUSE_S = 5.0
# What a person, or time, can mend without another program.
RESUME_FAILURES = (
    KeystoreProblem,
    StateDirError,
    RaftError,
    StateLost,
    StateUnwritable,
    KeeperLost,
    OSError,
)
FOUND_TIMEOUT_S = 20.0
RESUME_LOOK_S = 0.05


class Daemon:
    """One node's daemon. `member` is None while the node is part of no cluster."""

    def __init__(self, config: DaemonConfig) -> None:
        self.config = config
        self.paths = Paths(config.state_dir)
        self.member: ClusterMember | None = None
        self.error = ""  # why the node could not resume
        self.joining = False
        self._state = StateDir(self.paths)
        self._memory = Memory(self.paths)
        self._clock = SystemClock()
        self._rng: Random = system_rng()
        self._ids = RandomIds()
        self._tasks = Supervisor("daemon")
        self._following = Supervisor("following")
        self._changing = asyncio.Lock()
        self._stop_requested = asyncio.Event()
        self._stop_tasks = False
        self._router = Router(
            cluster_id=self._cluster_id,
            is_removed=self._is_removed,
            why_no_manager=self._why_no_manager,
        )
        self._relay = LeaderRelay(
            router=self._router,
            connect=self._connect,
            own_address=lambda: self.member.settings.advertise_addr if self.member else "",
            clock=self._clock,
        )
        self._server = Server(router=self._router, relay=self._relay, clock=self._clock)

    async def run(self) -> None:
        """Serve until `request_stop` or a signal.

        Raises:
            StateDirError: the state directory can't be used.
        """
        self._state.open()
        try:
            loop = asyncio.get_running_loop()
            for number in (signal.SIGTERM, signal.SIGINT):
                loop.add_signal_handler(number, self.request_stop)
            self._router.register(LOCAL, LocalService(self))
            self._router.register(IMAGES, ImageService(self, clock=self._clock))
            self._router.register(VOLUMES, VolumeService(ExecutorAccess(self).volumes))
            await self._open_socket()
            self._tasks.keep(self._relay.run, name="relay")
            await self._resume()
            whereabouts = Whereabouts(lambda: self.member, self._move, clock=self._clock)
            self._following.keep(whereabouts.run, name="whereabouts")
            await self._stop_requested.wait()
            log.info("daemon.stopping tasks=%s", "stop" if self._stop_tasks else "run on")
        finally:
            await self._following.stop()
            if self.member is not None:
                await self.member.stop(keep_tasks=not self._stop_tasks)
            await self._tasks.stop()
            await self._server.stop()
            self._state.close()

    def request_stop(self, *, stop_tasks: bool = False) -> None:
        """End `run`; the tasks run on unless this or an earlier request was to `stop_tasks`."""
        self._stop_tasks = self._stop_tasks or stop_tasks
        self._stop_requested.set()

    # --- founding, joining, leaving

    async def init(
        self,
        *,
        listen_addr: str,
        advertise_addr: str,
        data_addr: str,
        availability: Availability,
        spec: ClusterSpec,
        address_pools: tuple[str, ...] = DEFAULT_ADDRESS_POOL,
        subnet_size: int = DEFAULT_SUBNET_SIZE,
    ) -> Cluster:
        """Found a cluster with this node as its first manager.

        Args:
            address_pools: what networks are cut from that name no subnets, for good.
            subnet_size: the length of their prefixes.
        """
        async with self._changing:
            self._require_free()
            settings = _settings(listen_addr, advertise_addr, data_addr)
            now = Instant(self._clock.now())
            node_id = NodeId(self._ids.new())
            cluster_id = ClusterId(self._ids.new())
            founding = found(
                cluster_id=cluster_id,
                node_id=node_id,
                now=now,
                worker_secret=secrets.token_bytes(16),
                manager_secret=secrets.token_bytes(16),
                cert_expiry_ns=spec.ca_config.node_cert_expiry_ns,
            )
            cluster = Cluster(
                id=cluster_id,
                spec=spec,
                root_ca=founding.root_ca,
                default_address_pool=address_pools,
                subnet_size=subnet_size,
            )
            # What founding takes is nothing that workers need; rebuilding, below, likewise.
            from swarmd.orchestrator.network_keys import ENTROPY_BYTES, rotated

            cluster = rotated(cluster, secrets.token_bytes(ENTROPY_BYTES), now)
            ingress = ingress_network(cluster, NetworkId(self._ids.new()))
            node = Node(
                id=node_id,
                spec=NodeSpec(role=Role.MANAGER, availability=availability),
                role=Role.MANAGER,
                certificate=founding.certificate,
            )
            founders = (cluster, node, ingress)
            transaction = Transaction(tuple(Create(record, "founded") for record in founders))
            settings = Settings(
                listen_addr=settings.listen_addr,
                advertise_addr=settings.advertise_addr,
                data_addr=settings.data_addr,
                remotes=(Remote(node_id, settings.advertise_addr),),
            )
            member = self._member(founding.credentials, settings)
            self.member = member
            try:
                async with timeout(FOUND_TIMEOUT_S):
                    await member.found(str(secrets.randbelow((1 << 63) - 1) + 1), transaction)
                self._memory.keep(founding.credentials, settings)
            except BaseException as error:
                await self._abandon(member)
                raise _explained(error) from error
            self.error = ""
            log.info("cluster.founded cluster.id=%s node.id=%s", cluster_id, node_id)
            return cluster

    async def rebuild(
        self, *, listen_addr: str, advertise_addr: str, data_addr: str
    ) -> tuple[Cluster, tuple[Node, ...]]:
        """Go on as the only manager of a swarm that lost the others; tasks run on meanwhile.

        Addresses that are not given stay as they are. A certificate that has expired is renewed.

        Returns:
            the cluster, and the nodes that were managers and are workers now.
        """
        from .held_authority import has_expired, renew_at_home
        from .rebuilding import demote_others, require_rebuildable, stand_alone

        async with self._changing:
            now = Instant(self._clock.now())
            member = await require_rebuildable(self.member, self.paths.raft, now)
            old = member.settings
            settings = _settings(
                listen_addr or old.listen_addr,
                advertise_addr or old.advertise_addr,
                data_addr or old.data_addr,
            )
            node_id = member.security.node_id
            await member.stop(keep_tasks=True)
            self.member = None
            self.error = ""
            try:
                stand_alone(self.paths.raft, node_id, settings.advertise_addr)
                own = Remote(node_id, settings.advertise_addr)
                self._memory.keep_settings(replace(settings, remotes=(own,)))
            except RaftError as error:
                raise failed_precondition(str(error)) from error
            finally:
                await self._resume()
            try:
                async with timeout(FOUND_TIMEOUT_S):
                    manager = await self._resumed_manager()
                    dropped = await demote_others(manager, node_id)
                    assert self.member is not None
                    security = self.member.security
                    if has_expired(security, now):
                        await renew_at_home(
                            security,
                            manager.store,
                            manager.writer,
                            clock=self._clock,
                            rng=self._rng,
                        )
            except TimeoutError as error:
                raise _explained(error) from error
            return manager.store.cluster(), dropped

    async def join(
        self,
        *,
        remote_addrs: list[str],
        token: str,
        listen_addr: str,
        advertise_addr: str,
        data_addr: str,
        availability: Availability,
    ) -> tuple[Role, list[str]]:
        """Enter a cluster in the role of the token; its role and what a person should know."""
        async with self._changing:
            self._require_free()
            remotes = [with_port(addr, what="the manager's address") for addr in remote_addrs]
            settings = _settings(listen_addr, advertise_addr, data_addr)
            self.joining = True
            try:
                enrolment = Enrolment(
                    RemoteAuthority(),
                    token=token,
                    availability=availability,
                    clock=self._clock,
                    rng=self._rng,
                )
                credentials = await enrolment.run(remotes)
            finally:
                self.joining = False
            settings = Settings(
                listen_addr=settings.listen_addr,
                advertise_addr=settings.advertise_addr,
                data_addr=settings.data_addr,
                remotes=tuple(Remote("", addr) for addr in remotes),
            )
            member = self._member(credentials, settings)
            self.member = member
            try:
                wipe_raft(self.paths)
                self._memory.keep(credentials, settings)
                await member.start()
            except BaseException as error:
                # The managers have a record of this node by now.
                await tell_leaving(member)
                await self._abandon(member)
                raise _explained(error) from error
            self.error = ""
            return credentials.role, enrolment.notes

    async def leave(self, *, force: bool) -> list[str]:
        """End this node's membership: its tasks move at once, its state is forgotten."""
        async with self._changing:
            member = self.member
            if member is None and not self.error and self._memory.is_empty:
                raise failed_precondition(
                    "this node is not part of a swarm; there is none to leave"
                )
            notes: list[str] = []
            if member is not None:
                if member.security.role is Role.MANAGER and not force:
                    raise failed_precondition(why_managers_stay(member))
                notes = await say_goodbye(member)
                await member.stop(keep_tasks=False)
            self.member = None
            self.error = ""
            self._memory.forget()
            return notes

    # --- inside

    async def _resumed_manager(self) -> Manager:
        """The manager half of the node, which starts in the background."""
        while True:
            if self.error or self.member is None:
                raise failed_precondition(self.error or "the node could not resume; see its log")
            if self.member.error:
                raise failed_precondition(self.member.error)
            if self.member.managing.manager is not None:
                return self.member.managing.manager
            await asyncio.sleep(RESUME_LOOK_S)

    async def _resume(self) -> None:
        """Be again what this node was; when `error` says what is in the way, try again later."""
        if not await self._resumed():
            self._tasks.spawn(self._resume_later(), name="resume")

    async def _move(self, data_addr: str) -> None:
        """Be the same node at another address; tasks run on meanwhile."""
        async with self._changing:
            member = self.member
            if member is None:
                return
            await member.stop(keep_tasks=True)
            self.member = None
            settings = moved(member.settings, member.security.node_id, data_addr)
            self._memory.keep_settings(settings)
            await self._resume()

    async def _resumed(self) -> bool:
        try:
            remembered = self._memory.recall()
            if remembered is not None:
                self.member = self._member(*remembered)
                await self.member.resume()
        except RESUME_FAILURES as error:
            member, self.member = self.member, None
            if member is not None:
                await member.stop(keep_tasks=True)
            if self.error != str(error):
                log.error("daemon.resume_failed reason=%s", error)
            self.error = str(error)
            return False
        if self.error:
            log.info("daemon.resumed")
            self.error = ""
        return True

    async def _resume_later(self) -> None:
        """Try again until what was in the way is gone, or the node has left or joined."""
        while True:
            await asyncio.sleep(RESUME_PAUSE_S)
            async with self._changing:
                if not self.error or await self._resumed():
                    return

    def _member(self, credentials: NodeCredentials, settings: Settings) -> ClusterMember:
        security = SecurityContext(credentials, self._memory.keystore)
        security.subscribe(lambda _: self._reconnect())
        return ClusterMember(
            security=security,
            config=self.config,
            paths=self.paths,
            settings=settings,
            server=self._server,
            router=self._router,
            clock=self._clock,
            rng=self._rng,
        )

    def _reconnect(self) -> None:
        """Forward calls under the new certificate from now on."""
        self._tasks.spawn(self._relay.reconnect(), name="reconnect")

    async def _abandon(self, member: ClusterMember) -> None:
        await member.stop(keep_tasks=False)
        self.member = None
        self._memory.forget()

    def _require_free(self) -> None:
        if self.error:
            raise failed_precondition(
                f"this node has the remains of a swarm in its state directory: {self.error}"
            )
        if self.member is not None or not self._memory.is_empty:
            raise failed_precondition(
                "this node is already part of a swarm; use `swarmd leave` to leave it first"
            )

    async def _open_socket(self) -> None:
        socket_path = self.config.socket
        socket_path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        try:
            await self._server.listen_local(str(socket_path))
        except OSError as error:
            raise StateDirError(
                f"the control socket {socket_path} can't be opened: {error.strerror or error}; "
                "choose another with --host"
            ) from error

    def _cluster_id(self) -> str:
        return self.member.security.cluster_id if self.member else ""

    def _is_removed(self, node_id: str) -> bool:
        manager = self.member.managing.manager if self.member else None
        cluster = manager.store.find_cluster() if manager else None
        return cluster is not None and node_id in cluster.removed_nodes

    def _why_no_manager(self) -> Rejection:
        if self.error:
            return failed_precondition(
                f"this node could not resume its place in the swarm: {self.error}"
            )
        if self.member is None:
            return failed_precondition("this node is not part of a swarm")
        if self.member.security.role is Role.MANAGER:
            if self.member.problem:
                return failed_precondition(self.member.problem)
            return Rejection(Code.UNAVAILABLE, "this manager is still starting; try again")
        return failed_precondition(f"{NOT_A_MANAGER} but a worker")

    def _connect(self, address: str) -> Channel:
        if self.member is None:
            raise Rejection(Code.UNAVAILABLE, "this node is no longer part of a swarm")
        return Channel(address, self.member.security.client_tls())


def _settings(listen_addr: str, advertise_addr: str, data_addr: str) -> Settings:
    """Complete addresses, checked against this machine; a port in use shows when listening."""
    listen = with_port(listen_addr or "0.0.0.0", what="the listen address")
    advertise = advertised(listen, advertise_addr)
    host, _ = split(advertise, what="the advertise address")
    data = data_addr or host
    check_is_local(split(listen, what="the listen address")[0], what="the listen address")
    check_is_local(data, what="the data address")
    return Settings(listen_addr=listen, advertise_addr=advertise, data_addr=data)


def _explained(error: BaseException) -> BaseException:
    """An error of starting up as the sentence a person needs."""
    if isinstance(error, TimeoutError):
        return Rejection(Code.DEADLINE_EXCEEDED, "the node did not start in time; see its log")
    if isinstance(error, OSError):
        return failed_precondition(error.strerror or str(error))
    if isinstance(error, RESUME_FAILURES):
        return failed_precondition(str(error))
    return error
