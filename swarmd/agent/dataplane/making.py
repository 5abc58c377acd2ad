"""Putting a node's data plane together from what its machine allows."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

from swarmd.agent.dataplane.plane import DataPlane, Kernel
from swarmd.agent.dataplane.probe import Ground, probe
from swarmd.lb.kernel import Balancer, BalancerReport, Choice, choose
from swarmd.lb.mesh import MeshBalancer
from swarmd.lb.nft.virtual import nft_virtual
from swarmd.lb.proxy import Place, ProxyBalancer, ProxyCandidate
from swarmd.model.ids import NodeId
from swarmd.model.network import Mechanism
from swarmd.network.crypt.encryption import Encryption
from swarmd.network.crypt.tunnel import Dial, Tunnel
from swarmd.network.dns.server import NameServer
from swarmd.network.dns.upstream import servers_of
from swarmd.network.tasks import TaskNetworks
from swarmd.runtime.clock import Clock

RESOLV_CONF = Path("/etc/resolv.conf")


class NodeParts:
    """The data plane of a node, and what it was chosen for.

    Args:
        listen: where the proxy answers published ports.
        directory: for namespaces; nobody else makes any there.
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
        on_report: Callable[[BalancerReport], None],
        dial: Dial,
        clock: Clock,
        rng: random.Random,
    ) -> None:
        self._ground = probe(data_addr, directory)
        networks = TaskNetworks(directory, node_id, underlay=self._ground.underlay)

        def make_proxy(
            addresses: tuple[str, ...], report: Callable[[BalancerReport], None]
        ) -> ProxyBalancer:
            place = Place(node_name=hostname, listen=addresses, own=frozenset({data_addr}))
            return ProxyBalancer(place=place, clock=clock, rng=rng, on_report=report)

        def make_mesh() -> MeshBalancer:
            return MeshBalancer(
                node_id,
                networks.ingress,
                make_proxy=make_proxy,
                on_report=on_report,
                clock=clock,
            )

        self.balancing = choose(
            (
                _MeshCandidate(self._ground, make_mesh),
                ProxyCandidate(lambda: make_proxy(listen, on_report)),
            )
        )
        ports = self.balancing.make()
        kernel = None
        self.encryption: Encryption | None = None
        if self._ground.underlay is not None:
            self.encryption = Encryption(
                node_id,
                hostname,
                self._ground.underlay,
                Tunnel(node_id, self._ground.underlay, dial=dial, rng=rng),
                lacking=self._ground.unencrypted,
            )
        if isinstance(ports, MeshBalancer):
            kernel = Kernel(
                mesh=ports,
                virtual=nft_virtual(clock=clock),
                names=NameServer(rng=rng),
                upstream=servers_of(RESOLV_CONF),
                encryption=self.encryption,
            )
        self.plane = DataPlane(
            networks, ports, hostname=hostname, kernel=kernel, lacking=self._ground.lacking
        )

    async def close(self, *, keep_tasks: bool) -> None:
        """Let go; tasks that are kept keep what the kernel does for them."""
        await self.plane.close(keep_tasks=keep_tasks)
        self._ground.close()


class _MeshCandidate:
    """The kernel's back end, where overlays are possible."""

    def __init__(self, ground: Ground, make: Callable[[], Balancer]) -> None:
        self._ground = ground
        self._make = make

    def probe(self) -> Choice | str:
        if self._ground.underlay is None:
            return f"no overlays and no balancing by the kernel: {self._ground.lacking}"
        reason = f"the kernel has nftables; {_encryption_words(self._ground)}"
        return Choice(name=MeshBalancer.name, reason=reason, make=self._make)


def _encryption_words(ground: Ground) -> str:
    """How networks can be encrypted here, and why not otherwise."""
    able = [one.value for one in Mechanism if one not in ground.unencrypted]
    words = f"networks are encrypted by {' or '.join(able)}" if able else "none can be encrypted"
    reasons = [f"{one.value}: {reason}" for one, reason in ground.unencrypted.items()]
    return words + (f" ({'; '.join(reasons)})" if reasons else "")
