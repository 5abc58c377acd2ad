"""The dispatcher's calls, made directly on the handlers."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager
from typing import Any

import pytest
from msgspec.structs import replace

from swarmd.dispatcher.dispatcher import Dispatcher
from swarmd.dispatcher.messages import ManagerPeer
from swarmd.dispatcher.service import (
    DispatcherService,
    NodeLifecycleService,
    RelaysService,
    host_of,
)
from swarmd.model.cluster import DispatcherConfig
from swarmd.model.errors import Code, Rejection
from swarmd.model.ids import NodeId, TaskId
from swarmd.model.instant import MILLISECOND, SECOND, Instant
from swarmd.model.states import Availability, NodeState, TaskState
from swarmd.rpc.call import Call, Line, Peer
from swarmd.rpc.identity import WORKER, Identity
from swarmd.rpc.pb import cluster as cluster_pb
from swarmd.rpc.pb import dispatcher as pb
from swarmd.rpc.pb import types
from swarmd.rpc.relayed_line import RelayedLine
from swarmd.runtime.chance import RandomIds
from swarmd.runtime.clock import SystemClock
from swarmd.store.changes import Create, Delete, Kind, SetDesiredState, Update
from swarmd.store.store import Store
from tests.support.manager import (
    LEADER,
    InstantWriter,
    a_cluster,
    a_manager,
    a_node,
    a_task,
    no_quorum,
)


class SetClock(SystemClock):
    """The machine's clock, and a jump ahead when a test says so."""

    def __init__(self) -> None:
        super().__init__()
        self.ahead_ns = 0

    def monotonic(self) -> int:
        return super().monotonic() + self.ahead_ns


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


def call_of(node: str) -> Call:
    identity = Identity(node_id=node, cluster_id="c1", roles=(WORKER,))
    return Call(Peer(identity=identity, address="10.0.0.1:4711"), "a method")


@asynccontextmanager
async def a_desk(*nodes: str) -> AsyncIterator[Desk]:
    desk = Desk(*a_manager(*nodes))
    async with asyncio.timeout(20), asyncio.TaskGroup() as tasks:
        running = tasks.create_task(desk.dispatcher.run())
        await asyncio.sleep(0)
        yield desk
        running.cancel()


async def until(holds: Callable[[], bool]) -> None:
    while not holds():
        await asyncio.sleep(0.005)


async def next_step(stream: Any) -> pb.AssignmentsMessage:
    return pb.AssignmentsMessage.FromString(await anext(stream))


def changes_of(message: pb.AssignmentsMessage) -> list[tuple[int, str, int]]:
    return [
        (change.action, change.assignment.task.id, change.assignment.task.desired_state)
        for change in message.changes
    ]


async def test_a_session_makes_the_node_ready_before_it_answers() -> None:
    async with a_desk("n1") as desk, aclosing(desk.session("n1")) as stream:
        message = await anext(stream)
        node = desk.store.get_node("n1")
        assert node.status.state is NodeState.READY
        assert node.status.addr == "10.0.0.1"
        assert node.hostname == "host-n1"
        assert len(message.session_id) == 25
        assert message.node.id == "n1"
        assert message.RootCA == b"root"
        assert message.leader_addr == "10.0.0.9:2377"
        assert [(peer.peer.addr, peer.weight) for peer in message.managers] == [
            ("10.0.0.9:2377", 10)
        ]


async def test_nodes_that_register_together_are_written_together() -> None:
    names = [f"n{number}" for number in range(200)]
    async with a_desk(*names) as desk:
        async with asyncio.TaskGroup() as group:
            for name in names:
                group.create_task(desk.open(name))
        assert {node.status.state for node in desk.store.nodes()} == {NodeState.READY}
        assert len(desk.writer.entries) <= 5


async def test_an_unknown_node_gets_no_session() -> None:
    async with a_desk() as desk:
        with pytest.raises(Rejection) as refusal:
            await desk.open("n1")
        assert refusal.value == Rejection(Code.UNKNOWN, "node not found")


