"""Reading the logs of tasks: from the start, the last lines, since an instant, or as they come.

Records are read from the files the keeper writes, in pieces, so memory stays bounded however large
a log is. Following polls: there is one reader per subscription, and rotation only ever adds a file
with the next number, so a reader finishes one file and goes on to the next; files that vanish
before it got there are skipped.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from enum import Enum
from io import SEEK_CUR, SEEK_END, BufferedReader
from pathlib import Path

from msgspec.structs import replace

from swarmd.agent.executors.keeper.logfile import file_name, file_numbers
from swarmd.model.ids import NodeId, ServiceId, TaskId
from swarmd.model.instant import Instant
from swarmd.model.record import Record

BLOCK_BYTES = 64 * 1024
RECORDS_PER_TURN = 256
POLL_S_MIN = 0.02
POLL_S_MAX = 0.25
LAST_WORDS_MAX = 200
_HEADER_BYTES = 22
_DIGITS = 19


class LogStream(Enum):
    STDOUT = "stdout"
    STDERR = "stderr"


class LogSelector(Record, frozen=True):
    """Which tasks: those named, those of the services named, and all if the node is named."""

    service_ids: tuple[ServiceId, ...] = ()
    node_ids: tuple[NodeId, ...] = ()
    task_ids: tuple[TaskId, ...] = ()


class LogOptions(Record, frozen=True):
    streams: tuple[LogStream, ...] = ()  # empty: both
    follow: bool = False
    tail: int | None = None  # the last records of each task; None: all
    since: Instant = Instant(0)


class LogRecord(Record, frozen=True):
    """One line of output, with its line feed unless the line goes on in the next record."""

    task_id: TaskId
    stream: LogStream
    timestamp: Instant
    data: bytes


_STREAMS = {b"o": LogStream.STDOUT, b"e": LogStream.STDERR}


def parse(line: bytes, task_id: TaskId) -> LogRecord | None:
    """The record in one line of a log file, without its line feed; None if it is not one."""
    if len(line) < _HEADER_BYTES or not line[:_DIGITS].isdigit():
        return None
    letter = line[_DIGITS + 1 : _DIGITS + 2]
    stream = _STREAMS.get(letter.lower())
    if stream is None:
        return None
    return LogRecord(
        task_id=task_id,
        stream=stream,
        timestamp=Instant(int(line[:_DIGITS])),
        data=line[_HEADER_BYTES:] + (b"\n" if letter.islower() else b""),
    )


def last_words(task_id: TaskId, directory: Path) -> str:
    """The last line a task wrote to its standard error, as printable text; not on the event loop.

    When a program ends with an error, this is most often what tells why.
    """
    options = LogOptions(streams=(LogStream.STDERR,), tail=1)
    reader = TaskLogReader(task_id, directory, options)
    try:
        records = reader.take()
    finally:
        reader.close()
    text = b"".join(record.data for record in records[-1:]).decode(errors="replace")
    printable = "".join(letter if letter.isprintable() else " " for letter in text)
    words = " ".join(printable.split())
    return words if len(words) <= LAST_WORDS_MAX else words[: LAST_WORDS_MAX - 1] + "…"


class TaskLogReader:
    """A position in the log of one task.

    `take` returns what is there and moves on; nothing there is not the end, for more may come.
    Making one with `tail` looks for the place to begin and may read a lot: not on the event loop.
    """

    def __init__(self, task_id: TaskId, directory: Path, options: LogOptions) -> None:
        self.task_id = task_id
        self._directory = directory
        self._options = options
        self._number = 0
        self._file: BufferedReader | None = None
        if options.tail is not None:
            self._seek_tail(options.tail)

    def take(self) -> list[LogRecord]:
        """Some further records, as many as fit a turn; none when there is nothing new."""
        found: list[LogRecord] = []
        taken_bytes = 0
        while len(found) < RECORDS_PER_TURN and taken_bytes < BLOCK_BYTES:
            line = self._next_line()
            if line is None:
                break
            taken_bytes += len(line)
            record = parse(line[:-1], self.task_id)
            if record is not None and self._wanted(record):
                found.append(record)
        return found

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None

    def _wanted(self, record: LogRecord) -> bool:
        streams = self._options.streams
        return record.timestamp >= self._options.since and (not streams or record.stream in streams)

    def _next_line(self) -> bytes | None:
        while True:
            line = self._read_line()
            if line is not None:
                return line
            following = [n for n in file_numbers(str(self._directory)) if n > self._number]
            if not following:
                return None
            # The writer may have finished the old file between our look at it and at the next.
            line = self._read_line()
            if line is not None:
                return line
            self._open(following[0])

    def _read_line(self) -> bytes | None:
        """The next whole line of the open file; one half written stays for later."""
        if self._file is None:
            return None
        line = self._file.readline()
        if line.endswith(b"\n"):
            return line
        if line:
            self._file.seek(-len(line), SEEK_CUR)
        return None

    def _open(self, number: int) -> None:
        self.close()
        self._number = number
        try:
            self._file = open(self._directory / file_name(number), "rb")  # noqa: SIM115
        except FileNotFoundError:
            return  # rotated away meanwhile; the next one is there

    def _seek_tail(self, count: int) -> None:
        """Go to where the last `count` wanted records begin."""
        numbers = file_numbers(str(self._directory))
        for number in reversed(numbers):
            self._open(number)
            if self._file is None:
                continue
            offset, found = self._last_lines(self._file, count)
            self._file.seek(offset)
            count -= found
            if count == 0:
                return

    def _last_lines(self, file: BufferedReader, count: int) -> tuple[int, int]:
        """Where the last wanted records of a file begin, at most `count`, and how many they are."""
        position = file.seek(0, SEEK_END)
        carried = b""
        begin, found = position, 0
        while found < count and position > 0:
            start = max(position - BLOCK_BYTES, 0)
            file.seek(start)
            data = file.read(position - start) + carried
            position = start
            # The first line of a block began before it, unless the block begins the file.
            whole = 0 if start == 0 else data.find(b"\n") + 1
            carried = data[:whole] if whole else data
            if start > 0 and whole == 0:
                continue
            end = data.rfind(b"\n") + 1
            while found < count and end > whole:
                line_start = data.rfind(b"\n", whole, end - 1) + 1 or whole
                record = parse(data[line_start : end - 1], self.task_id)
                if record is not None and self._wanted(record):
                    begin, found = start + line_start, found + 1
                end = line_start
        return begin, found


async def read(
    tasks: Callable[[], Iterable[tuple[TaskId, Path]]], options: LogOptions
) -> AsyncIterator[LogRecord]:
    """Records of `tasks`, each task's in order, tasks interleaved roughly by time.

    With `follow` this ends only when it is closed; tasks that appear meanwhile are read from their
    start, tasks that disappear are dropped once read to their end.
    """
    readers: dict[TaskId, TaskLogReader] = {}
    first = True
    poll_s = POLL_S_MIN
    try:
        while True:
            wanted = dict(tasks())
            for task_id, directory in wanted.items():
                if task_id not in readers:
                    from_start = options if first else replace(options, tail=None)
                    readers[task_id] = await asyncio.to_thread(
                        TaskLogReader, task_id, directory, from_start
                    )
            first = False
            batch: list[LogRecord] = []
            for task_id, reader in list(readers.items()):
                taken = reader.take()
                batch.extend(taken)
                if not taken and task_id not in wanted:
                    readers.pop(task_id).close()
            batch.sort(key=lambda record: record.timestamp)
            for record in batch:
                yield record
            if batch:
                poll_s = POLL_S_MIN
                continue
            if not options.follow:
                return
            await asyncio.sleep(poll_s)
            poll_s = min(poll_s * 2, POLL_S_MAX)
    finally:
        for reader in readers.values():
            reader.close()
