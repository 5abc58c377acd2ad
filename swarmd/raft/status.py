"""What a Raft member says about itself."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from swarmd.raft.core import GuardedCore
from swarmd.raft.members import Member
from swarmd.raft.peers import Peers


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


def peers_seen(
    members: Iterable[Member], links: Peers, core: GuardedCore, reachable: set[str] | None
) -> tuple[PeerStatus, ...]:
    """What a member can say of each, itself included.

    Args:
        reachable: who has answered lately, which the leader knows; for others a link must do.
    """
    seen = []
    for member in members:
        raft_id = member.raft_id
        connected = links.is_up(raft_id) or raft_id == links.own.raft_id
        within_reach = connected if reachable is None else raft_id in reachable
        seen.append(PeerStatus(member, connected, within_reach, core.match_index(raft_id)))
    return tuple(seen)