async def test_a_session_is_resumed_under_its_id() -> None:
    async with a_desk("n1") as desk:
        session_id = await desk.open("n1")
        async with aclosing(desk.session("n1", session_id)) as stream:
            assert (await anext(stream)).session_id == session_id


async def test_a_new_session_ends_the_streams_of_the_old_one() -> None:
    async with a_desk("n1") as desk, aclosing(desk.session("n1")) as stream:
        await anext(stream)
        await desk.open("n1")
        with pytest.raises(Rejection, match="session invalid"):
            await anext(stream)


async def test_the_node_hears_of_its_own_changes_and_not_of_its_status() -> None:
    async with a_desk("n1") as desk, aclosing(desk.session("n1")) as stream:
        await anext(stream)
        node = desk.store.get_node("n1")
        described = replace(node, status=replace(node.status, message="fine"))
        desk.writer.write(Update(described, base=node.version))
        node = desk.store.get_node("n1")
        spec = replace(node.spec, availability=Availability.DRAIN)
        desk.writer.write(Update(replace(node, spec=spec), base=node.version))
        message = await anext(stream)
        assert message.node.spec.availability == 2


async def test_new_managers_are_announced() -> None:
    async with a_desk("n1") as desk, aclosing(desk.session("n1")) as stream:
        await anext(stream)
        desk.managers.append(ManagerPeer(NodeId("m2"), "10.0.0.8:2377"))
        desk.dispatcher.refresh()
        message = await anext(stream)
        assert [peer.peer.node_id for peer in message.managers] == ["leader", "m2"]


async def test_a_new_root_is_announced() -> None:
    async with a_desk("n1") as desk, aclosing(desk.session("n1")) as stream:
        await anext(stream)
        cluster = desk.store.cluster()
        rotated = replace(cluster, root_ca=a_cluster(b"other").root_ca)
        desk.writer.write(Update(rotated, base=cluster.version))
        assert (await anext(stream)).RootCA == b"other"


async def test_heartbeats_tell_a_period_near_the_setting() -> None:
    async with a_desk("n1") as desk:
        session_id = await desk.open("n1")
        period = desk.beat("n1", session_id).period
        assert 1.25 * SECOND <= period.seconds * SECOND + period.nanos <= 1.501 * SECOND


class SetLine:
    """A connection to a machine that lives until a test says otherwise."""

    def __init__(self, clock: SetClock) -> None:
        self._clock = clock
        self.silent_since: Instant | None = None

    def heard_at(self) -> Instant | None:
        return self.silent_since or Instant(self._clock.monotonic())


async def test_a_session_over_a_watched_connection_needs_half_the_heartbeats() -> None:
    async with a_desk("n1") as desk:
        async with aclosing(desk.session("n1", line=SetLine(desk.clock))) as stream:
            session_id = (await anext(stream)).session_id
            period = desk.beat("n1", session_id).period
            assert 2.75 * SECOND <= period.seconds * SECOND + period.nanos <= 3.001 * SECOND
        period = desk.beat("n1", session_id).period
        assert 1.25 * SECOND <= period.seconds * SECOND + period.nanos <= 1.501 * SECOND


async def test_a_machine_that_falls_silent_takes_its_node_down_before_heartbeats_are_missed() -> (
    None
):
    async with a_desk("n1") as desk:
        line = SetLine(desk.clock)
        async with aclosing(desk.session("n1", line=line)) as stream:
            desk.beat("n1", (await anext(stream)).session_id)
            line.silent_since = Instant(desk.clock.monotonic())
            desk.clock.ahead_ns += 4500 * MILLISECOND
            await until(lambda: desk.store.get_node("n1").status.state is NodeState.DOWN)


def a_relayed_line(desk: Desk) -> RelayedLine:
    return RelayedLine(SetLine(desk.clock), via="m2", name="7", clock=desk.clock)


