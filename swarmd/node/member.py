"""A node as a member of a cluster: its two halves, and the role that decides about the second.

The agent half always runs. The manager half follows the role in the node's certificate: a renewal
that brings another role starts or ends it while tasks run on.
"""

from __future__ import annotations

import asyncio
import logging
import os
from random import Random

from swarmd.agent.remotes import Remote
from swarmd.ca.credentials import NodeCredentials
from swarmd.model.ids import NodeId
from swarmd.model.states import Role
from swarmd.raft.errors import RaftError
from swarmd.rpc.identity import Identity
from swarmd.rpc.router import Router
from swarmd.rpc.server import Server
from swarmd.rpc.tls import RAFT_ALPN, TUNNEL_ALPN
from swarmd.runtime.clock import Clock
from swarmd.runtime.supervise import Supervisor
from swarmd.store.changes import Transaction

from . import settings as settings_file
from .address import DEFAULT_PORT, is_unspecified, join, split
from .agent_half import AgentHalf
from .allowance import own_words
from .config import DaemonConfig
from .manager_half import ManagerHalf
from .paths import Paths
from .premises import OnThisMachine
from .security import SecurityContext
from .settings import Settings

log = logging.getLogger(__name__)

FIRST_PAUSE_S = 1.0
LONGEST_PAUSE_S = 10.0


