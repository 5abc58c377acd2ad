"""Published ports of a node whose kernel balances: what the kernel can, and the proxy the rest.

The kernel leads IPv4 connections to tasks on the ingress network. The proxy holds those ports, so
that no other program takes them, answers them over IPv6, and serves the services that have tasks on
nodes without an ingress network. A port that another program has got is left to it. SCTP is the
kernel's alone.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from msgspec.structs import replace

from swarmd.lb.core.leaving import Leaving
from swarmd.lb.core.mesh import MeshPort, MeshState, mesh_state, split
from swarmd.lb.core.plan import PortKey
from swarmd.lb.core.tables import Backend, ServiceEndpoints, Tables
from swarmd.lb.kernel import BalancerReport, FrontendStats
from swarmd.lb.mesh_kernel import MeshKernel
from swarmd.lb.nft.mesh_text import NAMESPACE_ADDRESS
from swarmd.lb.proxy import ProxyBalancer
from swarmd.lb.virtual import Tended
from swarmd.model.ids import NodeId, ServiceId, TaskId
from swarmd.model.instant import SECOND, Instant
from swarmd.model.states import Protocol
from swarmd.network.core.tables import NetworkTable
from swarmd.network.kernel.nft import NftError
from swarmd.runtime.clock import Clock

log = logging.getLogger(__name__)

# Nodes that are later than this with the news of a stopped task have lost their managers.
RESCUE_NS = 60 * SECOND
VERIFY_EVERY_NS = 10 * SECOND
_NO_TASK = TaskId("")


class MeshBalancer:
    """Implements `Balancer`, given the ingress network's table as well.

    Args:
        kernel: what it is made of; its namespaces are there once a table was handed in.
        make_proxy: makes a proxy that listens at the given addresses.
        on_report: told every change of the report, also between tables.
    """

    def __init__(
        self,
        name: str,
        node_id: NodeId,
        kernel: MeshKernel,
        *,
        make_proxy: Callable[[tuple[str, ...], Callable[[BalancerReport], None]], ProxyBalancer],
        on_report: Callable[[BalancerReport], None] = lambda _: None,
        clock: Clock,
    ) -> None:
        self.name = name
        self._node_id = node_id
        self._clock = clock
        self._mesh = kernel
        self._on_report = on_report
        self._four = make_proxy(("0.0.0.0",), lambda _: self._look_again())
        self._six = make_proxy(("::",), lambda _: self._publish())
        self._published = Tables()
        self._ingress: NetworkTable | None = None
        # The one whose rules are in force, and tasks that get datagrams by them.
        self._behind: NetworkTable | None = None
        self._datagrams: frozenset[str] = frozenset()
        self._state: MeshState | None = None
        self._stopped: dict[str, tuple[ServiceId, Instant]] = {}
        self._coming: frozenset[str] = frozenset()  # tasks that have never been ready
        self._leaving = Leaving()
        self._problem = ""
        self._crowded: tuple[str, ...] = ()
        self._report = BalancerReport(version=0)
        self._verified_at = Instant(0)
        self._at_work = asyncio.Lock()
        self._again = asyncio.Event()

    async def use(self, ingress: NetworkTable | None) -> None:
        """Balance over this ingress network from the next `apply` on; None: there is none."""
        until = Instant(self._clock.monotonic() + RESCUE_NS)
        held = ingress.endpoints if ingress is not None else {}
        for task_id, endpoint in self._ingress.endpoints.items() if self._ingress else ():
            if endpoint.node_id == self._node_id and task_id not in held:
                self._stopped |= dict.fromkeys(endpoint.addresses, (endpoint.service_id, until))
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
                if self._problem or self._again.is_set():
                    await self._bring()
                elif self._state is not None and now - self._verified_at >= VERIFY_EVERY_NS:
                    self._verified_at = Instant(now)
                    repaired = await asyncio.to_thread(self._mesh.repair, self._state)
                    self._crowded = await asyncio.to_thread(self._mesh.crowded)
                    self._publish()
            except (NftError, OSError) as error:
                self._problem = f"published ports are not up to date: {error}"
                self._publish()
        return Tended(repaired=repaired, problems=self._report.problems)

    async def forget(self) -> bool:
        """Cut off what leads to tasks that have left, and move UDP clients on.

        See `VirtualBalancer.forget`.
        """
        due = self._leaving.due(Instant(self._clock.monotonic()))
        if due and self._state is not None:
            ended = due.gone.intersection(self._stopped)
            try:
                await asyncio.to_thread(self._mesh.forget, replace(due, ended=ended))
                self._leaving.done(due)
            except OSError as error:
                log.warning("mesh.not_forgotten reason=%s", error)
                self._leaving.failed(due, Instant(self._clock.monotonic()))
        return bool(self._leaving)

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
        if self._state is not None:
            self._state = None
            await asyncio.to_thread(self._mesh.close)

    async def _bring(self) -> None:
        self._again.clear()
        shared = split(self._published)
        now = self._clock.monotonic()
        self._stopped = {key: row for key, row in self._stopped.items() if row[1] > now}
        stopped = {address: service_id for address, (service_id, _) in self._stopped.items()}
        state = None
        if self._ingress is not None:
            state = mesh_state(shared.ports, self._ingress, self._node_id, stopped, self._coming)
        kernel = shared.ports if state is not None else ()
        rest = shared.rest if state is not None else self._published
        await self._four.apply(_with(rest, kernel, self._published, backend=None))
        await self._six.apply(_with(rest, kernel, self._published, backend=NAMESPACE_ADDRESS))
        ours = tuple(port for port in kernel if port.key not in self._four.unanswered)
        self._problem = ""
        ingress = self._ingress
        if state is not None:
            try:
                await asyncio.to_thread(self._mesh.apply, state, ours)
            except (NftError, OSError) as error:
                self._problem = f"published ports are not up to date: {error}"
        if not self._problem:
            self._note(ingress, kernel)
        self._state = state
        self._publish()

    def _note(self, ingress: NetworkTable | None, ports: tuple[MeshPort, ...]) -> None:
        """Note who left: the rules by this table and these ports are in force."""
        old, new = ((table,) if table is not None else () for table in (self._behind, ingress))
        now = Instant(self._clock.monotonic())
        self._leaving.note(old, new, now, moves=self._datagrams)
        self._behind = ingress
        self._datagrams = frozenset(
            address
            for port in ports
            if port.key.protocol is Protocol.UDP
            for address in port.targets
        )

    def _look_again(self) -> None:
        """A port was freed, or taken: who answers it may be another now."""
        self._again.set()
        self._publish()

    def _publish(self) -> None:
        problems = dict.fromkeys(
            (*self._four.report.problems, *self._six.report.problems, *self._crowded)
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
