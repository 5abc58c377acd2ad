"""Changing who belongs to the cluster: one change at a time, and none that risks the quorum.

A joining node first receives the log as a learner that counts for nothing, and becomes a member
when it has caught up; otherwise adding a second member to a cluster of one would stop all
commits until it has. A leader that is to go hands its leadership over first.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from swarmd.raft.books import monotonic
from swarmd.raft.config import RaftConfig
from swarmd.raft.core import LEADER_STAYS, GuardedCore
from swarmd.raft.errors import MembershipRefused, NotLeader, OutcomeUnknown
from swarmd.raft.members import Change, Configuration, Member, Operation, encode_change
from swarmd.raft.proposer import Proposer

log = logging.getLogger(__name__)

_POLL_S = 0.01
_SETTLE_S = 5.0
_TRANSFER_S = 3.0


def removal_problem(configuration: Configuration, raft_id: str, reachable: set[str]) -> str | None:
    """Why removing `raft_id` would lose the quorum, as a sentence, or None (pure).

    The members that remain decide alone afterwards; enough of them must be reachable now.
    """
    member = configuration.find(raft_id)
    if member is None:
        return f"raft member {raft_id} is not part of the cluster"
    others = len(configuration.members) - 1
    needed = others // 2 + 1
    alive = sum(1 for m in configuration.members if m.raft_id != raft_id and m.raft_id in reachable)
    if others == 0:
        return f"node {member.node_id} is the only manager; the cluster would be left without any"
    if alive < needed:
        return (
            f"removing manager {member.node_id} would lose the quorum: {alive} of the {others} "
            f"managers left are reachable, and {needed} are needed"
        )
    return None


class Membership:
    """Serialises membership changes on the leader.

    `learn` starts or stops the link to a node that is no member yet.
    """

    def __init__(
        self,
        core: GuardedCore,
        proposer: Proposer,
        config: RaftConfig,
        leader: Callable[[], Member | None],
        learn: Callable[[Member, bool], None],
    ) -> None:
        self._core, self._proposer, self._config = core, proposer, config
        self._leader, self._learn = leader, learn
        self._turn = asyncio.Lock()

    def reachable(self) -> set[str]:
        """Members that have answered lately, this one included. Only the leader knows."""
        core = self._core
        since = monotonic() - self._config.fallback_ns / 1e9
        alive = {core.own_id}
        for member in core.configuration.members:
            heard = core.heard_from(member.raft_id)
            if heard is not None and heard > since and core.is_connected(member.raft_id):
                alive.add(member.raft_id)
        return alive

    def removal_blocker(self, raft_id: str) -> str | None:
        """Why the member cannot be removed now, or None."""
        return removal_problem(self._core.configuration, raft_id, self.reachable())

    async def add(self, member: Member) -> None:
        """Bring `member` up to date and make it a voter. Adding a member twice is no error.

        Raises:
            NotLeader, MembershipRefused: it is not a member.
            OutcomeUnknown: it may be one.
        """
        async with self._turn:
            self._require_leader()
            if member in self._core.configuration.members:
                return
            change = Change(Operation.ADD, member)
            problem = self._core.configuration.problem(change)
            if problem is not None:
                raise MembershipRefused(problem)
            self._learn(member, True)
            try:
                await self._catch_up(member)
                await self._commit(change)
            finally:
                self._learn(member, False)
            await self._settle()

    async def remove(self, raft_id: str) -> None:
        """Take a member out. It is told so when it next calls.

        Raises:
            NotLeader, MembershipRefused: it is still a member.
            OutcomeUnknown: it may have been removed.
        """
        async with self._turn:
            self._require_leader()
            member = self._core.configuration.find(raft_id)
            if member is None:
                return
            problem = self.removal_blocker(raft_id)
            if problem is None and raft_id == self._core.own_id:
                problem = LEADER_STAYS
            if problem is not None:
                raise MembershipRefused(problem)
            await self._commit(Change(Operation.REMOVE, member))

    async def move(self, raft_id: str, address: str) -> None:
        """Record a member's new address.

        Raises:
            NotLeader, MembershipRefused, OutcomeUnknown: as for `remove`.
        """
        async with self._turn:
            self._require_leader()
            member = self._core.configuration.find(raft_id)
            if member is None:
                raise MembershipRefused(f"raft member {raft_id} is not part of the cluster")
            if member.address != address:
                await self._commit(Change(Operation.MOVE, Member(raft_id, member.node_id, address)))

    async def transfer(self, to: str | None) -> None:
        """Hand the leadership to `to`, or to the reachable member that is furthest along.

        Proposals are refused as busy meanwhile, so that the successor can be complete.

        Raises:
            NotLeader: this member does not lead.
            MembershipRefused: nobody took over in time; this member still leads.
        """
        async with self._turn:
            self._require_leader()
            core = self._core
            term, give_up = core.term, monotonic() + _TRANSFER_S
            asked = ""
            self._proposer.held = True
            try:
                while core.leading and core.term == term:
                    if monotonic() > give_up:
                        raise MembershipRefused("no other manager took over the leadership in time")
                    successor = self._successor(to)
                    if successor is not None and successor != asked and core.transfer(successor):
                        asked = successor
                    await asyncio.sleep(_POLL_S)
            finally:
                self._proposer.held = False

    def _successor(self, to: str | None) -> str | None:
        core = self._core
        reachable = self.reachable() - {core.own_id}
        if to is not None:
            if core.configuration.find(to) is None or to == core.own_id:
                raise MembershipRefused(f"raft member {to} cannot take over the leadership")
            return to if to in reachable else None
        return max(reachable, key=lambda i: (core.match_index(i), i), default=None)

    def _require_leader(self) -> None:
        if not self._core.ready:
            raise NotLeader(self._leader())

    async def _catch_up(self, member: Member) -> None:
        """Wait until a learner has what was in the log when it began, and then nearly all."""
        core = self._core
        term, give_up = core.term, monotonic() + self._config.catch_up_timeout_ns / 1e9
        goal = core.journal.last_index
        while True:
            if not core.leading or core.term != term:
                raise NotLeader(self._leader())
            match = core.match_index(member.raft_id)
            if match >= goal and match + 1_000 >= core.journal.last_index:
                return
            if monotonic() > give_up:
                raise MembershipRefused(
                    f"node {member.node_id} at {member.address} did not receive the log in time; "
                    "check that its address can be reached from the other managers"
                )
            await asyncio.sleep(_POLL_S)

    async def _commit(self, change: Change) -> None:
        core = self._core
        give_up = monotonic() + _SETTLE_S
        while (problem := core.change_problem(change)) is not None:
            if not core.leading:
                raise NotLeader(self._leader())
            if core.configuration.problem(change) is not None or monotonic() > give_up:
                raise MembershipRefused(problem)
            await asyncio.sleep(_POLL_S)
        await self._proposer.command(encode_change(change))
        log.info("raft.membership %s id=%s", change.operation.value, change.member.raft_id)

    async def _settle(self) -> None:
        """Let every reachable member hear of a new one, so that any of them can follow it."""
        core = self._core
        index, give_up = core.configurations.latest_index, monotonic() + 1.0
        while core.leading and monotonic() < give_up:
            known = [core.match_index(i) for i in self.reachable() - {core.own_id}]
            if all(match >= index for match in known):
                return
            await asyncio.sleep(_POLL_S)
        if not core.leading:
            raise OutcomeUnknown("leadership was lost right after the member was added")
