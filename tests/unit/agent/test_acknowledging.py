"""A node tells its newest tables, and everything anew to a new manager."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from swarmd.agent.acknowledging import Acknowledger, Unsettled
from swarmd.agent.endpoints import PUBLISHED, Known, TableReport
from swarmd.lb.core.tables import Tables
from swarmd.model.errors import Code
from swarmd.model.ids import NetworkId, NodeId
from swarmd.network.core.tables import NetworkTable
from swarmd.rpc.errors import RpcError
from swarmd.rpc.pb import endpoints as pb
from tests.support.echo import eventually

BACK = NetworkId("back")


class Leader:
    """Notes what it is told; `gate` is open when it answers at once."""

    def __init__(self, *, late: tuple[str, ...] = (), failures: int = 0) -> None:
        self.told: list[dict[str, int]] = []
        self.last = pb.AcknowledgeRequest()
        self.asked: list[pb.SettledRequest] = []
        self.gate = asyncio.Event()
        self.gate.set()
        self._late = late
        self._failures = failures

    async def Acknowledge(
        self, request: pb.AcknowledgeRequest, *, timeout_s: float
    ) -> pb.AcknowledgeResponse:
        if self._failures:
            self._failures -= 1
            raise RpcError(Code.UNAVAILABLE, "no leader")
        self.told.append({table.network_id: table.version for table in request.tables})
        self.last = request
        await self.gate.wait()
        return pb.AcknowledgeResponse()

    async def Settled(self, request: pb.SettledRequest, *, timeout_s: float) -> pb.SettledResponse:
        self.asked.append(request)
        return pb.SettledResponse(late_node_ids=self._late)


@asynccontextmanager
async def acknowledging(leader: Leader | None = None) -> AsyncIterator[Acknowledger]:
    acknowledger = Acknowledger(rng=random.Random(1))
    acknowledger.follow(leader)
    async with asyncio.TaskGroup() as group:
        running = group.create_task(acknowledger.run())
        yield acknowledger
        running.cancel()


def known(version: int, **networks: int) -> Known:
    tables = {NetworkId(one): NetworkTable(NetworkId(one), one, at) for one, at in networks.items()}
    return Known(Tables(version), tables)


async def test_every_table_is_told_with_what_became_of_it() -> None:
    leader = Leader()
    async with acknowledging(leader) as acknowledger:
        acknowledger.applied(known(5, back=7), {BACK: TableReport(("no vxlan",), 2)})
        await eventually(lambda: {PUBLISHED: 5, BACK: 7} in leader.told)
    (back,) = (table for table in leader.last.tables if table.network_id == BACK)
    assert (list(back.problems), back.repaired) == (["no vxlan"], 2)


async def test_what_is_repaired_between_tables_is_told_as_well() -> None:
    leader = Leader()
    async with acknowledging(leader) as acknowledger:
        acknowledger.applied(known(5), {})
        await eventually(lambda: {PUBLISHED: 5} in leader.told)
        acknowledger.note({PUBLISHED: TableReport(repaired=1)})
        await eventually(lambda: leader.last.tables[0].repaired == 1)
    assert leader.told[-1] == {PUBLISHED: 5}


async def test_only_the_newest_is_told_after_one_that_is_under_way() -> None:
    leader = Leader()
    async with acknowledging(leader) as acknowledger:
        await eventually(lambda: len(leader.told) == 1)
        leader.gate.clear()
        for version in (1, 2, 3, 4):
            acknowledger.applied(known(version), {})
            await eventually(lambda: {PUBLISHED: 1} in leader.told)
        leader.gate.set()
        await eventually(lambda: leader.told[-1] == {PUBLISHED: 4})
    assert leader.told == [{PUBLISHED: 0}, {PUBLISHED: 1}, {PUBLISHED: 4}]


async def test_a_new_manager_is_told_everything() -> None:
    first, second = Leader(), Leader()
    async with acknowledging(first) as acknowledger:
        acknowledger.applied(known(3), {})
        await eventually(lambda: {PUBLISHED: 3} in first.told)
        acknowledger.follow(second)
        await eventually(lambda: second.told == [{PUBLISHED: 3}])


async def test_what_did_not_arrive_is_told_again() -> None:
    leader = Leader(failures=2)
    async with acknowledging(leader) as acknowledger:
        acknowledger.applied(known(3), {})
        await eventually(lambda: {PUBLISHED: 3} in leader.told)


async def test_settling_asks_for_the_tables_that_matter() -> None:
    leader = Leader()
    async with acknowledging(leader) as acknowledger:
        assert await acknowledger.settle(9, published=True, network_ids=[BACK], moved=True) is None
    request = pb.SettledRequest(version=9, published=True, network_ids=[BACK], moved=True)
    assert leader.asked == [request]


async def test_who_is_late_is_told() -> None:
    async with acknowledging(Leader(late=("n2",))) as acknowledger:
        unsettled = await acknowledger.settle(9, published=True, network_ids=())
    assert unsettled == Unsettled("nodes are late", (NodeId("n2"),))


async def test_without_a_manager_nothing_is_waited_for() -> None:
    async with acknowledging(None) as acknowledger:
        unsettled = await acknowledger.settle(9, published=True, network_ids=())
    assert unsettled == Unsettled("no manager is connected", again=False)
