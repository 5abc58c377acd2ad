"""Reading task logs."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarmd.agent.executors.keeper.logfile import TaskLog
from swarmd.agent.log_reader import (
    BLOCK_BYTES,
    LAST_WORDS_MAX,
    LogOptions,
    LogRecord,
    LogStream,
    TaskLogReader,
    last_words,
    records_of,
)
from swarmd.agent.logs import TURN_BYTES, Portion, read
from swarmd.model.ids import TaskId
from swarmd.model.instant import Instant

T1 = TaskId("t1")
NOW = 1_000_000_000_000_000_000


def a_log(directory: Path, *, max_bytes: int = 10_000_000) -> TaskLog:
    return TaskLog(str(directory), max_bytes=max_bytes, max_files=5)


def reading(tasks: dict[TaskId, Path], options: LogOptions) -> AsyncIterator[list[Portion]]:
    return read(lambda: tasks.items(), options, now=lambda: NOW)


async def records(turns: AsyncIterator[list[Portion]]) -> AsyncIterator[LogRecord]:
    async for portions in turns:
        for task_id, lines in portions:
            for record in records_of(lines, task_id):
                yield record


async def texts(tasks: dict[TaskId, Path], options: LogOptions) -> list[str]:
    return [record.data.decode() async for record in records(reading(tasks, options))]


async def test_all_records_are_read_in_order_across_files(tmp_path: Path) -> None:
    log = a_log(tmp_path, max_bytes=2000)
    for number in range(300):
        log.write(b"o", b"%d\n" % number, NOW + number)
    log.close(NOW)
    seen = await texts({T1: tmp_path}, LogOptions())
    assert seen == [f"{number}\n" for number in range(300 - len(seen), 300)]
    assert len(seen) > 200


@pytest.mark.parametrize("count", [0, 1, 7, 250, 1000])
async def test_the_tail_is_the_last_records_whatever_files_they_are_in(
    tmp_path: Path, count: int
) -> None:
    log = a_log(tmp_path, max_bytes=2000)
    for number in range(300):
        log.write(b"o", b"%d\n" % number, NOW + number)
    everything = await texts({T1: tmp_path}, LogOptions())
    seen = await texts({T1: tmp_path}, LogOptions(tail=count))
    assert seen == (everything[-count:] if count else [])
    log.close(NOW)


@given(st.lists(st.binary(max_size=200_000), max_size=6), st.integers(1, 5))
def test_any_tail_equals_the_end_of_the_whole(lines: list[bytes], count: int) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as directory:
        log = a_log(Path(directory))
        for line in lines:
            log.write(b"o", line.replace(b"\n", b"") + b"\n", NOW)
        log.close(NOW)
        whole = drained(TaskLogReader(Path(directory), LogOptions()))
        assert drained(TaskLogReader(Path(directory), LogOptions(tail=count))) == whole[-count:]


def drained(reader: TaskLogReader) -> list[LogRecord]:
    found: list[LogRecord] = []
    while taken := reader.take():
        found.extend(records_of(taken, T1))
    reader.close()
    return found


async def test_streams_and_since_select_records(tmp_path: Path) -> None:
    log = a_log(tmp_path)
    log.write(b"o", b"early\n", NOW)
    log.write(b"e", b"oops\n", NOW + 5)
    log.write(b"o", b"late\n", NOW + 9)
    log.close(NOW)
    tasks = {T1: tmp_path}
    assert await texts(tasks, LogOptions(streams=(LogStream.STDERR,))) == ["oops\n"]
    assert await texts(tasks, LogOptions(since=Instant(NOW + 5))) == ["oops\n", "late\n"]
    tail = LogOptions(streams=(LogStream.STDOUT,), tail=1)
    assert await texts(tasks, tail) == ["late\n"]


async def test_records_of_several_tasks_come_by_time(tmp_path: Path) -> None:
    tasks = {T1: tmp_path / "1", TaskId("t2"): tmp_path / "2"}
    for offset, directory in enumerate(tasks.values()):
        log = a_log(directory)
        for number in range(3):
            log.write(b"o", b"%d\n" % (number * 2 + offset), NOW + number * 2 + offset)
        log.close(NOW)
    assert await texts(tasks, LogOptions()) == [f"{number}\n" for number in range(6)]


async def test_following_sees_new_lines_rotations_and_new_tasks(tmp_path: Path) -> None:
    tasks = {T1: tmp_path / "1"}
    log = a_log(tasks[T1], max_bytes=1000)
    log.write(b"o", b"0\n", NOW)
    turns = reading(tasks, LogOptions(follow=True, tail=1))
    seen = records(turns)
    async with asyncio.timeout(20):
        assert (await anext(seen)).data == b"0\n"
        for number in range(1, 100):
            log.write(b"o", b"%d\n" % number, NOW)
        for number in range(1, 100):
            assert (await anext(seen)).data == b"%d\n" % number
        tasks[TaskId("t2")] = tmp_path / "2"
        other = a_log(tmp_path / "2")
        other.write(b"e", b"hello\n", NOW)
        assert (await anext(seen)).data == b"hello\n"
    await turns.aclose()  # type: ignore[attr-defined]
    log.close(NOW)
    other.close(NOW)


def test_a_line_half_written_is_read_once_it_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "000001.log"
    path.write_bytes(b"%d o hel" % NOW)
    reader = TaskLogReader(tmp_path, LogOptions())
    assert reader.take() == b""
    with path.open("ab") as file:
        file.write(b"lo\n")
    assert reader.take() == b"%d o hello\n" % NOW
    reader.close()


def test_a_line_that_goes_on_has_no_line_feed() -> None:
    (record,) = records_of(b"%d E part\n" % NOW, T1)
    assert record == LogRecord(
        task_id=T1, stream=LogStream.STDERR, timestamp=Instant(NOW), data=b"part"
    )


@given(st.lists(st.binary(max_size=40), max_size=5))
def test_damaged_lines_are_skipped_not_fatal(lines: list[bytes]) -> None:
    whole = b"%d o whole\n" % NOW
    text = whole + b"".join(line.replace(b"\n", b"") + b"\n" for line in lines) + whole
    found = [record.data for record in records_of(text, T1)]
    assert found[0] == found[-1] == b"whole\n"


async def test_what_is_older_than_wanted_is_skipped_however_much_it_is(tmp_path: Path) -> None:
    log = a_log(tmp_path)
    for number in range(5):
        log.write(b"o", b"old\n" * (BLOCK_BYTES // 8), NOW + number)
    log.write(b"o", b"new\n", NOW + 9)
    log.write(b"o", b"newer\n", NOW + 10)
    log.close(NOW)
    options = LogOptions(since=Instant(NOW + 9), until=Instant(NOW + 10))
    assert await texts({T1: tmp_path}, options) == ["new\n"]


async def test_following_ends_at_the_instant_wanted(tmp_path: Path) -> None:
    log = a_log(tmp_path)
    log.write(b"o", b"early\n", NOW - 2)
    log.write(b"o", b"late\n", NOW + 2)
    options = LogOptions(follow=True, until=Instant(NOW))
    async with asyncio.timeout(20):
        assert await texts({T1: tmp_path}, options) == ["early\n"]
    log.close(NOW)


async def test_turns_are_bounded_and_lines_of_one_task_stay_together(tmp_path: Path) -> None:
    tasks = {T1: tmp_path / "1", TaskId("t2"): tmp_path / "2"}
    for offset, directory in enumerate(tasks.values()):
        log = a_log(directory)
        for number in range(20):
            log.write(b"o", b"x" * 50_000 + b"\n", NOW + number // 5 * 10 + offset)
        log.close(NOW)
    turns = [portions async for portions in reading(tasks, LogOptions())]
    assert len(turns) > 2
    assert max(sum(len(one.lines) for one in turn) for turn in turns) <= 2 * TURN_BYTES
    said = [one for turn in turns for one in turn]
    times = [record.timestamp for one in said for record in records_of(one.lines, T1)]
    assert times == sorted(times)
    assert len(said) < 20


def test_what_was_rotated_away_unread_is_owned_up_to(tmp_path: Path) -> None:
    log = TaskLog(str(tmp_path), max_bytes=100, max_files=2)
    reader = TaskLogReader(tmp_path, LogOptions())
    log.write(b"o", b"first\n", NOW)
    assert reader.take() == b"%d o first\n" % NOW
    for number in range(100):
        log.write(b"o", b"%d\n" % number, NOW)
    assert len(records_of(reader.take(), T1)) == 3  # of the file that was open
    (notice,) = records_of(reader.take(), T1)
    assert b"lines are missing here" in notice.data
    assert records_of(reader.take(), T1)[0].timestamp == NOW
    log.close(NOW)
    reader.close()


def test_the_last_words_are_the_last_line_of_standard_error_made_printable(tmp_path: Path) -> None:
    assert last_words(T1, tmp_path) == ""
    log = a_log(tmp_path)
    log.write(b"e", b"Traceback\nKeyError:\t\x1b[1m'name'\n", NOW)
    log.write(b"o", b"bye\n", NOW + 1)
    assert last_words(T1, tmp_path) == "KeyError: [1m'name'"
    log.write(b"e", b"x" * 1000 + b"\n", NOW + 2)
    assert last_words(T1, tmp_path) == "x" * (LAST_WORDS_MAX - 1) + "…"
    log.close(NOW)


async def test_a_task_without_a_log_has_no_records(tmp_path: Path) -> None:
    assert await texts({T1: tmp_path / "nothing"}, LogOptions(tail=3)) == []