async def test_a_machine_that_its_manager_calls_silent_takes_its_node_down() -> None:
    async with a_desk("n1") as desk:
        line = a_relayed_line(desk)
        async with aclosing(desk.session("n1", line=line)) as stream:
            desk.beat("n1", (await anext(stream)).session_id)
            desk.clock.ahead_ns += 4500 * MILLISECOND
            desk.tell_silence("m2", "n1", "7", 4500 * MILLISECOND)
            await until(lambda: desk.store.get_node("n1").status.state is NodeState.DOWN)


async def test_a_relayed_node_is_not_silent_on_the_word_of_others() -> None:
    async with a_desk("n1") as desk:
        line = a_relayed_line(desk)
        async with aclosing(desk.session("n1", line=line)) as stream:
            await anext(stream)
            desk.tell_silence("m3", "n1", "7", 10 * SECOND)
            desk.tell_silence("m2", "n1", "6", 10 * SECOND)
            desk.tell_silence("m2", "n2", "7", 10 * SECOND)
            heard = line.heard_at()
            assert heard is not None
            assert heard > desk.clock.monotonic() - 5 * SECOND
            desk.tell_silence("m2", "n1", "7", 10 * SECOND)
            heard = line.heard_at()
            assert heard is not None
            assert heard < desk.clock.monotonic() - 9 * SECOND


async def test_a_stream_that_took_over_the_session_keeps_it_when_the_former_ends() -> None:
    async with a_desk("n1") as desk:
        former, line = desk.session("n1", line=SetLine(desk.clock)), SetLine(desk.clock)
        session_id = (await anext(former)).session_id
        async with aclosing(desk.session("n1", session_id, line=line)) as stream:
            await anext(stream)
            await former.aclose()
            assert desk.beat("n1", session_id).period.seconds >= 2


async def test_a_changed_period_holds_from_the_next_heartbeat() -> None:
    async with a_desk("n1") as desk:
        session_id = await desk.open("n1")
        cluster = desk.store.cluster()
        spec = replace(cluster.spec, dispatcher=DispatcherConfig(heartbeat_period_ns=20 * SECOND))
        desk.writer.write(Update(replace(cluster, spec=spec), base=cluster.version))
        assert 18 <= desk.beat("n1", session_id).period.seconds <= 22


async def test_a_heartbeat_without_a_session_is_refused() -> None:
    async with a_desk("n1") as desk:
        with pytest.raises(Rejection, match="node not registered"):
            desk.beat("n1", "")
        await desk.open("n1")
        with pytest.raises(Rejection, match="session invalid"):
            desk.beat("n1", "other")


async def test_relayed_heartbeats_are_answered_one_by_one() -> None:
    async with a_desk("n1", "m2") as desk:
        sessions = {node: await desk.open(node) for node in ("n1", "m2")}
        request = cluster_pb.RelayHeartbeatsRequest()
        for node, session_id in (("n1", sessions["n1"]), ("n1", "other"), ("", sessions["m2"])):
            beat = pb.HeartbeatRequest(session_id=session_id).SerializeToString()
            request.heartbeats.add(node_id=node, request=beat)
        request.heartbeats.add(node_id="n1", request=b"rubbish")
        one, other, own, rubbish = desk.relays.RelayHeartbeats(call_of("m2"), request).answers
    for answer in (one, own):
        assert answer.code == 0
        assert pb.HeartbeatResponse.FromString(answer.response).period.ToTimedelta()
    assert (other.code, other.message) == (Code.INVALID_ARGUMENT, "session invalid")
    assert rubbish.code == Code.INVALID_ARGUMENT
    assert "cannot be decoded" in rubbish.message


async def test_a_silent_node_is_written_down_and_its_streams_end() -> None:
    async with a_desk("n1") as desk, aclosing(desk.session("n1")) as stream:
        await anext(stream)
        desk.clock.ahead_ns += 5 * SECOND
        with pytest.raises(Rejection, match="session invalid"):
            await anext(stream)
        await until(lambda: desk.store.get_node("n1").status.state is NodeState.DOWN)
        assert desk.store.get_node("n1").status.message == "heartbeat failure"