class ClusterMember:
    """One node in one cluster, from `start` or `found` to `stop`."""

    def __init__(
        self,
        *,
        security: SecurityContext,
        config: DaemonConfig,
        paths: Paths,
        settings: Settings,
        server: Server,
        router: Router,
        clock: Clock,
        rng: Random,
    ) -> None:
        self.security = security
        self.settings = settings
        self.error = ""  # why the manager half is not what it should be
        self.fatal = ""  # why it has stopped for good; only a restart helps
        self._paths = paths
        self._server = server
        self._listening: Role | None = None  # as what
        self.agent = AgentHalf(
            security=security,
            labels=config.labels,
            generic_resources=config.generic_resources,
            registry_mirrors=config.registry_mirrors,
            image_disk=config.image_disk,
            paths=paths,
            data_addr=settings.data_addr,
            balancer=config.balancer,
            tunnel_addr=_tunnel_addr(settings),
            allow=own_words(config, paths),
            remotes=[Remote(remote.addr, remote.node_id) for remote in settings.remotes],
            on_remotes=self._keep_remotes,
            on_tunnels=lambda: self._role_changed.set(),
            clock=clock,
            rng=rng,
        )
        premises = OnThisMachine(
            security=security,
            paths=paths,
            settings=settings,
            router=router,
            on_removed_node=server.close_node,
            on_fatal=self._on_fatal,
            clock=clock,
            rng=rng,
        )
        self._role_changed = asyncio.Event()
        self.managing = ManagerHalf(
            premises,
            node_id=security.node_id,
            address=settings.advertise_addr,
            role=lambda: security.role,
            managers=lambda: [remote.addr for remote in self.agent.remotes.all()],
            on_removed=self._role_changed.set,
        )
        server.register_protocol(RAFT_ALPN, self._accept_raft)
        server.register_protocol(TUNNEL_ALPN, self._accept_tunnel, from_workers=True)
        self._tasks = Supervisor("member")
        self._unsubscribe = security.subscribe(self._on_credentials)

    async def found(self, raft_id: str, transaction: Transaction) -> None:
        """Start as the first manager of a new cluster."""
        await self._listen(Role.MANAGER)
        await self.managing.found(raft_id, transaction)
        await self._start_rest()

    async def start(self) -> None:
        """Start in the role of the certificate; joining the other managers may take its time.

        Raises:
            OSError: the remote port can't be had.
        """
        if self.security.role is Role.MANAGER:
            await self._listen(Role.MANAGER)
        await self.resume()

    async def resume(self) -> None:
        """Start as `start` does, but let nothing that ails the manager half keep tasks from it.

        A port in use or a damaged replica shows in `problem`, and is tried again.
        """
        await self._start_rest()
        self._role_changed.set()

    @property
    def problem(self) -> str:
        """What keeps this node from being all that its certificate says; empty when nothing."""
        return self.fatal or self.error or self.managing.problem

    async def addresses_changed(self) -> None:
        """The machine has got or lost addresses, or interfaces."""
        await self.agent.plane.addresses_changed()
        await self.agent.executor.addresses_changed()

    async def resize(self, mtu: int) -> None:
        """The interface with the node's data address takes packets of another size."""
        await self.agent.plane.resize(mtu)

    async def leave(self) -> None:
        """Stop the tasks of this node, for good; it takes no other role any more.

        A worker that became a manager on its way out would be one that the others miss for ever.
        """
        await self._tasks.stop()
        await self.agent.leave()

    async def stop(self, *, keep_tasks: bool) -> None:
        self._unsubscribe()
        await self._tasks.stop()
        await self.agent.stop(keep_tasks=keep_tasks)
        await self.managing.stop()
        await self._server.unlisten()

    async def _start_rest(self) -> None:
        await self.agent.start()
        self._tasks.keep(self._follow_role, name="role")

    async def _follow_role(self) -> None:
        """Bring the manager half in line with the certificate, now and after each change."""
        pause_s = FIRST_PAUSE_S
        while True:
            await self._role_changed.wait()
            self._role_changed.clear()
            if await self._in_role():
                pause_s = FIRST_PAUSE_S
                continue
            # People mend ports and directories without telling us.
            await asyncio.sleep(pause_s)
            pause_s = min(2 * pause_s, LONGEST_PAUSE_S)
            self._role_changed.set()

    async def _in_role(self) -> bool:
        role = self.security.role
        try:
            if role is Role.MANAGER:
                await self._become_manager()
            else:
                await self._become_worker()
        except (OSError, RaftError) as error:
            reason = error.strerror or error if isinstance(error, OSError) else error
            said, self.error = self.error, f"this node cannot act as a {role.value} now: {reason}"
            if self.error != said:
                log.error("role.failed node.id=%s reason=%s", self.security.node_id, reason)
            return False
        if self.error:
            log.info("role.mended node.id=%s", self.security.node_id)
            self.error = ""
        return True

    async def _become_manager(self) -> None:
        if not self.managing.is_complete:
            await self._listen(Role.MANAGER)
            await self.managing.start()
            if self.managing.is_complete:
                log.info("role.manager node.id=%s", self.security.node_id)

    async def _become_worker(self) -> None:
        if self._listening is Role.MANAGER:
            log.info("role.worker node.id=%s", self.security.node_id)
        # A daemon that ended in the middle of this has left a replica behind.
        await self.managing.end()
        if self._listening is Role.MANAGER or not self.agent.takes_tunnels:
            await self._server.unlisten()
            self._listening = None
        if self.agent.takes_tunnels:
            await self._listen(Role.WORKER)

    async def _listen(self, role: Role) -> None:
        if self._listening is not None:
            self._listening = role
            return
        host, port = split(self.settings.listen_addr, what="the listen address")
        try:
            await self._server.listen(
                "" if host in ("0.0.0.0", "::") else host,
                DEFAULT_PORT if port is None else port,
                self.security.server_credentials(),
            )
        except OSError as error:
            # asyncio puts a text of its own in place of the system's.
            detail = os.strerror(error.errno) if error.errno else str(error)
            raise OSError(
                error.errno,
                f"cannot listen on {self.settings.listen_addr}: {detail.lower()}; stop the program "
                "that uses the port, or choose another with --listen-addr when you join",
            ) from error
        self._listening = role

    def _accept_raft(self, identity: Identity) -> asyncio.Protocol:
        manager = self.managing.manager
        if manager is None:
            return _Closed()
        return manager.raft.accept(identity)

    def _accept_tunnel(self, identity: Identity) -> asyncio.Protocol:
        encryption = self.agent.encryption
        if encryption is None:
            return _Closed()
        return encryption.tunnel.accept(NodeId(identity.node_id))

    def _on_credentials(self, credentials: NodeCredentials) -> None:
        self._server.replace_credentials(self.security.server_credentials())
        self._role_changed.set()

    def _on_fatal(self, reason: str) -> None:
        self.fatal = f"this manager has stopped: {reason}"
        log.critical("manager.stopped reason=%s", reason)

    def _keep_remotes(self, remotes: tuple[Remote, ...]) -> None:
        self.settings = Settings(
            listen_addr=self.settings.listen_addr,
            advertise_addr=self.settings.advertise_addr,
            data_addr=self.settings.data_addr,
            remotes=tuple(settings_file.Remote(r.node_id, r.addr) for r in remotes),
        )
        settings_file.save(self._paths.settings, self.settings)


def _tunnel_addr(settings: Settings) -> str:
    """Where other nodes reach the remote port, which workers open for tunnels alone."""
    host, port = split(settings.listen_addr, what="the listen address")
    return join(
        settings.data_addr if is_unspecified(host) else host, DEFAULT_PORT if port is None else port
    )


class _Closed(asyncio.Protocol):
    """Ends a connection that came before this manager was ready; its peer tries again."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        transport.close()
