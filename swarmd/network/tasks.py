"""The networks of a node and the tasks on them: made when needed, kept, taken away.

    /run/swarmd/<node>/tasks/<task>        the namespace of a task, made before the task is
    /run/swarmd/<node>/networks/<network>  the namespace of an overlay
    /run/swarmd/<node>/ingress             the same, of the ingress network
    /run/swarmd/<node>/tunnels             where overlays send from that tunnels encrypt
    /run/swarmd/<node>/node                in place of the node's own, where that is root's

They outlive the daemon; the next one finds them by their files and takes them over.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence
from ipaddress import IPv4Address, IPv4Interface
from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace

from swarmd.model.ids import NetworkId, NodeId, TaskId
from swarmd.model.network import Mechanism, NetworkAttachment
from swarmd.network import ingress, plugging
from swarmd.network.bridge import BridgeUnavailable, NodeBridge
from swarmd.network.core.dual import widened
from swarmd.network.core.interfaces import (
    Attached,
    Egress,
    addresses_of,
    attached,
    is_confined,
)
from swarmd.network.core.overlay_plan import Underlay, port_name
from swarmd.network.core.tables import NetworkTable
from swarmd.network.kernel import links, netns, routing
from swarmd.network.kernel.netlink import open_netlink
from swarmd.network.overlay import Overlay
from swarmd.network.overlay_space import OverlaySpace
from swarmd.runtime.timeouts import timeout

log = logging.getLogger(__name__)

TABLE_S_MAX = 5.0
INNER = "node"


class NotYet(Exception):
    """The managers have not told yet what the task needs; try again."""


class Place(Struct, frozen=True):
    """Where a task is on the networks of its node.

    `address` is the one by which the node reaches it; None for a task that is cut off from it.
    """

    namespace: Path
    address: IPv4Address | None
    networks: tuple[NetworkId, ...] = ()
    addresses: tuple[str, ...] = ()  # on its overlays, the first network's first
    is_confined: bool = False


class _Known(Struct, frozen=True):
    namespace: Path
    inode: int | None  # by which the namespace is found should its file be unmounted
    attachments: tuple[NetworkAttachment, ...]
    egress: Egress | None


class TaskNetworks:
    """All networks of one node. Its methods are called from one event loop.

    Args:
        directory: where namespaces are.
        underlay: None where there can be no overlays; then nobody may ask for one.
        node: the node's own namespace; None: the one this process lives in.
    """

    def __init__(
        self,
        directory: Path,
        node_id: NodeId,
        *,
        underlay: Underlay | None,
        node: Path | None = None,
    ) -> None:
        self.bridge = NodeBridge(node_id, node=node, spared=self._spared)
        self.ingress = directory / "ingress"
        self.tunnels = directory / "tunnels"
        self.inner = directory / INNER
        self._directory = directory
        self.node_id = node_id
        self._underlay = underlay
        self._node = node
        self._tables: Mapping[NetworkId, NetworkTable] = {}
        self._overlays: dict[NetworkId, Overlay] = {}
        self._tasks: dict[TaskId, _Known] = {}
        self._news = asyncio.Event()
        self._way_problem = ""
        self._way_repaired = 0
        self._lock = asyncio.Lock()  # of overlays coming and going

    # --- what is there

    def left(self) -> frozenset[TaskId]:
        """The tasks that have a namespace here, whoever made it."""
        tasks = self._directory / "tasks"
        return (
            frozenset(TaskId(path.name) for path in tasks.iterdir())
            if tasks.exists()
            else (frozenset())
        )

    def overlays(self) -> Mapping[NetworkId, Overlay]:
        return self._overlays

    def members(self) -> Mapping[Path, tuple[NetworkId, ...]]:
        """Namespaces of tasks, and the overlays each of them is on."""
        return {
            known.namespace: tuple(one.network_id for one in known.attachments)
            for known in self._tasks.values()
            if known.attachments
        }

    def problems_of(self, network_id: NetworkId) -> tuple[str, ...]:
        """Sentences on what is not as it should be with a network."""
        overlay = self._overlays.get(network_id)
        if overlay is None:
            return ()
        way = (self._way_problem,) if overlay.table.ingress and self._way_problem else ()
        return (*overlay.problems, *way)

    def repaired_of(self, network_id: NetworkId) -> int:
        """How often something of a network was found changed, and put right."""
        overlay = self._overlays.get(network_id)
        if overlay is None:
            return 0
        return overlay.repaired + (self._way_repaired if overlay.table.ingress else 0)

    # --- following the tables

    async def apply(self, tables: Mapping[NetworkId, NetworkTable]) -> None:
        """Have these networks, as their tables say; others go when their last task has gone.

        What cannot be done is a problem of the network, and tried again by `tend`.
        """
        first = not self._tables
        self._tables = tables
        if self._underlay is not None:
            async with self._lock:
                await self._bring(self._underlay)
                if first:
                    await self._sweep()
        self._news.set()
        self._news = asyncio.Event()

    async def resize(self, mtu: int) -> None:
        """Go by another size of the underlay's packets; the tables stay."""
        if self._underlay is None or self._underlay.mtu == mtu:
            return
        async with self._lock:
            self._underlay = replace(self._underlay, mtu=mtu)
            for overlay in self._overlays.values():
                await overlay.use(self._underlay)

    async def tend(self) -> None:
        """Look whether everything is still there, and put right what isn't."""
        await self._find_again()
        for overlay in tuple(self._overlays.values()):
            await overlay.tend()
        async with self._lock:
            for network_id in self._overlays.keys() - self._tables.keys():
                await self._drop_if_idle(network_id)
            await self._open_way(repairing=True)
        try:
            await self.bridge.tend()
        except (BridgeUnavailable, OSError) as error:
            log.warning("bridge.problem reason=%s", error)

    async def _bring(self, underlay: Underlay) -> None:
        for network_id, table in self._tables.items():
            overlay = self._overlays.get(network_id)
            if overlay is None:
                overlay = self._overlays[network_id] = Overlay(
                    table,
                    path=self._path_of(table),
                    node_id=self.node_id,
                    underlay=underlay,
                    node=self._sender_of(table),
                    spared=self._spared,
                )
        for task_id, known in self._tasks.items():
            self._take_over(task_id, known)
        for network_id, table in self._tables.items():
            await self._overlays[network_id].apply(table)
        for network_id in self._overlays.keys() - self._tables.keys():
            await self._drop_if_idle(network_id)
        await self._open_way()

    def _sender_of(self, table: NetworkTable) -> Path | None:
        """The namespace that a network's packets to other nodes are sent from."""
        return self.tunnels if table.mechanism is Mechanism.TUNNEL else self._node

    async def _find_again(self) -> None:
        """Have the files of namespaces again that somebody has unmounted while tasks run there."""
        for task_id, known in tuple(self._tasks.items()):
            if known.inode is None or netns.exists(known.namespace):
                continue
            pid = await asyncio.to_thread(netns.process_in, known.inode)
            if pid is None or task_id not in self._tasks:
                continue  # it has ended, or is about to
            try:
                await asyncio.to_thread(netns.keep, known.namespace, pid=pid)
            except OSError as error:
                log.warning("namespace.lost task.id=%s reason=%s", task_id, error)
                continue
            log.warning("namespace.repaired task.id=%s", task_id)

    async def _drop_if_idle(self, network_id: NetworkId) -> None:
        overlay = self._overlays[network_id]
        if network_id in self._tables or overlay.tasks:
            return
        try:
            if overlay.table.ingress:
                await asyncio.to_thread(ingress.close_way, node=self._node)
            await overlay.remove()
        except OSError as error:
            log.warning("network.not_removed network=%s reason=%s", overlay.table.name, error)
            return
        del self._overlays[network_id]

    async def _open_way(self, *, repairing: bool = False) -> None:
        if not any(overlay.table.ingress for overlay in self._overlays.values()):
            return
        try:
            made = await asyncio.to_thread(
                ingress.open_way, self.ingress, node=self._node, ipv6=self._ingress_has_ipv6()
            )
            self._way_problem = ""
        except OSError as error:
            self._way_problem = f"the ingress network cannot be reached from the node: {error}"
            log.warning("ingress.problem %s", self._way_problem)
            return
        self._way_repaired += int(made and repairing)

    async def _sweep(self) -> None:
        """Take away networks that an earlier daemon has left and nobody is on any more."""
        networks = self._directory / "networks"
        if not networks.exists():
            return
        known = {overlay.path for overlay in self._overlays.values()}
        for path in networks.iterdir():
            space = OverlaySpace(path, node=self._node)
            if path not in known and not await asyncio.to_thread(space.has_ports):
                await asyncio.to_thread(space.remove)

    # --- tasks

    async def attach(self, task_id: TaskId, attachments: Sequence[NetworkAttachment] = ()) -> Place:
        """Make the namespace of a task and connect it; again is fine.

        Args:
            attachments: its overlays, the ingress network included.

        Raises:
            NotYet: a network is not known here yet.
            BridgeUnavailable, OSError: it cannot be connected.
        """
        tables = await self._await_tables(attachments)
        namespace = self._directory / "tasks" / task_id
        confined = is_confined(attachments, tables)
        egress = None if confined else await self.bridge.lease(task_id)
        interfaces = _interfaces(attachments, tables, self.node_id, egress)
        await asyncio.to_thread(plugging.prepare, namespace, ipv6=interfaces.has_ipv6)
        known = _Known(namespace, netns.inode(namespace), tuple(attachments), egress)
        self._tasks[task_id] = known
        for network_id, interface in interfaces.networks.items():
            overlay = self._overlays.get(network_id)
            if overlay is None:
                raise NotYet(f"network {network_id} has just been taken from this node")
            await overlay.attach(task_id, namespace, interface)
        if interfaces.egress is not None:
            await self.bridge.attach(
                task_id, namespace, interfaces.egress, isolated=bool(attachments)
            )
        return _place(known, confined)

    async def adopt(
        self, task_id: TaskId, attachments: Sequence[NetworkAttachment] = (), *, pid: int = 0
    ) -> Place | None:
        """Take over a task that an earlier run of the daemon has connected.

        Returns None if it was never in a namespace of ours.

        Args:
            pid: of a process of the task, whose namespace it is even if its file is gone.

        Raises:
            BridgeUnavailable, OSError: it cannot be looked at.
        """
        namespace = self._directory / "tasks" / task_id
        if not netns.exists(namespace):
            own = netns.inode(Path(f"/proc/{pid}/ns/net")) if pid else None
            if own in (None, netns.inode(None), netns.inode(self._node)):
                return None
            await asyncio.to_thread(netns.keep, namespace, pid=pid)
        address = await asyncio.to_thread(_address_on, namespace, f"eth{len(attachments)}")
        egress = await self.bridge.hold(task_id, address.ip) if address else None
        known = _Known(namespace, netns.inode(namespace), tuple(attachments), egress)
        self._tasks[task_id] = known
        self._take_over(task_id, known)
        return _place(known, bool(attachments) and egress is None)

    async def detach(self, task_id: TaskId) -> None:
        """Take away the namespace of a task that has ended, and all that led there.

        Raises:
            OSError: the kernel refuses; call it again.
        """
        await asyncio.to_thread(netns.remove, self._directory / "tasks" / task_id)
        known = self._tasks.pop(task_id, None)
        for attachment in known.attachments if known else ():
            overlay = self._overlays.get(attachment.network_id)
            if overlay is not None:
                overlay.detach(task_id)
        self.bridge.detach(task_id)
        async with self._lock:
            for attachment in known.attachments if known else ():
                if attachment.network_id in self._overlays:
                    await self._drop_if_idle(attachment.network_id)

    async def remove(self) -> None:
        """Take everything away; the tasks have ended.

        Raises:
            OSError: the kernel refuses.
        """
        for task_id in self.left() | self._tasks.keys():
            await self.detach(task_id)
        async with self._lock:
            self._tables = {}
            for network_id in tuple(self._overlays):
                await self._drop_if_idle(network_id)
        await self.bridge.remove()
        await asyncio.to_thread(netns.remove, self.inner)
        await asyncio.to_thread(_remove_directories, self._directory)

    async def _await_tables(
        self, attachments: Sequence[NetworkAttachment]
    ) -> Mapping[NetworkId, NetworkTable]:
        """The tables of these networks; they come by another way than tasks do."""
        try:
            async with timeout(TABLE_S_MAX):
                while any(one.network_id not in self._overlays for one in attachments):
                    await self._news.wait()
        except TimeoutError:
            missing = [
                one.network_id for one in attachments if one.network_id not in self._overlays
            ]
            raise NotYet(
                f"waits for a manager to tell about network {missing[0]}, which the task is on"
            ) from None
        return {one.network_id: self._overlays[one.network_id].table for one in attachments}

    def _take_over(self, task_id: TaskId, known: _Known) -> None:
        """Have the interfaces of a task kept as they should be, once all its networks are known."""
        overlays = {
            one.network_id: self._overlays[one.network_id]
            for one in known.attachments
            if one.network_id in self._overlays
        }
        if len(overlays) < len(known.attachments):
            return
        if all(task_id in overlay.tasks for overlay in overlays.values()) and (
            known.egress is None or task_id in self.bridge.tasks
        ):
            return
        tables = {network_id: overlay.table for network_id, overlay in overlays.items()}
        interfaces = _interfaces(known.attachments, tables, self.node_id, known.egress)
        for network_id, interface in interfaces.networks.items():
            overlays[network_id].adopt(task_id, known.namespace, interface)
        if interfaces.egress is not None:
            self.bridge.adopt(
                task_id, known.namespace, interfaces.egress, isolated=bool(known.attachments)
            )

    def _ingress_has_ipv6(self) -> bool:
        tables = (overlay.table for overlay in self._overlays.values())
        return any(":" in subnet.cidr for row in tables if row.ingress for subnet in row.subnets)

    def _spared(self) -> list[str]:
        return [port_name(task_id) for task_id in self.left()]

    def _path_of(self, table: NetworkTable) -> Path:
        return self.ingress if table.ingress else self._directory / "networks" / table.network_id


def _interfaces(
    attachments: Sequence[NetworkAttachment],
    tables: Mapping[NetworkId, NetworkTable],
    node_id: NodeId,
    egress: Egress | None,
) -> Attached:
    return attached(
        [widened(one, tables[one.network_id]) for one in attachments], tables, node_id, egress
    )


def _place(known: _Known, confined: bool) -> Place:
    return Place(
        namespace=known.namespace,
        address=known.egress.address.ip if known.egress else None,
        networks=tuple(one.network_id for one in known.attachments),
        addresses=tuple(address for one in known.attachments for address in addresses_of(one)),
        is_confined=confined,
    )


def _address_on(namespace: Path, name: str) -> IPv4Interface | None:
    """The address of an interface of a task; None if it hasn't got that interface."""
    with open_netlink(namespace) as netlink:
        index = links.find(netlink, name)
        if index is None:
            return None
        found = routing.addresses(netlink, index)
    return next((one for one in found if isinstance(one, IPv4Interface)), None)


def _remove_directories(directory: Path) -> None:
    for path in (directory / "tasks", directory / "networks", directory):
        if path.exists():
            path.rmdir()
