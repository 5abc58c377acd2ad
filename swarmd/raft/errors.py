"""How Raft says no.

Three families. `ProposalError`s answer one call and tell the caller what it may assume about
its write. `StateError`s mean the state directory cannot be trusted or opened, so the node
refuses to start. `FatalError` ends a running node that can no longer keep its promises.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from swarmd.raft.members import Member


class RaftError(Exception):
    """Everything this package raises on purpose."""


class ProposalError(RaftError):
    """A call that was not answered with a committed result."""


class NotLeader(ProposalError):
    """This member does not lead; nothing was done. `leader` is where to ask, when known."""

    def __init__(self, leader: Member | None) -> None:
        self.leader = leader
        where = f"{leader.node_id} at {leader.address} leads" if leader else "no leader is known"
        super().__init__(f"this manager is not the leader: {where}")


class Rejected(ProposalError):
    """The write certainly did not happen and never will."""


class OutcomeUnknown(ProposalError):
    """Leadership was lost or the node stopped: the write may or may not have happened."""


class TooLarge(ProposalError):
    """The entry exceeds the size limit; nothing was done."""


class Busy(ProposalError):
    """Too much is already waiting; nothing was done, and trying again later is sensible."""


class StorageFull(Busy):
    """The disk below the journal is nearly full; nothing was done."""


class MembershipRefused(ProposalError):
    """A membership change that is wrong or unsafe now; the sentence says why."""


class StateError(RaftError):
    """The state directory cannot be used as it is."""


class Damaged(StateError):
    """Something on disk is not what was written. Data that others acknowledged may be gone."""


class WrongKey(StateError):
    """The key-encryption key does not open this state: the manager is locked."""


class NotInitialised(StateError):
    """The state directory holds no Raft member."""


class FatalError(RaftError):
    """The node can no longer keep its promises and has stopped."""
