"""The log as the consensus core sees it: in memory, with a tail of records not yet durable (pure).

The core calls the camelCase methods below by the names its own journal has. Every change is
made in memory and, as a record, in a pending buffer. `take_pending` hands that buffer to
whoever writes blocks; `mark_durable` says that it is on disk. Positions in the stream of
records are counted in `lsn`: a message may leave once everything it promises lies at or below
`durable_lsn`. That is the whole of group commit.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import msgspec

from swarmd.raft import records
from swarmd.raft.records import Entry


class Pending(msgspec.Struct, frozen=True):
    """Records on their way to disk.

    `preamble` is the state they build on, to open a new file with; its commit index never
    speaks of entries that are only in `payload`. `lsn` is durable once the payload is.
    """

    payload: bytes
    preamble: bytes
    lsn: int
    max_index: int
    was_reset: bool


class Journal:
    """Entries, term, vote and commit index of one member.

    Invariants: indexes are contiguous; the commit index never exceeds the last entry;
    `durable_lsn <= lsn`, and `hard_lsn <= lsn` is the position of the latest term or vote.
    """

    def __init__(
        self,
        entries: Iterable[Entry] = (),
        *,
        term: int = 0,
        vote: str | None = None,
        commit: int = 1,
    ) -> None:
        self._entries: list[Entry] = list(entries)
        self._term, self._vote, self._commit = term, vote, commit
        self._pending: list[bytes] = []
        self._pending_bytes = 0
        self._pending_max = 0
        self._pending_reset = False
        self._commit_recorded = commit
        self.lsn = 0
        self.durable_lsn = 0
        self.hard_lsn = 0
        self.bytes_appended = 0
        self.on_append: Callable[[int, bytes], None] = lambda index, command: None
        self.on_truncate: Callable[[int], None] = lambda from_index: None

    # What the core calls.

    def add(self, command: bytes, idx: int, currentTerm: int) -> None:
        """Append one entry, which must follow the last."""
        entries = self._entries
        assert not entries or entries[-1][1] + 1 == idx, "log entries are contiguous"
        entry = (command, idx, currentTerm)
        entries.append(entry)
        self._record(records.encode_entry(entry))
        self._pending_max = max(self._pending_max, idx)
        self.bytes_appended += len(command)
        self.on_append(idx, command)

    def clear(self) -> None:
        """Drop everything; the core adds the snapshot's last two entries next."""
        self._entries.clear()
        self._pending_reset = True
        self._record(records.encode_reset())

    def deleteEntriesFrom(self, entryFrom: int) -> None:
        """Cut off the tail from position `entryFrom` (a position, not an index)."""
        entries = self._entries
        if entryFrom >= len(entries):
            return
        from_index = entries[entryFrom][1]
        del entries[entryFrom:]
        self._record(records.encode_cut(from_index))
        self.on_truncate(from_index)

    def deleteEntriesTo(self, entryTo: int) -> None:
        """Forget the first `entryTo` entries; a durable snapshot covers them."""
        del self._entries[:entryTo]

    def __len__(self) -> int:
        return len(self._entries)

    def __getitem__(self, item: int | slice) -> Entry | list[Entry]:
        return self._entries[item]

    def setRaftCommitIndex(self, raftCommitIndex: int) -> None:
        """Note the commit index; it is written along with the next block, never by itself."""
        self._commit = raftCommitIndex

    def getRaftCommitIndex(self) -> int:
        """The last known commit index, never beyond the last entry."""
        last = self._entries[-1][1] if self._entries else 1
        return min(self._commit, last)

    def setCurrentTerm(self, term: int, votedForNodeId: str | None) -> None:
        """Note term and vote; no message that depends on them leaves before they are durable."""
        if (term, votedForNodeId) == (self._term, self._vote):
            return
        self._term, self._vote = term, votedForNodeId
        self._record(records.encode_hard_state(term, votedForNodeId))
        self.hard_lsn = self.lsn

    def getCurrentTerm(self) -> int:
        """The term stored last."""
        return self._term

    def getVotedForNodeId(self) -> str | None:
        """Who got this member's vote in the current term."""
        return self._vote

    def onOneSecondTimer(self) -> None:
        """Nothing to do: blocks are written when there is something to write."""

    def _destroy(self) -> None:
        """Nothing to release: files belong to the write-ahead log."""

    # What the rest of this package calls.

    def entries(self) -> list[Entry]:
        """All entries in memory, oldest first."""
        return list(self._entries)

    @property
    def first_index(self) -> int:
        """Index of the oldest entry in memory."""
        return self._entries[0][1]

    @property
    def last_index(self) -> int:
        """Index of the newest entry."""
        return self._entries[-1][1]

    @property
    def last_term(self) -> int:
        """Term of the newest entry."""
        return self._entries[-1][2]

    def term_at(self, index: int) -> int | None:
        """The term of the entry at `index`, or None when it is not in memory."""
        position = index - self._entries[0][1]
        if 0 <= position < len(self._entries):
            return self._entries[position][2]
        return None

    def read(self, from_index: int, *, max_bytes: int) -> list[Entry]:
        """Entries from `from_index` on, at least one, until their commands reach `max_bytes`."""
        position = from_index - self._entries[0][1]
        if position < 0:
            return []
        entries, total, end = self._entries, 0, position
        count = len(entries)
        while end < count and total < max_bytes:
            total += len(entries[end][0])
            end += 1
        return entries[position:end]

    @property
    def dirty(self) -> bool:
        """Whether records wait to be written."""
        return bool(self._pending)

    @property
    def pending_bytes(self) -> int:
        """Size of what waits to be written."""
        return self._pending_bytes

    def take_pending(self) -> Pending:
        """The records to write now."""
        preamble = self.hard_state()
        commit = self.getRaftCommitIndex()
        if commit > self._commit_recorded:
            self._pending.append(records.encode_commit(commit))
            self._commit_recorded = commit
        payload = b"".join(self._pending)
        pending = Pending(payload, preamble, self.lsn, self._pending_max, self._pending_reset)
        self._pending.clear()
        self._pending_bytes = self._pending_max = 0
        self._pending_reset = False
        return pending

    def hard_state(self) -> bytes:
        """Term, vote and the commit index last written, as records."""
        return records.encode_hard_state(self._term, self._vote) + records.encode_commit(
            self._commit_recorded
        )

    def mark_durable(self, lsn: int) -> None:
        """Everything up to `lsn` is on disk."""
        assert self.durable_lsn <= lsn <= self.lsn, "durability only moves forward"
        self.durable_lsn = lsn

    def _record(self, record: bytes) -> None:
        self._pending.append(record)
        self._pending_bytes += len(record)
        self.lsn += 1
