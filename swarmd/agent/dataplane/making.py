"""Putting a node's data plane together from what its machine allows."""

from __future__ import annotations

import random
from collections.abc import Callable
from functools import partial
from pathlib import Path

from swarmd.agent.dataplane.inside import Inside
from swarmd.agent.dataplane.plane import DataPlane, Kernel
from swarmd.agent.dataplane.probe import Ground, probe
from swarmd.lb.ipvs.mesh import IpvsMesh
from swarmd.lb.ipvs.virtual import ipvs_virtual
from swarmd.lb.ipvs.virtual import missing as ipvs_missing
from swarmd.lb.kernel import Balancer, BalancerReport, Candidate, Choice, choose
from swarmd.lb.mesh import MeshBalancer
from swarmd.lb.mesh_kernel import MeshKernel
from swarmd.lb.nft.mesh import NftMesh
from swarmd.lb.nft.virtual import nft_virtual
from swarmd.lb.proxy import Place, ProxyBalancer, ProxyCandidate
from swarmd.lb.proxy.ground import MakeSocket, make_socket
from swarmd.lb.proxy.shortcomings import inside_shortcomings, lowest_port
from swarmd.model.balancer import IPVS, NFT, PROXY, preference
from swarmd.model.ids import NodeId
from swarmd.network.crypt.encryption import Encryption
from swarmd.network.crypt.tunnel import Dial, Tunnel
from swarmd.network.dns.server import NameServer
from swarmd.network.dns.upstream import servers_of
from swarmd.network.tasks import TaskNetworks
from swarmd.runtime.clock import Clock

RESOLV_CONF = Path("/etc/resolv.conf")
_VIRTUAL = {NFT: nft_virtual, IPVS: ipvs_virtual}


class NodeParts:
    """The data plane of a node, and what it was chosen for.

    Args:
        listen: where the proxy answers published ports.
        directory: for namespaces; nobody else makes any there.
        balancer: which back end to prefer; empty: the fastest that works.
        on_report: told of every change of what becomes of published ports.
        dial: opens tunnels to other nodes.
    """

    def __init__(
        self,
        *,
        node_id: NodeId,
        hostname: str,
        data_addr: str,
        listen: tuple[str, ...],
        directory: Path,
        balancer: str,
        on_report: Callable[[BalancerReport], None],
        dial: Dial,
        clock: Clock,
        rng: random.Random,
    ) -> None:
        self._ground = probe(data_addr, directory)
        inner = self._ground.inner
        networks = TaskNetworks(directory, node_id, underlay=self._ground.underlay, node=inner)
        # Makes sockets by which the daemon reaches tasks on the node's bridge.
        self.make_socket: MakeSocket = make_socket

        def make_proxy(
            addresses: tuple[str, ...], report: Callable[[BalancerReport], None]
        ) -> ProxyBalancer:
            place = Place(node_name=hostname, listen=addresses, own=frozenset({data_addr}))
            return ProxyBalancer(
                place=place,
                clock=clock,
                rng=rng,
                on_report=report,
                make_socket=self._inside.to_mesh if self._inside is not None else make_socket,
            )

        def make_mesh(name: str, kernel: Callable[[Path], MeshKernel]) -> MeshBalancer:
            return MeshBalancer(
                name,
                node_id,
                kernel(networks.ingress),
                make_proxy=make_proxy,
                is_inside=inner is not None,
                on_report=on_report,
                clock=clock,
            )

        known: dict[str, Candidate] = {
            IPVS: _KernelCandidate(
                self._ground,
                IPVS,
                lambda: make_mesh(IPVS, partial(IpvsMesh, node=inner)),
                lacking=ipvs_missing(),
            ),
            NFT: _KernelCandidate(
                self._ground, NFT, lambda: make_mesh(NFT, partial(NftMesh, node=inner))
            ),
            PROXY: ProxyCandidate(lambda: make_proxy(listen, on_report)),
        }
        self._inside: Inside | None = None
        self.balancing = choose(tuple(known[name] for name in preference(balancer)))
        if inner is not None and self._ground.underlay and self.balancing.name != PROXY:
            self._inside = Inside(inner, self._ground.underlay, node_name=hostname, clock=clock)
            self.make_socket = self._inside.to_task
        ports = self.balancing.make()
        kernel = None
        self.encryption: Encryption | None = None
        if self._ground.underlay is not None:
            self.encryption = Encryption(
                node_id,
                hostname,
                self._ground.underlay,
                Tunnel(
                    node_id,
                    self._ground.underlay,
                    dial=dial,
                    rng=rng,
                    namespace=networks.tunnels,
                ),
                lacking=self._ground.unencrypted,
                node=inner,
            )
        if isinstance(ports, MeshBalancer):
            kernel = Kernel(
                mesh=ports,
                virtual=_VIRTUAL[ports.name](clock=clock),
                names=NameServer(rng=rng),
                ferry=self._inside.ferry if self._inside is not None else None,
                upstream=servers_of(RESOLV_CONF),
                encryption=self.encryption,
            )
        lacking = self._ground.lacking
        if kernel is None and not lacking:
            lacking = f"its daemon was started with --balancer {PROXY}"
        self.plane = DataPlane(networks, ports, hostname=hostname, kernel=kernel, lacking=lacking)

    async def close(self, *, keep_tasks: bool) -> None:
        """Let go; tasks that are kept keep what the kernel does for them."""
        await self.plane.close(keep_tasks=keep_tasks)
        if self._inside is not None:
            self._inside.close()
        self._ground.close()


class _KernelCandidate:
    """A back end of the kernel's, where overlays are possible."""

    def __init__(
        self, ground: Ground, name: str, make: Callable[[], Balancer], *, lacking: str = ""
    ) -> None:
        self._ground = ground
        self._name = name
        self._make = make
        self._lacking = lacking

    def probe(self) -> Choice | str:
        if self._ground.underlay is None:
            return f"no overlays and no balancing by the kernel: {self._ground.lacking}"
        if self._lacking:
            return f"no {self._name}: {self._lacking}"
        if self._ground.inner is None:
            reason = f"the kernel has {self._name}"
            return Choice(name=self._name, reason=reason, make=self._make)
        return Choice(
            name=self._name,
            reason=f"the kernel has {self._name}, in a user namespace of the daemon's: the proxy "
            "leads clients there",
            make=self._make,
            lacking=inside_shortcomings(lowest_port()),
        )
