"""The bridge of a node: how it reaches its tasks, and how they reach what is behind the node.

Each task that isn't confined to internal networks has an interface there, with an address of a
range that only this node knows. What leaves by it is forwarded under the node's address where
nftables is there to say so; where it is not, tasks reach the node alone, and the note says it.
Tasks of overlays don't see each other here. Where the node has IPv6, so have its tasks: an address
that follows from the other one.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Collection
from ipaddress import IPv4Address, IPv4Network, IPv6Network
from pathlib import Path

from swarmd.model.ids import TaskId
from swarmd.network.core.addresses import (
    RANGES,
    Addresses,
    NoAddressLeft,
    beside,
    choose_range,
    routed,
    site_of,
)
from swarmd.network.core.interfaces import Egress, Interface
from swarmd.network.core.overlay_plan import NAME_MAX, PORT_PREFIX, port_name
from swarmd.network.kernel import forwarding, links, netns, nft, routing
from swarmd.network.kernel.netlink import open_netlink
from swarmd.network.plugging import Plug, plug

log = logging.getLogger(__name__)

_ROUTES = Path("/proc/thread-self/net/route")


def _own_routes() -> str:
    """Those of this process's network, which tasks may have to reach by a daemon of it."""
    return _ROUTES.read_text()


class BridgeUnavailable(Exception):
    """There can't be a bridge, or there is no address left on it; the message says why."""