async def test_a_node_that_came_back_is_ready_again() -> None:
    async with a_desk("n1") as desk:
        await desk.open("n1")
        desk.clock.ahead_ns += 5 * SECOND
        await until(lambda: desk.store.get_node("n1").status.state is NodeState.DOWN)
        await desk.open("n1")
        assert desk.store.get_node("n1").status.state is NodeState.READY


async def test_a_node_of_the_former_leader_goes_unknown_and_then_down() -> None:
    store, writer = a_manager()
    writer.write(Create(a_node("n1", NodeState.READY)))
    desk = Desk(store, writer)
    async with asyncio.timeout(20), asyncio.TaskGroup() as tasks:
        running = tasks.create_task(desk.dispatcher.run())
        await asyncio.sleep(0)
        desk.clock.ahead_ns += 1100 * MILLISECOND
        await until(lambda: store.get_node("n1").status.state is NodeState.UNKNOWN)
        desk.clock.ahead_ns += 5 * SECOND
        await until(lambda: store.get_node("n1").status.state is NodeState.DOWN)
        running.cancel()


async def test_a_ready_node_that_comes_back_to_a_new_leader_costs_no_write() -> None:
    store, writer = a_manager("n1")
    first = Desk(store, writer)
    async with asyncio.timeout(20), asyncio.TaskGroup() as tasks:
        running = tasks.create_task(first.dispatcher.run())
        await asyncio.sleep(0)
        await first.open("n1")
        running.cancel()
    written = len(writer.entries)
    second = Desk(store, writer)
    async with asyncio.timeout(20), asyncio.TaskGroup() as tasks:
        running = tasks.create_task(second.dispatcher.run())
        await asyncio.sleep(0)
        await second.open("n1")
        running.cancel()
    assert len(writer.entries) == written


async def test_tasks_of_a_node_that_is_down_for_a_day_are_orphaned() -> None:
    async with a_desk("n1") as desk:
        desk.writer.write(Create(a_task("t1", node="n1", state=TaskState.RUNNING)))
        await desk.open("n1")
        desk.clock.ahead_ns += 5 * SECOND
        await until(lambda: desk.store.get_node("n1").status.state is NodeState.DOWN)
        desk.clock.ahead_ns += 24 * 3600 * SECOND
        await until(lambda: desk.store.get_task("t1").status.state is TaskState.ORPHANED)
        assert desk.store.get_task("t1").status.err == "node n1 has been down for 24 hours"


async def test_a_node_that_leaves_is_down_when_the_call_returns() -> None:
    async with a_desk("n1") as desk, aclosing(desk.session("n1")) as stream:
        await anext(stream)
        await desk.lifecycle.Leave(call_of("n1"), cluster_pb.LeaveClusterRequest())
        node = desk.store.get_node("n1")
        assert (node.status.state, node.status.message) == (NodeState.DOWN, "left the swarm")
        with pytest.raises(Rejection, match="session invalid"):
            await anext(stream)
        with pytest.raises(Rejection, match="just left"):
            await desk.open("n1")


async def test_a_removed_node_is_cut_off() -> None:
    async with a_desk("n1") as desk, aclosing(desk.session("n1")) as stream:
        session_id = (await anext(stream)).session_id
        desk.writer.write(Delete(Kind.NODE, "n1"))
        with pytest.raises(Rejection, match="node not registered"):
            await anext(stream)
        with pytest.raises(Rejection, match="node not registered"):
            desk.beat("n1", session_id)


