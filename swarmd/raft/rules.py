"""What a follower does with entries from a leader (pure).

The library's core cuts its log at every append, also where the entries match, and takes any
commit index it is told. These rules look at each message first and leave the core only what is
new, in a form on which it cannot err. docs/design/raft.md lists the hazards by letter.
"""

from __future__ import annotations

from typing import Protocol

import msgspec

from swarmd.raft.messages import Append


class LogView(Protocol):
    """The part of the journal these rules read."""

    @property
    def first_index(self) -> int: ...
    @property
    def last_index(self) -> int: ...
    @property
    def last_term(self) -> int: ...
    def term_at(self, index: int) -> int | None: ...


class Accept(msgspec.Struct, frozen=True):
    """Append `entries` after `prev_index`, cutting what conflicts; the core does that."""

    prev_index: int
    prev_term: int
    entries: tuple[tuple[int, bytes], ...]


class Known(msgspec.Struct, frozen=True):
    """Nothing new. The logs agree up to `match_index`, and no commit beyond it may be taken."""

    match_index: int


class Ask(msgspec.Struct, frozen=True):
    """The logs do not meet here; ask for entries from `next_index` on."""

    next_index: int


class Contradiction(msgspec.Struct, frozen=True):
    """The leader contradicts what is committed here: a broken disk or a broken peer."""

    sentence: str


Verdict = Accept | Known | Ask | Contradiction


def judge_append(log: LogView, commit_index: int, message: Append) -> Verdict:
    """What to do with `message`, whose term is current."""
    previous = message.prev_index
    if previous < log.first_index or previous > log.last_index:
        return Ask(log.last_index + 1)
    if log.term_at(previous) != message.prev_term:
        if previous <= commit_index:
            return Contradiction(_contradiction(previous))
        return Ask(commit_index + 1)
    entries, known = message.entries, 0
    while known < len(entries) and log.term_at(previous + known + 1) == entries[known][0]:
        known += 1
    match = previous + known
    if known == len(entries):
        return Known(match)
    if match + 1 <= min(commit_index, log.last_index):
        return Contradiction(_contradiction(match + 1))
    return Accept(match, entries[known - 1][0] if known else message.prev_term, entries[known:])


def _contradiction(index: int) -> str:
    return (
        f"the leader's log differs at entry {index}, which is committed here: "
        "this member's disk, or the leader's, lost what it had acknowledged"
    )


def up_to_date(log: LogView, last_index: int, last_term: int) -> bool:
    """Whether a candidate with this last entry may lead a cluster this log is part of."""
    return (last_term, last_index) >= (log.last_term, log.last_index)


def agreed(own: int, others: list[int]) -> int:
    """The highest value that a majority, this member included, has reached."""
    values = sorted([own, *others], reverse=True)
    return values[len(values) // 2]
