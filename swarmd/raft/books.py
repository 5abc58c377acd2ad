"""The consensus core's books, read-only: who leads, what is committed, how far each follower is.

The library evaluates every attribute of its object by name while it is being built, so what
cannot be answered that early is a method here, not a property.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pysyncobj.syncobj as library
from pysyncobj.node import Node
from pysyncobj.syncobj import SyncObj

from swarmd.raft.journal import Journal
from swarmd.raft.members import Configuration, ConfigurationLog
from swarmd.raft.rules import agreed

LEADER = 2


def monotonic() -> float:
    """The clock the core runs by, in seconds; `clocked_by` replaces it for both."""
    return float(library.monotonicTime())


@contextmanager
def clocked_by(clock: Callable[[], float]) -> Iterator[None]:
    """Have all cores of this process run by `clock` for as long as the block lasts."""
    before = library.monotonicTime
    library.monotonicTime = clock
    try:
        yield
    finally:
        library.monotonicTime = before


class CoreBooks(SyncObj):  # type: ignore[misc]
    """The readable half of the guarded core; `swarmd.raft.core` fills in the rest."""

    own_id: str
    journal: Journal
    configurations: ConfigurationLog
    round: int
    acked_rounds: dict[str, int]
    # Attributes of the library that are assigned here as well.
    _SyncObj__raftElectionDeadline: float
    _SyncObj__otherNodes: set[Any]
    _SyncObj__newAppendEntriesTime: float
    _SyncObj__raftCommitIndex: int
    _SyncObj__raftLeader: Any
    _SyncObj__serializer: Any

    # What the member is.

    @property
    def term(self) -> int:
        """The current term."""
        return int(self._SyncObj__raftCurrentTerm)

    @property
    def leading(self) -> bool:
        """Whether this member leads, ready or not."""
        return bool(self._SyncObj__raftState == LEADER)

    @property
    def ready(self) -> bool:
        """Whether this member leads and has applied everything committed before its term."""
        return self.leading and self.applied >= self._SyncObj__noopIDx

    @property
    def leader_id(self) -> str | None:
        """The raft id of the leader of the current term, when known."""
        leader = self._SyncObj__raftLeader
        return None if leader is None else str(leader.id)

    @property
    def commit(self) -> int:
        """The commit index as known here."""
        return int(self._SyncObj__raftCommitIndex)

    @property
    def applied(self) -> int:
        """The last index applied to the state machine."""
        return int(self._SyncObj__raftLastApplied)

    @property
    def configuration(self) -> Configuration:
        """The configuration in force."""
        return self.configurations.latest

    def committed_configuration(self) -> Configuration:
        """The configuration as of the last applied entry, which nothing can undo any more."""
        return self.configurations.at(self.applied)

    @property
    def is_member(self) -> bool:
        """Whether this member belongs to the configuration in force."""
        return self.configuration.find(self.own_id) is not None

    def match_index(self, raft_id: str) -> int:
        """How far a follower's log is known to agree; only meaningful while leading."""
        return int(self._SyncObj__raftMatchIndex.get(Node(raft_id), 0))

    def is_connected(self, raft_id: str) -> bool:
        """Whether a link to this peer is up."""
        return Node(raft_id) in self._SyncObj__connectedNodes

    def heard_from(self, raft_id: str) -> float | None:
        """When a follower last answered; only meaningful while leading."""
        heard = self._SyncObj__lastResponseTime.get(Node(raft_id))
        return None if heard is None else float(heard)

    def quorum_round(self) -> int:
        """The latest heartbeat round that a majority has answered in this term."""
        others = [m.raft_id for m in self.configuration.members if m.raft_id != self.own_id]
        return agreed(self.round, [self.acked_rounds.get(i, 0) for i in others])

    def next_deadline(self) -> float:
        """When `tick` has to be called at the latest."""
        if self.leading:
            return float(self._SyncObj__newAppendEntriesTime)
        return float(self._SyncObj__raftElectionDeadline)

    def has_work(self) -> bool:
        """Whether a tick would get something done right now."""
        if self.commit > self.applied:
            return True
        if self.leading:
            matches = [int(self._SyncObj__raftMatchIndex[n]) for n in self._SyncObj__otherNodes]
            return agreed(self.journal.last_index, matches) > self.commit
        return self.next_deadline() < monotonic()
