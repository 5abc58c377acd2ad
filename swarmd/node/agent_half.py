"""The agent half of a node: tasks, balancing, and the session with a manager.

Every node has it, whatever its role. It outlives the manager half, and its tasks outlive it: they
run on while the daemon restarts.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from random import Random

from msgspec.structs import replace

from swarmd.agent.acknowledging import Acknowledger
from swarmd.agent.checkup import CHECKUP, Checkup
from swarmd.agent.commands import CommandServer
from swarmd.agent.conversation import News
from swarmd.agent.dataplane.making import NodeParts
from swarmd.agent.dataplane.plane import DataPlane
from swarmd.agent.describe import describe, node_platform
from swarmd.agent.endpoints import EndpointsFollower
from swarmd.agent.errands import ERRANDS, ErrandServer
from swarmd.agent.executors import ports
from swarmd.agent.executors.base import NodeContext
from swarmd.agent.executors.node import NodeExecutor
from swarmd.agent.files import NodeFiles
from swarmd.agent.images.cleaner import WANTED_IMAGES
from swarmd.agent.images.mirrors import Mirrors
from swarmd.agent.leases import Leases
from swarmd.agent.policy import NodePolicy
from swarmd.agent.remotes import Remote, Remotes
from swarmd.agent.serving import Serving
from swarmd.agent.session import AgentSession, Manager
from swarmd.agent.worker import Worker
from swarmd.lb.kernel import Balancer, BalancerReport, Choice
from swarmd.lb.proxy import Place, ProxyBalancer
from swarmd.lb.proxy.settings import ALL_ADDRESSES
from swarmd.model.image_disk import ImageDisk
from swarmd.model.mirrors import RegistryMirror
from swarmd.model.node import NodeDescription
from swarmd.model.spec import GenericResource
from swarmd.model.states import Protocol
from swarmd.network.core.encryption import Peer
from swarmd.network.crypt.encryption import Encryption
from swarmd.network.kernel import netns
from swarmd.rpc.channel import Channel
from swarmd.rpc.sockets import detect_dead_peers, split_address
from swarmd.rpc.tls import TUNNEL_ALPN, client_context
from swarmd.runtime.clock import Clock
from swarmd.runtime.supervise import Supervisor

from .address import is_loopback
from .certificates import CertificateKeeper
from .image_service import IMAGES
from .node_images import NodeImages
from .paths import Paths, namespaces_dir
from .remote_authority import RemoteAuthority
from .security import SecurityContext
from .volume_service import VOLUMES, VolumeService

log = logging.getLogger(__name__)

ACKNOWLEDGEMENTS = "swarmd.v1.Acknowledgements"
ENDPOINTS = "swarmd.v1.Endpoints"
EXEC_BROKER = "swarmd.v1.ExecBroker"


class AgentHalf:
    """Runs the node's tasks for as long as it is part of a cluster.

    Args:
        labels: of the engine.
        generic_resources: what the node has besides CPU and memory.
        registry_mirrors: of this node alone.
        image_disk: how full the disk may be before images go.
        balancer: which back end to prefer; empty: the fastest that works.
        tunnel_addr: host:port of the remote port, where other nodes open tunnels.
        allow: what tasks may have of the node; None leaves it to the cluster.
        remotes: managers to call first.
        on_remotes: told the whole list of managers when it has changed, for keeping it.
        on_tunnels: told when this node begins, or ceases, to take tunnels.
    """

    def __init__(
        self,
        *,
        security: SecurityContext,
        labels: Mapping[str, str],
        generic_resources: tuple[GenericResource, ...],
        registry_mirrors: tuple[RegistryMirror, ...],
        image_disk: ImageDisk,
        paths: Paths,
        data_addr: str,
        balancer: str,
        tunnel_addr: str,
        allow: tuple[str, ...] | None,
        remotes: Iterable[Remote],
        on_remotes: Callable[[tuple[Remote, ...]], None],
        on_tunnels: Callable[[], None],
        clock: Clock,
        rng: Random,
    ) -> None:
        self._security = security
        self._data_addr = data_addr
        self._labels = labels
        self.allow = allow
        self._generic_resources = generic_resources
        hostname = socket.gethostname()
        self._hostname = hostname
        context = NodeContext(node_id=security.node_id, hostname=hostname, platform=node_platform())
        # Several nodes of one machine tell each other apart by loopback addresses.
        shares_machine = is_loopback(data_addr)
        leases, files = Leases(), NodeFiles()
        listen = (data_addr,) if shares_machine else ALL_ADDRESSES

        def make_forwarder() -> Balancer:
            return ProxyBalancer(
                place=Place(node_name=hostname, listen=listen),
                clock=clock,
                rng=rng,
                make_socket=self._parts.make_socket,
            )

        self._port_problems: tuple[str, ...] = ()
        self._parts = NodeParts(
            node_id=security.node_id,
            hostname=hostname,
            data_addr=data_addr,
            listen=listen,
            directory=namespaces_dir(paths.state_dir, security.node_id),
            balancer=balancer,
            on_report=self._on_report,
            dial=self._open_tunnel,
            clock=clock,
            rng=rng,
        )
        self._tunnel_addr = tunnel_addr
        if self.encryption is not None:
            tunnel = self.encryption.tunnel
            tunnel.on_use = on_tunnels
            security.subscribe(lambda _: tunnel.renew())
        self.executor = NodeExecutor(
            paths.worker,
            context,
            make_proxy=make_forwarder,
            clock=clock,
            leases=leases,
            files=files,
            policy=NodePolicy(hostname, own=allow, protected=(paths.state_dir,)),
            published=self._published,
            ports_start=_ports_start(security.node_id) if shares_machine else None,
            mirrors=Mirrors(registry_mirrors),
            image_disk=image_disk,
            plane=self._parts.plane,
        )
        self._acknowledger = Acknowledger(rng=rng)
        self.worker = Worker(
            paths.worker,
            security.node_id,
            self.executor,
            clock=clock,
            serving=Serving(self._acknowledger.settle, lambda: self._follower.known),
        )
        self.leader_addr = ""
        self.remotes = Remotes(remotes, rng=rng, on_change=on_remotes)
        self.keeper = CertificateKeeper(
            security,
            RemoteAuthority(),
            managers=lambda: [remote.addr for remote in self.remotes.all()],
            clock=clock,
            rng=rng,
        )
        self._follower = EndpointsFollower(
            self._parts.plane,
            path=paths.endpoints,
            rng=rng,
            applied=self._acknowledger.applied,
        )
        self._parts.plane.on_reports = self._acknowledger.note
        self.session = AgentSession(
            node_id=security.node_id,
            worker=self.worker,
            remotes=self.remotes,
            dial=lambda addr: Channel(addr, security.client_tls()),
            describe=self.describe,
            rng=rng,
            on_message=self._on_message,
            on_manager=self._on_manager,
            leases=leases,
            files=files,
        )
        self._commands = CommandServer(self.worker, rng=rng)
        encryption = self.encryption
        self._checkup = checkup = Checkup(
            ingress=self._ingress_namespace,
            problems=lambda: self.problems,
            met=encryption.met if encryption is not None else dict,
            clock=clock,
        )
        services = {
            VOLUMES: VolumeService(lambda: self.executor.volumes),
            IMAGES: NodeImages(lambda: self.executor),
            CHECKUP: checkup,
        }
        self._errands = ErrandServer(services, rng=rng)
        self._session_tasks = Supervisor("session")
        self._tasks = Supervisor("agent")

    async def start(self) -> None:
        """Adopt the tasks that run, serve the last known endpoints, look for a manager."""
        await self.worker.start()
        self._tasks.keep(self._follower.run, name="endpoints")
        self._tasks.keep(self._parts.plane.run, name="dataplane")
        self._tasks.keep(self._acknowledger.run, name="acknowledgements")
        self._tasks.keep(self._commands.run, name="commands")
        self._tasks.keep(self._errands.run, name="errands")
        if self.executor.cleaner is not None:
            self._tasks.keep(self.executor.cleaner.run, name="images")
        self._tasks.keep(self.keeper.run, name="certificate")
        self._session_tasks.keep(self.session.run, name="session")

    async def leave(self) -> None:
        """End the session for good and stop every task of this node."""
        await self._session_tasks.stop()
        await self.worker.drain()

    async def stop(self, *, keep_tasks: bool) -> None:
        await self._session_tasks.stop()
        if not keep_tasks:
            await self.worker.drain()
        await self._tasks.stop()
        self._checkup.close()
        await self._parts.close(keep_tasks=keep_tasks)
        await self.worker.stop(keep_tasks=keep_tasks)
        if not keep_tasks:
            await self.executor.retire()

    @property
    def balancing(self) -> Choice:
        """What balances, and why that."""
        return self._parts.balancing

    @property
    def plane(self) -> DataPlane:
        """What connects the node's tasks."""
        return self._parts.plane

    @property
    def problems(self) -> tuple[str, ...]:
        """Sentences on what is not as it should be with ports and networks."""
        return (*self._port_problems, *self._parts.plane.problems)

    @property
    def encryption(self) -> Encryption | None:
        """What encrypts networks; None where there can't be any overlays."""
        return self._parts.encryption

    @property
    def takes_tunnels(self) -> bool:
        """Whether other nodes have to be able to reach the remote port."""
        return self.encryption is not None and self.encryption.tunnel.is_used

    async def _open_tunnel(self, peer: Peer, serve: Callable[[], asyncio.Protocol]) -> None:
        if not peer.stream:
            raise OSError(f"node {peer.node_id} says of no address where it takes tunnels")
        host, port = split_address(peer.stream)
        tls = self._security.client_tls(server_name=peer.node_id)
        transport, _ = await asyncio.get_running_loop().create_connection(
            serve,
            host,
            port,
            ssl=client_context(tls, alpn=TUNNEL_ALPN),
            server_hostname=peer.node_id,
        )
        detect_dead_peers(transport.get_extra_info("socket"))

    def _ingress_namespace(self) -> Path | None:
        path = self._parts.plane.networks.ingress
        return path if netns.exists(path) else None

    def describe(self) -> NodeDescription:
        encryption = self.encryption
        description = describe(
            runtime=self.executor.describe(),
            balancer=str(self.balancing),
            data_addr=self._data_addr,
            hostname=self._hostname,
            labels=self._labels,
            generic_resources=self._generic_resources,
            encryptions=[one.value for one in encryption.mechanisms] if encryption else (),
            tunnel_addr=self._tunnel_addr if encryption else "",
        )
        return replace(description, tls_info=self._security.tls_info())

    def _published(self) -> Iterable[tuple[Protocol, int]]:
        tables = self._follower.tables
        return [
            (port.protocol, port.published_port)
            for service in tables.services.values()
            for port in service.ports
        ]

    def _on_report(self, report: BalancerReport) -> None:
        for problem in set(report.problems) - set(self._port_problems):
            log.warning("balancer.problem reason=%s", problem)
        self._port_problems = report.problems

    def _on_message(self, news: News) -> None:
        self.leader_addr = news.leader_addr
        self.executor.mirrors.set_cluster(news.registry_mirrors)
        self._parts.plane.use_keys(news.network_keys)
        self.keeper.observe_node(news.node)
        self.keeper.observe_root(news.root_ca)

    def _on_manager(self, manager: Manager | None) -> None:
        self._follower.follow(manager.channel.stub(ENDPOINTS) if manager else None)
        self._acknowledger.follow(manager.channel.stub(ACKNOWLEDGEMENTS) if manager else None)
        self._commands.follow(manager.channel.stub(EXEC_BROKER) if manager else None)
        self._errands.follow(manager.channel.stub(ERRANDS) if manager else None)
        if self.executor.cleaner is not None:
            self.executor.cleaner.follow(manager.channel.stub(WANTED_IMAGES) if manager else None)


def _ports_start(node_id: str) -> int:
    """A place in the range of task ports that other nodes of this machine hardly begin at."""
    return ports.FIRST + int(node_id, 36) % (ports.END - ports.FIRST)
