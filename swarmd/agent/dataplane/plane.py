"""The data plane of a node: what executors ask for tasks, and what the tables of the swarm say.

    executor ──attach, withdraw, detach──►┐            ┌► TaskNetworks: overlays, namespaces, bridge
    follower ──apply(tables)─────────────►│ DataPlane ─┼► NameServer: 127.0.0.11 of every task
    clock ────tend───────────────────────►┘            ├► VirtualBalancer: in every task's namespace
                                                       └► published ports: the mesh, or the proxy

A task is connected before it is made, and everything is in force in its namespace before it runs.
Tables are applied whole, one after another, and what is in force is what was told last.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Mapping
from ipaddress import IPv4Address, IPv6Address, ip_interface
from pathlib import Path
from typing import Protocol

from msgspec import Struct

from swarmd.agent.dataplane.needs import Needs, needs_of
from swarmd.agent.dataplane.withdrawn import named, unpublished, without
from swarmd.agent.endpoints import PUBLISHED, TableReport
from swarmd.agent.executors.base import TaskFailure, TemporaryFailure
from swarmd.lb.core.locations import Interfaces, is_located, located
from swarmd.lb.core.policies import here
from swarmd.lb.core.tables import Tables
from swarmd.lb.kernel import BalancerReport
from swarmd.lb.virtual import Tended, VirtualBalancer
from swarmd.model import defaults
from swarmd.model.ids import NetworkId, NodeId, TaskId
from swarmd.model.network_keys import NetworkKey
from swarmd.model.spec import DnsConfig
from swarmd.model.task import Task
from swarmd.network.bridge import BridgeUnavailable
from swarmd.network.core.dual import DualStack
from swarmd.network.core.tables import NetworkTable
from swarmd.network.crypt.encryption import Encryption
from swarmd.network.dns.server import ADDRESS, Client, NameServer
from swarmd.network.ferry import Ferry
from swarmd.network.kernel.nft import NftError
from swarmd.network.local import addresses
from swarmd.network.tasks import NotYet, Place, TaskNetworks
from swarmd.runtime.timeouts import timeout

log = logging.getLogger(__name__)

TEND_S = 1.0
FORGET_S = 0.1
LOOK_EVERY = 10  # of so many turns, one looks whether all that was made is still there


class Ports(Protocol):
    """What answers published ports; every `Balancer` that goes by published ports alone does."""

    async def apply(self, tables: Tables) -> BalancerReport: ...

    async def close(self) -> None: ...


class Mesh(Ports, Protocol):
    """What answers them over the ingress network."""

    async def use(self, ingress: NetworkTable | None) -> None: ...

    @property
    def has_ipv6(self) -> bool: ...

    async def tend(self) -> Tended: ...

    async def move(self) -> bool: ...

    async def forget(self) -> bool: ...

    @property
    def moving(self) -> int: ...

    async def let_go(self) -> None: ...


class Kernel(Struct, frozen=True):
    """The parts that need the kernel; a node has all of them or none."""

    mesh: Mesh
    virtual: VirtualBalancer
    names: NameServer
    ferry: Ferry | None = None  # carries packets that the kernel may not send by itself
    upstream: tuple[str, ...] = ()  # name servers of the node
    encryption: Encryption | None = None  # None: encrypted networks can't be had


class Home(Struct, frozen=True):
    """Where a task lives: a namespace, with the name server it is to ask (empty: the node's).

    `address` is the one it goes by: on the first of its own networks, if it has any.
    """

    place: Place
    address: IPv4Address | IPv6Address
    nameserver: str = ""


class DataPlane:
    """All of it. Its methods are called from one event loop.

    Args:
        ports: answers published ports; the kernel's mesh, if there is one. None: nobody does.
        lacking: why there is no `kernel`.
    """

    def __init__(
        self,
        networks: TaskNetworks,
        ports: Ports | None,
        *,
        hostname: str,
        kernel: Kernel | None = None,
        lacking: str = "",
    ) -> None:
        self.networks = networks
        self._ports = ports
        self._hostname = hostname
        self._kernel = kernel
        self._lacking = lacking
        self._published = Tables()
        self._interfaces: Interfaces = {}  # of the node, where ports are published on some alone
        self._tables: Mapping[NetworkId, NetworkTable] = {}
        self._dual = DualStack()
        self._withdrawn: frozenset[TaskId] = frozenset()
        self._known = False  # whether any tables were told
        self._again = asyncio.Event()
        self._all_again = False  # or only the balancers
        # Somebody may have left, whose clients are to move on, or be cut off.
        self._to_move, self._to_forget = asyncio.Event(), asyncio.Event()
        self._lock = asyncio.Lock()
        self._virtual_problems: tuple[str, ...] = ()
        self._repaired = 0
        self._port_problems: tuple[str, ...] = ()
        self._reports: Mapping[NetworkId, TableReport] = {}
        # Told when what `apply` has answered is so no more.
        self.on_reports: Callable[[Mapping[NetworkId, TableReport]], None] = lambda _reports: None

    @property
    def has_overlays(self) -> bool:
        return self._kernel is not None

    @property
    def lacking(self) -> str:
        """Why tasks can't be on overlays here; empty where they can."""
        return self._lacking

    @property
    def problems(self) -> tuple[str, ...]:
        """Sentences on what is not in force, besides those of published ports."""
        of_networks = (
            problem
            for network_id in self.networks.overlays()
            for problem in self.networks.problems_of(network_id)
        )
        encryption = self._kernel.encryption if self._kernel is not None else None
        of_encryption = encryption.problems if encryption is not None else ()
        ferry = self._kernel.ferry if self._kernel is not None else None
        between = ferry.problems if ferry is not None else ()
        found = (*of_networks, *of_encryption, *between, *self._virtual_problems)
        return tuple(dict.fromkeys(found))

    # --- the swarm's tables

    async def apply(
        self, published: Tables, networks: Mapping[NetworkId, NetworkTable]
    ) -> Mapping[NetworkId, TableReport]:
        """Have these tables in force; see `agent.endpoints.DataPlane`."""
        async with self._lock:
            self._published, self._known = published, True
            self._tables = self._widened(networks)
            await self._bring()
            self._reports = self._report()
            return self._reports

    async def run(self) -> None:
        """Keep in force what is, until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._keep())
            if self._kernel is not None:
                mesh, virtual = self._kernel.mesh, self._kernel.virtual
                # Beside all else that goes on, and each beside the other.
                group.create_task(self._see_to(mesh.move, virtual.move, self._to_move))
                group.create_task(self._see_to(mesh.forget, virtual.forget, self._to_forget))

    async def close(self, *, keep_tasks: bool) -> None:
        """Let go: the kernel goes on with what it does for tasks that are kept."""
        if self._kernel is not None and keep_tasks:
            await self._kernel.mesh.let_go()
        elif self._ports is not None:
            await self._ports.close()
        if self._kernel is not None:
            if self._kernel.ferry is not None:
                self._kernel.ferry.close()
            await self._kernel.names.close()
            if self._kernel.encryption is not None:
                await self._kernel.encryption.close(keep=True)

    # --- tasks

    def wants_namespace(self, task: Task, *, is_container: bool) -> bool:
        """Whether a task gets a network namespace of its own.

        Raises:
            TaskFailure: it needs an overlay, and there can't be one here.
        """
        needs = needs_of(task)
        if needs.shares_node:
            return False
        if self._kernel is None and needs.beyond_ingress:
            raise TaskFailure(
                f"the task is on an overlay network, which node {self._hostname} can't take part "
                f"in: {self._lacking}; mend that, or constrain the service to nodes that can"
            )
        return is_container or (self._kernel is not None and bool(needs.overlays))

    def left(self) -> frozenset[TaskId]:
        """Tasks of which a namespace is left here, running or not."""
        return self.networks.left()

    async def attach(self, task: Task) -> Home:
        """Make the namespace of a task and connect it; again is fine.

        Raises:
            TaskFailure, TemporaryFailure
        """
        needs = needs_of(task)
        overlays = needs.overlays if self._kernel is not None else ()
        self._check_encryption(needs)
        try:
            place = await self.networks.attach(task.id, overlays)
            return await self._serve(task, needs, place)
        except NotYet as error:
            self._check_encryption(needs)
            raise TemporaryFailure(str(error)) from None
        except (BridgeUnavailable, OSError, NftError) as error:
            raise TemporaryFailure(
                f"the task cannot be connected on node {self._hostname}: {error}; will try again"
            ) from None

    async def adopt(self, task: Task, *, pid: int = 0) -> Home | None:
        """Take over a task that runs already; None if it shares the node's network.

        What can't be had again is logged: the task goes on with what it has.
        """
        needs = needs_of(task)
        overlays = needs.overlays if self._kernel is not None else ()
        try:
            place = await self.networks.adopt(task.id, overlays, pid=pid)
            return await self._serve(task, needs, place) if place is not None else None
        except (BridgeUnavailable, OSError, NftError) as error:
            log.warning("task.networks_lost task.id=%s reason=%s", task.id, error)
            return None

    def use_keys(self, keys: tuple[NetworkKey, ...]) -> None:
        """Encrypt by this ring of keys from now on."""
        encryption = self._kernel.encryption if self._kernel is not None else None
        if encryption is not None and encryption.use_keys(keys):
            self._all_again = True
            self._again.set()

    async def addresses_changed(self) -> None:
        """The node has got or lost addresses: ports that are published on some go with them."""
        if is_located(self._published) and await asyncio.to_thread(addresses) != self._interfaces:
            self._again.set()

    async def resize(self, mtu: int) -> None:
        """The underlay takes packets of another size from now on: networks follow."""
        encryption = self._kernel.encryption if self._kernel is not None else None
        async with self._lock:
            if encryption is not None:
                await encryption.resize(mtu)
            if self._kernel is not None and self._kernel.ferry is not None:
                await asyncio.to_thread(self._kernel.ferry.resize, mtu)
            await self.networks.resize(mtu)

    def withdraw(self, task_id: TaskId) -> None:
        """A task has ended by itself: nothing of this node leads there from now on."""
        self._withdrawn |= {task_id}
        self._again.set()

    async def detach(self, task_id: TaskId) -> None:
        """Take away what a task that has ended had; again is fine.

        Raises:
            TemporaryFailure: try again.
        """
        try:
            if self._kernel is not None:
                await self._kernel.names.stop(task_id)
            await self.networks.detach(task_id)
        except OSError as error:
            raise TemporaryFailure(
                f"the networks of the task cannot be taken away: {error}"
            ) from None

    async def remove(self) -> None:
        """Take everything away; no task is left."""
        try:
            await self.networks.remove()
        except OSError as error:
            log.warning("networks.not_removed reason=%s", error)
            return
        if self._kernel is not None and self._kernel.encryption is not None:
            await self._kernel.encryption.close(keep=False)

    # --- inside

    async def _serve(self, task: Task, needs: Needs, place: Place) -> Home:
        kernel = self._kernel
        own = needs.overlays[int(needs.on_ingress) :] or needs.overlays
        address = ip_interface(own[0].addresses[0]).ip if kernel and own else place.address
        if address is None:
            raise AssertionError("a task that its node doesn't reach is on overlays")
        if kernel is None or not place.networks:
            return Home(place=place, address=address)
        dns = defaults.container(task.spec).dns_config or DnsConfig()
        visible = place.networks[1:] if needs.on_ingress else place.networks
        outside = () if place.is_confined else dns.nameservers or kernel.upstream
        client = Client(key=task.id, networks=visible, upstream=outside)
        await kernel.names.serve(client, place.namespace)
        async with self._lock:
            await self._balance_one(kernel, place)
        return Home(place=place, address=address, nameserver=ADDRESS)

    def _widened(
        self, networks: Mapping[NetworkId, NetworkTable]
    ) -> Mapping[NetworkId, NetworkTable]:
        """The tables with the addresses of IPv6 that the mesh leads to on this node."""
        if self._kernel is None or not self._kernel.mesh.has_ipv6:
            return networks
        return {network_id: self._dual.widen(table) for network_id, table in networks.items()}

    def _tell(self) -> None:
        reports = self._report()
        if self._known and reports != self._reports:
            self._reports = reports
            self.on_reports(reports)

    def _report(self) -> Mapping[NetworkId, TableReport]:
        if self._ports is None:
            return {}
        kernel = self._kernel
        moving = kernel.virtual.moving if kernel is not None else {}
        reports = {
            network_id: TableReport(
                (*self.networks.problems_of(network_id), *self._virtual_problems),
                self.networks.repaired_of(network_id),
                moving.get(network_id, 0),
            )
            for network_id in self._tables
        }
        mesh = kernel.mesh.moving if kernel is not None else 0
        return {PUBLISHED: TableReport(self._port_problems, self._repaired, mesh), **reports}

    async def _bring(self, *, only_balance: bool = False) -> None:
        """Have everything in force, or only the balancers; networks and names are as they were."""
        self._withdrawn = named(self._withdrawn, self._published, self._tables)
        published = here(unpublished(self._withdrawn, self._published), self.networks.node_id)
        if is_located(published):
            self._interfaces = await asyncio.to_thread(addresses)
            published = located(published, self._interfaces)
        kernel = self._kernel
        if kernel is not None:
            if not only_balance:
                await self._apply_networks(kernel)
                kernel.names.use(self._tables)
            tables = self._balanced()
            await kernel.mesh.use(next((row for row in tables.values() if row.ingress), None))
        # Before virtual addresses: other nodes, too, lead to tasks of this one by the mesh, and
        # are led on to others from here when a task has ended by itself.
        if self._ports is not None:
            self._port_problems = (await self._ports.apply(published)).problems
        if kernel is not None:
            await self._balance(kernel)
        self._to_move.set()
        self._to_forget.set()

    async def _keep(self) -> None:
        turn = 0
        while True:
            try:
                async with timeout(TEND_S):
                    await self._again.wait()
            except TimeoutError:
                turn += 1
                await self._tend(look=turn % LOOK_EVERY == 0)
                self._tell()
                continue
            self._again.clear()
            async with self._lock:
                whole, self._all_again = self._all_again, False
                if self._known:
                    await self._bring(only_balance=not whole)
            self._tell()

    async def _see_to(
        self,
        mesh: Callable[[], Awaitable[bool]],
        virtual: Callable[[], Awaitable[bool]],
        left: asyncio.Event,
    ) -> None:
        """Have the kernel forget what leads to tasks that left."""
        while True:
            has_more = await mesh() | await virtual()
            self._tell()
            with contextlib.suppress(TimeoutError):
                async with timeout(FORGET_S if has_more else None):
                    await left.wait()
            left.clear()

    async def _apply_networks(self, kernel: Kernel) -> None:
        """Make the networks, those first that must not be made without being encrypted."""
        if kernel.ferry is not None:
            kernel.ferry.use(self._tables.values(), self.networks.node_id)
        if kernel.encryption is None:
            await self.networks.apply(
                {key: table for key, table in self._tables.items() if not table.encrypted}
            )
            return
        overlays = self.networks.overlays()
        leaving = [one.table for key, one in overlays.items() if key not in self._tables]
        await self.networks.apply(await kernel.encryption.apply(self._tables, leaving))
        if leaving:
            left = [one.table for key, one in overlays.items() if key not in self._tables]
            await kernel.encryption.apply(self._tables, left)

    def _check_encryption(self, needs: Needs) -> None:
        """Raises: TaskFailure, where a network can't be encrypted: it is never had otherwise."""
        kernel = self._kernel
        if kernel is None:
            return
        for attachment in needs.overlays:
            table = self._tables.get(attachment.network_id)
            if table is None or not table.encrypted:
                continue
            if kernel.encryption is None:
                raise TaskFailure(
                    f"network {table.name} is encrypted, which node {self._hostname} can't do"
                )
            refusal = kernel.encryption.refused.get(attachment.network_id)
            if refusal is not None:
                raise TaskFailure(refusal)

    async def _balance(self, kernel: Kernel) -> None:
        tables = {key: table for key, table in self._balanced().items() if not table.ingress}
        members = {
            path: tuple(one for one in networks if one in tables)
            for path, networks in self.networks.members().items()
        }
        problems = await kernel.virtual.apply(
            tables, {path: networks for path, networks in members.items() if networks}
        )
        self._note(problems)

    async def _balance_one(self, kernel: Kernel, place: Place) -> None:
        """Have the virtual addresses of a task that has just come; the tables are in force."""
        networks = tuple(
            one for one in place.networks if one in self._tables and not self._tables[one].ingress
        )
        if networks:
            problems = await kernel.virtual.attend(place.namespace, networks)
            self._note((*self._virtual_problems, *problems))

    def _note(self, problems: tuple[str, ...]) -> None:
        for problem in set(problems) - set(self._virtual_problems):
            log.warning("virtual.problem %s", problem)
        self._virtual_problems = problems

    def _balanced(self) -> Mapping[NetworkId, NetworkTable]:
        return {
            network_id: without(self._withdrawn, table)
            for network_id, table in self._tables.items()
        }

    async def _tend(self, *, look: bool) -> None:
        kernel = self._kernel
        async with self._lock:
            if kernel is not None and kernel.encryption is not None:
                await kernel.encryption.tend()
            if look:
                await self.networks.tend()
            if kernel is None or not self._known:
                return
            virtual, mesh = await kernel.virtual.tend(), await kernel.mesh.tend()
            self._port_problems = mesh.problems
            if look:
                self._repaired += await kernel.names.tend()
            for tended in (virtual, mesh):
                self._repaired += tended.repaired
                for problem in tended.problems:
                    log.debug("dataplane.problem %s", problem)


def bridge_only(directory: Path, *, node_id: NodeId, hostname: str, lacking: str) -> DataPlane:
    """A data plane without overlays and published ports: tasks are on their node's bridge."""
    networks = TaskNetworks(directory, node_id, underlay=None)
    return DataPlane(networks, None, hostname=hostname, lacking=lacking)
