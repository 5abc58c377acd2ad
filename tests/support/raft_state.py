"""State directories for tests: written by the shipped code on a simulated disk."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from swarmd.raft import storage
from swarmd.raft.config import RaftConfig
from swarmd.raft.members import Member
from swarmd.raft.snapshot import SnapshotHeader, write_snapshot
from swarmd.raft.storage import Storage
from swarmd.sim.disk import SimDisk, SimFile

CONFIG = RaftConfig(segment_bytes=4096, reserve_bytes=1024)
MEMBER = Member("a.0", "a", "a:1")


class Collected:
    """A state machine that only remembers."""

    def __init__(self) -> None:
        self.items: list[bytes] = []

    def apply(self, index: int, data: bytes) -> object:
        self.items.append(data)
        return index

    def freeze(self) -> Collected:
        return self

    def chunks(self) -> Iterator[bytes]:
        yield from self.items

    def restore(self, index: int, chunks: Iterable[bytes]) -> None:
        self.items = list(chunks)


def write(opened: Storage) -> None:
    """Write and sync what the journal has pending."""
    pending = opened.journal.take_pending()
    opened.wal.write(
        pending.payload, pending.preamble, pending.max_index, was_reset=pending.was_reset
    )
    opened.journal.mark_durable(pending.lsn)


def filled(entries: int = 60, *, snapshot_at: int = 0, note: bool = True) -> SimDisk:
    """A member's disk with so many entries, each in a block of its own."""
    disk = SimDisk()
    opened = storage.found(disk, MEMBER, None, CONFIG)
    for number in range(3, entries + 1):
        opened.journal.add(b"\x20entry %d" % number, number, 1)
        opened.journal.setRaftCommitIndex(number - 1)
        write(opened)
    if snapshot_at:
        log = opened.journal.entries()
        header = SnapshotHeader(
            log[snapshot_at - 2],
            log[snapshot_at - 1],
            opened.configurations.at(snapshot_at),
        )
        write_snapshot(disk, opened.keys, header, [b"state %d" % i for i in range(20)])
    if note:
        opened.wal.note_durable()
    opened.wal.close()
    for file in disk.files.values():
        file.unsynced.clear()
    return disk


def copied(disk: SimDisk) -> SimDisk:
    other = SimDisk()
    for name, file in disk.files.items():
        other.files[name] = SimFile(other, bytearray(file.data))
    return other
