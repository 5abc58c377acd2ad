"""Wishes that are written until the store shows them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from msgspec.structs import replace

from swarmd.dispatcher.batch import ITEMS_PER_WRITE_MAX, Batch
from swarmd.dispatcher.core.batching import Pacer
from swarmd.dispatcher.core.reports import NodeWish, node_actions
from swarmd.model.ids import NodeId
from swarmd.model.instant import Instant
from swarmd.model.states import Availability, NodeState
from swarmd.runtime.clock import SystemClock
from swarmd.store.changes import Transaction, Update
from tests.support.manager import InstantWriter, a_manager, no_quorum

N1 = NodeId("n1")
READY = NodeWish(NodeState.READY)


class RacingWriter(InstantWriter):
    """Lets someone else's write in before each of the first writes; may also give up on them."""

    def __init__(self, writer: InstantWriter) -> None:
        super().__init__(writer.store)
        self.rivals: list[Callable[[], None]] = []
        self.abandoning = 0

    async def submit(self, transaction: Transaction) -> int:
        if self.abandoning:
            self.abandoning -= 1
            raise asyncio.CancelledError
        if self.rivals:
            self.rivals.pop()()
        return await super().submit(transaction)


@asynccontextmanager
async def a_batch(*nodes: str) -> AsyncIterator[tuple[Batch[NodeId, NodeWish], RacingWriter]]:
    store, writer = a_manager(*nodes)
    racing = RacingWriter(writer)
    batch = Batch[NodeId, NodeWish](
        "test",
        lambda wishes: node_actions(wishes, store, Instant(1)),
        writer=racing,
        clock=SystemClock(),
        pacer=Pacer(),
    )
    async with asyncio.timeout(10), asyncio.TaskGroup() as tasks:
        running = tasks.create_task(batch.run())
        yield batch, racing
        running.cancel()


async def test_a_wish_is_settled_once_it_is_written() -> None:
    async with a_batch("n1") as (batch, writer):
        batch.put(N1, READY)
        await batch.settled(N1)
        assert writer.store.get_node("n1").status.state is NodeState.READY
        assert len(batch) == 0


async def test_a_wish_without_need_is_settled_without_a_write() -> None:
    async with a_batch() as (batch, writer):
        batch.put(N1, READY)
        await batch.settled(N1)
        assert writer.entries == []


async def test_a_write_that_lost_a_race_is_made_again() -> None:
    async with a_batch("n1") as (batch, writer):

        def rival() -> None:
            node = writer.store.get_node("n1")
            spec = replace(node.spec, availability=Availability.DRAIN)
            writer.write(Update(replace(node, spec=spec), base=node.version))

        writer.rivals.append(rival)
        batch.put(N1, READY)
        await batch.settled(N1)
        node = writer.store.get_node("n1")
        assert node.spec.availability is Availability.DRAIN
        assert node.status.state is NodeState.READY
        assert len(writer.entries) == 2


async def test_a_refused_write_is_made_again() -> None:
    async with a_batch("n1") as (batch, writer):
        writer.refusing = no_quorum()
        batch.put(N1, READY)
        await asyncio.sleep(0.02)
        assert len(batch) == 1
        writer.refusing = None
        await batch.settled(N1)
        assert writer.store.get_node("n1").status.state is NodeState.READY


async def test_a_write_that_the_writer_abandoned_is_made_again() -> None:
    async with a_batch("n1") as (batch, writer):
        writer.abandoning = 1
        batch.put(N1, READY)
        await batch.settled(N1)
        assert writer.store.get_node("n1").status.state is NodeState.READY


async def test_a_newer_wish_replaces_an_older_one() -> None:
    async with a_batch("n1") as (batch, writer):
        batch.put(N1, READY)
        batch.put(N1, NodeWish(NodeState.DOWN))
        await batch.settled(N1)
        assert writer.store.get_node("n1").status.state is NodeState.DOWN
        assert len(writer.entries) == 1


async def test_many_wishes_take_several_writes_of_bounded_size() -> None:
    names = [f"n{number}" for number in range(ITEMS_PER_WRITE_MAX + 1)]
    async with a_batch(*names) as (batch, writer):
        for name in names:
            batch.put(NodeId(name), READY)
        for name in names:
            await batch.settled(NodeId(name))
        assert [len(entry.actions) for entry in writer.entries] == [ITEMS_PER_WRITE_MAX, 1]
