"""The log of one task: its output line by line with times, in files that rotate.

A record is one line: nineteen digits of nanoseconds, a blank, a letter, a blank, the data. The
letter is `o` or `e` for the stream; a capital means the line goes on in the stream's next record.
Files are numbered upwards and never renamed, so a reader that follows just moves on to the next.
Writing never blocks or fails a task: what a full disk swallows is counted and owned up to in the
log as soon as there is room again.
"""

from __future__ import annotations

import os

LINE_BYTES_MAX = 16 * 1024
SUFFIX = ".log"
NOTICE = b"swarmd: %d bytes of output are missing here: %s\n"


def file_name(number: int) -> str:
    return f"{number:06d}{SUFFIX}"


def file_numbers(directory: str) -> list[int]:
    """Numbers of the log files in `directory`, oldest first."""
    try:
        names = os.listdir(directory)
    except FileNotFoundError:
        return []
    return sorted(
        int(name.removesuffix(SUFFIX))
        for name in names
        if name.endswith(SUFFIX) and name.removesuffix(SUFFIX).isdigit()
    )


class TaskLog:
    """Writer of a task's log; `max_files` 0 discards everything."""

    def __init__(self, directory: str, *, max_bytes: int, max_files: int) -> None:
        self._directory = directory
        self._max_bytes = max_bytes
        self._max_files = max_files
        self._file = -1
        self._number = 0
        self._size = 0
        self._pending = {b"o": b"", b"e": b""}
        self._lost_bytes = 0
        self._lost_why = ""

    def write(self, stream: bytes, chunk: bytes, now: int) -> None:
        """Append what a stream (`b"o"` or `b"e"`) said; an unfinished line waits for its end."""
        if self._max_files == 0:
            return
        prefix = b"%019d %s " % (now, stream)
        unfinished = b"%019d %s " % (now, stream.upper())
        lines, newline, rest = (self._pending[stream] + chunk).rpartition(b"\n")
        out = b""
        if newline:
            out = b"".join((prefix, lines.replace(b"\n", b"\n" + prefix), newline))
        while len(rest) > LINE_BYTES_MAX:
            out += unfinished + rest[:LINE_BYTES_MAX] + b"\n"
            rest = rest[LINE_BYTES_MAX:]
        self._pending[stream] = rest
        if out:
            self._append(out, now)

    def close(self, now: int) -> None:
        """Write out unfinished lines and close the file."""
        for stream, rest in self._pending.items():
            if rest:
                self.write(stream, b"\n", now)
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def _append(self, out: bytes, now: int) -> None:
        if self._lost_bytes:
            notice = NOTICE % (self._lost_bytes, self._lost_why.encode())
            if not self._write_piece(b"%019d e " % now + notice):
                self._lost_bytes += len(out)
                return
            self._lost_bytes = 0
        position = 0
        while position < len(out):
            room = max(self._max_bytes - self._size, 0)
            end = out.rfind(b"\n", position, position + room) + 1
            if end == 0:
                # Not one line fits: a fresh file takes it, be it larger than the limit or not.
                end = out.find(b"\n", position) + 1
            if not self._write_piece(out[position:end]):
                self._lost_bytes += len(out) - position
                return
            position = end

    def _write_piece(self, piece: bytes) -> bool:
        """Write whole lines, or nothing at all."""
        try:
            self._make_room(len(piece))
            written = 0
            while written < len(piece):
                written += os.write(self._file, piece[written:])
        except OSError as error:
            self._lost_why = error.strerror or str(error)
            self._cut_torn_line()
            return False
        self._size += len(piece)
        return True

    def _cut_torn_line(self) -> None:
        if self._file < 0:
            return
        try:
            os.ftruncate(self._file, self._size)
        except OSError:
            # Start a fresh file rather than append to half a line.
            os.close(self._file)
            self._file = -1

    def _make_room(self, count: int) -> None:
        if self._file >= 0 and (self._size == 0 or self._size + count <= self._max_bytes):
            return
        if self._file < 0:
            os.makedirs(self._directory, exist_ok=True)
            self._number = (file_numbers(self._directory) or [0])[-1]
        number = self._number + 1
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
        fresh = os.open(f"{self._directory}/{file_name(number)}", flags, 0o600)
        if self._file >= 0:
            os.close(self._file)
        self._file, self._number, self._size = fresh, number, os.fstat(fresh).st_size
        for old in file_numbers(self._directory):
            if old <= number - self._max_files:
                os.unlink(f"{self._directory}/{file_name(old)}")
