"""How the containers of a node reach the node, and through it the world: a bridge of their own.

Each container has a network namespace with one interface; its other end is a port of the bridge.
Connections from elsewhere come through the node's proxy. Connections to elsewhere are forwarded by
the kernel under the node's address where nft is there to say so; where it is not, containers
reach the node and each other, and the note says it.
"""

from __future__ import annotations

import asyncio
import logging
import shutil
import socket
import subprocess
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path

from swarmd.agent.executors.base import TaskFailure
from swarmd.agent.executors.containerd import rtnetlink
from swarmd.agent.executors.containerd.installation import PATH
from swarmd.model.ids import TaskId
from swarmd.network.core.addresses import (
    Addresses,
    NoAddressLeft,
    choose_range,
    routed,
)

log = logging.getLogger(__name__)

INTERFACE = "eth0"
NFT_S_MAX = 10.0
_NAME_MAX = 15
_FORWARDING = Path("/proc/sys/net/ipv4/ip_forward")
_ROUTES = Path("/proc/net/route")


class NodeNetwork:
    """The bridge of one node and the addresses behind it."""

    def __init__(self, node_id: str) -> None:
        self._node_id = node_id
        self._bridge = f"sw-{node_id}"[:_NAME_MAX]
        self._addresses: Addresses | None = None
        self._making = asyncio.Lock()
        self.note = ""  # what containers can't reach, and why

    async def lease(self, task_id: TaskId) -> IPv4Address:
        """The address of a task; makes the bridge if it isn't there.

        Raises:
            TaskFailure: there is no address or bridge to be had.
        """
        try:
            return (await self._ready()).lease(task_id)
        except NoAddressLeft as error:
            raise TaskFailure(str(error)) from None
        except OSError as error:
            raise TaskFailure(f"the node's bridge {self._bridge} cannot be made: {error}") from None

    async def hold(self, task_id: TaskId, address: IPv4Address) -> None:
        """Note the address of a container that runs already."""
        (await self._ready()).hold(task_id, address)

    def release(self, task_id: TaskId) -> None:
        if self._addresses is not None:
            self._addresses.release(task_id)

    async def connect(self, task_id: TaskId, pid: int, address: IPv4Address) -> None:
        """Give the namespace of `pid`, which must be new, its interface, address and route.

        Raises:
            OSError: the kernel refuses.
        """
        addresses = await self._ready()
        await asyncio.to_thread(self._connect, addresses, task_id, pid, address)

    async def remove(self) -> None:
        """Remove the bridge; containers must be gone."""
        self._addresses = None
        await asyncio.to_thread(self._remove)

    async def _ready(self) -> Addresses:
        async with self._making:
            if self._addresses is None or not self._exists():
                held = self._addresses
                made = await asyncio.to_thread(self._make)
                self._addresses = made if held is None else held
            return self._addresses

    def _exists(self) -> bool:
        try:
            return socket.if_nametoindex(self._bridge) > 0
        except OSError:
            return False

    def _make(self) -> Addresses:
        network = self._existing_range()
        if network is None:
            network = choose_range(self._node_id, routed(_ROUTES.read_text()))
        addresses = Addresses(network)
        with rtnetlink.here() as netlink:
            netlink.add_bridge(self._bridge)
            index = netlink.index(self._bridge)
            netlink.add_address(index, addresses.gateway)
            netlink.up(index)
        self.note = self._forward(addresses)
        return addresses

    def _existing_range(self) -> IPv4Network | None:
        for line in _ROUTES.read_text().splitlines()[1:]:
            if line.split()[0] == self._bridge:
                return routed(f"\n{line}")[0]
        if self._addresses is not None:
            return self._addresses.network
        return None

    def _forward(self, addresses: Addresses) -> str:
        """Let containers reach what is behind the node; a phrase when they cannot."""
        nft = shutil.which("nft", path=PATH)
        if nft is None:
            return "containers reach this node only, since nft is not installed"
        table = f"swarmd-{self._bridge}"
        rules = (
            f"table ip {table} {{ }}\n"
            f"delete table ip {table}\n"
            f"table ip {table} {{\n"
            "  chain leaving {\n"
            "    type nat hook postrouting priority 100; policy accept;\n"
            f'    ip saddr {addresses.network} oifname != "{self._bridge}" masquerade\n'
            "  }\n"
            "}\n"
        )
        try:
            subprocess.run(
                [nft, "-f", "-"],
                input=rules.encode(),
                check=True,
                capture_output=True,
                timeout=NFT_S_MAX,
            )
            _FORWARDING.write_text("1")
        except subprocess.CalledProcessError as error:
            said = error.stderr.decode(errors="replace").splitlines()
            return f"containers reach this node only: {said[0] if said else 'nft failed'}"
        except (OSError, subprocess.TimeoutExpired) as error:
            return f"containers reach this node only: {error}"
        return ""

    def _connect(
        self, addresses: Addresses, task_id: TaskId, pid: int, address: IPv4Address
    ) -> None:
        name = f"sw{task_id}"[:_NAME_MAX]
        with rtnetlink.here() as netlink:
            bridge = netlink.index(self._bridge)
            netlink.delete_link(name)  # of an attempt that was cut short
            netlink.add_veth(name, master=bridge, peer=INTERFACE, peer_pid=pid)
        with rtnetlink.within(pid) as netlink:
            netlink.up(netlink.index("lo"))
            index = netlink.index(INTERFACE)
            netlink.add_address(index, addresses.interface(address))
            netlink.up(index)
            netlink.add_default_route(index, addresses.gateway.ip)

    def _remove(self) -> None:
        with rtnetlink.here() as netlink:
            netlink.delete_link(self._bridge)
        nft = shutil.which("nft", path=PATH)
        if nft is not None:
            subprocess.run(
                [nft, "delete", "table", "ip", f"swarmd-{self._bridge}"],
                capture_output=True,
                check=False,
                timeout=NFT_S_MAX,
            )
