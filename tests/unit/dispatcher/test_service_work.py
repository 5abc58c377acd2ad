"""Assignments on their way to nodes, and reports on their way back."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from typing import Any

import pytest

from swarmd.model.errors import Code, Rejection
from swarmd.model.ids import TaskId
from swarmd.model.states import TaskState
from swarmd.rpc.pb import dispatcher as pb
from swarmd.rpc.pb import types
from swarmd.store.changes import Create, Delete, Kind, SetDesiredState
from tests.support.desk import a_desk, call_of, until
from tests.support.manager import (
    LEADER,
    a_task,
    no_quorum,
)


async def next_step(stream: Any) -> pb.AssignmentsMessage:
    return pb.AssignmentsMessage.FromString(await anext(stream))


def changes_of(message: pb.AssignmentsMessage) -> list[tuple[int, str, int]]:
    return [
        (change.action, change.assignment.task.id, change.assignment.task.desired_state)
        for change in message.changes
    ]


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
