"""What a Raft member says about itself."""

from __future__ import annotations

import msgspec

from swarmd.raft.members import Member


class Leadership(msgspec.Struct, frozen=True):
    """Who leads, as this member sees it. `ready` means: this very member, and it may act."""

    term: int
    leader: Member | None
    ready: bool


class PeerStatus(msgspec.Struct, frozen=True):
    """One member as seen from here. `match_index` is known to the leader only."""

    member: Member
    connected: bool
    reachable: bool
    match_index: int


class RaftStatus(msgspec.Struct, frozen=True):
    """A snapshot of the member's state for people and monitoring."""

    member: Member
    term: int
    leader: Member | None
    ready: bool
    commit_index: int
    applied_index: int
    last_index: int
    snapshot_index: int
    journal_files: int
    journal_syncs: int
    waiting: int
    low_on_space: bool
    peers: tuple[PeerStatus, ...]
