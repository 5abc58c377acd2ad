"""Tells the leader which tables this node has in force, and asks it who else has them.

Only the newest word counts: what changes while an acknowledgement is under way, or within the
silence the leader asked for, goes along with the next one. A new manager is told everything anew.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable, Mapping
from typing import Protocol

import msgspec

from swarmd.agent.core.backoff import Backoff
from swarmd.agent.endpoints import PUBLISHED, Known, TableReport
from swarmd.model.env import Rng
from swarmd.model.errors import Rejection
from swarmd.model.ids import NetworkId, NodeId
from swarmd.model.instant import MILLISECOND, SECOND
from swarmd.rpc.errors import RpcError
from swarmd.rpc.pb import endpoints as pb

log = logging.getLogger(__name__)

BACKOFF = Backoff(first_ns=100 * MILLISECOND, longest_ns=2 * SECOND)
CALL_TIMEOUT_S = 5.0
# The leader answers within 5 s of being asked who is settled.
SETTLED_TIMEOUT_S = 6.0


class AcknowledgementsStub(Protocol):
    """Client of `swarmd.v1.Acknowledgements` at the manager of the session."""

    async def Acknowledge(
        self, request: pb.AcknowledgeRequest, *, timeout_s: float
    ) -> pb.AcknowledgeResponse: ...

    async def Settled(
        self, request: pb.SettledRequest, *, timeout_s: float
    ) -> pb.SettledResponse: ...


class Unsettled(msgspec.Struct, frozen=True):
    """Why it isn't known, or isn't so, that all nodes act on a version."""

    reason: str
    late: tuple[NodeId, ...] = ()
    again: bool = True  # whether it is worth while to ask again


class Acknowledger:
    """This node's word on its tables. `run` is its only task."""

    def __init__(self, *, rng: Rng) -> None:
        self._rng = rng
        self._stub: AcknowledgementsStub | None = None
        self._known = Known()
        self._reports: Mapping[NetworkId, TableReport] = {}
        self._news = asyncio.Event()

    def follow(self, stub: AcknowledgementsStub | None) -> None:
        """Tell this manager from now on; None while there is none."""
        self._stub = stub
        self._news.set()

    def applied(self, known: Known, reports: Mapping[NetworkId, TableReport]) -> None:
        """These tables are in force, as far as the reports say."""
        self._known, self._reports = known, reports
        self._news.set()

    def note(self, reports: Mapping[NetworkId, TableReport]) -> None:
        """The same tables are in force; what is to be said of them has changed."""
        self._reports = reports
        self._news.set()

    async def run(self) -> None:
        """Acknowledge until cancelled."""
        failures = 0
        while True:
            await self._news.wait()
            self._news.clear()
            if self._stub is None:
                continue
            try:
                answer = await self._stub.Acknowledge(self._request(), timeout_s=CALL_TIMEOUT_S)
                failures, pause_ns = 0, answer.pause
            except (RpcError, Rejection) as error:
                log.debug("endpoints.not_acknowledged error=%s", error)
                pause_ns = BACKOFF.delay_ns(failures, self._rng)
                failures += 1
                self._news.set()
            await asyncio.sleep(pause_ns / SECOND)

    async def settle(
        self,
        version: int,
        *,
        published: bool,
        network_ids: Iterable[NetworkId],
        moved: bool = False,
    ) -> Unsettled | None:
        """Return when all nodes act on tables of `version` or later, after 6 s at most.

        Args:
            moved: when they have moved on the UDP clients of tasks that left until then, too.

        Returns:
            None when they do; else what is known instead.
        """
        if self._stub is None:
            return Unsettled("no manager is connected", again=False)
        request = pb.SettledRequest(
            version=version, published=published, network_ids=list(network_ids), moved=moved
        )
        try:
            answer = await self._stub.Settled(request, timeout_s=SETTLED_TIMEOUT_S)
        except (RpcError, Rejection) as error:
            return Unsettled(f"the manager gave no answer: {error}")
        late = tuple(NodeId(node_id) for node_id in answer.late_node_ids)
        return Unsettled("nodes are late", late) if late else None

    def _request(self) -> pb.AcknowledgeRequest:
        versions = {PUBLISHED: self._known.published.version}
        versions.update((one, table.version) for one, table in self._known.networks.items())
        return pb.AcknowledgeRequest(
            tables=[
                _applied(table, version, self._reports.get(table, TableReport()))
                for table, version in versions.items()
            ]
        )


def _applied(network_id: NetworkId, version: int, report: TableReport) -> pb.AppliedTable:
    return pb.AppliedTable(
        network_id=network_id,
        version=version,
        problems=report.problems,
        repaired=report.repaired,
        moving=report.moving,
    )
