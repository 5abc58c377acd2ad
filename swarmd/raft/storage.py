"""Everything a member keeps on disk, opened, checked and brought into line.

A member is founded (`found`), prepared to join (`prepare`), or resumed (`resume`). Resuming
replays the journal, picks the newest intact snapshot and aligns the two, and refuses to start
when the result could be less than what this member has promised to others.
"""

from __future__ import annotations

import logging
import zlib

import msgspec

from swarmd.raft import records
from swarmd.raft.config import RaftConfig
from swarmd.raft.errors import Damaged, NotInitialised
from swarmd.raft.journal import Journal
from swarmd.raft.keys import KeyRing
from swarmd.raft.members import (
    Change,
    Configuration,
    ConfigurationLog,
    Member,
    Operation,
    encode_change,
)
from swarmd.raft.ports import Disk
from swarmd.raft.records import Entry, Replay
from swarmd.raft.snapshot import PREFIX, SnapshotInfo, clear_unfinished, verify_snapshot
from swarmd.raft.wal import Wal

log = logging.getLogger(__name__)

IDENTITY_FILE = "identity"
NO_OP = b"\x01"
ADVICE = (
    "move the directory away and let the other managers send the state again, "
    "or restore it from a backup"
)


class Identity(msgspec.Struct, frozen=True):
    """Which member lives here."""

    format: int
    member: Member


class Storage(msgspec.Struct):
    """An opened state directory, ready for the consensus core."""

    disk: Disk
    keys: KeyRing
    wal: Wal
    journal: Journal
    identity: Identity
    configurations: ConfigurationLog
    snapshots: list[SnapshotInfo]
    """Intact snapshots, oldest first; the last one is what the journal starts from."""


def is_initialised(disk: Disk) -> bool:
    """Whether a member lives in this directory."""
    return IDENTITY_FILE in disk.names()


def found(disk: Disk, member: Member, kek: bytes | None, config: RaftConfig) -> Storage:
    """The state of the first member of a new cluster; resuming it makes it leader.

    The founding entry is in the log like every later change, so a member that joins while no
    snapshot exists learns the cluster's whole history from the log alone.
    """
    founding = encode_change(Change(Operation.FOUND, member))
    return _initialise(
        disk, Identity(1, member), kek, config, [(NO_OP, 1, 0), (founding, 2, 1)], term=1
    )


def prepare(disk: Disk, member: Member, kek: bytes | None, config: RaftConfig) -> Storage:
    """The empty state of a member that is about to join a cluster.

    It knows nobody: the leader calls first, and the members come with the log. A configuration
    made up beforehand would take the cluster's founding in the log for the removal of its members.
    """
    return _initialise(disk, Identity(1, member), kek, config, [(NO_OP, 1, 0)], term=0)


def _initialise(
    disk: Disk,
    identity: Identity,
    kek: bytes | None,
    config: RaftConfig,
    entries: list[Entry],
    *,
    term: int,
) -> Storage:
    assert not is_initialised(disk), "a member already lives here"
    for name in disk.names():
        if name.startswith(PREFIX):
            disk.remove(name)
    keys = KeyRing.create(disk, kek)
    wal = Wal.create(
        disk, keys, segment_bytes=config.segment_bytes, reserve_bytes=config.reserve_bytes
    )
    payload = b"".join(records.encode_entry(e) for e in entries)
    payload += records.encode_hard_state(term, None)
    wal.write(payload, b"", entries[-1][1], was_reset=False)
    _write_identity(disk, identity)
    return _assemble(disk, keys, wal, Journal(entries, term=term), identity, [])


def resume(disk: Disk, kek: bytes | None, config: RaftConfig) -> Storage:
    """The state this member left behind.

    Raises:
        NotInitialised: no member lives here.
        WrongKey: the member is locked.
        Damaged: something is missing or altered.
    """
    if not is_initialised(disk):
        raise NotInitialised("the state directory holds no raft member")
    clear_unfinished(disk)
    try:
        identity = _read_identity(disk)
        keys = KeyRing.open(disk, kek)
        wal, replay = Wal.open(
            disk, keys, segment_bytes=config.segment_bytes, reserve_bytes=config.reserve_bytes
        )
        snapshots = _intact_snapshots(disk, keys)
        journal = _align(replay, snapshots)
    except Damaged as error:
        raise Damaged(f"{error}; {ADVICE}") from None
    return _assemble(disk, keys, wal, journal, identity, snapshots)


