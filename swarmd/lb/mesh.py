"""Published ports of a node whose kernel balances: what the kernel can, and the proxy the rest.

The kernel leads connections to tasks on the ingress network: those of IPv4, and those of IPv6 where
all tasks of a port answer them. The proxy holds those ports, so that no other program takes them,
answers over IPv6 for tasks that don't, and serves the services that have tasks on nodes without an
ingress network. Where the kernel's part is in an inner network, it leads clients there. A port that
another program has got is left to it. SCTP is the kernel's alone.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from msgspec.structs import replace

from swarmd.lb.core.balance import unserved
from swarmd.lb.core.leaving import LED_ON_NS, Due, Leaving
from swarmd.lb.core.mesh import IPV6, MeshPort, MeshSide, MeshState, mesh_state, split
from swarmd.lb.core.plan import PortKey
from swarmd.lb.core.tables import Backend, ServiceEndpoints, Tables
from swarmd.lb.kernel import BalancerReport, FrontendStats
from swarmd.lb.mesh_kernel import MeshKernel
from swarmd.lb.nft.mesh_text import NAMESPACE_ADDRESS
from swarmd.lb.proxy import ProxyBalancer
from swarmd.lb.virtual import Tended
from swarmd.model.ids import NodeId, TaskId
from swarmd.model.instant import SECOND, Instant
from swarmd.model.states import Protocol
from swarmd.network.core.tables import IPV4, Endpoint, NetworkTable
from swarmd.network.kernel.nft import NftError
from swarmd.runtime.clock import Clock

log = logging.getLogger(__name__)

# Nodes that are later than this with the news of a stopped task have lost their managers.
RESCUE_NS = 60 * SECOND
# The way to a task that another node leads on lasts until after it is cut off.
WAY_NS = 2 * LED_ON_NS
VERIFY_EVERY_NS = 10 * SECOND
_NO_TASK = TaskId("")


class MeshBalancer:
    """Implements `Balancer`, given the ingress network's table as well.

    Args:
        kernel: what it is made of; its namespaces are there once a table was handed in.
        make_proxy: makes a proxy that listens at the given addresses.
        is_inside: clients don't come to the kernel's part by themselves, as it isn't in the
            machine's own network: the proxy leads all of them there.
        on_report: told every change of the report, also between tables.
    """

    def __init__(
        self,
        name: str,
        node_id: NodeId,
        kernel: MeshKernel,
        *,
        make_proxy: Callable[[tuple[str, ...], Callable[[BalancerReport], None]], ProxyBalancer],
        is_inside: bool = False,
        on_report: Callable[[BalancerReport], None] = lambda _: None,
        clock: Clock,
    ) -> None:
        self.name = name
        self._node_id = node_id
        self._clock = clock
        self._mesh = kernel
        self._led = NAMESPACE_ADDRESS if is_inside else None  # where IPv4 is led by the proxy
        self._on_report = on_report
        self._four = make_proxy(("0.0.0.0",), lambda _: self._look_again())
        self._six = make_proxy(("::",), lambda _: self._look_again())
        self._published = Tables()
        self._ingress: NetworkTable | None = None
        # The one whose rules are in force, and tasks that get datagrams by them.
        self._behind: NetworkTable | None = None
        self._datagrams: frozenset[str] = frozenset()
        self._sides: tuple[MeshSide, ...] = ()  # empty: there is no mesh
        # By address, what has stopped lately, and how long it matters.
        self._stopped: dict[str, tuple[Endpoint, Instant]] = {}
        self._coming: frozenset[str] = frozenset()  # tasks that have never been ready
        self._leaving = Leaving()
        self._problem = ""
        self._unserved: tuple[str, ...] = ()
        self._crowded: tuple[str, ...] = ()
        self._report = BalancerReport(version=0)
        self._verified_at = Instant(0)
        self._at_work = asyncio.Lock()
        self._again = asyncio.Event()

    @property
    def has_ipv6(self) -> bool:
        """Whether the kernel leads IPv6 here, given addresses for it on the ingress network."""
        return self._mesh.has_ipv6

    async def use(self, ingress: NetworkTable | None) -> None:
        """Balance over this ingress network from the next `apply` on; None: there is none."""
        now = self._clock.monotonic()
        held = ingress.endpoints if ingress is not None else {}
        for task_id, endpoint in self._ingress.endpoints.items() if self._ingress else ():
            if task_id not in held:
                until = now + (RESCUE_NS if endpoint.node_id == self._node_id else WAY_NS)
                self._stopped |= dict.fromkeys(endpoint.addresses, (endpoint, Instant(until)))
        new = frozenset(held) - frozenset(self._ingress.endpoints if self._ingress else held)
        coming = set()
        for task_id, endpoint in held.items():
            for address in endpoint.addresses:
                self._stopped.pop(address, None)  # somebody else's by now
                if not endpoint.ready and (task_id in new or address in self._coming):
                    coming.add(address)
        self._coming = frozenset(coming)
        self._ingress = ingress

    async def apply(self, tables: Tables) -> BalancerReport:
        self._published = tables
        async with self._at_work:
            await self._bring()
        return self._report

    async def tend(self) -> Tended:
        """To be called each second: tries again, repairs what drifted."""
        now = self._clock.monotonic()
        repaired = 0
        async with self._at_work:
            try:
                is_over = any(until <= now for _, until in self._stopped.values())
                if self._problem or self._again.is_set() or is_over:
                    await self._bring()
                elif self._sides and now - self._verified_at >= VERIFY_EVERY_NS:
                    self._verified_at = Instant(now)
                    repaired = await asyncio.to_thread(self._mesh.repair)
                    self._crowded = await asyncio.to_thread(self._mesh.crowded)
                    self._publish()
            except (NftError, OSError) as error:
                self._problem = f"published ports are not up to date: {error}"
                self._publish()
        return Tended(repaired=repaired, problems=self._report.problems)

    async def move(self) -> bool:
        """See `VirtualBalancer.move`."""
        await self._forget(self._leaving.moved(Instant(self._clock.monotonic())))
        return bool(self._leaving.moving)

    async def forget(self) -> bool:
        """See `VirtualBalancer.forget`."""
        await self._forget(self._leaving.gone(Instant(self._clock.monotonic())))
        return self._leaving.ending

    async def _forget(self, due: Due) -> None:
        if due and self._sides:
            ended = due.gone & self._ended_here
            try:
                await asyncio.to_thread(self._mesh.forget, replace(due, ended=ended))
                self._leaving.done(due)
            except OSError as error:
                log.warning("mesh.not_forgotten reason=%s", error)
                self._leaving.failed(due, Instant(self._clock.monotonic()))

    @property
    def moving(self) -> int:
        """The lowest version of the ingress network at which a task left whose UDP clients may
        still come to it; 0: they are all with others."""
        if self._behind is not self._ingress:
            return self._behind.version + 1 if self._behind is not None else 0
        return min(self._leaving.moving.values(), default=0)

    def stats(self) -> dict[PortKey, FrontendStats]:
        return {**self._six.stats(), **self._four.stats()}

    async def let_go(self) -> None:
        """Leave the kernel alone with its part, until another daemon takes over."""
        await self._four.close()
        await self._six.close()

    async def close(self) -> None:
        await self.let_go()
        if self._sides:
            self._sides = ()
            await asyncio.to_thread(self._mesh.close)

    async def _bring(self) -> None:
        self._again.clear()
        shared = split(self._published)
        now = self._clock.monotonic()
        self._stopped = {key: row for key, row in self._stopped.items() if row[1] > now}
        states = self._states(shared.ports)
        kernel = shared.ports if states else ()
        rest = shared.rest if states else self._published
        await self._four.apply(_with(rest, kernel, self._published, backend=self._led))
        await self._six.apply(_with(rest, kernel, self._published, backend=NAMESPACE_ADDRESS))
        self._problem = ""
        ingress, sides = self._ingress, tuple(map(self._side, states))
        if sides:
            try:
                await asyncio.to_thread(self._mesh.apply, *sides)
            except (NftError, OSError) as error:
                self._problem = f"published ports are not up to date: {error}"
        if not self._problem:
            self._note(ingress, tuple(port for state in states for port in state.ports))
        self._sides = sides
        self._unserved = unserved(
            (
                (row.service_name, row.balance)
                for row in self._published.services.values()
                if row.service_id not in rest.services
            ),
            by=self.name,
            lacking=self._mesh.lacking,
        )
        self._publish()

    def _states(self, ports: tuple[MeshPort, ...]) -> list[MeshState]:
        """What the kernel is to hold for each family that there is; nothing without IPv4."""
        found: list[MeshState] = []
        if self._ingress is None:
            return found
        stopped = {address: endpoint for address, (endpoint, _) in self._stopped.items()}
        for version in (IPV4, IPV6) if self.has_ipv6 else (IPV4,):
            state = mesh_state(
                ports, self._ingress, self._node_id, stopped, self._coming, version=version
            )
            if state is not None:
                found.append(state)
        return found

    def _side(self, state: MeshState) -> MeshSide:
        """The ports that other programs have got are left to them."""
        proxy = self._four if state.version == IPV4 else self._six
        return MeshSide(
            state, tuple(port for port in state.ports if port.key not in proxy.unanswered)
        )

    def _note(self, ingress: NetworkTable | None, ports: tuple[MeshPort, ...]) -> None:
        """Note who left: the rules by this table and these ports are in force."""
        old, new = ((table,) if table is not None else () for table in (self._behind, ingress))
        now = Instant(self._clock.monotonic())
        self._leaving.note(old, new, now, moves=self._datagrams, own=self._ended_here)
        self._behind = ingress
        self._datagrams = frozenset(
            address
            for port in ports
            if port.key.protocol is Protocol.UDP
            for address in port.targets
        )

    @property
    def _ended_here(self) -> frozenset[str]:
        return frozenset(
            address
            for address, (endpoint, _) in self._stopped.items()
            if endpoint.node_id == self._node_id
        )

    def _look_again(self) -> None:
        """A port was freed, or taken: who answers it may be another now."""
        self._again.set()
        self._publish()

    def _publish(self) -> None:
        problems = dict.fromkeys(
            (
                *self._four.report.problems,
                *self._six.report.problems,
                *self._crowded,
                *self._unserved,
            )
        )
        if self._problem:
            problems[self._problem] = None
        report = BalancerReport(self._published.version, tuple(problems))
        if report != self._report:
            self._report = report
            self._on_report(report)


def _with(
    rest: Tables, kernel: tuple[MeshPort, ...], published: Tables, *, backend: str | None
) -> Tables:
    """The proxy's table: its own services, and the kernel's with at most one backend."""
    backends = () if backend is None else (Backend(_NO_TASK, NodeId(""), backend),)
    held = {port.key for port in kernel if port.key.protocol is not Protocol.SCTP}
    # Without tasks there is nothing the proxy could carry, or complain of.
    services = {
        service_id: row if row.backends else _without_sctp(row)
        for service_id, row in rest.services.items()
    }
    for service_id, row in published.services.items():
        if service_id in services:
            continue
        ports = tuple(
            replace(port, target_port=port.published_port)
            for port in row.ports
            if PortKey(port.protocol, port.published_port) in held
        )
        services[service_id] = replace(row, ports=ports, backends=backends)
    return Tables(published.version, services)


def _without_sctp(row: ServiceEndpoints) -> ServiceEndpoints:
    ports = tuple(port for port in row.ports if port.protocol is not Protocol.SCTP)
    return row if len(ports) == len(row.ports) else replace(row, ports=ports)
