"""A simulated node: in session with a manager like a stock agent, its tasks made up.

It follows the agent of swarm mode in what managers can notice: random choice among the known
managers by weight, back-off from 0.1 to 8 seconds, five seconds of patience, heartbeats at the
period asked for, one status per call with the newest winning, and every known status reported again
with each new session. It never asks to be told the leader, so that it behaves the same towards any
manager.
"""

from __future__ import annotations

import asyncio
import random
import ssl
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any

from swarmd.agent.conversation import cause_of
from swarmd.agent.remotes import FAILURE, SUCCESS, Remote, Remotes
from swarmd.model.errors import Code
from swarmd.rpc.errors import RpcError
from swarmd.rpc.pb import dispatcher, logbroker
from swarmd.rpc.tls import MANAGER_NAME, client_context
from tests.bench.swarm.board import Board, Version
from tests.bench.swarm.enrol import Identity
from tests.bench.swarm.fake_tasks import MESSAGES, RUNNING, FakeTask, FakeTasks
from tests.bench.swarm.tls_channel import TlsChannel

PATIENCE_S = 5.0
BACKOFF_S_MIN, BACKOFF_S_MAX = 0.1, 8.0
STEP_S = 0.01  # what a step of a task takes
NANO = 1_000_000_000


class SimulatedAgent:
    """One node after it has joined; `run` keeps it in session until cancelled."""

    def __init__(
        self, identity: Identity, addresses: list[str], *, board: Board, rng: random.Random
    ) -> None:
        self.node_id = identity.node_id
        self.session_since = 0.0  # loop time; 0 while there is none
        self._context: ssl.SSLContext = client_context(identity.tls)
        self._board = board
        self._rng = rng
        self._remotes = Remotes(
            [Remote(address) for address in addresses], rng=rng, on_change=lambda _all: None
        )
        self._tasks = FakeTasks()
        self._unsent: dict[str, int] = {}  # newest state not yet reported, by task
        self._counted: dict[str, Version] = {}  # tasks the board counts as running
        self._to_send = asyncio.Event()
        self._stepping = False
        self._loop = asyncio.get_running_loop()

    async def run(self) -> None:
        backoff_s = 0.0
        while True:
            remote = self._remotes.select()
            assert remote is not None
            channel = TlsChannel(remote.addr, self._context, server_name=MANAGER_NAME)
            was_open = False
            try:
                await self._session(channel, remote.addr)
            except (RpcError, TimeoutError) as error:
                was_open = self.session_since > 0
                self._remotes.observe(remote.addr, FAILURE)
                self._board.lost[str(error)[:120]] += 1
            finally:
                if self.session_since:
                    self.session_since = 0.0
                    self._board.in_session -= 1
                await channel.close()
            backoff_s = 0.0 if was_open else backoff_s
            backoff_s = min(BACKOFF_S_MIN + 2 * backoff_s, BACKOFF_S_MAX)
            await asyncio.sleep(self._rng.uniform(0, backoff_s))

    async def _session(self, channel: TlsChannel, addr: str) -> None:
        stub = channel.stub("docker.swarmkit.v1.Dispatcher")
        async with aclosing(stub.Session(self._introduction())) as news:
            async with asyncio.timeout(PATIENCE_S):
                first = await anext(news)
            self._take(first, addr)
            self.session_since = self._loop.time()
            self._board.in_session += 1
            self._board.opened += 1
            for task_id, task in self._tasks.tasks.items():
                self._put(task_id, task)
            try:
                async with asyncio.TaskGroup() as work:
                    work.create_task(self._listen(news, addr))
                    work.create_task(self._beat(stub, first.session_id))
                    work.create_task(self._work(stub, first.session_id))
                    work.create_task(self._report(stub, first.session_id))
                    work.create_task(self._orders(channel))
            except BaseExceptionGroup as group:
                raise cause_of(group) from group

    def _introduction(self) -> Any:
        request = dispatcher.SessionRequest()
        description = request.description
        description.hostname = f"sim-{self.node_id}"
        description.platform.architecture = "x86_64"
        description.platform.os = "linux"
        description.resources.nano_cpus = 8 * NANO
        description.resources.memory_bytes = 32 * 2**30
        description.engine.engine_version = "20.10.24"
        for kind, name in (("Volume", "local"), ("Network", "overlay"), ("Log", "json-file")):
            description.engine.plugins.add(type=kind, name=name)
        return request

    def _take(self, message: Any, addr: str) -> None:
        self._remotes.replace(
            (Remote(peer.peer.addr, peer.peer.node_id), peer.weight) for peer in message.managers
        )
        self._remotes.observe(addr, SUCCESS)

    async def _listen(self, news: AsyncIterator[Any], addr: str) -> None:
        async for message in news:
            self._take(message, addr)
        raise _ended("session")

    async def _beat(self, stub: Any, session_id: str) -> None:
        request = dispatcher.HeartbeatRequest(session_id=session_id)
        while True:
            answer = await stub.Heartbeat(request, timeout_s=PATIENCE_S)
            self._board.beats += 1
            await asyncio.sleep(answer.period.seconds + answer.period.nanos / NANO)

    async def _work(self, stub: Any, session_id: str) -> None:
        request = dispatcher.AssignmentsRequest(session_id=session_id)
        position = ""
        async with aclosing(stub.Assignments(request)) as messages:
            async for message in messages:
                complete = message.type == dispatcher.AssignmentsMessage.COMPLETE
                if not complete and message.applies_to != position:
                    raise _ended("chain of assignments")
                position = message.results_in
                self._assign(message, complete=complete)
        raise _ended("stream of assignments")

    def _assign(self, message: Any, *, complete: bool) -> None:
        updates: dict[str, Any] = {}
        removed: list[str] = []
        for change in message.changes:
            if not change.assignment.HasField("task"):
                continue
            task = change.assignment.task
            if change.action == dispatcher.AssignmentChange.REMOVE:
                removed.append(task.id)
            else:
                updates[task.id] = task
        self._board.forgotten += self._tasks.assign(
            complete=complete, updates=updates, removed=removed
        )
        for task_id in [i for i in self._counted if i not in self._tasks.tasks]:
            self._uncount(task_id)
        self._step_soon()

    def _step_soon(self) -> None:
        if self._tasks.moving and not self._stepping:
            self._stepping = True
            self._loop.call_later(STEP_S, self._step)

    def _step(self) -> None:
        self._stepping = False
        for task_id, task in self._tasks.advance().items():
            self._put(task_id, task)
        self._step_soon()

    def _put(self, task_id: str, task: FakeTask) -> None:
        if task.state in MESSAGES:
            self._unsent[task_id] = task.state
            self._to_send.set()

    async def _report(self, stub: Any, session_id: str) -> None:
        while True:
            await self._to_send.wait()
            while self._unsent:
                task_id = next(iter(self._unsent))
                state = self._unsent.pop(task_id)
                try:
                    await stub.UpdateTaskStatus(
                        _status(session_id, task_id, state), timeout_s=PATIENCE_S
                    )
                except BaseException:
                    self._unsent.setdefault(task_id, state)
                    raise
                self._board.reports += 1
                self._count(task_id, state)
            self._to_send.clear()

    async def _orders(self, channel: TlsChannel) -> None:
        """Listen for log subscriptions as every agent does; none come."""
        broker = channel.stub("docker.swarmkit.v1.LogBroker")
        request = logbroker.ListenSubscriptionsRequest()
        async with aclosing(broker.ListenSubscriptions(request)) as orders:
            async for _order in orders:
                continue
        raise _ended("stream of log subscriptions")

    def _count(self, task_id: str, state: int) -> None:
        task = self._tasks.tasks.get(task_id)
        if state != RUNNING or task is None:
            self._uncount(task_id)
        elif task_id not in self._counted:
            version = Version(task.service_id, task.generation)
            self._counted[task_id] = version
            self._board.running[version] += 1

    def _uncount(self, task_id: str) -> None:
        version = self._counted.pop(task_id, None)
        if version is not None:
            self._board.running[version] -= 1


def _status(session_id: str, task_id: str, state: Any) -> Any:
    request = dispatcher.UpdateTaskStatusRequest(session_id=session_id)
    update = request.updates.add(task_id=task_id)
    update.status.state = state
    update.status.message = MESSAGES[state]
    update.status.timestamp.GetCurrentTime()
    if state >= RUNNING:
        update.status.container.container_id = task_id
        update.status.container.pid = 4242
    return request


def _ended(what: str) -> RpcError:
    return RpcError(Code.UNAVAILABLE, f"the manager ended the {what}")
