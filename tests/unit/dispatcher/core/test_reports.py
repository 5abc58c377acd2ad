"""What is written down of what agents report."""

from __future__ import annotations

from msgspec.structs import replace

from swarmd.dispatcher.core.reports import (
    NodeWish,
    is_news,
    node_actions,
    orphaned,
    status_actions,
)
from swarmd.model.ids import NodeId, TaskId
from swarmd.model.instant import Instant
from swarmd.model.node import NodeDescription, NodeStatus
from swarmd.model.states import NodeState, TaskState
from swarmd.model.task import TaskStatus
from swarmd.store.changes import Create, SetTaskStatus, Update
from tests.support.manager import a_manager, a_task

NOW = Instant(7)
N1, T1 = NodeId("n1"), TaskId("t1")
READY = NodeWish(NodeState.READY, "", "10.0.0.1", NodeDescription(hostname="one"))


def test_a_registration_is_one_write_with_state_address_and_description() -> None:
    store, _ = a_manager("n1")
    node = store.get_node("n1")
    wanted = replace(
        node,
        status=NodeStatus(state=NodeState.READY, addr="10.0.0.1", since=NOW),
        description=NodeDescription(hostname="one"),
    )
    assert node_actions({N1: READY}, store, NOW) == {
        N1: Update(wanted, base=node.version, reason="node n1 is ready")
    }


def test_a_wish_that_came_true_needs_no_write() -> None:
    store, writer = a_manager("n1")
    writer.write(*node_actions({N1: READY}, store, NOW).values())
    assert node_actions({N1: READY}, store, NOW) == {}


def test_a_node_that_is_gone_needs_no_write() -> None:
    store, _ = a_manager()
    assert node_actions({N1: READY}, store, NOW) == {}


def test_a_node_that_goes_down_keeps_its_address_and_description() -> None:
    store, writer = a_manager("n1")
    writer.write(*node_actions({N1: READY}, store, NOW).values())
    wish = NodeWish(NodeState.DOWN, "heartbeat failure")
    writer.write(*node_actions({N1: wish}, store, NOW).values())
    node = store.get_node("n1")
    assert node.status == NodeStatus(
        state=NodeState.DOWN, message="heartbeat failure", addr="10.0.0.1", since=NOW
    )
    assert node.hostname == "one"


def test_since_changes_with_the_state_only() -> None:
    store, writer = a_manager("n1")
    times = []
    wishes = (READY, READY._replace(addr="10.0.0.2"), NodeWish(NodeState.DOWN), READY)
    for at, wish in enumerate(wishes, start=1):
        writer.write(*node_actions({N1: wish}, store, Instant(at)).values())
        times.append(store.get_node("n1").status.since)
    assert times == [1, 1, 3, 4]


def test_only_news_of_known_tasks_is_written() -> None:
    store, writer = a_manager("n1")
    writer.write(Create(a_task("t1", node="n1", state=TaskState.STARTING)))
    running = TaskStatus(state=TaskState.RUNNING, timestamp=Instant(5))
    assert status_actions({T1: running, TaskId("gone"): running}, store) == {
        T1: SetTaskStatus(T1, running)
    }
    writer.write(SetTaskStatus(T1, running))
    assert status_actions({T1: running}, store) == {}


def test_a_status_never_goes_back() -> None:
    task = a_task("t1", node="n1", state=TaskState.RUNNING)
    assert not is_news(task, TaskStatus(state=TaskState.STARTING))
    assert is_news(task, TaskStatus(state=TaskState.FAILED))


def test_the_same_state_with_another_message_is_news() -> None:
    task = a_task("t1", node="n1", state=TaskState.RUNNING)
    assert not is_news(task, task.status)
    assert is_news(task, replace(task.status, err="out of memory"))


def test_who_wrote_a_status_down_makes_no_news() -> None:
    task = a_task("t1", node="n1", state=TaskState.RUNNING)
    stored = replace(task, status=replace(task.status, applied_by=N1, applied_at=Instant(8)))
    assert not is_news(stored, task.status)


def test_only_tasks_that_may_still_run_are_orphaned() -> None:
    tasks = [
        a_task("assigned", node="n1"),
        a_task("running", node="n1", state=TaskState.RUNNING),
        a_task("done", node="n1", state=TaskState.COMPLETE),
    ]
    status = TaskStatus(state=TaskState.ORPHANED, err="node n1 has been down for 24 hours")
    lost = orphaned(tasks, status)
    assert set(lost) == {"assigned", "running"}
    assert {found.state for found in lost.values()} == {TaskState.ORPHANED}
