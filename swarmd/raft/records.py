"""The journal's records and what replaying them yields (pure).

Everything the journal does is a record: an entry, a cut, a fresh start, a vote, a commit index.
Nothing is ever rewritten. Replaying the records in order gives back the journal's content.
"""

from __future__ import annotations

import struct

from swarmd.raft.errors import Damaged

Entry = tuple[bytes, int, int]
"""A log entry in the core's own shape: command, index, term."""

_ENTRY = struct.Struct("<BQQI")
_CUT = struct.Struct("<BQ")
_HARD = struct.Struct("<BQH")
_ENTRY_TAG, _CUT_TAG, _RESET_TAG, _HARD_TAG, _COMMIT_TAG = range(1, 6)


def encode_entry(entry: Entry) -> bytes:
    """An entry was appended."""
    command, index, term = entry
    return _ENTRY.pack(_ENTRY_TAG, index, term, len(command)) + command


def encode_cut(from_index: int) -> bytes:
    """Entries from `from_index` on were dropped."""
    return _CUT.pack(_CUT_TAG, from_index)


def encode_reset() -> bytes:
    """All entries were dropped; a snapshot took their place."""
    return bytes([_RESET_TAG])


def encode_hard_state(term: int, vote: str | None) -> bytes:
    """The current term and who got this member's vote in it."""
    name = b"" if vote is None else vote.encode()
    return _HARD.pack(_HARD_TAG, term, len(name)) + name


def encode_commit(index: int) -> bytes:
    """Everything up to `index` is known to be committed."""
    return _CUT.pack(_COMMIT_TAG, index)


class Replay:
    """Rebuilds the journal's content from its blocks, oldest first."""

    def __init__(self) -> None:
        self.entries: list[Entry] = []
        self.term = 0
        self.vote: str | None = None
        self.commit = 1
        self.was_reset = False
        self.max_index = 0

    def block(self, payload: bytes) -> None:
        """Apply one block's records.

        Raises:
            Damaged: the records contradict each other; the block passed its checksum, so this
                is a bug or a journal assembled from parts.
        """
        self.was_reset, self.max_index = False, 0
        position, end = 0, len(payload)
        try:
            while position < end:
                position = self._record(payload, position)
        except (struct.error, UnicodeDecodeError) as error:
            raise Damaged(f"the journal holds a malformed record: {error}") from None

    def _record(self, payload: bytes, position: int) -> int:
        tag = payload[position]
        if tag == _ENTRY_TAG:
            _, index, term, length = _ENTRY.unpack_from(payload, position)
            start = position + _ENTRY.size
            position = start + length
            if position > len(payload):
                raise Damaged(f"the journal's entry {index} is cut short inside its block")
            if self.entries and self.entries[-1][1] + 1 != index:
                raise Damaged(
                    f"the journal jumps from entry {self.entries[-1][1]} to entry {index}"
                )
            self.entries.append((payload[start:position], index, term))
            self.max_index = max(self.max_index, index)
            return position
        if tag == _CUT_TAG:
            _, from_index = _CUT.unpack_from(payload, position)
            if self.entries:
                keep = max(0, from_index - self.entries[0][1])
                del self.entries[keep:]
            return position + _CUT.size
        if tag == _RESET_TAG:
            self.entries.clear()
            self.was_reset = True
            return position + 1
        if tag == _HARD_TAG:
            _, self.term, length = _HARD.unpack_from(payload, position)
            start = position + _HARD.size
            position = start + length
            self.vote = payload[start:position].decode() or None
            return position
        if tag == _COMMIT_TAG:
            _, index = _CUT.unpack_from(payload, position)
            self.commit = max(self.commit, index)
            return position + _CUT.size
        raise Damaged(f"the journal holds a record of unknown kind {tag}")
