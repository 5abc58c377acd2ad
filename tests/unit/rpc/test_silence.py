"""When a relaying manager speaks of the machines behind it, and what it says."""

from __future__ import annotations

import asyncio

import pytest

from swarmd.model.instant import MILLISECOND, SECOND, Instant
from swarmd.rpc.errors import RpcError, unavailable
from swarmd.rpc.pb import cluster as pb
from swarmd.rpc.silence import SilenceWatch
from tests.support.hand_clock import HandClock

NOW = 100 * SECOND
Told = tuple[str, str, int]


class SetLine:
    def __init__(self, silent_ns: int = 0) -> None:
        self.silent_ns: int | None = silent_ns

    def heard_at(self) -> Instant | None:
        return None if self.silent_ns is None else Instant(NOW - self.silent_ns)


class Leader:
    """Takes what is reported, or fails."""

    def __init__(self) -> None:
        self.reports: list[list[Told]] = []
        self.error: RpcError | None = None

    async def take(self, request: pb.ReportSilenceRequest) -> None:
        self.reports.append([(told.node_id, told.line, told.silent_ns) for told in request.lines])
        if self.error is not None:
            raise self.error


@pytest.fixture
def leader() -> Leader:
    return Leader()


@pytest.fixture
def watch(leader: Leader) -> SilenceWatch:
    return SilenceWatch(leader.take, HandClock(NOW))


async def test_lines_that_work_are_not_spoken_of(watch: SilenceWatch, leader: Leader) -> None:
    with watch.watching("w1", SetLine(1900 * MILLISECOND)), watch.watching("w2", SetLine()):
        await watch.look()
    assert leader.reports == []


async def test_all_silent_lines_are_told_together_each_time(
    watch: SilenceWatch, leader: Leader
) -> None:
    with (
        watch.watching("w1", SetLine(3 * SECOND)) as one,
        watch.watching("w2", SetLine()),
        watch.watching("w3", SetLine(4 * SECOND)) as three,
    ):
        await watch.look()
        await watch.look()
    told = [("w1", one, 3 * SECOND), ("w3", three, 4 * SECOND)]
    assert leader.reports == [told, told]


async def test_a_line_that_is_heard_again_is_told_once(watch: SilenceWatch, leader: Leader) -> None:
    line = SetLine(3 * SECOND)
    with watch.watching("w1", line) as name:
        await watch.look()
        line.silent_ns = 0
        await watch.look()
        await watch.look()
    assert leader.reports == [[("w1", name, 3 * SECOND)], [("w1", name, 0)]]


async def test_a_line_that_is_heard_again_is_told_until_the_leader_knows(
    watch: SilenceWatch, leader: Leader
) -> None:
    line = SetLine(3 * SECOND)
    with watch.watching("w1", line) as name:
        leader.error = unavailable("the leader is busy")
        await watch.look()
        line.silent_ns = 0
        await watch.look()
        leader.error = None
        await watch.look()
        await watch.look()
    assert leader.reports[1:] == [[("w1", name, 0)], [("w1", name, 0)]]


async def test_nothing_is_said_of_lines_that_end(watch: SilenceWatch, leader: Leader) -> None:
    with watch.watching("w1", SetLine(3 * SECOND)):
        pass
    closed = SetLine()
    closed.silent_ns = None
    with watch.watching("w2", closed):
        await watch.look()
    assert leader.reports == []


async def test_two_streams_of_one_node_have_lines_of_their_own(watch: SilenceWatch) -> None:
    line = SetLine()
    with watch.watching("w1", line) as former, watch.watching("w1", line) as latter:
        assert former != latter


async def test_it_looks_by_itself_while_there_are_lines(
    watch: SilenceWatch, leader: Leader
) -> None:
    async with asyncio.timeout(20), asyncio.TaskGroup() as tasks:
        running = tasks.create_task(watch.run())
        with watch.watching("w1", SetLine(3 * SECOND)):
            while not leader.reports:
                await asyncio.sleep(0.01)
        running.cancel()
    assert leader.reports[0][0][0] == "w1"