class NodeBridge:
    """One node's bridge. It is made when a task first needs it.

    Args:
        spared: names of ports that may belong to tasks this daemon has not taken over yet.
    """

    def __init__(
        self,
        node_id: str,
        *,
        node: Path | None = None,
        spared: Callable[[], Collection[str]] = tuple,
    ) -> None:
        self.name = f"{PORT_PREFIX}-{node_id}"[:NAME_MAX]
        self.note = ""  # what tasks can't reach, and why
        self.repaired = 0
        self._node_id = node_id
        self._node = node
        self._spared = spared
        self._site: IPv6Network | None = None  # None: the node has no IPv6
        self._addresses: Addresses | None = None
        self._plugs: dict[TaskId, Plug] = {}
        self._isolated: set[TaskId] = set()
        self._lock = asyncio.Lock()

    @property
    def tasks(self) -> frozenset[TaskId]:
        """The tasks that are connected, or should be."""
        return frozenset(self._plugs)

    @staticmethod
    def may_hold(address: IPv4Address) -> bool:
        """Whether an address could be one on a bridge, rather than on an overlay."""
        return address in RANGES

    async def lease(self, task_id: TaskId) -> Egress:
        """The place of a task on the bridge; makes the bridge if it isn't there.

        Raises:
            BridgeUnavailable
        """
        addresses = await self._ready()
        try:
            address = addresses.lease(task_id)
        except NoAddressLeft as error:
            raise BridgeUnavailable(str(error)) from None
        return self._egress(addresses, address)

    async def hold(self, task_id: TaskId, address: IPv4Address) -> Egress:
        """Note the place of a task that an earlier run of the daemon has connected.

        Raises:
            BridgeUnavailable
        """
        addresses = await self._ready()
        addresses.hold(task_id, address)
        return self._egress(addresses, address)

    async def attach(
        self, task_id: TaskId, namespace: Path, interface: Interface, *, isolated: bool
    ) -> None:
        """Connect a task; again is fine. `isolated`: it doesn't see other such tasks here.

        Raises:
            OSError: the kernel refuses.
        """
        one = Plug(namespace=namespace, interface=interface)
        async with self._lock:
            if self._plugs.get(task_id) == one and await asyncio.to_thread(self._has, task_id):
                return
            self.adopt(task_id, namespace, interface, isolated=isolated)
            await asyncio.to_thread(self._plug, task_id)

    def adopt(
        self, task_id: TaskId, namespace: Path, interface: Interface, *, isolated: bool
    ) -> None:
        """Note a task that is connected already."""
        self._plugs[task_id] = Plug(namespace=namespace, interface=interface)
        if isolated:
            self._isolated.add(task_id)

    def detach(self, task_id: TaskId) -> None:
        """Forget a task that has ended, whose interface goes with its namespace."""
        self._isolated.discard(task_id)
        self._plugs.pop(task_id, None)
        if self._addresses is not None:
            self._addresses.release(task_id)

    async def tend(self) -> None:
        """Put back what was removed by somebody else.

        Raises:
            BridgeUnavailable, OSError: it can't be, just now.
        """
        if self._addresses is None:
            return
        async with self._lock:
            repaired = await asyncio.to_thread(self._repair, self._addresses)
        if repaired:
            self.repaired += repaired
            log.warning("bridge.repaired bridge=%s things=%d", self.name, repaired)

    async def remove(self) -> None:
        """Remove the bridge; tasks must be gone.

        Raises:
            OSError: the kernel refuses.
        """
        self._addresses = None
        await asyncio.to_thread(self._remove)

    async def _ready(self) -> Addresses:
        async with self._lock:
            if self._addresses is None:
                try:
                    self._addresses = await asyncio.to_thread(self._make)
                except NoAddressLeft as error:
                    raise BridgeUnavailable(str(error)) from None
                except OSError as error:
                    raise BridgeUnavailable(
                        f"the node's bridge {self.name} cannot be made: {error}"
                    ) from None
            return self._addresses

    # --- in threads

    def _make(self) -> Addresses:
        network = self._existing_range()
        if network is None:
            network = choose_range(self._node_id, [*routed(self._routes()), *routed(_own_routes())])
        addresses = Addresses(network)
        if netns.inside(self._node, forwarding.has_ipv6):
            self._site = site_of(self._node_id)
        self._bring(addresses)
        self.note = self._forward(addresses)
        return addresses

    def _bring(self, addresses: Addresses) -> bool:
        """Have the bridge with its address; whether anything was missing."""
        with open_netlink(self._node) as netlink:
            found = links.links(netlink).get(self.name)
            if found is None:
                netlink.do(links.bridge(self.name))
            index = links.index_of(netlink, self.name)
            is_right = found is not None and found.is_up
            missing = self._gateways(addresses) - routing.addresses(netlink, index)
            if is_right and not missing:
                return False
            if self._site is not None:
                netns.inside(self._node, lambda: forwarding.have_ipv6_on(self.name))
            netlink.do(
                links.change(index, up=True),
                *(routing.put_address(index, address) for address in missing),
            )
        return True

    def _gateways(self, addresses: Addresses) -> set[routing.Interface]:
        """The addresses of the bridge itself."""
        if self._site is None:
            return {addresses.gateway}
        return {addresses.gateway, beside(addresses.gateway.ip, self._site)}

    def _egress(self, addresses: Addresses, address: IPv4Address) -> Egress:
        site, gateway = self._site, addresses.gateway.ip
        return Egress(
            address=addresses.interface(address),
            gateway=str(gateway),
            ipv6=beside(address, site) if site is not None else None,
            ipv6_gateway=str(beside(gateway, site).ip) if site is not None else "",
        )

    def _existing_range(self) -> IPv4Network | None:
        with open_netlink(self._node) as netlink:
            index = links.find(netlink, self.name)
            if index is None:
                return None
            for address in routing.addresses(netlink, index):
                if isinstance(address.network, IPv4Network):
                    return address.network
        return None

    def _routes(self) -> str:
        return netns.inside(self._node, _ROUTES.read_text)

    def _forward(self, addresses: Addresses) -> str:
        """Let tasks reach what is behind the node; a phrase when they cannot."""
        missing = nft.missing()
        if missing:
            return f"tasks reach this node only: {missing}"
        rules = self._rules(addresses)

        def put() -> None:
            nft.run(rules)
            forwarding.pass_on_ipv4()
            if self._site is not None:
                forwarding.pass_on_ipv6()

        try:
            netns.inside(self._node, put)
        except (nft.NftError, OSError) as error:
            return f"tasks reach this node only: {error}"
        return ""

    def _rules(self, addresses: Addresses) -> str:
        inside: dict[str, IPv4Network | IPv6Network] = {"ip": addresses.network}
        if self._site is not None:
            inside["ip6"] = self._site
        return "".join(
            f"table {family} {self._table} {{ }}\n"
            f"delete table {family} {self._table}\n"
            f"table {family} {self._table} {{\n"
            "  chain leaving {\n"
            "    type nat hook postrouting priority 100; policy accept;\n"
            f'    {family} saddr {block} oifname != "{self.name}" masquerade\n'
            "  }\n"
            "}\n"
            for family, block in inside.items()
        )

    @property
    def _table(self) -> str:
        return f"swarmd-{self.name}"

    def _tables(self) -> list[str]:
        """Our tables that are there, with their families."""
        named = (f"{family} {self._table}" for family in ("ip", "ip6"))
        return [table for table in named if nft.listing(table)]

    def _has(self, task_id: TaskId) -> bool:
        with open_netlink(self._node) as netlink:
            return links.find(netlink, port_name(task_id)) is not None

    def _plug(self, task_id: TaskId) -> None:
        with open_netlink(self._node) as netlink:
            bridge = links.index_of(netlink, self.name)
            index = plug(netlink, port_name(task_id), self._plugs[task_id], master=bridge)
            if task_id in self._isolated:
                netlink.do(links.isolated_port(index))

    def _repair(self, addresses: Addresses) -> int:
        repaired = int(self._bring(addresses))
        spared = set(self._spared())
        with open_netlink(self._node) as netlink:
            found = links.links(netlink)
            bridge = found[self.name].index
            known = {port_name(task_id) for task_id in self._plugs} | spared
            # Of tasks that have gone, where the kernel has not yet.
            ports = (link.name for link in found.values() if link.master == bridge)
            netlink.attempt(links.delete(name) for name in ports if name not in known)
        for task_id, one in tuple(self._plugs.items()):
            port = found.get(port_name(task_id))
            if (port is None or port.master != bridge) and netns.exists(one.namespace):
                self._plug(task_id)
                repaired += 1
        families = 1 if self._site is None else 2
        if not self.note and len(netns.inside(self._node, self._tables)) < families:
            self.note = self._forward(addresses)
            repaired += 1
        return repaired

    def _remove(self) -> None:
        with open_netlink(self._node) as netlink:
            found = links.links(netlink)
            bridge = found.get(self.name)
            # Ports go with their namespaces, which the kernel ends when it finds the time.
            ports = (link for link in found.values() if bridge and link.master == bridge.index)
            netlink.do(*(links.delete(link.name) for link in ports), links.delete(self.name))
        if not nft.missing():
            netns.inside(self._node, self._drop_tables)

    def _drop_tables(self) -> None:
        for table in self._tables():
            nft.run(f"delete table {table}\n")
