"""A running dispatcher and the calls of any node, made directly on the handlers."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager
from typing import Any

from swarmd.dispatcher.dispatcher import Dispatcher
from swarmd.dispatcher.messages import ManagerPeer
from swarmd.dispatcher.service import (
    DispatcherService,
    NodeLifecycleService,
    RelaysService,
)
from swarmd.model.instant import Instant
from swarmd.model.states import TaskState
from swarmd.rpc.call import Call, Line, Peer
from swarmd.rpc.identity import WORKER, Identity
from swarmd.rpc.pb import cluster as cluster_pb
from swarmd.rpc.pb import dispatcher as pb
from swarmd.rpc.pb import types
from swarmd.runtime.chance import RandomIds
from swarmd.runtime.clock import SystemClock
from swarmd.store.store import Store
from tests.support.manager import (
    LEADER,
    InstantWriter,
    a_manager,
)


class SetClock(SystemClock):
    """The machine's clock, and a jump ahead when a test says so."""

    def __init__(self) -> None:
        super().__init__()
        self.ahead_ns = 0

    def monotonic(self) -> int:
        return super().monotonic() + self.ahead_ns


class SetLine:
    """A connection to a machine that lives until a test says otherwise."""

    def __init__(self, clock: SetClock) -> None:
        self._clock = clock
        self.silent_since: Instant | None = None

    def heard_at(self) -> Instant | None:
        return self.silent_since or Instant(self._clock.monotonic())


def call_of(node: str) -> Call:
    identity = Identity(node_id=node, cluster_id="c1", roles=(WORKER,))
    return Call(Peer(identity=identity, address="10.0.0.1:4711"), "a method")


class Desk:
    """A running dispatcher with the calls of any node."""

    def __init__(self, store: Store, writer: InstantWriter) -> None:
        self.store = store
        self.writer = writer
        self.clock = SetClock()
        self.managers = [ManagerPeer(LEADER, "10.0.0.9:2377")]
        self.dispatcher = Dispatcher(
            store,
            writer,
            clock=self.clock,
            ids=RandomIds(random.Random(1)),
            managers=lambda: self.managers,
            leader_addr=lambda: "10.0.0.9:2377",
        )
        self.service = DispatcherService(self.dispatcher, own_node_id=LEADER)
        self.lifecycle = NodeLifecycleService(self.dispatcher, own_node_id=LEADER)
        self.relays = RelaysService(self.dispatcher)

    def session(self, node: str, session_id: str = "", line: Line | None = None) -> Any:
        request = pb.SessionRequest(session_id=session_id)
        request.description.hostname = f"host-{node}"
        call = call_of(node)
        call.line = line
        return self.service.Session(call, request)

    async def open(self, node: str) -> str:
        """A session of the node, its stream closed again."""
        async with aclosing(self.session(node)) as stream:
            return (await anext(stream)).session_id

    def assignments(self, node: str, session_id: str) -> Any:
        return self.service.Assignments(call_of(node), pb.AssignmentsRequest(session_id=session_id))

    def beat(self, node: str, session_id: str) -> pb.HeartbeatResponse:
        request = pb.HeartbeatRequest(session_id=session_id)
        return pb.HeartbeatResponse.FromString(self.service.Heartbeat(call_of(node), request))

    def tell_silence(self, manager: str, node: str, line: str, silent_ns: int) -> None:
        request = cluster_pb.ReportSilenceRequest()
        request.lines.add(node_id=node, line=line, silent_ns=silent_ns)
        self.relays.ReportSilence(call_of(manager), request)

    def report(self, node: str, session_id: str, task_id: str, state: TaskState) -> None:
        request = pb.UpdateTaskStatusRequest(session_id=session_id)
        update = request.updates.add(task_id=task_id)
        update.status.state = types.TaskState.Name(state.value)
        self.service.UpdateTaskStatus(call_of(node), request)


@asynccontextmanager
async def at_work(desk: Desk) -> AsyncIterator[None]:
    """The dispatcher runs meanwhile."""
    async with asyncio.timeout(20), asyncio.TaskGroup() as tasks:
        running = tasks.create_task(desk.dispatcher.run())
        await asyncio.sleep(0)
        yield
        running.cancel()


@asynccontextmanager
async def a_desk(*nodes: str) -> AsyncIterator[Desk]:
    desk = Desk(*a_manager(*nodes))
    async with at_work(desk):
        yield desk


async def until(holds: Callable[[], bool]) -> None:
    while not holds():
        await asyncio.sleep(0.005)
