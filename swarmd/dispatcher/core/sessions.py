"""Liveness of the nodes, as one leader believes it.

A node has at most one session; registering again ends the old one. Two signs keep a session alive,
and it needs both: heartbeats, which show that the agent works, and, where the kernel watches the
connection of the session, that the machine at its other end has acknowledged something lately.
Silence past the deadline makes the node down, never gone. So does a connection that ended, unless
the node is back within the same time. After an election nobody has a session: nodes that don't
come back within a second are marked unknown, after the grace period down. A node down for a day
loses its tasks for good.

When many heartbeats are late at a time though the machines are there, the swarm is overloaded
rather than dead. Such nodes are given more time, twice each, as moving their tasks would be more
load.

Deadlines live in one heap with one entry per node. A sign of life only notes the later deadline;
the entry is moved when it comes to the top.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Callable, Iterator
from enum import Enum
from typing import NamedTuple

from swarmd.dispatcher.core import timing
from swarmd.dispatcher.core.slots import Slots
from swarmd.model.errors import Code, Rejection
from swarmd.model.ids import NodeId, SessionId
from swarmd.model.instant import Instant


class Lapse(Enum):
    """What silence has made of a node."""

    UNKNOWN = "unknown"
    DOWN = "down"
    ORPHANED = "orphaned"


class Lapsed(NamedTuple):
    node_id: NodeId
    lapse: Lapse
    session_id: SessionId | None  # the session that ended by it


class Waiting(Enum):
    """What a node's deadline stands for."""

    HEARTBEAT = "heartbeat"
    RETURN = "return"  # had a session with the former leader
    RETURN_UNKNOWN = "return, unknown"  # the same, already marked unknown
    ORPHANING = "orphaning"  # down


class _Entry:
    __slots__ = (
        "beat_at",
        "deadline",
        "doubted",
        "hung_up",
        "left_at",
        "queued",
        "registered_at",
        "session_id",
        "waiting",
        "watched",
    )

    def __init__(self) -> None:
        self.session_id: SessionId | None = None
        self.waiting = Waiting.ORPHANING
        self.deadline = 0
        self.queued = 0  # the deadline under which the heap knows the node; 0: not in the heap
        self.registered_at: tuple[int, ...] = ()
        self.left_at: int | None = None
        self.watched = False
        self.beat_at = 0
        self.hung_up = False  # its connection has ended, which nobody's load does
        self.doubted = 0  # how often it was given more time since its last heartbeat


def session_invalid() -> Rejection:
    return Rejection(Code.INVALID_ARGUMENT, "session invalid")


def not_registered() -> Rejection:
    return Rejection(Code.NOT_FOUND, "node not registered")


