"""What arrives from other members, before the core sees any of it.

Each kind of message has one method. Replies count only from those they were asked of and only
in the term they were made in; requests are heard from anybody whom the certificate makes a
manager, unless the cluster has removed it: a member that lags behind may not know the one that
is about to lead it.
"""

from __future__ import annotations

from collections.abc import Callable

from swarmd.raft.books import monotonic
from swarmd.raft.core import GuardedCore
from swarmd.raft.errors import FatalError
from swarmd.raft.messages import (
    Alive,
    Append,
    AppendReply,
    HigherTerm,
    KeepAlive,
    PeerMessage,
    PreVote,
    PreVoteReply,
    SnapshotOffer,
    TimeoutNow,
    Vote,
    VoteReply,
)
from swarmd.raft.rules import Accept, Ask, Contradiction, Known, judge_append, up_to_date


class Receiver:
    """Routes messages into the core.

    `fetch` is told of a snapshot to get from the leader; it ignores repeated offers while it
    is busy, which `is_fetching` tells. `disk_is_slow` says that a sync is taking long, and
    `refuses_entries` that there is no room on disk for more.
    """

    def __init__(self, core: GuardedCore) -> None:
        self._core = core
        self._bridge = core.bridge
        self._journal = core.journal
        self.fetch: Callable[[str, int], None] = lambda leader, index: None
        self.is_fetching: Callable[[], bool] = lambda: False
        self.disk_is_slow: Callable[[], bool] = lambda: False
        self.refuses_entries: Callable[[], bool] = lambda: False

    def receive(self, sender: str, message: PeerMessage) -> None:
        """Handle one message from the member with raft id `sender`.

        Raises:
            FatalError: the message proves that committed entries were lost somewhere.
        """
        core = self._core
        # A removal that is not committed may yet be undone, by the very member it was to remove.
        if sender == core.own_id or core.committed_configuration().was_removed(sender):
            return
        match message:
            case Append():
                if self._from_leader(sender, message.term, message.round):
                    self._append(sender, message)
            case AppendReply():
                self._append_reply(sender, message)
            case Vote():
                self._vote(sender, message)
            case VoteReply():
                if message.term == core.term and self._votes(sender) and sender not in core.voters:
                    core.voters.add(sender)
                    core.deliver(sender, {"type": "response_vote", "term": message.term})
            case PreVote():
                self._prevote(sender, message)
            case PreVoteReply():
                if self._votes(sender):
                    core.count_prevote(sender, message.term)
            case HigherTerm():
                if self._votes(sender) and message.term > core.term:
                    core.step_down_to(message.term)
            case TimeoutNow():
                if message.term == core.term and core.is_member:
                    core.deliver(sender, {"type": "timeout_now", "term": message.term})
            case SnapshotOffer():
                if self._from_leader(sender, message.term, message.round):
                    self._offer(sender, message)
            case Alive():
                self._alive(sender, message.term, message.round)
            case KeepAlive():
                if self._from_leader(sender, message.term, message.round):
                    self._keep_alive(sender, message)

    def _votes(self, sender: str) -> bool:
        return self._core.configuration.find(sender) is not None

    def _from_leader(self, sender: str, term: int, round_: int) -> bool:
        """Enter the leader's term, or tell a leader of the past about ours."""
        core = self._core
        if term < core.term:
            self._bridge.post(sender, HigherTerm(core.term))
            return False
        if term > core.term:
            core.step_down_to(term)
        core.leader_heard = monotonic()
        self._bridge.answering = round_
        return True

    def _append(self, sender: str, message: Append) -> None:
        core = self._core
        if message.entries and self.refuses_entries():
            core.deliver_empty(sender, core.commit)
            self._bridge.post_now(sender, Alive(core.term, message.round))
            return
        verdict = judge_append(self._journal, core.commit, message)
        match verdict:
            case Accept(previous, previous_term, entries):
                core.deliver(
                    sender,
                    {
                        "type": "append_entries",
                        "term": message.term,
                        "commit_index": message.commit,
                        "prevLogIdx": previous,
                        "prevLogTerm": previous_term,
                        "entries": [
                            (command, previous + 1 + offset, term)
                            for offset, (term, command) in enumerate(entries)
                        ],
                    },
                )
            case Known(match):
                core.deliver_empty(sender, max(core.commit, min(message.commit, match)))
                self._reply(sender, match + 1, success=True)
            case Ask(next_index):
                core.deliver_empty(sender, core.commit)
                self._reply(sender, next_index, reset=True)
            case Contradiction(sentence):
                raise FatalError(sentence)
        if self.disk_is_slow():
            self._bridge.post_now(sender, Alive(core.term, message.round))

    def _reply(
        self, leader: str, next_index: int, *, success: bool = False, reset: bool = False
    ) -> None:
        reply = AppendReply(self._core.term, next_index, reset, success, self._bridge.answering)
        self._bridge.post(leader, reply)

    def _offer(self, sender: str, message: SnapshotOffer) -> None:
        """Hazards A and E: a snapshot moves this member forward or not at all."""
        core = self._core
        if message.index <= core.commit or (
            self._journal.term_at(message.index) == message.index_term
        ):
            # Everything in the snapshot is here already, so the logs agree up to it.
            match = max(message.index, core.commit)
            core.deliver_empty(sender, max(core.commit, message.index))
            self._reply(sender, match + 1, success=True, reset=True)
            return
        core.deliver_empty(sender, core.commit)
        self._bridge.post_now(sender, Alive(core.term, message.round))
        if not self.refuses_entries():
            self.fetch(sender, message.index)

    def _keep_alive(self, sender: str, message: KeepAlive) -> None:
        """The leader thinks a snapshot is under way here; put it right if none is."""
        self._core.deliver_empty(sender, self._core.commit)
        self._bridge.post_now(sender, Alive(self._core.term, message.round))
        if not self.is_fetching():
            self.fetch_failed()

    def fetch_failed(self) -> None:
        """Ask the leader to start over with whatever this member lacks."""
        leader = self._core.leader_id
        if leader is not None and leader != self._core.own_id:
            self._reply(leader, self._journal.last_index + 1, reset=True)

    def installed(self, index: int) -> None:
        """Tell the leader that the snapshot of `index` is in place."""
        leader = self._core.leader_id
        if leader is not None and leader != self._core.own_id:
            self._reply(leader, index + 1, success=True, reset=True)

    def _append_reply(self, sender: str, message: AppendReply) -> None:
        """Hazard D: a reply from another term says nothing about this one."""
        core = self._core
        if not self._heard_follower(sender, message.term, message.round):
            return
        if message.success and message.next_index > self._journal.last_index + 1:
            return
        if message.reset or message.success:
            core.installing.discard(sender)
        core.deliver(
            sender,
            {
                "type": "next_node_idx",
                "reset": message.reset,
                "next_node_idx": max(2, message.next_index),
                "success": message.success,
            },
        )
        if core.lacks_entries(sender) and core.is_connected(sender):
            core.replicate(sender)

    def _alive(self, sender: str, term: int, round_: int) -> None:
        if self._heard_follower(sender, term, round_):
            unchanged = {"reset": False, "success": False, "next_node_idx": 0}
            self._core.deliver(sender, {"type": "next_node_idx", **unchanged})

    def _heard_follower(self, sender: str, term: int, round_: int) -> bool:
        core = self._core
        if term > core.term:
            if self._votes(sender):
                core.step_down_to(term)
            return False
        if not core.leading or term != core.term:
            return False
        if not self._votes(sender) and sender not in core.learners:
            return False
        core.acked_rounds[sender] = max(core.acked_rounds.get(sender, 0), round_)
        return True

    def _vote(self, sender: str, message: Vote) -> None:
        core = self._core
        if message.term < core.term:
            self._bridge.post(sender, HigherTerm(core.term))
            return
        core.deliver(
            sender,
            {
                "type": "request_vote",
                "term": message.term,
                "last_log_index": message.last_index,
                "last_log_term": message.last_term,
            },
        )

    def _prevote(self, sender: str, message: PreVote) -> None:
        core = self._core
        if message.term <= core.term:
            self._bridge.post(sender, HigherTerm(core.term))
            return
        if not core.is_led and up_to_date(self._journal, message.last_index, message.last_term):
            self._bridge.post(sender, PreVoteReply(message.term))
