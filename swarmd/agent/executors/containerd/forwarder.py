"""From ports of the node to the containers behind them, by the userspace proxy.

The swarm reaches a container at its node's address and a port of the node. One table holds a row
for every container; each change makes the next version of it. A port may be published on one
address alone, or on an interface, whose addresses come and go.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from ipaddress import IPv4Address

from swarmd.lb.core.locations import Interfaces, is_located, located
from swarmd.lb.core.tables import Backend, PublishedPort, ServiceEndpoints, Tables
from swarmd.lb.kernel import Balancer
from swarmd.model.ids import NodeId, ServiceId, TaskId
from swarmd.model.spec import PortConfig
from swarmd.network.local import addresses

log = logging.getLogger(__name__)


class Forwarder:
    """Ports of this node that lead to containers.

    Args:
        make: the proxy, which is made when it is first needed.
        interfaces: looks which addresses the node has.
    """

    def __init__(
        self,
        node_id: str,
        make: Callable[[], Balancer],
        *,
        interfaces: Callable[[], Interfaces] = addresses,
    ) -> None:
        self._node_id = NodeId(node_id)
        self._interfaces = interfaces
        self._make = make
        self._balancer: Balancer | None = None
        self._tables = Tables()
        self._applying = asyncio.Lock()

    async def add(
        self, task_id: TaskId, address: IPv4Address, ports: tuple[PortConfig, ...]
    ) -> None:
        """Answer on `ports` for a container; returns when connections are taken."""
        if not ports:
            return
        row = ServiceEndpoints(
            service_id=ServiceId(task_id),
            service_name=task_id,
            ports=tuple(
                PublishedPort(
                    protocol=port.protocol,
                    published_port=port.published_port,
                    target_port=port.target_port,
                    address=port.address,
                )
                for port in ports
            ),
            backends=(Backend(task_id=task_id, node_id=self._node_id, address=str(address)),),
        )
        await self._apply({**self._tables.services, row.service_id: row})

    async def remove(self, task_id: TaskId) -> None:
        """Free the ports of a container that has ended."""
        if ServiceId(task_id) in self._tables.services:
            rows = dict(self._tables.services)
            del rows[ServiceId(task_id)]
            await self._apply(rows)

    async def addresses_changed(self) -> None:
        """The node has got or lost addresses."""
        if is_located(self._tables):
            await self._apply(dict(self._tables.services))

    async def close(self) -> None:
        if self._balancer is not None:
            await self._balancer.close()
            self._balancer = None

    async def _apply(self, services: dict[ServiceId, ServiceEndpoints]) -> None:
        self._tables = Tables(self._tables.version + 1, services)
        async with self._applying:
            if self._balancer is None:
                self._balancer = self._make()
            tables = self._tables
            if is_located(tables):
                tables = located(tables, await asyncio.to_thread(self._interfaces))
            report = await self._balancer.apply(tables)
        for problem in report.problems:
            log.warning("forwarder.problem reason=%s", problem)
