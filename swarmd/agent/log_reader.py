"""A position in the log of one task: from its start, its last lines, or an instant on.

Lines are read from the files that the keeper writes, in blocks that are handed on as they are, so
that neither memory nor time grows with what nobody asks for. Rotation only ever adds a file with
the next number, so a reader finishes one file and goes on to the next; what was rotated away before
it got there is owned up to in the log.
"""

from __future__ import annotations

import os
from enum import Enum
from pathlib import Path

from swarmd.agent.executors.keeper.logfile import file_name, file_numbers
from swarmd.model.ids import TaskId
from swarmd.model.instant import Instant
from swarmd.model.log_lines import HEADER_BYTES, LINE, first_time, is_well_formed, last_time
from swarmd.model.record import Record

BLOCK_BYTES = 256 * 1024
LAST_WORDS_MAX = 200
MISSED = b"%019d e swarmd: lines are missing here: they were rotated away before they were read\n"


class LogStream(Enum):
    STDOUT = "stdout"
    STDERR = "stderr"


class LogOptions(Record, frozen=True):
    streams: tuple[LogStream, ...] = ()  # empty: both
    follow: bool = False
    tail: int | None = None  # the last records of each task; None: all
    since: Instant = Instant(0)
    until: Instant | None = None  # only what was said before


class LogRecord(Record, frozen=True):
    """One line of output, with its line feed unless the line goes on in the next record."""

    task_id: TaskId
    stream: LogStream
    timestamp: Instant
    data: bytes


_STREAMS = {b"o": LogStream.STDOUT, b"e": LogStream.STDERR}


def records_of(lines: bytes, task_id: TaskId) -> list[LogRecord]:
    """The records in lines of a log; what is not one is left out."""
    return [
        LogRecord(
            task_id=task_id,
            stream=_STREAMS[letter.lower()],
            timestamp=Instant(int(digits)),
            data=text + b"\n" if letter.islower() else text,
        )
        for digits, letter, text in LINE.findall(lines)
    ]


def last_words(task_id: TaskId, directory: Path) -> str:
    """The last line a task wrote to its standard error, as printable text; not on the event loop.

    When a program ends with an error, this is most often what tells why.
    """
    options = LogOptions(streams=(LogStream.STDERR,), tail=1)
    reader = TaskLogReader(directory, options)
    try:
        records = records_of(reader.take(), task_id)
    finally:
        reader.close()
    text = b"".join(record.data for record in records[-1:]).decode(errors="replace")
    printable = "".join(letter if letter.isprintable() else " " for letter in text)
    words = " ".join(printable.split())
    return words if len(words) <= LAST_WORDS_MAX else words[: LAST_WORDS_MAX - 1] + "…"


class TaskLogReader:
    """Reads the log in one directory.

    `take` returns what is there and moves on; nothing there is not the end, for more may come.
    Making one with `tail` looks for the place to begin, and the first `take` with `since` skips
    what is older: either may read a lot, so not on the event loop.
    """

    def __init__(self, directory: Path, options: LogOptions) -> None:
        self._directory = directory
        self._options = options
        self._number = 0
        self._file = -1
        self._position = 0
        self._notice = b""
        self._letters = {_LETTERS[stream] for stream in options.streams} or set(_STREAMS)
        self._since, self._until = options.since, options.until
        if options.tail is not None:
            self._seek_tail(options.tail)

    def take(self) -> bytes:
        """The next wanted lines, about a block of them; none when there is nothing new."""
        while lines := self._next_lines():
            wanted = self._wanted(lines)
            if wanted:
                return wanted
        return b""

    def close(self) -> None:
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def _wanted(self, lines: bytes) -> bytes:
        if is_well_formed(lines) and not self._options.streams:
            first, last = first_time(lines), last_time(lines)
            if self._is_in_time(first) and self._is_in_time(last):
                return lines
            if last < self._since or (self._until is not None and first >= self._until):
                return b""
        return b"".join(
            match.group() for match in LINE.finditer(lines) if self._is_wanted(match.group())
        )

    def _is_wanted(self, line: bytes) -> bool:
        """Whether one whole line, with its line feed, is wanted."""
        letter = line[HEADER_BYTES - 2 : HEADER_BYTES - 1].lower()
        return letter in self._letters and self._is_in_time(first_time(line))

    def _is_in_time(self, time: int) -> bool:
        return time >= self._since and (self._until is None or time < self._until)

    def _next_lines(self) -> bytes:
        while True:
            if self._notice:
                notice, self._notice = self._notice, b""
                return notice
            lines = self._read_lines()
            if lines:
                return lines
            following = [n for n in file_numbers(str(self._directory)) if n > self._number]
            if not following:
                return b""
            # The writer may have finished the old file between our look at it and at the next.
            lines = self._read_lines()
            if lines:
                return lines
            missed = 0 < self._number < following[0] - 1
            self._open(following[0])
            if missed:
                self._notice = MISSED % first_time(self._peek())

    def _peek(self) -> bytes:
        return os.pread(self._file, HEADER_BYTES, 0) if self._file >= 0 else b""

    def _read_lines(self) -> bytes:
        """A block of whole lines of the open file; one half written stays for later."""
        while self._file >= 0:
            block = os.pread(self._file, BLOCK_BYTES, self._position)
            end = block.rfind(b"\n") + 1
            if end == 0 and len(block) == BLOCK_BYTES:
                end = len(block)  # damage: no writer makes lines as long as this
                self._position += end
                continue
            self._position += end
            return block[:end]
        return b""

    def _open(self, number: int) -> None:
        self.close()
        self._number, self._position = number, 0
        try:
            path = self._directory / file_name(number)
            self._file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            return  # rotated away meanwhile; the next one is there

    def _seek_tail(self, count: int) -> None:
        """Go to where the last `count` wanted lines begin."""
        for number in reversed(file_numbers(str(self._directory))):
            self._open(number)
            if self._file < 0:
                continue
            self._position, found = self._last_lines(self._file, count)
            count -= found
            if count == 0:
                return

    def _last_lines(self, file: int, count: int) -> tuple[int, int]:
        """Where the last wanted lines of a file begin, at most `count`, and how many they are."""
        position = os.fstat(file).st_size
        carried = b""
        begin, found = position, 0
        while found < count and position > 0:
            start = max(position - BLOCK_BYTES, 0)
            data = os.pread(file, position - start, start) + carried
            position = start
            # The first line of a block began before it, unless the block begins the file.
            whole = 0 if start == 0 else data.find(b"\n") + 1
            carried = data[:whole] if whole else data
            if start > 0 and whole == 0:
                continue
            end = data.rfind(b"\n") + 1
            while found < count and end > whole:
                line_start = data.rfind(b"\n", whole, end - 1) + 1 or whole
                line = data[line_start:end]
                if LINE.match(line) and self._is_wanted(line):
                    begin, found = start + line_start, found + 1
                end = line_start
        return begin, found


_LETTERS = {stream: letter for letter, stream in _STREAMS.items()}
