"""How often agents must show that they are alive, and how long silence is borne.

The cluster's setting holds for up to a thousand nodes; beyond, the period grows with the number of
nodes so that heartbeats cost the leader no more than at a thousand. Where the kernel watches the
connection of a session, half as many heartbeats do (docs/design/dispatcher.md).
"""

from __future__ import annotations

from swarmd.model.instant import HOUR, MILLISECOND, SECOND

# How many periods a node's machine may be silent.
SILENT_PERIODS_MAX = 3
# How many periods a heartbeat may be late.
LATE_PERIODS_MAX = 2
# Heartbeats of a watched session come each so many periods.
WATCHED_PERIODS = 2
# The kernel asks a silent machine each second; a shorter period it could not stand in for.
WATCHED_PERIOD_NS_MIN = SECOND
RECOVERY_GRACE_NS_MIN = 5 * SECOND
# How often a new leader bears the grace again while less than half of its nodes are back.
DOUBTED_GRACES_MAX = 2
# So many late at a time, and one in so many of all, are no accident of theirs: whoever is
# overloaded, moving their tasks would only add to it. Where the machines are known to be there,
# fewer are enough, for then that many agents would have to hang at once.
LATE_MANY = 5
LATE_SHARE = 10
LATE_SHARE_THERE = 50
UNKNOWN_AFTER_NS = SECOND
ORPHANED_AFTER_NS = 24 * HOUR
REGISTRATIONS_MAX = 3
REGISTRATION_WINDOW_NS = 8 * SECOND
LEFT_HOLD_NS = 10 * SECOND
NODES_AT_FULL_RATE = 1000
SLOT_NS_MAX = 250 * MILLISECOND
SLOTS_PER_PERIOD_MIN = 6


def scaled_period_ns(period_ns: int, nodes: int) -> int:
    """The heartbeat period for a cluster of this many nodes."""
    return period_ns * max(nodes, NODES_AT_FULL_RATE) // NODES_AT_FULL_RATE


def heartbeat_period_ns(period_ns: int, *, watched: bool) -> int:
    """How far apart a node's heartbeats are at most."""
    return WATCHED_PERIODS * period_ns if watched else period_ns


def can_watch(period_ns: int) -> bool:
    """Whether the kernel's probes are frequent enough to take the place of heartbeats."""
    return period_ns >= WATCHED_PERIOD_NS_MIN


def slot_ns(period_ns: int) -> int:
    """How far apart the moments are at which the leader wants heartbeats."""
    return max(min(SLOT_NS_MAX, period_ns // SLOTS_PER_PERIOD_MIN), MILLISECOND)


def recovery_grace_ns(period_ns: int) -> int:
    """How long a new leader waits for nodes that had a session with its predecessor.

    A predecessor that hangs instead of dying is noticed only when it leaves a heartbeat without an
    answer; its agents have to be back by then (`agent/core/patience.py`).
    """
    return max(SILENT_PERIODS_MAX * period_ns, RECOVERY_GRACE_NS_MIN)
