"""The library's consensus core, fenced in.

This module and `books` are the only ones that touch private names of pysyncobj; tests/unit/raft/
test_source_guard.py compares the source of each with a stored hash, so an upgrade cannot slip
through. What the core gets wrong is overridden here (docs/design/raft.md names each hazard by
letter and says what was done). What it gets right stays its own: terms and votes, when to
commit, when to step down, the queue of commands.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from random import Random
from typing import Any

import pysyncobj.syncobj as library
from pysyncobj.config import FAIL_REASON, SyncObjConf
from pysyncobj.node import Node

from swarmd.raft.books import LEADER, CoreBooks, monotonic
from swarmd.raft.bridge import Bridge
from swarmd.raft.config import RaftConfig
from swarmd.raft.errors import FatalError
from swarmd.raft.journal import Journal
from swarmd.raft.members import Change, Configuration, ConfigurationLog, parse_change
from swarmd.raft.messages import Append, KeepAlive, PreVote, SnapshotOffer

log = logging.getLogger(__name__)

# The journal is made by us and handed through the configuration field for its file name.
library.createJournal = lambda journal: journal

DATA = b"\x20"
_FOLLOWER, _LEADER = 0, LEADER

CommandDone = Callable[[object, int], None]
"""Called with the result and one of the constants below."""
DONE = FAIL_REASON.SUCCESS
DISCARDED = FAIL_REASON.DISCARDED
DENIED = FAIL_REASON.REQUEST_DENIED
QUEUE_FULL = FAIL_REASON.QUEUE_FULL
LEADER_STAYS = "the leader cannot remove itself; transfer the leadership first"


class GuardedCore(CoreBooks):
    """SyncObj with its hazards closed. All calls come from one thread and none of them blocks.

    Invariants: the configuration in force is the latest in the log; no tick computes a commit
    while the leader's own entries are not durable (the driver sees to that); nothing received
    is unpickled.
    """

    def __init__(
        self,
        own_id: str,
        journal: Journal,
        configurations: ConfigurationLog,
        bridge: Bridge,
        snapshots: Any,
        apply: Callable[[int, bytes], object],
        config: RaftConfig,
        rng: Random,
        has_snapshot: bool,
    ) -> None:
        self.own_id, self.journal, self.configurations = own_id, journal, configurations
        self.bridge, self.config = bridge, config
        self._snapshots, self._apply, self._rng = snapshots, apply, rng
        self.installing: set[str] = set()
        self.round = 0
        self.acked_rounds: dict[str, int] = {}
        self.voters: set[str] = set()
        self.prevote_term = 0
        self.prevotes: set[str] = set()
        self.may_campaign = False
        self.leader_heard = float("-inf")
        self.patience = 1.0
        self.floor = configurations.latest_index if not has_snapshot else 0
        self.on_step_down: Callable[[], None] = lambda: None
        self.on_configuration: Callable[[], None] = lambda: None
        self.on_applied: Callable[[int, bytes], None] = lambda index, command: None
        self.has_room: Callable[[str], bool] = lambda raft_id: True
        others = [Node(m.raft_id) for m in configurations.latest.members if m.raft_id != own_id]
        super().__init__(Node(own_id), others, conf=self._conf(journal), transport=bridge)
        bridge.term = lambda: self.term
        self._SyncObj__serializer = snapshots
        if has_snapshot:
            self._load_snapshot(clear=False)
        journal.on_append = self._appended
        journal.on_truncate = self._truncated

    def _conf(self, journal: Journal) -> Any:
        config = self.config
        return SyncObjConf(
            autoTick=False,
            dynamicMembershipChange=True,
            appendEntriesUseBatch=True,
            commandsWaitLeader=False,
            appendEntriesPeriod=config.heartbeat_ns / 1e9,
            raftMinTimeout=config.election_min_ns / 1e9,
            raftMaxTimeout=config.election_max_ns / 1e9,
            connectionTimeout=max(3.5, config.election_max_ns / 1e9),
            leaderFallbackTimeout=config.fallback_ns / 1e9,
            appendEntriesBatchSizeBytes=config.append_batch_bytes,
            commandsQueueSize=config.max_waiting,
            logCompactionMinEntries=1 << 60,
            logCompactionMinTime=1 << 60,
            journalFile=journal,
            onStateChanged=self._state_changed,
            useFork=False,
        )

    # What the driver and the other modules of this package call.

    def tick(self) -> None:
        """Let time pass: campaign, commit, apply, append what is queued, replicate."""
        self._onTick(0.0)

    def command(self, command: bytes, done: CommandDone) -> None:
        """Queue a command for the log; `done` hears of its fate."""
        self._applyCommand(command, done)

    def heartbeat(self) -> None:
        """Speak to all followers now, also while a sync keeps ticks from running."""
        self._SyncObj__sendAppendEntries()

    def heartbeat_due(self) -> bool:
        """Whether followers have to hear from their leader."""
        return self.leading and monotonic() >= self._SyncObj__newAppendEntriesTime

    def deliver(self, sender: str, message: dict[str, Any]) -> None:
        """Give the core a message that the receiver has found to be safe."""
        self._SyncObj__onMessageReceived(Node(sender), message)

    def deliver_empty(self, leader: str, commit: int) -> None:
        """Tell the core that `leader` leads this term and nothing else, up to `commit`."""
        self.deliver(leader, {"type": "append_entries", "term": self.term, "commit_index": commit})

    def step_down_to(self, term: int) -> None:
        """Follow nobody yet, in a later term learnt from a peer."""
        self._SyncObj__setCurrentTerm(term, None)
        self._SyncObj__setState(_FOLLOWER)
        self._SyncObj__raftLeader = None
        self._postpone_election()

    @property
    def is_led(self) -> bool:
        """Whether this member leads, or has heard a leader lately enough not to want another."""
        silence = monotonic() - self.leader_heard
        return self.leading or silence < self.patience * self.config.election_min_ns / 1e9

    def stop_following(self) -> None:
        """Forget the leader; called when it cannot be heard any more."""
        self._SyncObj__raftLeader = None

    def campaign_within(self, seconds: float) -> None:
        """Bring the election deadline forward."""
        earliest = monotonic() + seconds * (1 + self._rng.random())
        self._SyncObj__raftElectionDeadline = min(self._SyncObj__raftElectionDeadline, earliest)

    def link_up(self, raft_id: str) -> None:
        """A link to a member is there; messages sent to it from now on arrive in order."""
        self._SyncObj__onNodeConnected(Node(raft_id))

    def link_down(self, raft_id: str) -> None:
        """The link is gone, and with it whatever was under way."""
        self._SyncObj__onNodeDisconnected(Node(raft_id))
        self.installing.discard(raft_id)
        self.bridge.forget(raft_id)

    def learner_up(self, raft_id: str) -> None:
        """Replicate to a node that does not count for any majority yet."""
        self._SyncObj__onReadonlyNodeConnected(Node(raft_id))
        self._SyncObj__lastResponseTime[Node(raft_id)] = monotonic()

    def learner_down(self, raft_id: str) -> None:
        """Stop replicating to a node that did not become a member."""
        self.installing.discard(raft_id)
        if Node(raft_id) in self._SyncObj__readonlyNodes:
            self._SyncObj__onReadonlyNodeDisconnected(Node(raft_id))

    @property
    def learners(self) -> set[str]:
        """Nodes replicated to without a vote."""
        return {node.id for node in self._SyncObj__readonlyNodes}

    def transfer(self, raft_id: str) -> bool:
        """Tell a member that has the whole log to take over; False when it has not."""
        sent: list[int] = []
        self.transferLeadership(Node(raft_id), lambda _, reason: sent.append(reason))
        return sent == [FAIL_REASON.SUCCESS]

    def compact(self) -> None:
        """Take a snapshot in the next tick."""
        self.forceLogCompaction()

    def install(self, configuration: Configuration, index: int) -> None:
        """Start over from the snapshot the serializer now offers.

        Raises:
            FatalError: the core did not take it.
        """
        self.floor = index
        self.configurations.reset(configuration, index)
        self._load_snapshot(clear=True)
        self._SyncObj__raftCommitIndex = index
        self.journal.setRaftCommitIndex(index)
        self._refresh_nodes()

    # Overrides: elections.

    def _onTick(self, timeToWait: float = 0.0) -> None:
        if not self.leading and self._SyncObj__raftElectionDeadline < monotonic():
            self._deadline_passed()
        super()._onTick(timeToWait)
        self.may_campaign = False

    def _deadline_passed(self) -> None:
        if not self.is_member:
            self._postpone_election()
        elif self._SyncObj__transferInProgress or self.may_campaign or self._alone():
            self.voters = set()
        else:
            self._ask_first()

    def _alone(self) -> bool:
        return len(self.configuration.members) == 1

    def _ask_first(self) -> None:
        """Hazard P: a member that cannot win must not raise the term."""
        self._postpone_election()
        self.prevote_term, self.prevotes = self.term + 1, set()
        question = PreVote(self.prevote_term, self.journal.last_index, self.journal.last_term)
        for member in self.configuration.members:
            if member.raft_id != self.own_id:
                self.bridge.post(member.raft_id, question)

    def count_prevote(self, sender: str, term: int) -> bool:
        """Note a yes; True when a majority said it and a campaign may start in the next tick."""
        if self.leading or term != self.prevote_term or term != self.term + 1:
            return False
        self.prevotes.add(sender)
        if len(self.prevotes) + 1 < self.configuration.quorum:
            return False
        self.prevote_term = 0
        self.may_campaign = True
        self._SyncObj__raftElectionDeadline = 0
        return True

    def _postpone_election(self) -> None:
        wait = self._SyncObj__generateRaftTimeout()
        self._SyncObj__raftElectionDeadline = monotonic() + wait

    def _SyncObj__generateRaftTimeout(self) -> float:
        low, high = self.config.election_min_ns, self.config.election_max_ns
        return self.patience * (low + (high - low) * self._rng.random()) / 1e9

    def set_patience(self, factor: float) -> None:
        """Wait for a silent leader, and as leader for silent followers, `factor` times as long.

        A link that breaks still starts an election at once; this is for those that are slow.
        """
        self.patience = factor
        self._SyncObj__conf.leaderFallbackTimeout = factor * self.config.fallback_ns / 1e9

    def _state_changed(self, old: int, new: int) -> None:
        log.info("raft.state id=%s from=%s to=%s term=%s", self.own_id, old, new, self.term)
        self.acked_rounds.clear()
        self.installing.clear()
        if old == _LEADER:
            self._discard_queue()
            self._SyncObj__commandsWaitingCommit.clear()
            for raft_id in self.learners:
                self.learner_down(raft_id)
            self.on_step_down()

    # Overrides: replication.

    def _SyncObj__sendAppendEntries(self) -> None:
        self._SyncObj__newAppendEntriesTime = monotonic() + self.config.heartbeat_ns / 1e9
        self.round += 1
        nodes = self._SyncObj__otherNodes | self._SyncObj__readonlyNodes
        for node in sorted(nodes, key=lambda n: str(n.id)):
            if node in self._SyncObj__connectedNodes:
                self.replicate(node.id)

    def replicate(self, raft_id: str) -> None:
        """Send a follower what it lacks as far as its link takes it, at least a heartbeat."""
        node, journal, term = Node(raft_id), self.journal, self.term
        next_index = self._SyncObj__raftNextIndex[node]
        if raft_id in self.installing:
            self.bridge.post_now(raft_id, KeepAlive(term, self.round))
            return
        if next_index <= journal.first_index:
            index, index_term = self._snapshots.offer()
            self.installing.add(raft_id)
            self.bridge.post(raft_id, SnapshotOffer(term, index, index_term, self.round))
            return
        first = True
        while first or (next_index <= journal.last_index and self.has_room(raft_id)):
            entries = []
            if next_index <= journal.last_index and self.has_room(raft_id):
                entries = journal.read(next_index, max_bytes=self.config.append_batch_bytes)
            previous_term = journal.term_at(next_index - 1)
            assert previous_term is not None, "the entry before the next one is in memory"
            body = tuple((t, command) for command, _, t in entries)
            self.bridge.post(
                raft_id,
                Append(term, self.commit, next_index - 1, previous_term, self.round, body),
            )
            next_index += len(entries)
            self._SyncObj__raftNextIndex[node] = next_index
            first = False

    def lacks_entries(self, raft_id: str) -> bool:
        """Whether a follower has not been sent everything yet."""
        next_index = self._SyncObj__raftNextIndex.get(Node(raft_id))
        return next_index is not None and next_index <= self.journal.last_index

    def set_next(self, raft_id: str, index: int) -> None:
        """Go on replicating to a follower from `index`."""
        self._SyncObj__raftNextIndex[Node(raft_id)] = index

    def _SyncObj__getEntries(
        self,
        fromIDx: int | None,
        count: int | None = None,
        maxSizeBytes: int | None = None,
    ) -> Any:
        """Hazard "copying slices": open-ended reads are only made by the overridden sender."""
        position = -1 if fromIDx is None else fromIDx - self.journal.first_index
        if position < 0:
            return []
        end = None if count is None else position + count
        return self.journal[position:end]

    def _SyncObj__deleteEntriesTo(self, toIDx: int) -> None:
        """Keep some entries behind a snapshot for followers that are a little late."""
        keep = toIDx - self.config.trailing_entries
        if keep > self.journal.first_index:
            self.journal.deleteEntriesTo(keep - self.journal.first_index)
            self.configurations.compact(keep)

    # Overrides: commands.

    def _checkCommandsToApply(self) -> None:
        """Append what is queued and send it at once; never forward it to another leader."""
        if self.leading:
            before = self.journal.last_index
            super()._checkCommandsToApply()
            if self.journal.last_index > before:
                self._SyncObj__sendAppendEntries()
            return
        self._discard_queue()

    def _discard_queue(self) -> None:
        queue = self._SyncObj__commandsQueue
        while True:
            try:
                _, done = queue.get_nowait()
            except library.Queue.Empty:
                return
            done(None, DISCARDED)

    def _SyncObj__applyLogEntries(self) -> bool:
        """Apply what is committed, a bounded number at a time."""
        commit = self._SyncObj__raftCommitIndex
        self._SyncObj__raftCommitIndex = min(commit, self.applied + self.config.apply_batch)
        try:
            super()._SyncObj__applyLogEntries()
        finally:
            self._SyncObj__raftCommitIndex = commit
        return False

    def _SyncObj__doApplyCommand(self, command: bytes) -> object:
        """Hazard H: a machine that fails ends the node; the library would retry for ever.

        Skipping the entry instead could make this member differ from those that applied it.
        """
        index = self.applied + 1
        result: object = None
        if command[:1] == DATA:
            try:
                result = self._apply(index, command[1:])
            except Exception as error:
                log.exception("raft.apply_failed log.index=%s", index)
                raise FatalError(f"entry {index} could not be applied: {error!r}") from error
        self.on_applied(index, command)
        return result

    # Overrides: membership.

    def _SyncObj__parseChangeClusterRequest(self, command: bytes) -> Change | None:
        return parse_change(command)

    def _SyncObj__changeCluster(self, request: Change) -> bool:
        """Hazard M: one change at a time, and none before this term has committed something."""
        return self.change_problem(request) is None

    def change_problem(self, change: Change) -> str | None:
        """Why `change` cannot be appended now, or None."""
        if not self.ready:
            return "this manager does not lead yet"
        if self.configurations.latest_index > self.applied:
            return "another change of the membership is under way"
        problem = self.configuration.problem(change)
        if problem is None and self.configuration.changed(change).find(self.own_id) is None:
            return LEADER_STAYS
        return problem

    def _SyncObj__doChangeCluster(self, request: Change, reverse: bool = False) -> bool:
        """The configuration follows the journal, see `_appended` and `_truncated`."""
        return True

    def _SyncObj__updateClusterConfiguration(self, newNodes: object) -> None:
        """The configuration of a snapshot comes from its header, see `install`."""

    def _appended(self, index: int, command: bytes) -> None:
        if index > self.floor and self.configurations.append(index, command):
            self._refresh_nodes()

    def _truncated(self, from_index: int) -> None:
        if self.configurations.truncate(from_index):
            self._refresh_nodes()

    def _refresh_nodes(self) -> None:
        """Make the core's books agree with the configuration in force."""
        wanted = {Node(m.raft_id) for m in self.configuration.members if m.raft_id != self.own_id}
        present = self._SyncObj__otherNodes
        for node in present - wanted:
            self._SyncObj__raftNextIndex.pop(node, None)
            self._SyncObj__raftMatchIndex.pop(node, None)
            self.acked_rounds.pop(node.id, None)
        for node in wanted - present:
            # A learner keeps the progress it has made: the indexes are of this same term.
            self._SyncObj__readonlyNodes.discard(node)
            self._SyncObj__raftNextIndex.setdefault(node, self.journal.last_index)
            self._SyncObj__raftMatchIndex.setdefault(node, 0)
            self._SyncObj__lastResponseTime.setdefault(node, monotonic())
        self._SyncObj__otherNodes = wanted
        self.on_configuration()

    def _load_snapshot(self, *, clear: bool) -> None:
        index, _ = self._snapshots.offer()
        self._SyncObj__loadDumpFile(clearJournal=clear)
        if self.applied != index:
            raise FatalError(f"the core did not take the snapshot of {index}")
