"""Watchers of the endpoint table: complete first, then every change, however slow they are."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager

import pytest

from swarmd.agent.endpoints import Known, advance
from swarmd.manager.endpoint_steps import MESSAGE_BYTES, STEPS_KEPT, messages
from swarmd.manager.endpoints_service import EndpointsService, steady_distance_ns
from swarmd.model.errors import Code, Rejection
from swarmd.model.ids import NetworkId
from swarmd.model.instant import MILLISECOND
from swarmd.rpc.pb import endpoints as pb
from swarmd.runtime.clock import SystemClock
from swarmd.store.changes import Delete, Kind
from swarmd.store.store import Store
from tests.support.endpoints import (
    DirectStub,
    a_network,
    a_published_service,
    a_running_task,
    commit,
    take_part,
)


class Watcher:
    """Receives messages and keeps what they lead to."""

    def __init__(self, messages: AsyncIterator[pb.EndpointsMessage]) -> None:
        self._messages = messages
        self.known = Known()

    async def receive(self) -> pb.EndpointsMessage:
        async with asyncio.timeout(10):
            message = await anext(self._messages)
        self.known = advance(self.known, message)
        return message

    def tasks(self) -> list[str]:
        tables = self.known.published
        return [one.task_id for row in tables.services.values() for one in row.backends]


def is_complete(message: pb.EndpointsMessage) -> bool:
    return [part.type for part in message.published] == [pb.PublishedDelta.COMPLETE]


@asynccontextmanager
async def watching(service: EndpointsService, node_id: str = "") -> AsyncIterator[Watcher]:
    stub = DirectStub(service, node_id)
    async with aclosing(stub.Watch(pb.WatchEndpointsRequest())) as messages:
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
        assert is_complete(await watcher.receive())
        assert watcher.tasks() == ["a"]


async def test_an_empty_table_is_told_as_well(service: EndpointsService) -> None:
    async with watching(service) as watcher:
        assert is_complete(await watcher.receive())


async def test_changes_of_one_moment_come_as_one_step(
    store: Store, service: EndpointsService
) -> None:
    async with watching(service) as watcher:
        await watcher.receive()
        for name in "abc":
            a_running_task(store, name)
        delta = await watcher.receive()
        assert not is_complete(delta)
        assert watcher.tasks() == ["a", "b", "c"]


async def test_whoever_comes_between_change_and_step_misses_nothing(
    store: Store, service: EndpointsService
) -> None:
    async with watching(service) as early, watching(service) as late:
        await early.receive()
        a_running_task(store, "a")
        assert is_complete(await late.receive())
        assert late.tasks() == ["a"]
        assert not is_complete(await early.receive())
        assert early.tasks() == ["a"]
        a_running_task(store, "b")
        for watcher in (early, late):
            assert not is_complete(await watcher.receive())
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
        caught_up = await slow.receive()
        assert len(caught_up.published) == 3
        assert not is_complete(caught_up)
        assert slow.known == quick.known


async def test_a_watcher_that_lags_too_far_gets_the_complete_table(
    store: Store, service: EndpointsService
) -> None:
    async with watching(service) as slow, watching(service) as quick:
        await slow.receive()
        await quick.receive()
        for number in range(STEPS_KEPT + 1):
            a_running_task(store, f"t{number:03}")
            await quick.receive()
        assert is_complete(await slow.receive())
        assert slow.known == quick.known


async def test_removed_services_leave(store: Store, service: EndpointsService) -> None:
    async with watching(service) as watcher:
        await watcher.receive()
        commit(store, Delete(Kind.SERVICE, "web"))
        await watcher.receive()
        assert watcher.known.published.services == {}


async def test_a_node_is_told_of_the_networks_it_takes_part_in_alone(
    store: Store, service: EndpointsService
) -> None:
    a_network(store, "back")
    a_network(store, "front", 2)
    take_part(store, "n1", "back")
    async with watching(service, "n1") as one, watching(service, "n2") as other:
        await one.receive()
        await other.receive()
        assert list(one.known.networks) == ["back"]
        take_part(store, "n2", "front")
        await other.receive()
        assert list(other.known.networks) == ["front"]
        take_part(store, "n3", "back")
        message = await one.receive()
        assert [(change.network_id, change.complete) for change in message.networks] == [
            ("back", False)
        ]
        assert sorted(one.known.networks[NetworkId("back")].peers) == ["n1", "n3"]


async def test_a_node_that_leaves_a_network_is_told_so(
    store: Store, service: EndpointsService
) -> None:
    a_network(store, "back")
    take_part(store, "n1", "back")
    async with watching(service, "n1") as watcher:
        await watcher.receive()
        take_part(store, "n1")
        assert list((await watcher.receive()).left_network_ids) == ["back"]
        take_part(store, "n1", "back")
        (again,) = (await watcher.receive()).networks
        assert again.complete


async def test_a_network_that_is_removed_is_left(store: Store, service: EndpointsService) -> None:
    a_network(store, "back")
    take_part(store, "n1", "back")
    async with watching(service, "n1") as watcher:
        await watcher.receive()
        commit(store, Delete(Kind.NETWORK, "back"))
        await watcher.receive()
        assert watcher.known.networks == {}


async def test_ports_and_networks_that_change_together_are_told_together(
    store: Store, service: EndpointsService
) -> None:
    a_network(store, "back")
    take_part(store, "n1", "back")
    async with watching(service, "n1") as watcher:
        await watcher.receive()
        a_running_task(store, "a")
        take_part(store, "n2", "back")
        message = await watcher.receive()
        assert (len(message.published), len(message.networks)) == (1, 1)


def test_a_step_that_does_not_fit_one_message_says_that_more_follows() -> None:
    part = pb.EndpointsMessage(left_network_ids=["x" * (MESSAGE_BYTES // 2)]).SerializeToString()
    sent = [pb.EndpointsMessage.FromString(data) for data in messages([part] * 3)]
    assert [message.more for message in sent] == [True, True, False]
    assert messages([]) == []


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


def test_steps_of_large_swarms_are_further_apart() -> None:
    distances = [steady_distance_ns(nodes) // MILLISECOND for nodes in (1, 100, 200, 500, 5000)]
    assert distances == [50, 50, 100, 250, 500]
