"""The follower keeps a balancer in line with managers that come and go."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from swarmd.agent.endpoints import EndpointsFollower, Known, read_tables, write_tables
from swarmd.lb.core.tables import Delta
from swarmd.manager.endpoints_service import EndpointsService
from swarmd.model.errors import Code
from swarmd.model.ids import NetworkId
from swarmd.network.core.tables import NetworkTable
from swarmd.rpc.convert.endpoints import delta_to_pb
from swarmd.rpc.errors import RpcError
from swarmd.rpc.pb import endpoints as pb
from swarmd.runtime.clock import SystemClock
from swarmd.store.store import Store
from tests.support.echo import TcpTask, eventually, service, table
from tests.support.endpoints import (
    DirectStub,
    RecordingDataPlane,
    a_network,
    a_published_service,
    a_running_task,
    take_part,
)


class Manager:
    """One manager's store and service."""

    def __init__(self, *tasks: str) -> None:
        self.store = Store()
        a_published_service(self.store)
        for task in tasks:
            a_running_task(self.store, task)
        self.service = EndpointsService(self.store, clock=SystemClock())
        self.stub = DirectStub(self.service)


class Gone:
    """A manager that cannot be reached."""

    def __init__(self) -> None:
        self.calls = 0

    async def Watch(self, request: pb.WatchEndpointsRequest) -> AsyncIterator[pb.EndpointsMessage]:
        self.calls += 1
        raise RpcError(Code.UNAVAILABLE, "connection refused")
        yield


class Scripted:
    """A manager that sends given messages and stays silent; each watch has its own list."""

    def __init__(self, *watches: tuple[pb.EndpointsMessage, ...]) -> None:
        self._watches = list(watches)

    async def Watch(self, request: pb.WatchEndpointsRequest) -> AsyncIterator[pb.EndpointsMessage]:
        for message in self._watches.pop(0):
            yield message
        await asyncio.Event().wait()


def published(delta: Delta, *, more: bool = False) -> pb.EndpointsMessage:
    return pb.EndpointsMessage(published=[delta_to_pb(delta)], more=more)


@asynccontextmanager
async def following(path: Path, plane: RecordingDataPlane) -> AsyncIterator[EndpointsFollower]:
    follower = EndpointsFollower(plane, path=path, rng=random.Random(1))
    async with asyncio.TaskGroup() as group:
        running = group.create_task(follower.run())
        yield follower
        running.cancel()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "endpoints.json"


async def test_the_balancer_follows_every_change(path: Path) -> None:
    plane, manager = RecordingDataPlane(), Manager("a")
    async with following(path, plane) as follower:
        follower.follow(manager.stub)
        await eventually(lambda: plane.tasks == ["a"])
        a_running_task(manager.store, "b")
        await eventually(lambda: plane.tasks == ["a", "b"])


async def test_without_a_manager_the_last_table_stays(path: Path) -> None:
    plane, manager, gone = RecordingDataPlane(), Manager("a"), Gone()
    async with following(path, plane) as follower:
        follower.follow(manager.stub)
        await eventually(lambda: plane.tasks == ["a"])
        follower.follow(gone)
        await eventually(lambda: gone.calls >= 2)
        follower.follow(None)
        assert plane.tasks == ["a"]
        assert len(plane.applied) == 1


async def test_another_manager_is_followed_from_its_complete_table(path: Path) -> None:
    plane, first, second = RecordingDataPlane(), Manager("a"), Manager("a", "b")
    async with following(path, plane) as follower:
        follower.follow(first.stub)
        await eventually(lambda: plane.tasks == ["a"])
        first.service.close()
        follower.follow(second.stub)
        await eventually(lambda: plane.tasks == ["a", "b"])
        assert first.service.watchers == 0


async def test_the_networks_of_the_node_are_followed_until_it_leaves_them(path: Path) -> None:
    plane, manager = RecordingDataPlane(), Manager("a")
    a_network(manager.store, "back")
    a_network(manager.store, "front", 2)
    take_part(manager.store, "n1", "back")
    async with following(path, plane) as follower:
        follower.follow(DirectStub(manager.service, "n1"))
        await eventually(lambda: list(plane.networks) == ["back"])
        take_part(manager.store, "n1", "back", "front")
        take_part(manager.store, "n2", "front")
        await eventually(
            lambda: "front" in plane.networks and len(plane.networks[NetworkId("front")].peers) == 2
        )
        take_part(manager.store, "n1", "front")
        await eventually(lambda: list(plane.networks) == ["front"])


async def test_networks_that_another_manager_does_not_tell_of_are_left(path: Path) -> None:
    plane, first, second = RecordingDataPlane(), Manager("a"), Manager("b")
    a_network(first.store, "back")
    take_part(first.store, "n1", "back")
    async with following(path, plane) as follower:
        follower.follow(DirectStub(first.service, "n1"))
        await eventually(lambda: list(plane.networks) == ["back"])
        follower.follow(DirectStub(second.service, "n1"))
        await eventually(lambda: plane.tasks == ["b"])
        assert plane.networks == {}


async def test_a_table_that_was_kept_is_served_before_a_manager_is_found(path: Path) -> None:
    manager = Manager("a")
    async with following(path, RecordingDataPlane()) as follower:
        follower.follow(manager.stub)
        await eventually(lambda: follower.tables.version > 0)
        served = follower.tables
    plane = RecordingDataPlane()
    async with following(path, plane):
        await eventually(lambda: plane.applied == [served])


async def test_steps_in_several_messages_are_served_once_they_are_whole(path: Path) -> None:
    web, db = service(8080, TcpTask("a")), service(5432, TcpTask("b"), name="db")
    stub = Scripted(
        (
            published(Delta(complete=True, applies_to=0, results_in=5, services=(web,)), more=True),
            published(Delta(complete=False, applies_to=5, results_in=5, services=(db,))),
        )
    )
    plane = RecordingDataPlane()
    async with following(path, plane) as follower:
        follower.follow(stub)
        await eventually(lambda: plane.applied == [table(5, web, db)])


async def test_a_broken_chain_is_begun_anew(path: Path) -> None:
    web = service(8080, TcpTask("a"))
    whole = published(Delta(complete=True, applies_to=0, results_in=5, services=(web,)))
    gap = published(Delta(complete=False, applies_to=7, results_in=8))
    later = published(Delta(complete=True, applies_to=0, results_in=9))
    plane = RecordingDataPlane()
    async with following(path, plane) as follower:
        follower.follow(Scripted((whole, gap), (later,)))
        await eventually(lambda: plane.applied == [table(5, web), table(9)])


def test_a_kept_table_reads_back(path: Path) -> None:
    back = NetworkTable(NetworkId("back"), "back", version=8)
    known = Known(table(7, service(8080, TcpTask("a"), TcpTask("b"))), {back.network_id: back})
    write_tables(path, known)
    assert read_tables(path) == known


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b'{"format": 1, "version"', id="torn"),
        pytest.param(b'{"format": 99, "version": 1, "services": []}', id="another format"),
        pytest.param(b'{"format": 1, "version": "x", "services": []}', id="wrong type"),
    ],
)
def test_an_unreadable_table_is_left_out_with_a_warning(
    path: Path, content: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    path.write_bytes(content)
    assert read_tables(path) is None
    assert "endpoints.unreadable" in caplog.text


def test_no_kept_table_is_nothing_to_warn_of(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    assert read_tables(path) is None
    assert caplog.text == ""
