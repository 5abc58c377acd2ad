"""Statuses on their way to the leader."""

from __future__ import annotations

import asyncio

import pytest

from swarmd.agent.reporter import STATUSES_PER_CALL_MAX, Report, Reporter
from swarmd.model.ids import TaskId
from swarmd.model.states import TaskState
from swarmd.model.task import TaskStatus

T1 = TaskId("t1")
STARTING = TaskStatus(state=TaskState.STARTING)
RUNNING = TaskStatus(state=TaskState.RUNNING)


class Sent:
    """A leader that takes reports, or doesn't."""

    def __init__(self) -> None:
        self.calls: list[tuple[Report, ...]] = []
        self.failing = False
        self.arrived = asyncio.Event()

    async def send(self, reports: tuple[Report, ...]) -> None:
        if self.failing:
            raise ConnectionError("gone")
        self.calls.append(reports)
        self.arrived.set()


async def run_until_sent(reporter: Reporter, sent: Sent, *known: Report) -> None:
    async with asyncio.timeout(10), asyncio.TaskGroup() as tasks:
        running = tasks.create_task(reporter.run(known, sent.send))
        await sent.arrived.wait()
        await asyncio.sleep(0)
        running.cancel()


async def test_only_the_newest_status_of_a_task_is_sent() -> None:
    reporter, sent = Reporter(), Sent()
    reporter.put(T1, STARTING)
    reporter.put(T1, RUNNING)
    await run_until_sent(reporter, sent)
    assert sent.calls == [((T1, RUNNING),)]
    assert len(reporter) == 0


async def test_a_lower_state_does_not_replace_a_higher_one() -> None:
    reporter, sent = Reporter(), Sent()
    reporter.put(T1, RUNNING)
    reporter.put(T1, STARTING)
    await run_until_sent(reporter, sent)
    assert sent.calls == [((T1, RUNNING),)]


async def test_a_new_session_begins_with_all_that_is_known() -> None:
    reporter, sent = Reporter(), Sent()
    await run_until_sent(reporter, sent, (T1, RUNNING))
    assert sent.calls == [((T1, RUNNING),)]


async def test_what_was_not_accepted_is_sent_by_the_next_session() -> None:
    reporter, sent = Reporter(), Sent()
    reporter.put(T1, RUNNING)
    sent.failing = True
    with pytest.raises(ConnectionError):
        await reporter.run((), sent.send)
    assert len(reporter) == 1
    sent.failing = False
    await run_until_sent(reporter, sent)
    assert sent.calls == [((T1, RUNNING),)]


async def test_a_status_that_comes_during_a_call_is_sent_after_it() -> None:
    reporter, sent = Reporter(), Sent()
    reporter.put(T1, STARTING)

    async def send(reports: tuple[Report, ...]) -> None:
        if not sent.calls:
            reporter.put(T1, RUNNING)
        sent.calls.append(reports)
        if len(sent.calls) == 2:
            raise ConnectionError("enough")

    with pytest.raises(ConnectionError):
        await reporter.run((), send)
    assert sent.calls == [((T1, STARTING),), ((T1, RUNNING),)]


async def test_many_statuses_are_sent_in_calls_of_bounded_size() -> None:
    reporter, sizes = Reporter(), list[int]()
    for number in range(STATUSES_PER_CALL_MAX + 1):
        reporter.put(TaskId(f"t{number}"), RUNNING)

    async def send(reports: tuple[Report, ...]) -> None:
        sizes.append(len(reports))
        if len(sizes) == 2:
            raise ConnectionError("enough")

    with pytest.raises(ConnectionError):
        await reporter.run((), send)
    assert sizes == [STATUSES_PER_CALL_MAX, 1]
