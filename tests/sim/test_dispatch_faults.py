"""Agents and dispatchers while calls fail and leaders change: in the end everybody agrees.

What must never happen: an agent holds a task of another node; a stored state goes back.
What must happen once the faults stop: agents hold exactly their tasks, and what they run is known.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable

import pytest

from swarmd.agent.remotes import Remote, Remotes
from swarmd.agent.session import AgentSession
from swarmd.dispatcher.dispatcher import Dispatcher
from swarmd.dispatcher.messages import ManagerPeer
from swarmd.dispatcher.service import DISPATCHER, DispatcherService
from swarmd.model.errors import Code
from swarmd.model.ids import NodeId, TaskId
from swarmd.model.node import NodeDescription
from swarmd.model.states import TaskState
from swarmd.model.task import Task
from swarmd.rpc.call import Call
from swarmd.rpc.errors import RpcError
from swarmd.rpc.metadata import Metadata
from swarmd.runtime.chance import RandomIds
from swarmd.runtime.clock import SystemClock
from swarmd.store.changes import Committed, Create, Delete, Kind, SetDesiredState
from tests.support.manager import LEADER, a_manager, a_task, no_quorum
from tests.support.wire import DirectChannel
from tests.support.worker import PaperWorker, wanted_of

NODES = [f"n{number}" for number in range(6)]
MANAGERS = ["m0:1", "m1:1", "m2:1"]
ROUNDS = 12


class Swarm:
    def __init__(self, seed: int) -> None:
        self.rng = random.Random(seed)
        self.store, self.writer = a_manager(*NODES)
        self.store.subscribe(self._check)
        self.leader = MANAGERS[0]
        self.services: dict[str, object] = {}
        self.dispatcher: Dispatcher | None = None
        self.failing_percent = 0
        self.workers = {name: PaperWorker(obliging=True) for name in NODES}
        self.sessions = [self._agent(name) for name in NODES]
        self._leading: asyncio.Task[None] | None = None
        self._channels: list[DirectChannel] = []
        self._made = 0

    def _check(self, committed: Committed) -> None:
        for change in committed.changes:
            if isinstance(change.old, Task) and isinstance(change.new, Task):
                assert change.new.status.state >= change.old.status.state

    def _agent(self, name: str) -> AgentSession:
        known = [Remote(addr) for addr in MANAGERS]
        return AgentSession(
            node_id=NodeId(name),
            worker=self.workers[name],
            remotes=Remotes(known, rng=self.rng, on_change=lambda _: None),
            dial=lambda addr: self._dial(name, addr),
            describe=lambda: NodeDescription(hostname=name),
            rng=self.rng,
            on_message=lambda _: None,
        )

    def _dial(self, name: str, addr: str) -> DirectChannel:
        def gate(call: Call) -> None:
            if self.rng.randrange(100) < self.failing_percent:
                raise RpcError(Code.UNAVAILABLE, "a fault was drawn")
            if addr != self.leader:
                trailers = Metadata.of(("swarmd-leader", self.leader))
                raise RpcError(Code.UNAVAILABLE, "not the leader", trailers=trailers)

        channel = DirectChannel(name, self.services, gate)
        self._channels.append(channel)
        return channel

    def elect(self, tasks: asyncio.TaskGroup) -> None:
        """Another manager leads, and knows only what is stored."""
        self.resign()
        self.leader = self.rng.choice(MANAGERS)
        dispatcher = Dispatcher(
            self.store,
            self.writer,
            clock=SystemClock(),
            ids=RandomIds(self.rng),
            managers=lambda: [ManagerPeer(LEADER, addr) for addr in MANAGERS],
            leader_addr=lambda: self.leader,
        )
        self.services[DISPATCHER] = DispatcherService(dispatcher, own_node_id=LEADER)
        self._leading = tasks.create_task(dispatcher.run())

    def resign(self) -> None:
        if self._leading is not None:
            self._leading.cancel()

    def disturb(self, tasks: asyncio.TaskGroup) -> None:
        """One thing that users, orchestrators or the world do."""
        present = self.store.tasks()
        match self.rng.randrange(6):
            case 0 | 1 | 2:
                names = [f"t{self._made + number}" for number in range(self.rng.randrange(1, 9))]
                self._made += len(names)
                self.writer.write(
                    *(Create(a_task(name, node=self.rng.choice(NODES))) for name in names)
                )
            case 3 if present:
                task = self.rng.choice(present)
                self.writer.write(SetDesiredState(task.id, TaskState.SHUTDOWN))
            case 4 if present:
                self.writer.write(Delete(Kind.TASK, self.rng.choice(present).id))
            case 5:
                self.elect(tasks)
            case _:
                self.writer.refusing = None if self.writer.refusing else no_quorum()

    def heal(self) -> None:
        self.failing_percent = 0
        self.writer.refusing = None

    def holds_together(self) -> bool:
        for name, worker in self.workers.items():
            mine = {task.id: task.desired_state for task in self.store.tasks_of_node(NodeId(name))}
            if {key: task.desired_state for key, task in worker.tasks.items()} != mine:
                return False
        return all(task.status.state is wanted_of(task) for task in self.store.tasks())

    def check_ownership(self) -> None:
        for name, worker in self.workers.items():
            assert {task.node_id for task in worker.tasks.values()} <= {name}


async def until(holds: Callable[[], bool]) -> None:
    while not holds():
        await asyncio.sleep(0.01)


@pytest.mark.parametrize("seed", range(4))
async def test_everybody_agrees_once_the_faults_stop(seed: int) -> None:
    swarm = Swarm(seed)
    async with asyncio.timeout(60), asyncio.TaskGroup() as tasks:
        swarm.elect(tasks)
        agents = [tasks.create_task(session.run()) for session in swarm.sessions]
        for _ in range(ROUNDS):
            swarm.failing_percent = swarm.rng.choice([0, 10, 50])
            swarm.disturb(tasks)
            await asyncio.sleep(swarm.rng.random() * 0.1)
            swarm.check_ownership()
        swarm.heal()
        swarm.writer.write(Create(a_task("last", node=NODES[0])))
        await until(swarm.holds_together)
        assert TaskId("last") in swarm.workers[NODES[0]].tasks
        for agent in agents:
            agent.cancel()
        swarm.resign()
