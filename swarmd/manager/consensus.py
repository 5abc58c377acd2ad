"""Raft as the rest of the manager sees it: its exceptions as rejections, its members as words.

Foreign exceptions are translated here, once; everything above knows `Rejection` only.
"""

from __future__ import annotations

from typing import cast

from swarmd.manager.control import ManagerMember
from swarmd.model.errors import Code, Rejection
from swarmd.raft.errors import Busy, NotLeader, OutcomeUnknown, ProposalError, TooLarge
from swarmd.raft.node import RaftNode
from swarmd.raft.status import Leadership
from swarmd.runtime.timeouts import timeout
from swarmd.store.changes import Applied

# An election takes about a second; who asks for the leader waits for some of them.
LEADER_PATIENCE_S = 10.0


def as_rejection(error: ProposalError) -> Rejection:
    """What a client may make of a failed proposal."""
    match error:
        case OutcomeUnknown():
            return Rejection(
                Code.UNAVAILABLE,
                f"{error}; the write may or may not have happened: look, then repeat it if needed",
            )
        case TooLarge() | Busy():
            return Rejection(Code.RESOURCE_EXHAUSTED, str(error))
        case NotLeader():
            return Rejection(Code.UNAVAILABLE, f"{error}; try again")
        case _:
            return Rejection(Code.UNAVAILABLE, f"{error}; nothing was written, try again")


class Consensus:
    """Reads, writes and leadership of one running Raft member; a `rpc.router.Leadership`."""

    def __init__(self, raft: RaftNode) -> None:
        self._raft = raft

    async def propose(self, data: bytes) -> Applied:
        try:
            return cast(Applied, await self._raft.propose(data))
        except ProposalError as error:
            raise as_rejection(error) from error

    async def read_barrier(self) -> int:
        try:
            return await self._raft.read_barrier()
        except ProposalError as error:
            raise as_rejection(error) from error

    def is_leader(self) -> bool:
        return self._raft.is_leader

    def leader_addr(self) -> str:
        """Where the leader is reached; empty while none is known."""
        leader = self._raft.leader
        return leader.address if leader is not None else ""

    async def find_leader(self) -> str:
        """The leader's address, empty when this manager leads; waits for an election to end.

        Raises:
            Rejection: there has been no leader for the whole time, or this manager has stopped.
        """
        if self._raft.fatal is not None:
            raise Rejection(
                Code.UNAVAILABLE,
                f"this manager has stopped ({self._raft.fatal}); ask another one",
            )
        # Nearly always the leader is known, and every call of an agent comes by here.
        known = self._addr_of_leader(self._raft.leadership)
        if known is not None:
            return known
        try:
            async with timeout(LEADER_PATIENCE_S):
                async for leadership in self._raft.watch_leadership():
                    known = self._addr_of_leader(leadership)
                    if known is not None:
                        return known
        except TimeoutError:
            pass
        raise Rejection(
            Code.UNAVAILABLE,
            "the swarm has no leader: too few managers may be online; start the missing managers, "
            "`swarmd info` on one that runs lists them",
        )

    def _addr_of_leader(self, leadership: Leadership) -> str | None:
        """Empty when this manager leads; None while nobody is known to lead."""
        if leadership.ready:
            return ""
        leader = leadership.leader
        if leader is None or leader.raft_id == self._raft.raft_id:
            return None
        return leader.address

    def members(self) -> tuple[ManagerMember, ...]:
        status = self._raft.status()
        leader_id = status.leader.raft_id if status.leader is not None else ""
        return tuple(
            ManagerMember(
                node_id=peer.member.node_id,
                raft_id=int(peer.member.raft_id),
                addr=peer.member.address,
                leader=peer.member.raft_id == leader_id,
                reachable=peer.reachable,
            )
            for peer in status.peers
        )

    def demotion_blocker(self, node_id: str) -> str | None:
        """Why taking this manager out of Raft would stop the swarm; None when it would not."""
        for member in self._raft.members:
            if member.node_id == node_id:
                return self._raft.removal_blocker(member.raft_id)
        return None
