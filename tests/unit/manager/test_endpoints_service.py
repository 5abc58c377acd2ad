"""Watchers of the endpoint table: complete first, then every change, however slow they are."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager

import pytest

from swarmd.lb.core.tables import Delta, Tables, advance
from swarmd.manager.endpoints_service import STEPS_KEPT, EndpointsService
from swarmd.model.errors import Code, Rejection
from swarmd.rpc.convert.endpoints import delta_from_pb
from swarmd.rpc.pb import endpoints as pb
from swarmd.runtime.clock import SystemClock
from swarmd.store.changes import Delete, Kind
from swarmd.store.store import Store
from tests.support.endpoints import DirectStub, a_published_service, a_running_task, commit


class Watcher:
    """Receives deltas and keeps the table they lead to."""

    def __init__(self, messages: AsyncIterator[pb.EndpointsMessage]) -> None:
        self._messages = messages
        self.tables = Tables()

    async def receive(self) -> Delta:
        async with asyncio.timeout(10):
            delta = delta_from_pb(await anext(self._messages))
        self.tables = advance(self.tables, delta)
        return delta

    def tasks(self) -> list[str]:
        return [one.task_id for row in self.tables.services.values() for one in row.backends]


@asynccontextmanager
async def watching(service: EndpointsService) -> AsyncIterator[Watcher]:
    async with aclosing(DirectStub(service).Watch(pb.WatchEndpointsRequest())) as messages:
        yield Watcher(messages)


@pytest.fixture
async def store() -> Store:
    store = Store()
    a_published_service(store)
    return store


@pytest.fixture
async def service(store: Store) -> AsyncIterator[EndpointsService]:
    service = EndpointsService(store, clock=SystemClock())
    yield service
    service.close()


async def test_the_first_message_is_the_complete_table(
    store: Store, service: EndpointsService
) -> None:
    a_running_task(store, "a")
    async with watching(service) as watcher:
        assert (await watcher.receive()).complete
        assert watcher.tasks() == ["a"]


async def test_an_empty_table_is_told_as_well(service: EndpointsService) -> None:
    async with watching(service) as watcher:
        assert (await watcher.receive()).complete


async def test_changes_of_one_moment_come_as_one_step(
    store: Store, service: EndpointsService
) -> None:
    async with watching(service) as watcher:
        await watcher.receive()
        for name in "abc":
            a_running_task(store, name)
        delta = await watcher.receive()
        assert not delta.complete
        assert watcher.tasks() == ["a", "b", "c"]


async def test_whoever_comes_between_change_and_step_misses_nothing(
    store: Store, service: EndpointsService
) -> None:
    async with watching(service) as early, watching(service) as late:
        await early.receive()
        a_running_task(store, "a")
        assert (await late.receive()).complete
        assert late.tasks() == ["a"]
        assert not (await early.receive()).complete
        assert early.tasks() == ["a"]
        a_running_task(store, "b")
        for watcher in (early, late):
            assert not (await watcher.receive()).complete
            assert watcher.tasks() == ["a", "b"]


async def test_a_watcher_that_lags_behind_catches_up(
    store: Store, service: EndpointsService
) -> None:
    async with watching(service) as slow, watching(service) as quick:
        await slow.receive()
        await quick.receive()
        for name in "abc":
            a_running_task(store, name)
            await quick.receive()
        for _ in range(3):
            assert not (await slow.receive()).complete
        assert slow.tables == quick.tables


async def test_a_watcher_that_lags_too_far_gets_the_complete_table(
    store: Store, service: EndpointsService
) -> None:
    async with watching(service) as slow, watching(service) as quick:
        await slow.receive()
        await quick.receive()
        for number in range(STEPS_KEPT + 1):
            a_running_task(store, f"t{number:03}")
            await quick.receive()
        assert (await slow.receive()).complete
        assert slow.tables == quick.tables


async def test_removed_services_leave(store: Store, service: EndpointsService) -> None:
    async with watching(service) as watcher:
        await watcher.receive()
        commit(store, Delete(Kind.SERVICE, "web"))
        await watcher.receive()
        assert watcher.tables.services == {}


async def test_closing_ends_all_watches_with_a_status(service: EndpointsService) -> None:
    async with watching(service) as watcher:
        await watcher.receive()
        service.close()
        with pytest.raises(Rejection) as refusal:
            await watcher.receive()
    assert refusal.value.code is Code.UNAVAILABLE
    assert service.watchers == 0


async def test_whoever_goes_is_forgotten(service: EndpointsService) -> None:
    async with watching(service) as watcher:
        await watcher.receive()
        assert service.watchers == 1
    assert service.watchers == 0