async def test_assignments_begin_complete_and_go_on_step_by_step() -> None:
    async with a_desk("n1", "n2") as desk:
        desk.writer.write(Create(a_task("t1", node="n1")))
        session_id = await desk.open("n1")
        async with aclosing(desk.assignments("n1", session_id)) as stream:
            first = await next_step(stream)
            assert (first.type, first.applies_to, first.results_in) == (0, "", "1")
            assert changes_of(first) == [(0, "t1", TaskState.RUNNING)]
            assert first.changes[0].assignment.task.spec.container.command == ["sleep", "1000"]

            desk.writer.write(Create(a_task("t2", node="n1")), Create(a_task("t3", node="n2")))
            second = await next_step(stream)
            assert (second.type, second.applies_to, second.results_in) == (1, "1", "2")
            assert changes_of(second) == [(0, "t2", TaskState.RUNNING)]

            desk.writer.write(SetDesiredState(TaskId("t1"), TaskState.SHUTDOWN))
            third = await next_step(stream)
            assert changes_of(third) == [(0, "t1", TaskState.SHUTDOWN)]

            desk.writer.write(Delete(Kind.TASK, "t1"))
            fourth = await next_step(stream)
            assert (fourth.applies_to, fourth.results_in) == ("3", "4")
            assert changes_of(fourth) == [(1, "t1", 0)]


async def test_an_agents_own_reports_are_not_echoed() -> None:
    async with a_desk("n1") as desk:
        desk.writer.write(Create(a_task("t1", node="n1")))
        session_id = await desk.open("n1")
        async with aclosing(desk.assignments("n1", session_id)) as stream:
            await next_step(stream)
            desk.report("n1", session_id, "t1", TaskState.RUNNING)
            await until(lambda: desk.store.get_task("t1").status.state is TaskState.RUNNING)
            desk.writer.write(SetDesiredState(TaskId("t1"), TaskState.SHUTDOWN))
            assert changes_of(await next_step(stream)) == [(0, "t1", TaskState.SHUTDOWN)]


async def test_large_changes_come_in_messages_of_bounded_size() -> None:
    async with a_desk("n1") as desk:
        session_id = await desk.open("n1")
        async with aclosing(desk.assignments("n1", session_id)) as stream:
            await next_step(stream)
            desk.writer.write(*(Create(a_task(f"t{n}", node="n1")) for n in range(1500)))
            second, third = await next_step(stream), await next_step(stream)
            assert (len(second.changes), len(third.changes)) == (1000, 500)
            assert third.applies_to == second.results_in


async def test_assignments_need_the_session() -> None:
    async with a_desk("n1") as desk:
        await desk.open("n1")
        with pytest.raises(Rejection, match="session invalid"):
            await anext(desk.assignments("n1", "other"))


async def test_reports_are_committed_in_batches_and_stamped() -> None:
    async with a_desk("n1") as desk:
        tasks = [a_task(f"t{number}", node="n1") for number in range(100)]
        desk.writer.write(*(Create(task) for task in tasks))
        session_id = await desk.open("n1")
        before = len(desk.writer.entries)
        for state in (TaskState.ACCEPTED, TaskState.STARTING, TaskState.RUNNING):
            for task in tasks:
                desk.report("n1", session_id, task.id, state)
        await until(
            lambda: all(task.status.state is TaskState.RUNNING for task in desk.store.tasks())
        )
        assert len(desk.writer.entries) - before == 1
        assert desk.store.get_task("t0").status.applied_by == LEADER


async def test_a_late_report_does_not_hide_a_newer_one() -> None:
    async with a_desk("n1") as desk:
        desk.writer.write(Create(a_task("t1", node="n1")))
        session_id = await desk.open("n1")
        desk.report("n1", session_id, "t1", TaskState.RUNNING)
        desk.report("n1", session_id, "t1", TaskState.STARTING)
        await until(lambda: desk.store.get_task("t1").status.state is TaskState.RUNNING)


async def test_reports_survive_a_time_without_quorum() -> None:
    async with a_desk("n1") as desk:
        desk.writer.write(Create(a_task("t1", node="n1")))
        session_id = await desk.open("n1")
        desk.writer.refusing = no_quorum()
        desk.report("n1", session_id, "t1", TaskState.RUNNING)
        await asyncio.sleep(0.05)
        desk.writer.refusing = None
        await until(lambda: desk.store.get_task("t1").status.state is TaskState.RUNNING)


