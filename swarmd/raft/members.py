"""Who belongs to the cluster, as the log says it (pure).

A configuration takes effect the moment its entry is in the log, committed or not, and stops
being in effect the moment that entry is cut off again. `ConfigurationLog` follows the journal
through both. Membership entries start with the byte `MEMBERSHIP` and carry a `Change`.

Raft ids are drawn anew for every join and never used twice: a member that lost its disk must
not vote a second time under the id that already voted. Removed ids are remembered for ever.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import Enum

import msgspec

MEMBERSHIP = b"\x02"


class Member(msgspec.Struct, frozen=True, array_like=True, order=True):
    """One voting member. The certificate's node id decides who it is, never the address."""

    raft_id: str
    node_id: str
    address: str


class Removed(msgspec.Struct, frozen=True, array_like=True):
    """A raft id that must never be heard again, and the node that carried it."""

    raft_id: str
    node_id: str


class Operation(Enum):
    """What a membership entry does."""

    FOUND = "found"
    ADD = "add"
    REMOVE = "remove"
    MOVE = "move"


class Change(msgspec.Struct, frozen=True, array_like=True):
    """The content of one membership entry."""

    operation: Operation
    member: Member


class Configuration(msgspec.Struct, frozen=True, array_like=True):
    """The voting members in id order, and every id that was ever removed."""

    members: tuple[Member, ...] = ()
    removed: tuple[Removed, ...] = ()

    @property
    def quorum(self) -> int:
        """How many members make a decision."""
        return len(self.members) // 2 + 1

    def find(self, raft_id: str) -> Member | None:
        """The member with this raft id, or None."""
        return next((m for m in self.members if m.raft_id == raft_id), None)

    def find_node(self, node_id: str) -> Member | None:
        """The member carried by this node, or None."""
        return next((m for m in self.members if m.node_id == node_id), None)

    def was_removed(self, raft_id: str) -> bool:
        """Whether this raft id left the cluster."""
        return any(r.raft_id == raft_id for r in self.removed)

    def node_was_removed(self, node_id: str) -> bool:
        """Whether this node was a member once and is none now."""
        return self.find_node(node_id) is None and any(r.node_id == node_id for r in self.removed)

    def changed(self, change: Change) -> Configuration:
        """The configuration after `change`; a change that makes no sense changes nothing."""
        member, members, removed = change.member, self.members, self.removed
        known = self.find(member.raft_id)
        match change.operation:
            case Operation.FOUND:
                gone = tuple(
                    Removed(m.raft_id, m.node_id) for m in members if m.raft_id != member.raft_id
                )
                return Configuration((member,), removed + gone)
            case Operation.ADD:
                if self.problem(change) is not None:
                    return self
                return Configuration(_sorted((*members, member)), removed)
            case Operation.REMOVE:
                if known is None:
                    return self
                left = tuple(m for m in members if m.raft_id != member.raft_id)
                return Configuration(left, (*removed, Removed(known.raft_id, known.node_id)))
            case Operation.MOVE:
                if known is None:
                    return self
                moved = msgspec.structs.replace(known, address=member.address)
                return Configuration(
                    _sorted(moved if m.raft_id == known.raft_id else m for m in members), removed
                )

    def problem(self, change: Change) -> str | None:
        """Why `change` cannot follow this configuration, as a sentence, or None."""
        member = change.member
        known = self.find(member.raft_id)
        if change.operation is Operation.ADD:
            if known is not None:
                return f"raft member {member.raft_id} is already part of the cluster"
            if self.was_removed(member.raft_id):
                return f"raft id {member.raft_id} was removed before and cannot come back"
            holder = self.find_node(member.node_id)
            if holder is not None:
                return (
                    f"node {member.node_id} is already raft member {holder.raft_id}; "
                    "remove that member first"
                )
        elif change.operation is not Operation.FOUND and known is None:
            return f"raft member {member.raft_id} is not part of the cluster"
        return None


def _sorted(members: Iterable[Member]) -> tuple[Member, ...]:
    return tuple(sorted(members))


def encode_change(change: Change) -> bytes:
    """The log entry that carries `change`."""
    return MEMBERSHIP + msgspec.msgpack.encode(change)


def parse_change(command: bytes) -> Change | None:
    """The change inside a log entry, or None when the entry is about something else."""
    if command[:1] != MEMBERSHIP:
        return None
    return msgspec.msgpack.decode(command[1:], type=Change)


class ConfigurationLog:
    """The configuration at every index the journal still holds.

    `base` is in force before the first membership entry: from the snapshot, or for a member
    that has only just joined, the list it was given (which does not contain itself).
    """

    def __init__(self, base: Configuration, base_index: int = 0) -> None:
        self._steps: list[tuple[int, Configuration]] = [(base_index, base)]

    @property
    def latest(self) -> Configuration:
        """The configuration in force."""
        return self._steps[-1][1]

    @property
    def latest_index(self) -> int:
        """The index of the entry that put it in force."""
        return self._steps[-1][0]

    def at(self, index: int) -> Configuration:
        """The configuration as of `index`, which must not lie before the base."""
        for start, configuration in reversed(self._steps):
            if start <= index:
                return configuration
        raise AssertionError(f"no configuration known at index {index}")

    def append(self, index: int, command: bytes) -> bool:
        """Take note of an entry; True when the configuration in force changed."""
        change = parse_change(command)
        if change is None:
            return False
        assert index > self.latest_index, "membership entries arrive in log order"
        self._steps.append((index, self.latest.changed(change)))
        return True

    def truncate(self, from_index: int) -> bool:
        """Forget entries from `from_index` on; True when the configuration changed."""
        before = len(self._steps)
        while len(self._steps) > 1 and self._steps[-1][0] >= from_index:
            self._steps.pop()
        return len(self._steps) != before

    def reset(self, base: Configuration, base_index: int) -> None:
        """Start over from a snapshot."""
        self._steps = [(base_index, base)]

    def compact(self, to_index: int) -> None:
        """Fold everything up to `to_index` into the base."""
        while len(self._steps) > 1 and self._steps[1][0] <= to_index:
            self._steps.pop(0)
