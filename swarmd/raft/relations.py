"""Who belongs to the cluster, as the links see it: who is dialled, who is heard, who is told what.

The membership speaks of voters and learners, the links of connections; this is where the two meet.
Everything happens on the loop and at once.
"""

from __future__ import annotations

from collections.abc import Callable

from swarmd.raft.links import Inbound
from swarmd.raft.members import Member
from swarmd.raft.messages import REFUSED, REMOVED, Goodbye, PeerMessage
from swarmd.raft.peers import Peers
from swarmd.raft.replica import Replica


class Relations:
    """What the links tell (the `Events` protocol of swarmd.raft.peers), and what follows from it.

    The callbacks are plain attributes, set before the replica starts: `on_link_up` after a peer can
    be reached, `on_removed` when others say, or the log does, that this member was removed, and
    `on_snapshot_wanted` when a follower asks for one.

    Args:
        stopped: whether this member has stopped for good.
    """

    def __init__(self, replica: Replica, peers: Peers, stopped: Callable[[], bool]) -> None:
        self._replica, self._core, self._peers = replica, replica.core, peers
        self._stopped = stopped
        self._learning: dict[str, Member] = {}
        self.on_link_up: Callable[[], None] = lambda: None
        self.on_removed: Callable[[str], None] = lambda text: None
        self.on_snapshot_wanted: Callable[[Inbound, int], None] = lambda connection, index: None

    # What the membership says.

    def configuration_changed(self) -> None:
        """Keep links to exactly those who belong to the cluster now, learners included."""
        core = self._core
        self._peers.want((*core.configuration.members, *self._learning.values()))
        for member in core.configuration.members:
            if self._peers.is_up(member.raft_id) and not core.is_connected(member.raft_id):
                core.link_up(member.raft_id)

    def learn(self, member: Member, begin: bool) -> None:
        """Begin, or cease, to tell the log to a node that is no member yet."""
        core = self._core
        if begin:
            self._learning[member.raft_id] = member
            if self._peers.is_up(member.raft_id):
                core.learner_up(member.raft_id)
        else:
            self._learning.pop(member.raft_id, None)
            if core.configuration.find(member.raft_id) is None:
                core.learner_down(member.raft_id)
        self.configuration_changed()

    def member_removed(self, member: Member) -> None:
        """A removal is committed."""
        if member.raft_id == self._peers.own.raft_id:
            self.told_removed("the removal is in the log")
            return
        text = f"raft member {member.raft_id} was removed from the cluster"
        self._peers.dismiss(member.raft_id, Goodbye(REMOVED, text))

    # What the links say.

    def link_up(self, raft_id: str) -> None:
        """A connection to this peer was established."""
        self._replica.link_up(raft_id)
        if raft_id in self._learning and self._core.leading:
            self._core.learner_up(raft_id)
            self._core.replicate(raft_id)
        self.on_link_up()

    def link_down(self, raft_id: str) -> None:
        """The connection to this peer broke."""
        self._replica.link_down(raft_id)

    def link_has_room(self, raft_id: str) -> None:
        """The connection to this peer takes more again."""
        self._replica.link_has_room(raft_id)

    def peer_lost(self, raft_id: str) -> None:
        """The connection from this peer broke."""
        self._replica.peer_lost(raft_id)

    def message(self, raft_id: str, message: PeerMessage) -> None:
        """A message from this peer."""
        self._replica.receive(raft_id, message)

    def told_removed(self, text: str) -> None:
        """Another member says that this one was removed."""
        self.on_removed(text)

    def caller_problem(self, sender: Member) -> Goodbye | None:
        """Why the membership forbids hearing `sender`, or None."""
        if self._stopped():
            return Goodbye(REFUSED, "this manager has stopped")
        committed = self._core.committed_configuration()
        if committed.was_removed(sender.raft_id):
            text = f"raft member {sender.raft_id} was removed from the cluster"
            return Goodbye(REMOVED, text)
        known = sender.raft_id in self._learning or self._core.configuration.find(sender.raft_id)
        # Whoever is led has been told everything. Who is not may have missed that the node is back,
        # and may be left without a leader for good if it doesn't listen to this one.
        if not known and self._core.is_led and committed.node_was_removed(sender.node_id):
            return Goodbye(REFUSED, f"node {sender.node_id} is no manager of this cluster any more")
        return None

    def snapshot_wanted(self, connection: Inbound, index: int) -> None:
        """A follower asks for a snapshot."""
        self.on_snapshot_wanted(connection, index)