async def test_nobody_reports_for_another_node() -> None:
    async with a_desk("n1", "n2") as desk:
        desk.writer.write(Create(a_task("mine", node="n1")), Create(a_task("theirs", node="n2")))
        session_id = await desk.open("n1")
        request = pb.UpdateTaskStatusRequest(session_id=session_id)
        for name in ("mine", "theirs"):
            request.updates.add(task_id=name).status.state = types.RUNNING
        with pytest.raises(Rejection) as refusal:
            desk.service.UpdateTaskStatus(call_of("n1"), request)
        assert refusal.value.code is Code.PERMISSION_DENIED
        await asyncio.sleep(0.02)
        assert {task.status.state for task in desk.store.tasks()} == {TaskState.ASSIGNED}


async def test_unknown_tasks_and_missing_statuses_do_not_fail_a_report() -> None:
    async with a_desk("n1") as desk:
        session_id = await desk.open("n1")
        request = pb.UpdateTaskStatusRequest(session_id=session_id)
        request.updates.add(task_id="gone").status.state = types.RUNNING
        request.updates.add(task_id="empty")
        assert desk.service.UpdateTaskStatus(call_of("n1"), request) == b""


async def test_volume_reports_need_the_session_and_do_nothing() -> None:
    async with a_desk("n1") as desk:
        request = pb.UpdateVolumeStatusRequest(session_id=await desk.open("n1"))
        assert desk.service.UpdateVolumeStatus(call_of("n1"), request) == b""
        request.session_id = "other"
        with pytest.raises(Rejection, match="session invalid"):
            desk.service.UpdateVolumeStatus(call_of("n1"), request)


async def test_a_stopped_dispatcher_ends_its_streams_and_refuses_calls() -> None:
    async with a_desk("n1") as desk:
        stream = desk.session("n1")
        session_id = (await anext(stream)).session_id
    with pytest.raises(Rejection) as refusal:
        await anext(stream)
    assert refusal.value == Rejection(Code.ABORTED, "node must disconnect")
    with pytest.raises(Rejection) as refusal:
        desk.beat("n1", session_id)
    assert refusal.value == Rejection(Code.ABORTED, "dispatcher is stopped")


async def test_a_node_that_waits_for_its_registration_is_told_when_the_leader_stops() -> None:
    async with a_desk("n1") as desk:
        desk.writer.refusing = no_quorum()
        opening = asyncio.ensure_future(desk.open("n1"))
        await asyncio.sleep(0.02)
    with pytest.raises(Rejection) as refusal:
        await opening
    assert refusal.value == Rejection(Code.ABORTED, "dispatcher is stopped")


async def test_a_dispatcher_that_runs_again_knows_no_session_of_before() -> None:
    async with a_desk("n1") as desk:
        session_id = await desk.open("n1")
    async with asyncio.timeout(20), asyncio.TaskGroup() as tasks:
        running = tasks.create_task(desk.dispatcher.run())
        await asyncio.sleep(0)
        async with aclosing(desk.session("n1", session_id)) as stream:
            assert (await anext(stream)).session_id != session_id
        running.cancel()


async def test_a_caller_without_a_name_is_this_node_only_by_its_own_socket() -> None:
    async with a_desk() as desk:
        request = pb.HeartbeatRequest()
        with pytest.raises(Rejection, match="needs a node certificate"):
            desk.service.Heartbeat(Call(Peer(address="10.0.0.1:1"), "a method"), request)
        with pytest.raises(Rejection, match="node not registered"):
            desk.service.Heartbeat(Call(Peer(local=True), "a method"), request)


@pytest.mark.parametrize(
    ("address", "host"),
    [("10.0.0.1:80", "10.0.0.1"), ("[fd00::1]:80", "fd00::1"), ("10.0.0.1", "10.0.0.1"), ("", "")],
)
def test_the_host_of_an_address(address: str, host: str) -> None:
    assert host_of(address) == host
