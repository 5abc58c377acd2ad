"""Reading task logs."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarmd.agent.executors.keeper.logfile import TaskLog
from swarmd.agent.logs import (
    LAST_WORDS_MAX,
    LogOptions,
    LogRecord,
    LogStream,
    TaskLogReader,
    last_words,
    parse,
    read,
)
from swarmd.model.ids import TaskId
from swarmd.model.instant import Instant

T1 = TaskId("t1")
NOW = 1_000_000_000_000_000_000


def a_log(directory: Path, *, max_bytes: int = 10_000_000) -> TaskLog:
    return TaskLog(str(directory), max_bytes=max_bytes, max_files=5)


async def texts(tasks: dict[TaskId, Path], options: LogOptions) -> list[str]:
    return [record.data.decode() async for record in read(lambda: tasks.items(), options)]


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
        whole = drained(TaskLogReader(T1, Path(directory), LogOptions()))
        assert drained(TaskLogReader(T1, Path(directory), LogOptions(tail=count))) == whole[-count:]


def drained(reader: TaskLogReader) -> list[LogRecord]:
    found: list[LogRecord] = []
    while taken := reader.take():
        found.extend(taken)
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
    records = read(lambda: tasks.items(), LogOptions(follow=True, tail=1))
    async with asyncio.timeout(20):
        assert (await anext(records)).data == b"0\n"
        for number in range(1, 100):
            log.write(b"o", b"%d\n" % number, NOW)
        for number in range(1, 100):
            assert (await anext(records)).data == b"%d\n" % number
        tasks[TaskId("t2")] = tmp_path / "2"
        other = a_log(tmp_path / "2")
        other.write(b"e", b"hello\n", NOW)
        assert (await anext(records)).data == b"hello\n"
    await records.aclose()
    log.close(NOW)
    other.close(NOW)


def test_a_line_half_written_is_read_once_it_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "000001.log"
    path.write_bytes(b"%d o hel" % NOW)
    reader = TaskLogReader(T1, tmp_path, LogOptions())
    assert reader.take() == []
    with path.open("ab") as file:
        file.write(b"lo\n")
    assert [record.data for record in reader.take()] == [b"hello\n"]
    reader.close()


def test_a_line_that_goes_on_has_no_line_feed() -> None:
    record = parse(b"%d E part" % NOW, T1)
    assert record == LogRecord(
        task_id=T1, stream=LogStream.STDERR, timestamp=Instant(NOW), data=b"part"
    )


@given(st.binary())
def test_damaged_lines_are_skipped_not_fatal(line: bytes) -> None:
    record = parse(line, T1)
    assert record is None or line[:19].isdigit()


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