class Sessions:
    """Sessions and deadlines of all nodes. Time is an argument; nothing is awaited.

    Args:
        period_ns: the cluster's setting, scaled; `set_period` changes it.
        heard: when the machine of a watched session gave its last sign of life, however small;
            None when that can't be told at the moment.
    """

    def __init__(
        self, period_ns: int, *, heard: Callable[[NodeId], Instant | None] = lambda _: None
    ) -> None:
        self.period_ns = period_ns
        self._heard = heard
        self._entries: dict[NodeId, _Entry] = {}
        self._heap: list[tuple[int, NodeId]] = []
        self._slots = Slots(timing.slot_ns(period_ns))
        self._awake_since = 0  # silence from before is our own
        self._expected = 0  # nodes that had a session with the leader before
        self._doubted = 0  # how often the grace after the election was borne again
        self._late: deque[int] = deque()  # when nodes were late lately

    def __len__(self) -> int:
        return sum(1 for entry in self._entries.values() if entry.session_id is not None)

    def set_period(self, period_ns: int) -> None:
        """Go by another period; nodes hear of it with the answers to their next heartbeats."""
        self.period_ns = period_ns
        if self._slots.slot_ns != timing.slot_ns(period_ns):
            self._slots = Slots(timing.slot_ns(period_ns))

    def expect(self, node_id: NodeId, now: Instant) -> None:
        """A new leader knows of a node that was not down."""
        entry = self._entries.setdefault(node_id, _Entry())
        self._expected += 1
        self._wait(node_id, entry, Waiting.RETURN, now + timing.UNKNOWN_AFTER_NS)

    def expect_down(self, node_id: NodeId, now: Instant) -> None:
        """A new leader knows of a node that was down; its day starts again."""
        entry = self._entries.setdefault(node_id, _Entry())
        self._wait(node_id, entry, Waiting.ORPHANING, now + timing.ORPHANED_AFTER_NS)

    def register(self, node_id: NodeId, session_id: SessionId, now: Instant) -> SessionId | None:
        """Open a session for an existing node; the answer is the session that it replaces.

        Raises:
            Rejection: UNAVAILABLE when the node registers too often or has just left.
        """
        entry = self._entries.setdefault(node_id, _Entry())
        if entry.left_at is not None and now - entry.left_at < timing.LEFT_HOLD_NS:
            raise Rejection(Code.UNAVAILABLE, f"node {node_id} has just left the swarm")
        recent = tuple(at for at in entry.registered_at if now - at < timing.REGISTRATION_WINDOW_NS)
        if len(recent) >= timing.REGISTRATIONS_MAX:
            raise Rejection(
                Code.UNAVAILABLE,
                f"node {node_id} has registered {len(recent)} times within "
                f"{timing.REGISTRATION_WINDOW_NS // 10**9} seconds; try again later",
            )
        replaced = entry.session_id
        entry.session_id = session_id
        entry.left_at = None
        entry.registered_at = (*recent, now)
        entry.watched = entry.hung_up = False
        entry.doubted = 0
        self._wait(
            node_id, entry, Waiting.HEARTBEAT, now + timing.SILENT_PERIODS_MAX * self.period_ns
        )
        return replaced

    def watch(self, node_id: NodeId, session_id: SessionId) -> None:
        """From now on `heard` tells of the node's machine, as long as this session lasts."""
        entry = self._entries.get(node_id)
        if entry is not None and entry.session_id == session_id:
            entry.watched = True

    def look(self, node_id: NodeId) -> None:
        """`heard` may tell of an earlier sign of life than before: the deadline may be nearer."""
        entry = self._entries.get(node_id)
        if entry is not None and entry.watched:
            self._queue(node_id, entry, self._deadline(node_id, entry))

    def hang_up(self, node_id: NodeId, session_id: SessionId, last_sign: Instant) -> None:
        """The session's connection has ended; the node was there at `last_sign`.

        It may be back in a moment: until the time that silence is borne has passed, nothing comes
        of it. A heartbeat in between, by whatever connection, is proof enough.
        """
        entry = self._entries.get(node_id)
        if entry is None or entry.session_id != session_id:
            return
        entry.watched = False
        entry.hung_up = True
        entry.deadline = min(entry.deadline, self._silent_at(entry, last_sign))
        self._queue(node_id, entry, entry.deadline)

    def check(self, node_id: NodeId, session_id: str) -> None:
        """Raises: Rejection when this is not the node's session."""
        entry = self._entries.get(node_id)
        if entry is None or entry.session_id is None:
            raise not_registered()
        if entry.session_id != session_id:
            raise session_invalid()

    def holds(self, node_id: NodeId, session_id: str) -> bool:
        entry = self._entries.get(node_id)
        return entry is not None and bool(session_id) and entry.session_id == session_id

    def beat(self, node_id: NodeId, session_id: str, now: Instant) -> int:
        """Note a heartbeat and answer after how many nanoseconds the next is wanted.

        Raises:
            Rejection: as `check`.
        """
        entry = self._entries.get(node_id)
        if entry is None or entry.session_id is None:
            raise not_registered()
        if entry.session_id != session_id:
            raise session_invalid()
        period_ns = self.period_ns
        watched = entry.watched and timing.can_watch(period_ns)
        longest_ns = timing.heartbeat_period_ns(period_ns, watched=watched)
        next_at = self._slots.take(now, longest_ns, len(self._entries))
        entry.beat_at = now
        entry.hung_up = False
        entry.doubted = 0
        entry.deadline = next_at + timing.LATE_PERIODS_MAX * period_ns
        if entry.deadline < entry.queued:  # the period was shortened
            self._queue(node_id, entry, entry.deadline)
        return next_at - now

    def leave(self, node_id: NodeId, now: Instant) -> SessionId | None:
        """The node says that it goes for good: it is down from now on. Answers its session."""
        entry = self._entries.setdefault(node_id, _Entry())
        ended, entry.session_id = entry.session_id, None
        entry.left_at = now
        self._wait(node_id, entry, Waiting.ORPHANING, now + timing.ORPHANED_AFTER_NS)
        return ended

    def forget(self, node_id: NodeId) -> SessionId | None:
        """The node was removed from the swarm. Answers the session that ended by it."""
        entry = self._entries.pop(node_id, None)
        return entry.session_id if entry is not None else None

    def forgive(self, lost_ns: int, now: Instant) -> None:
        """This process stood still for a while and may not have read what nodes sent it."""
        self._awake_since = now
        for entry in self._entries.values():
            if entry.waiting is not Waiting.ORPHANING:
                entry.deadline += lost_ns

    def lapse(self, now: Instant) -> tuple[Lapsed, ...]:
        """What has run out by `now`; a deadline equal to `now` has."""
        self._doubt(now)
        due = list(self._due(now))
        self._note_late(due, now)
        lapsed = []
        for node_id, entry in due:
            if self._is_doubtful(node_id, entry, now):
                entry.doubted += 1
                more_ns = timing.LATE_PERIODS_MAX * self.period_ns
                self._wait(node_id, entry, Waiting.HEARTBEAT, now + more_ns)
                continue
            lapsed.append(self._lapse(node_id, entry, now))
        return tuple(lapsed)

    def _due(self, now: Instant) -> Iterator[tuple[NodeId, _Entry]]:
        """Take the nodes whose time is up out of the heap."""
        while self._heap and self._heap[0][0] <= now:
            queued, node_id = heapq.heappop(self._heap)
            entry = self._entries.get(node_id)
            if entry is None or entry.queued != queued:
                continue  # superseded by an earlier deadline or a removal
            entry.queued = 0
            deadline = self._soonest(entry)
            if deadline <= now:
                deadline = self._deadline(node_id, entry)
            if deadline > now:
                self._queue(node_id, entry, deadline)
            else:
                yield node_id, entry

    def next_deadline(self) -> Instant | None:
        """When to ask again at the latest; heartbeats since may have made it later."""
        return Instant(self._heap[0][0]) if self._heap else None

    def _doubt(self, now: Instant) -> None:
        """Give all nodes more time when an elected leader has heard from less than half of them.

        That many don't die with a leader. More likely they are slow to find this one, and moving
        the tasks of healthy nodes would do more harm than waiting.
        """
        if self._doubted >= timing.DOUBTED_GRACES_MAX or not self._expected:
            return
        missing = [
            (node_id, entry)
            for node_id, entry in self._entries.items()
            if entry.waiting in (Waiting.RETURN, Waiting.RETURN_UNKNOWN)
        ]
        if not missing:
            self._expected = 0  # the election is over
        unknown = [pair for pair in missing if pair[1].waiting is Waiting.RETURN_UNKNOWN]
        if 2 * len(missing) <= self._expected or all(e.deadline > now for _, e in unknown):
            return
        self._doubted += 1
        again = now + timing.recovery_grace_ns(self.period_ns)
        for node_id, entry in unknown:
            self._wait(node_id, entry, Waiting.RETURN_UNKNOWN, again)

    def _note_late(self, due: list[tuple[NodeId, _Entry]], now: Instant) -> None:
        """Count those of `due` whose heartbeats are late, and nothing else is known against them.

        All are counted before the first is judged, or those that come first would always die.
        """
        self._late.extend(now for pair in due if self._is_late(*pair, now))
        while self._late and self._late[0] < now - timing.SILENT_PERIODS_MAX * self.period_ns:
            self._late.popleft()

    def _is_late(self, node_id: NodeId, entry: _Entry, now: Instant) -> bool:
        if entry.waiting is not Waiting.HEARTBEAT or entry.hung_up:
            return False
        heard = self._heard_of(node_id, entry)
        return heard is None or self._silent_at(entry, heard) > now

    def _is_doubtful(self, node_id: NodeId, entry: _Entry, now: Instant) -> bool:
        """Whether a node is one of too many late ones to be taken for dead."""
        if entry.doubted >= timing.DOUBTED_GRACES_MAX or not self._is_late(node_id, entry, now):
            return False
        is_there = self._heard_of(node_id, entry) is not None
        share = timing.LATE_SHARE_THERE if is_there else timing.LATE_SHARE
        return len(self._late) > max(timing.LATE_MANY, len(self._entries) // share)

    def _lapse(self, node_id: NodeId, entry: _Entry, now: Instant) -> Lapsed:
        ended, entry.session_id = entry.session_id, None
        match entry.waiting:
            case Waiting.RETURN:
                rest_ns = timing.recovery_grace_ns(self.period_ns) - timing.UNKNOWN_AFTER_NS
                self._wait(node_id, entry, Waiting.RETURN_UNKNOWN, now + rest_ns)
                return Lapsed(node_id, Lapse.UNKNOWN, ended)
            case Waiting.HEARTBEAT | Waiting.RETURN_UNKNOWN:
                self._wait(node_id, entry, Waiting.ORPHANING, now + timing.ORPHANED_AFTER_NS)
                return Lapsed(node_id, Lapse.DOWN, ended)
            case Waiting.ORPHANING:
                # The node stays down; nothing more is waited for until it registers.
                return Lapsed(node_id, Lapse.ORPHANED, ended)

    def _wait(self, node_id: NodeId, entry: _Entry, waiting: Waiting, deadline: int) -> None:
        entry.waiting = waiting
        entry.deadline = deadline
        self._queue(node_id, entry, deadline)

    def _deadline(self, node_id: NodeId, entry: _Entry) -> int:
        """When the node's time is up, by all that is known now."""
        heard = self._heard_of(node_id, entry) if entry.waiting is Waiting.HEARTBEAT else None
        if heard is not None:
            return min(entry.deadline, self._silent_at(entry, heard))
        return entry.deadline

    def _soonest(self, entry: _Entry) -> int:
        """When the node's time can be up at the earliest, without asking for its machine.

        While heartbeats come this is never now, and most nodes are looked at for nothing else.
        """
        if entry.watched and entry.waiting is Waiting.HEARTBEAT:
            return min(entry.deadline, self._silent_at(entry, 0))
        return entry.deadline

    def _heard_of(self, node_id: NodeId, entry: _Entry) -> Instant | None:
        """When the machine of a node's session gave its last sign; None if nobody watches it."""
        return self._heard(node_id) if entry.watched else None

    def _silent_at(self, entry: _Entry, last_sign: int) -> int:
        """When a node that gives no sign after `last_sign` has been silent for too long."""
        since = max(last_sign, entry.beat_at, self._awake_since)
        return since + timing.SILENT_PERIODS_MAX * self.period_ns

    def _queue(self, node_id: NodeId, entry: _Entry, deadline: int) -> None:
        """Make sure that the heap looks at the node no later than at `deadline`."""
        if entry.queued == 0 or deadline < entry.queued:
            entry.queued = deadline
            heapq.heappush(self._heap, (deadline, node_id))
