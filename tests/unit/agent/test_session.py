"""An agent and a dispatcher talking to each other, without a network."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest
from msgspec.structs import replace

from swarmd.agent import conversation
from swarmd.agent.conversation import News
from swarmd.agent.remotes import Remote, Remotes
from swarmd.agent.session import AgentSession
from swarmd.dispatcher.dispatcher import Dispatcher
from swarmd.dispatcher.messages import ManagerPeer
from swarmd.dispatcher.service import DISPATCHER, DispatcherService
from swarmd.manager.log_broker import LOG_BROKER, LogBroker
from swarmd.model.errors import Code
from swarmd.model.ids import NodeId, TaskId
from swarmd.model.node import NodeDescription
from swarmd.model.states import NodeState, TaskState
from swarmd.rpc.call import Call
from swarmd.rpc.errors import RpcError
from swarmd.rpc.metadata import Metadata
from swarmd.runtime.chance import RandomIds
from swarmd.runtime.clock import SystemClock
from swarmd.store.changes import Create, Delete, Kind, SetDesiredState
from tests.support.manager import LEADER, a_manager, a_task
from tests.support.wire import DirectChannel
from tests.support.worker import Assigned, PaperWorker

N1 = NodeId("n1")
T1 = TaskId("t1")


class Swarm:
    """A leader at one address, other managers at others, and the agent of node n1."""

    def __init__(self, *addrs: str) -> None:
        self.store, self.writer = a_manager("n1", "n2")
        self.leader_addr = "leader:1"
        self.managers = [ManagerPeer(LEADER, "leader:1")]
        self.dispatcher = self._new_dispatcher()
        self.broker = LogBroker(self.store, ids=RandomIds(random.Random(1)), own_node_id=LEADER)
        self.services: dict[str, object] = {
            DISPATCHER: DispatcherService(self.dispatcher, own_node_id=LEADER),
            LOG_BROKER: self.broker,
        }
        self.dialled: list[str] = []
        self.channels: list[DirectChannel] = []
        self.broken: dict[str, RpcError] = {}
        self.news: list[News] = []
        self.kept: list[tuple[Remote, ...]] = []
        self.description = NodeDescription(hostname="one")
        self.worker = PaperWorker()
        self.remotes = Remotes(
            [Remote(addr) for addr in addrs or ("leader:1",)],
            rng=random.Random(3),
            on_change=self.kept.append,
        )
        self.session = AgentSession(
            node_id=N1,
            worker=self.worker,
            remotes=self.remotes,
            dial=self._dial,
            describe=lambda: self.description,
            rng=random.Random(4),
            on_message=self.news.append,
        )

    def _new_dispatcher(self) -> Dispatcher:
        return Dispatcher(
            self.store,
            self.writer,
            clock=SystemClock(),
            ids=RandomIds(),
            managers=lambda: self.managers,
            leader_addr=lambda: self.leader_addr,
        )

    def _dial(self, addr: str) -> DirectChannel:
        self.dialled.append(addr)

        def gate(call: Call) -> None:
            if addr in self.broken:
                raise self.broken[addr]
            if addr != self.leader_addr:
                trailers = Metadata.of(("swarmd-leader", self.leader_addr))
                raise RpcError(Code.UNAVAILABLE, f"{addr} doesn't lead", trailers=trailers)

        channel = DirectChannel("n1", self.services, gate)
        self.channels.append(channel)
        return channel

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Swarm]:
        async with asyncio.timeout(20), asyncio.TaskGroup() as tasks:
            leading = tasks.create_task(self.dispatcher.run())
            agent = tasks.create_task(self.session.run())
            try:
                yield self
            finally:
                agent.cancel()
                leading.cancel()

    def state_of(self, task_id: str) -> TaskState:
        return self.store.get_task(task_id).status.state


async def until(holds: Callable[[], bool]) -> None:
    while not holds():
        await asyncio.sleep(0.005)


async def test_an_agent_registers_and_passes_the_news_on() -> None:
    async with Swarm().running() as swarm:
        manager = await swarm.session.wait_for_manager()
        assert manager.addr == "leader:1"
        assert swarm.session.error == ""
        node = swarm.store.get_node("n1")
        assert (node.status.state, node.hostname) == (NodeState.READY, "one")
        assert swarm.news[0].node.id == "n1"
        assert swarm.news[0].root_ca == b"root"
        assert swarm.news[0].leader_addr == "leader:1"


async def test_the_managers_listed_replace_those_known() -> None:
    swarm = Swarm("leader:1", "old:1")
    swarm.leader_addr = "leader:1"
    async with swarm.running():
        await swarm.session.wait_for_manager()
        assert swarm.kept == [(Remote("leader:1", LEADER),)]


async def test_a_manager_that_does_not_lead_names_the_leader() -> None:
    swarm = Swarm("follower:1")
    async with swarm.running():
        manager = await swarm.session.wait_for_manager()
        assert manager.addr == "leader:1"
        assert swarm.dialled == ["follower:1", "leader:1"]
        assert swarm.channels[0].closed


async def test_managers_that_name_each_other_are_not_followed_for_ever() -> None:
    swarm = Swarm("a:1")
    swarm.broken["a:1"] = RpcError(
        Code.UNAVAILABLE, "no", trailers=Metadata.of(("swarmd-leader", "b:1"))
    )
    swarm.broken["b:1"] = RpcError(
        Code.UNAVAILABLE, "no", trailers=Metadata.of(("swarmd-leader", "a:1"))
    )
    async with swarm.running():
        await until(lambda: len(swarm.dialled) >= 8)
        swarm.broken.clear()
        await swarm.session.wait_for_manager()


async def test_an_agent_keeps_trying_and_says_why_it_has_no_session() -> None:
    swarm = Swarm()
    swarm.broken["leader:1"] = RpcError(Code.UNAVAILABLE, "connection refused")
    async with swarm.running():
        await until(lambda: len(swarm.dialled) >= 2)
        assert swarm.session.error == (
            "no session with a manager; leader:1 answered: connection refused"
        )
        assert swarm.session.manager is None
        swarm.broken.clear()
        await swarm.session.wait_for_manager()
        assert swarm.session.error == ""


async def test_tasks_are_assigned_changed_and_taken_away() -> None:
    swarm = Swarm()
    swarm.writer.write(Create(a_task("t1", node="n1")))
    async with swarm.running():
        await until(lambda: len(swarm.worker.assigned) == 1)
        assert swarm.worker.tasks[T1].spec == swarm.store.get_task("t1").spec
        swarm.writer.write(SetDesiredState(T1, TaskState.SHUTDOWN))
        await until(lambda: len(swarm.worker.assigned) == 2)
        assert swarm.worker.tasks[T1].desired_state is TaskState.SHUTDOWN
        swarm.writer.write(Delete(Kind.TASK, "t1"))
        await until(lambda: len(swarm.worker.assigned) == 3)
        assert swarm.worker.assigned == [
            Assigned(True, ("t1",), ()),
            Assigned(False, ("t1",), ()),
            Assigned(False, (), ("t1",)),
        ]


async def test_statuses_reach_the_store() -> None:
    swarm = Swarm()
    swarm.writer.write(Create(a_task("t1", node="n1")))
    async with swarm.running():
        await until(lambda: T1 in swarm.worker.tasks)
        swarm.worker.report(T1, TaskState.RUNNING)
        await until(lambda: swarm.state_of("t1") is TaskState.RUNNING)


async def test_statuses_from_before_the_session_are_reported_with_it() -> None:
    swarm = Swarm()
    swarm.writer.write(Create(a_task("t1", node="n1")))
    swarm.worker.report(T1, TaskState.RUNNING)
    async with swarm.running():
        await until(lambda: swarm.state_of("t1") is TaskState.RUNNING)


async def test_a_task_that_is_not_ours_does_not_keep_others_from_being_reported() -> None:
    swarm = Swarm()
    swarm.writer.write(Create(a_task("t1", node="n1")), Create(a_task("t2", node="n2")))
    swarm.worker.report(TaskId("t2"), TaskState.RUNNING)
    swarm.worker.report(T1, TaskState.RUNNING)
    async with swarm.running():
        await until(lambda: swarm.state_of("t1") is TaskState.RUNNING)
        assert swarm.state_of("t2") is TaskState.ASSIGNED
        assert swarm.session.manager is not None


async def test_a_lost_leader_is_replaced_and_everything_is_reported_again() -> None:
    swarm = Swarm()
    swarm.managers.append(ManagerPeer(NodeId("m2"), "second:1"))
    swarm.writer.write(Create(a_task("t1", node="n1")))
    async with asyncio.timeout(20), asyncio.TaskGroup() as tasks:
        leading = tasks.create_task(swarm.dispatcher.run())
        agent = tasks.create_task(swarm.session.run())
        await until(lambda: T1 in swarm.worker.tasks)
        # The old leader takes a report and dies before it is written.
        swarm.worker.known[T1] = replace(swarm.store.get_task("t1").status, state=TaskState.RUNNING)
        swarm.broken["leader:1"] = RpcError(Code.UNAVAILABLE, "connection refused")
        swarm.leader_addr = "second:1"
        swarm.dispatcher = swarm._new_dispatcher()
        swarm.services[DISPATCHER] = DispatcherService(swarm.dispatcher, own_node_id=LEADER)
        leading.cancel()
        leading = tasks.create_task(swarm.dispatcher.run())
        await until(lambda: swarm.state_of("t1") is TaskState.RUNNING)
        assert swarm.session.manager is not None
        assert swarm.session.manager.addr == "second:1"
        assert swarm.worker.assigned[-1] == Assigned(True, ("t1",), ())
        assert agent.cancelling() == 0  # or its time-outs would mistake it for a wish to end
        agent.cancel()
        leading.cancel()


async def test_a_manager_that_does_not_broker_logs_is_good_enough() -> None:
    swarm = Swarm()
    del swarm.services[LOG_BROKER]
    async with swarm.running():
        await swarm.session.wait_for_manager()
        swarm.writer.write(Create(a_task("t1", node="n1")))
        await until(lambda: T1 in swarm.worker.tasks)
        assert len(swarm.dialled) == 1


async def test_a_session_that_is_unknown_is_opened_anew() -> None:
    swarm = Swarm()
    async with swarm.running():
        first = (await swarm.session.wait_for_manager()).session_id
        await swarm.dispatcher.open(N1, "", addr="", description=swarm.description)
        await until(lambda: len(swarm.dialled) == 2)
        second = (await swarm.session.wait_for_manager()).session_id
        assert first != second


async def test_a_node_that_describes_itself_anew_keeps_its_connection(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(conversation, "DESCRIBE_S", 0.01)
    swarm = Swarm()
    async with swarm.running():
        before = await swarm.session.wait_for_manager()
        swarm.description = NodeDescription(hostname="two")
        await until(lambda: swarm.store.get_node("n1").hostname == "two")
        swarm.writer.write(Create(a_task("t1", node="n1")))
        await until(lambda: T1 in swarm.worker.tasks)
        assert swarm.session.manager is before
        assert len(swarm.dialled) == 1
        assert not swarm.channels[0].closed


async def test_followers_of_the_session_hear_when_it_opens_and_ends() -> None:
    swarm, heard = Swarm(), list[str]()
    session = AgentSession(
        node_id=N1,
        worker=swarm.worker,
        remotes=swarm.remotes,
        dial=swarm._dial,
        describe=lambda: swarm.description,
        rng=random.Random(4),
        on_message=swarm.news.append,
        on_manager=lambda manager: heard.append(manager.addr if manager else "none"),
    )
    swarm.session = session
    async with swarm.running():
        await session.wait_for_manager()
    assert heard == ["leader:1", "none"]


class SlowToLeave:
    """A broker of logs whose streams end only when the test says so."""

    def __init__(self) -> None:
        self.leaving = asyncio.Event()
        self.released = asyncio.Event()

    async def ListenSubscriptions(self, call: Call, request: object) -> AsyncIterator[object]:
        try:
            await asyncio.Event().wait()
            yield
        finally:
            self.leaving.set()
            await self.released.wait()


async def test_an_agent_that_is_told_to_end_while_its_session_fails_ends() -> None:
    swarm = Swarm()
    broker = SlowToLeave()
    swarm.services[LOG_BROKER] = broker
    async with asyncio.timeout(20), asyncio.TaskGroup() as tasks:
        leading = tasks.create_task(swarm.dispatcher.run())
        agent = tasks.create_task(swarm.session.run())
        await swarm.session.wait_for_manager()
        leading.cancel()
        await broker.leaving.wait()
        agent.cancel()
        broker.released.set()
        await asyncio.wait({agent})
    assert agent.cancelled()