def _write_identity(disk: Disk, identity: Identity) -> None:
    body = msgspec.json.encode(identity)
    disk.replace(IDENTITY_FILE, body + b"\n%08x\n" % zlib.crc32(body))


def _read_identity(disk: Disk) -> Identity:
    body, _, checksum = disk.read(IDENTITY_FILE).partition(b"\n")
    if checksum != b"%08x\n" % zlib.crc32(body):
        raise Damaged(f"the file {IDENTITY_FILE} is damaged")
    identity = msgspec.json.decode(body, type=Identity)
    if identity.format != 1:
        raise Damaged(f"the state has format {identity.format}; this version reads format 1")
    return identity


def _assemble(
    disk: Disk,
    keys: KeyRing,
    wal: Wal,
    journal: Journal,
    identity: Identity,
    snapshots: list[SnapshotInfo],
) -> Storage:
    if snapshots:
        header = snapshots[-1].header
        configurations = ConfigurationLog(header.configuration, header.index)
    else:
        configurations = ConfigurationLog(Configuration())
    base = configurations.latest_index
    for command, index, _ in journal.entries():
        if index > base:
            configurations.append(index, command)
    return Storage(disk, keys, wal, journal, identity, configurations, snapshots)


def _intact_snapshots(disk: Disk, keys: KeyRing) -> list[SnapshotInfo]:
    intact: list[SnapshotInfo] = []
    names = [name for name in disk.names() if name.startswith(PREFIX)]
    problem: Damaged | None = None
    for name in names:
        try:
            intact.append(verify_snapshot(disk, keys, name))
        except Damaged as error:
            problem = error
            log.error("raft.snapshot_damaged name=%s reason=%s", name, error)
    if names and not intact:
        assert problem is not None
        raise problem
    return intact


def _align(replay: Replay, snapshots: list[SnapshotInfo]) -> Journal:
    """The journal that continues the newest snapshot, without losing anything acknowledged."""
    entries = replay.entries
    if not snapshots:
        if not entries or entries[0][1] != 1:
            start = entries[0][1] if entries else "nowhere"
            raise Damaged(f"the journal starts at {start} and no snapshot covers what is before")
        return _journal(entries, replay)
    header = snapshots[-1].header
    if entries and entries[0][1] <= header.index - 1 and entries[-1][1] >= header.index:
        position = header.index - 1 - entries[0][1]
        if entries[position] == header.previous and entries[position + 1] == header.last:
            return _journal(entries[position:], replay)
    elif entries and entries[0][1] > header.index - 1:
        raise Damaged(
            f"the journal starts at {entries[0][1]}, after the newest intact snapshot, "
            f"which ends at {header.index}"
        )
    if replay.commit >= header.index:
        raise Damaged(f"the journal does not agree with the snapshot of {header.index}")
    # The snapshot became durable before the journal records it was taken after, or before the
    # log was started over from a copy of the leader's. What it holds is committed either way.
    journal = _journal(entries, replay)
    journal.clear()
    for command, index, term in (header.previous, header.last):
        journal.add(command, index, term)
    journal.setRaftCommitIndex(header.index)
    return journal


def _journal(entries: list[Entry], replay: Replay) -> Journal:
    last_term = entries[-1][2] if entries else 0
    return Journal(
        entries, term=max(replay.term, last_term), vote=replay.vote, commit=replay.commit
    )


def stand_alone(opened: Storage, member: Member) -> None:
    """Make `member`, under a raft id never used before, the only member of the cluster.

    The founding entry comes after everything in the log. The identity is replaced last, so a
    crash before leaves a state on which this can be repeated.
    """
    journal = opened.journal
    assert opened.configurations.latest.find(member.raft_id) is None, "raft ids are never reused"
    term, index = journal.getCurrentTerm() + 1, journal.last_index + 1
    journal.setCurrentTerm(term, None)
    journal.add(encode_change(Change(Operation.FOUND, member)), index, term)
    pending = journal.take_pending()
    opened.wal.write(
        pending.payload, pending.preamble, pending.max_index, was_reset=pending.was_reset
    )
    _write_identity(opened.disk, Identity(1, member))
