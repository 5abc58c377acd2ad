"""A task starts when it listens, and stops when nobody comes to it any more."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterable

import pytest
from msgspec.structs import replace

from swarmd.agent import serving as module
from swarmd.agent.acknowledging import Unsettled
from swarmd.agent.core.serving import IDLE_NS
from swarmd.agent.core.sockets import Connection, Sockets
from swarmd.agent.core.task_machine import NO_SURROUNDINGS
from swarmd.agent.endpoints import Known
from swarmd.agent.serving import Look, Serving, look
from swarmd.lb.core.tables import ServiceEndpoints, Tables
from swarmd.model.ids import NetworkId, NodeId, ServiceId, TaskId
from swarmd.model.spec import ContainerSpec, EndpointSpec, PortConfig, TaskSpec
from swarmd.model.states import TaskState
from swarmd.model.task import ContainerStatus, Task, TaskStatus

WEB = ServiceId("web")
TASK = Task(
    id=TaskId("t1"),
    version=7,
    service_id=WEB,
    spec=TaskSpec(container_spec=ContainerSpec()),
    ports=(PortConfig(target_port=80, published_port=8080),),
    status=TaskStatus(state=TaskState.RUNNING, container=ContainerStatus(pid=1)),
)


def seen(*ports: int, listening: Iterable[int] = (80,)) -> Look:
    connections = tuple(Connection(port, internal=False) for port in ports)
    return Look(Sockets(frozenset(listening), connections), own_namespace=True)


class Node:
    """What a test says is known, seen and settled; looks are taken from a list, the last stays."""

    def __init__(self, *looks: Look | None, unsettled: Unsettled | None = None) -> None:
        self.known = Known(Tables(1, {WEB: ServiceEndpoints(WEB, "web", ())}))
        self.looks = list(looks)
        self.settled: list[tuple[int, bool]] = []
        self.moved = asyncio.Event()
        self.moved.set()
        self.gate = asyncio.Event()
        self.gate.set()
        self.told: list[str] = []
        self.unsettled = unsettled
        self.serving = Serving(self.settle, lambda: self.known, look=self.look)

    async def settle(
        self,
        version: int,
        *,
        published: bool,
        network_ids: Iterable[NetworkId],
        moved: bool = False,
    ) -> Unsettled | None:
        self.settled.append((version, published))
        await (self.moved if moved else self.gate).wait()
        return self.unsettled

    def look(self, pid: int) -> Look | None:
        assert pid == 1
        return self.looks.pop(0) if len(self.looks) > 1 else self.looks[0]

    async def drain(self, task: Task = TASK) -> None:
        async with asyncio.timeout(10):
            await self.serving.drained(task, NO_SURROUNDINGS, tell=self.told.append)


async def test_a_task_has_started_when_it_listens_on_all_its_ports() -> None:
    node = Node(seen(listening=()), seen(listening=(443,)), seen(listening=(80, 443)))
    assert await node.serving.listening(TASK, NO_SURROUNDINGS) == ""
    assert len(node.looks) == 1


async def test_a_task_that_listens_on_nothing_starts_all_the_same_with_a_note(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "LISTEN_GRACE_S", 0.4)
    node = Node(seen(listening=()))
    note = await node.serving.listening(TASK, NO_SURROUNDINGS)
    assert note == "nothing listens on port 80 yet"


async def test_a_task_that_is_gone_is_not_waited_for() -> None:
    assert await Node(None).serving.listening(TASK, NO_SURROUNDINGS) == ""
    await Node(None).drain()


async def test_a_task_ends_when_it_is_out_of_all_tables_and_its_connections_are_over() -> None:
    node = Node(seen(80, 80), seen(80, 80), seen(80), seen())
    await node.drain()
    assert node.settled == [(7, True)]
    assert node.told == ["draining: 2 connections"]


async def test_connections_are_not_counted_before_all_nodes_send_to_others() -> None:
    node = Node(seen())
    node.gate.clear()
    async with asyncio.TaskGroup() as group:
        draining = group.create_task(node.drain())
        while not node.settled:
            await asyncio.sleep(0)
        assert not draining.done()
        node.gate.set()


async def test_nodes_that_are_late_hold_nothing_up_for_ever(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("INFO")
    await Node(seen(), unsettled=Unsettled("nodes are late")).drain()
    assert "task.unsettled task.id=t1 reason=nodes are late" in caplog.text


async def test_the_time_to_drain_is_limited(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    impatient = replace(TASK, endpoint_spec=EndpointSpec(drain_timeout_ns=30_000_000))
    await Node(seen(80)).drain(impatient)
    assert "task.drain_timeout task.id=t1 connections=1" in caplog.text


async def test_a_service_that_was_removed_is_ended_at_once() -> None:
    node = Node(seen(80))
    node.gate.clear()
    async with asyncio.TaskGroup() as group:
        group.create_task(node.drain())
        while not node.settled:
            await asyncio.sleep(0)
        node.known = Known()
    assert not node.serving.is_served(TASK)


async def test_a_listener_of_this_process_is_seen() -> None:
    server = await asyncio.start_server(lambda _reader, writer: writer.close(), "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        found = look(os.getpid())
        assert found is not None
        assert port in found.sockets.listening
        assert not found.own_namespace


def test_a_process_that_is_gone_has_no_sockets() -> None:
    assert look(2**22 + 1) is None


DATAGRAMS = Look(Sockets(datagrams=frozenset({53})), own_namespace=True)


async def test_a_task_with_udp_clients_goes_on_until_they_have_moved() -> None:
    node = Node(DATAGRAMS)
    node.moved.clear()
    async with asyncio.TaskGroup() as group:
        draining = group.create_task(node.drain())
        while len(node.settled) < 2:
            await asyncio.sleep(0)
        assert not draining.done()
        node.moved.set()
    assert not node.told


@pytest.mark.parametrize(
    "unsettled",
    [Unsettled("nodes are late", (NodeId("n1"),)), Unsettled("the manager gave no answer")],
)
async def test_nodes_that_take_long_to_move_udp_clients_are_asked_again(
    unsettled: Unsettled, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "ASK_AGAIN_S", 0)
    node = Node(DATAGRAMS, unsettled=unsettled)
    async with asyncio.TaskGroup() as group:
        draining = group.create_task(node.drain())
        while len(node.settled) < 4:
            await asyncio.sleep(0)
        assert not draining.done()
        node.unsettled = None


async def test_a_task_whose_service_was_removed_waits_for_no_udp_clients() -> None:
    node = Node(DATAGRAMS)
    node.moved.clear()
    async with asyncio.TaskGroup() as group:
        group.create_task(node.drain())
        while len(node.settled) < 2:
            await asyncio.sleep(0)
        node.known = Known()


async def test_who_was_sent_on_the_way_finds_the_task_still_there() -> None:
    node = Node(seen(), seen(), seen(80), seen())
    await node.drain()
    assert len(node.looks) == 1
    assert node.told == ["draining: 1 connection"]


async def test_a_task_that_nobody_can_ask_ends_at_once() -> None:
    node = Node(seen(listening=()))
    node.looks.append(None)
    await node.drain()
    assert node.looks == [None], "one look was enough"


async def test_connections_whose_clients_have_their_answer_and_ask_no_more_are_not_waited_for() -> (
    None
):
    def idle(idle_ns: int) -> Look:
        connection = Connection(80, internal=False, idle_ns=idle_ns)
        return Look(Sockets(frozenset({80}), (connection,)), own_namespace=True)

    node = Node(idle(IDLE_NS - 1), idle(IDLE_NS - 1), idle(IDLE_NS))
    await node.drain()
    assert node.told == ["draining: 1 connection"]
