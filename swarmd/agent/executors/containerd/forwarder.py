"""From ports of the node to the containers behind them, by the userspace proxy.

The swarm reaches a container at its node's address and a port of the node. One table holds a row
for every container; each change makes the next version of it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from ipaddress import IPv4Address

from swarmd.lb.core.tables import Backend, PublishedPort, ServiceEndpoints, Tables
from swarmd.lb.kernel import Balancer
from swarmd.model.ids import NodeId, ServiceId, TaskId
from swarmd.model.spec import PortConfig

log = logging.getLogger(__name__)


class Forwarder:
    """Ports of this node that lead to containers.

    Args:
        make: the proxy, which is made when it is first needed.
    """

    def __init__(self, node_id: str, make: Callable[[], Balancer]) -> None:
        self._node_id = NodeId(node_id)
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

    async def close(self) -> None:
        if self._balancer is not None:
            await self._balancer.close()
            self._balancer = None

    async def _apply(self, services: dict[ServiceId, ServiceEndpoints]) -> None:
        self._tables = Tables(self._tables.version + 1, services)
        async with self._applying:
            if self._balancer is None:
                self._balancer = self._make()
            report = await self._balancer.apply(self._tables)
        for problem in report.problems:
            log.warning("forwarder.problem reason=%s", problem)
