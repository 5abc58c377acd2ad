"""The write-ahead log: numbered segment files that only ever grow at the end.

`write` and everything it calls run in the worker thread, one call at a time; the loop only
reads the counters. A file's successor is prepared when half of it is used, so switching files
costs nothing and a full disk is noticed while there is still room to act.
"""

from __future__ import annotations

import errno
import struct
import zlib

import msgspec

from swarmd.raft.errors import Damaged
from swarmd.raft.keys import KeyRing
from swarmd.raft.ports import Disk, DiskFile
from swarmd.raft.records import Replay
from swarmd.raft.segment import (
    BLOCK_OVERHEAD,
    HEADER_BYTES,
    Segment,
    new_segment,
    read_header,
    scan,
)

_PREFIX = "log-"
_SPARE = "log-next"
_RESERVE = "reserve"
_DURABLE = "durable"
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class _Closed(msgspec.Struct):
    """A full segment: deletable once everything in it is covered by snapshots."""

    number: int
    key_id: int
    max_index: int


class Wal:
    """The open log, positioned for the next block."""

    def __init__(self, disk: Disk, keys: KeyRing, segment_bytes: int, reserve_bytes: int) -> None:
        self._disk, self._keys = disk, keys
        self._segment_bytes, self._reserve_bytes = segment_bytes, reserve_bytes
        self._closed: list[_Closed] = []
        self._file: DiskFile | None = None
        self._segment: Segment
        self._offset = 0
        self._size = 0
        self._max_index = 0
        self._spare: tuple[DiskFile, int] | None = None
        self._spare_failed = False
        self._noted = (0, 0)
        self.syncs = 0

    @classmethod
    def create(cls, disk: Disk, keys: KeyRing, *, segment_bytes: int, reserve_bytes: int) -> Wal:
        """An empty log; files of an earlier, never finished one are removed."""
        for name in disk.names():
            if name.startswith(_PREFIX) or name == _DURABLE:
                disk.remove(name)
        wal = cls(disk, keys, segment_bytes, reserve_bytes)
        wal._next_file(1, segment_bytes, b"")
        wal._fill_reserve()
        return wal

    @classmethod
    def open(
        cls, disk: Disk, keys: KeyRing, *, segment_bytes: int, reserve_bytes: int
    ) -> tuple[Wal, Replay]:
        """The log as it was left, and its content.

        A write cut short at the very end is dropped. Anything else that is not as written is
        refused: dropping it could lose what other members were promised.

        Raises:
            Damaged: with the file and place in the message.
        """
        wal = cls(disk, keys, segment_bytes, reserve_bytes)
        disk.remove(_SPARE)
        numbers = sorted(
            int(name[len(_PREFIX) :])
            for name in disk.names()
            if name.startswith(_PREFIX) and name[len(_PREFIX) :].isdigit()
        )
        if not numbers:
            raise Damaged("the journal is missing")
        noted = wal._read_note()
        for number, following in zip(numbers, [*numbers[1:], 0], strict=True):
            if following and following != number + 1:
                raise Damaged(f"journal file {number + 1} is missing")
        if noted[0] > numbers[-1]:
            raise Damaged(f"journal file {noted[0]} is missing: it was in use when last heard of")
        replay = Replay()
        for number in numbers:
            wal._replay_file(number, number == numbers[-1], noted, replay)
        wal._noted = noted
        wal._fill_reserve()
        return wal, replay

    # State the loop may read at any time.

    @property
    def low_on_space(self) -> bool:
        """Whether the disk had no room for the next file: time to refuse new work."""
        return self._spare_failed

    @property
    def room(self) -> int:
        """Bytes that can certainly still be written."""
        spare = self._spare[1] - HEADER_BYTES if self._spare else 0
        return self._size - self._offset + spare

    @property
    def segments(self) -> int:
        """How many files the log consists of."""
        return len(self._closed) + 1

    # Calls for the worker thread.

    def write(self, payload: bytes, preamble: bytes, max_index: int, *, was_reset: bool) -> None:
        """Write one block and make it durable.

        `preamble` opens a new file when one has to be started: the state the payload builds
        on. `was_reset` says that everything in earlier files is obsolete.

        Raises:
            OSError: nothing may be assumed about the block; the log must not be used again.
        """
        if self._offset + BLOCK_OVERHEAD + len(payload) > self._size:
            needed = HEADER_BYTES + 2 * BLOCK_OVERHEAD + len(payload) + len(preamble)
            self._switch(max(self._segment_bytes, needed), preamble)
        assert self._file is not None
        block = self._segment.seal(self._offset, payload)
        self._file.write(self._offset, block)
        self._file.sync()
        self.syncs += 1
        self._offset += len(block)
        self._max_index = max(self._max_index, max_index)
        if was_reset:
            for closed in self._closed:
                closed.max_index = 0
        if self._spare is None and (self._offset * 2 > self._size or self._spare_failed):
            self._prepare_spare()

    def look_for_space(self) -> None:
        """Try again to prepare the next file, since a log that takes no writes would not."""
        if self._spare is None and self._spare_failed:
            self._prepare_spare()

    def release(self, keep_from: int) -> None:
        """Delete the oldest files as long as all their entries lie before `keep_from`."""
        while self._closed and self._closed[0].max_index < keep_from:
            self._disk.remove(_name(self._closed[0].number))
            self._closed.pop(0)

    def key_ids(self) -> set[int]:
        """The data keys the remaining files were encrypted with."""
        return {closed.key_id for closed in self._closed} | {self._segment.key_id}

    def rotate_key(self, preamble: bytes) -> None:
        """Go on in a new file, encrypted with the key ring's current data key."""
        if self._spare is not None:
            self._spare[0].close()
            self._disk.remove(_SPARE)
            self._spare = None
        self._switch(self._segment_bytes, preamble)

    def note_durable(self) -> None:
        """Remember how far the log is known to reach, so that a later loss is recognised."""
        place = (self._segment.number, self._offset)
        if place != self._noted:
            body = struct.pack("<QQ", *place)
            checksum = struct.pack("<I", zlib.crc32(body))
            self._disk.replace(_DURABLE, body + checksum, durable=False)
            self._noted = place

    def close(self) -> None:
        """Close the files. The log stays as it is on disk."""
        if self._file is not None:
            self._file.close()
            self._file = None
        if self._spare is not None:
            self._spare[0].close()
            self._spare = None

    def _replay_file(
        self, number: int, is_last: bool, noted: tuple[int, int], replay: Replay
    ) -> None:
        file = self._disk.open(_name(number))
        try:
            segment = read_header(number, file.read(0, HEADER_BYTES), self._keys)
            found = scan(segment, file)
            if not is_last and not found.tail_is_zero:
                raise Damaged(f"journal file {number} is damaged at byte {found.end}")
            if noted[0] == number and found.end < noted[1]:
                raise Damaged(
                    f"journal file {number} is damaged at byte {found.end}: "
                    f"it was known to be intact up to byte {noted[1]}"
                )
            if not is_last and number < noted[0] and not found.payloads:
                raise Damaged(f"journal file {number} is empty though later files exist")
            max_index = 0
            for payload in found.payloads:
                replay.block(payload)
                max_index = max(max_index, replay.max_index)
                if replay.was_reset:
                    for closed in self._closed:
                        closed.max_index = 0
            if not is_last:
                self._closed.append(_Closed(number, segment.key_id, max_index))
                file.close()
                return
            size = file.size()
            if not found.tail_is_zero:
                _zero(file, found.end, size)
            self._file, self._segment = file, segment
            self._offset, self._size, self._max_index = found.end, size, max_index
        except BaseException:
            file.close()
            raise

    def _switch(self, size: int, preamble: bytes) -> None:
        assert self._file is not None
        number = self._segment.number
        self._closed.append(_Closed(number, self._segment.key_id, self._max_index))
        self._file.close()
        self._file = None
        self._next_file(number + 1, size, preamble)

    def _next_file(self, number: int, size: int, preamble: bytes) -> None:
        segment, header = new_segment(number, self._keys)
        if self._spare is not None and self._spare[1] >= size:
            file, size = self._spare
        else:
            if self._spare is not None:
                self._spare[0].close()
            file = self._create(size)
        self._spare = None
        offset = HEADER_BYTES
        if preamble:
            block = segment.seal(offset, preamble)
            header, offset = header + block, offset + len(block)
        file.write(0, header)
        file.sync()
        self._disk.rename(_SPARE, _name(number))
        self._file, self._segment = file, segment
        self._offset, self._size, self._max_index = offset, size, 0

    def _create(self, size: int) -> DiskFile:
        try:
            return self._disk.create(_SPARE, size)
        except OSError as error:
            if error.errno not in _FULL:
                raise
        self._spare_failed = True
        self._disk.remove(_RESERVE)
        return self._disk.create(_SPARE, size)

    def _prepare_spare(self) -> None:
        try:
            if self._disk.free_bytes() < self._reserve_bytes:
                self._spare_failed = True
                return
            file = self._disk.create(_SPARE, self._segment_bytes)
        except OSError as error:
            if error.errno not in _FULL:
                raise
            self._spare_failed = True
            return
        self._spare, self._spare_failed = (file, self._segment_bytes), False
        self._fill_reserve()

    def _fill_reserve(self) -> None:
        if self._reserve_bytes and _RESERVE not in self._disk.names():
            try:
                self._disk.create(_RESERVE, self._reserve_bytes).close()
            except OSError as error:
                if error.errno not in _FULL:
                    raise
                self._spare_failed = True

    def _read_note(self) -> tuple[int, int]:
        if _DURABLE not in self._disk.names():
            return (0, 0)
        data = self._disk.read(_DURABLE)
        if len(data) != 20 or struct.unpack("<I", data[16:])[0] != zlib.crc32(data[:16]):
            return (0, 0)
        number, offset = struct.unpack("<QQ", data[:16])
        return (number, offset)


def _name(number: int) -> str:
    return f"{_PREFIX}{number:010d}"


def _zero(file: DiskFile, start: int, end: int) -> None:
    for offset in range(start, end, 1 << 20):
        file.write(offset, bytes(min(1 << 20, end - offset)))
    file.sync()
