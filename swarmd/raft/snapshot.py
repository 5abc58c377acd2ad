"""Snapshot files: a header, then the state machine's chunks, each encrypted and in its place.

    prologue  magic, format, data key id, salt, checksum
    piece     length, ciphertext; the counter of the piece is its nonce
    piece 0   `SnapshotHeader`
    last one  empty

The key is derived for this one file, so counters are safe as nonces; a piece that is moved,
missing or altered fails to decrypt. A file exists under its final name only when all of it is
durable. The two last log entries in the header let the journal be aligned with the snapshot.
"""

from __future__ import annotations

import os
import struct
import zlib
from collections.abc import Callable, Iterable, Iterator

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from swarmd.raft.errors import Damaged
from swarmd.raft.keys import KeyRing
from swarmd.raft.members import Configuration
from swarmd.raft.ports import Disk, DiskFile
from swarmd.raft.records import Entry

PREFIX = "snapshot-"
_TEMPORARY = "incoming-"
_MAGIC = b"SWRDSNP\0"
_FORMAT = 1
_PROLOGUE = struct.Struct("<8sII16sI")
_LENGTH = struct.Struct("<I")
_MAX_PIECE = 64 << 20


class SnapshotHeader(msgspec.Struct, frozen=True, array_like=True):
    """What a snapshot says about itself.

    `previous` and `last` are the last two log entries inside it.
    """

    previous: Entry
    last: Entry
    configuration: Configuration

    @property
    def index(self) -> int:
        """The last log index whose effects the snapshot contains."""
        return self.last[1]

    @property
    def term(self) -> int:
        """The term of that entry."""
        return self.last[2]


class SnapshotInfo(msgspec.Struct, frozen=True):
    """A complete snapshot on disk."""

    name: str
    header: SnapshotHeader
    key_id: int
    size: int


def snapshot_name(index: int) -> str:
    """The file name of the snapshot of `index`; names sort by index."""
    return f"{PREFIX}{index:020d}"


class SnapshotWriter:
    """Writes one snapshot; nothing is visible before `finish` returns."""

    def __init__(self, disk: Disk, keys: KeyRing, header: SnapshotHeader) -> None:
        self._disk, self._header = disk, header
        self._temporary = f"{_TEMPORARY}{header.index:020d}"
        self._key_id = keys.current_id
        salt = os.urandom(16)
        self._cipher = AESGCM(keys.key(self._key_id, salt, b"snapshot"))
        self._counter = 0
        self._offset = 0
        self._file: DiskFile | None = disk.create(self._temporary, 0)
        try:
            body = _PROLOGUE.pack(_MAGIC, _FORMAT, self._key_id, salt, 0)[:-4]
            self._append(body + struct.pack("<I", zlib.crc32(body)))
            self._piece(msgspec.msgpack.encode(header))
        except BaseException:
            self.abandon()
            raise

    def add(self, chunk: bytes) -> None:
        """Write the next chunk; empty ones are skipped, as an empty piece ends the file."""
        if chunk:
            self._piece(chunk)

    def finish(self) -> SnapshotInfo:
        """Make the snapshot durable and visible."""
        assert self._file is not None
        self._piece(b"")
        self._file.sync()
        self._file.close()
        self._file = None
        name = snapshot_name(self._header.index)
        self._disk.rename(self._temporary, name)
        return SnapshotInfo(name, self._header, self._key_id, self._offset)

    def abandon(self) -> None:
        """Remove what was written so far."""
        if self._file is not None:
            self._file.close()
            self._file = None
        self._disk.remove(self._temporary)

    def _piece(self, plain: bytes) -> None:
        sealed = self._cipher.encrypt(self._counter.to_bytes(12, "big"), plain, None)
        self._counter += 1
        self._append(_LENGTH.pack(len(sealed)) + sealed)

    def _append(self, data: bytes) -> None:
        assert self._file is not None
        self._file.write(self._offset, data)
        self._offset += len(data)


def write_snapshot(
    disk: Disk, keys: KeyRing, header: SnapshotHeader, chunks: Iterable[bytes]
) -> SnapshotInfo:
    """Write a whole snapshot; on failure nothing remains of it."""
    writer = SnapshotWriter(disk, keys, header)
    try:
        for chunk in chunks:
            writer.add(chunk)
        return writer.finish()
    except BaseException:
        writer.abandon()
        raise


class SnapshotReader:
    """Reads one snapshot file piece by piece.

    Raises `Damaged`, here and while iterating, when the file is not what was written.
    """

    def __init__(self, disk: Disk, keys: KeyRing, name: str) -> None:
        self._name = name
        self._file = disk.open(name)
        self._counter = 0
        try:
            self.size = self._file.size()
            prologue = self._file.read(0, _PROLOGUE.size)
            if len(prologue) < _PROLOGUE.size:
                raise Damaged(f"snapshot {name} is too short")
            magic, form, self.key_id, salt, checksum = _PROLOGUE.unpack(prologue)
            if magic != _MAGIC or zlib.crc32(prologue[:-4]) != checksum:
                raise Damaged(f"snapshot {name} has a damaged header")
            if form != _FORMAT:
                raise Damaged(f"snapshot {name} has format {form}; this version reads {_FORMAT}")
            self._cipher = AESGCM(keys.key(self.key_id, salt, b"snapshot"))
            self._offset = _PROLOGUE.size
            try:
                self.header = msgspec.msgpack.decode(self._piece(), type=SnapshotHeader)
            except msgspec.MsgspecError as error:
                raise Damaged(f"snapshot {name} has an unreadable header: {error}") from None
        except BaseException:
            self._file.close()
            raise

    def chunks(self) -> Iterator[bytes]:
        """The state machine's chunks; closes the file at the end or when abandoned."""
        try:
            while chunk := self._piece():
                yield chunk
            if self._offset != self.size:
                raise Damaged(f"snapshot {self._name} goes on after its end")
        finally:
            self._file.close()

    def close(self) -> None:
        """Close the file without reading on; only before `chunks` was started."""
        self._file.close()

    def _piece(self) -> bytes:
        prefix = self._file.read(self._offset, _LENGTH.size)
        length = _LENGTH.unpack(prefix)[0] if len(prefix) == _LENGTH.size else 0
        if length < 16 or length > _MAX_PIECE:
            raise Damaged(f"snapshot {self._name} is damaged at byte {self._offset}")
        sealed = self._file.read(self._offset + _LENGTH.size, length)
        try:
            plain = self._cipher.decrypt(self._counter.to_bytes(12, "big"), sealed, None)
        except InvalidTag:
            raise Damaged(f"snapshot {self._name} is damaged at byte {self._offset}") from None
        self._counter += 1
        self._offset += _LENGTH.size + length
        return plain


def verify_snapshot(disk: Disk, keys: KeyRing, name: str) -> SnapshotInfo:
    """Read all of a snapshot once.

    Raises:
        Damaged: some of it is not as written.
    """
    reader = SnapshotReader(disk, keys, name)
    for _ in reader.chunks():
        pass
    return SnapshotInfo(name, reader.header, reader.key_id, reader.size)


def restore_from(
    disk: Disk, keys: KeyRing, name: str, restore: Callable[[int, Iterable[bytes]], None]
) -> None:
    """Hand a snapshot's content to a state machine."""
    reader = SnapshotReader(disk, keys, name)
    restore(reader.header.index, reader.chunks())


def clear_unfinished(disk: Disk) -> None:
    """Remove what a crash left of snapshots being written."""
    for name in disk.names():
        if name.startswith(_TEMPORARY) or name.endswith(".tmp"):
            disk.remove(name)
