"""How often agents must show that they are alive, and how long silence is borne.

The cluster's setting holds for up to a thousand nodes; beyond, the period grows with the number of
nodes so that heartbeats cost the leader no more than at a thousand. Each answer differs by up to a
tenth, which keeps agents that started together from calling together for ever.
"""

from __future__ import annotations

from swarmd.model.env import Rng
from swarmd.model.instant import HOUR, SECOND

MISSED_HEARTBEATS = 3
RECOVERY_GRACE_NS_MIN = 5 * SECOND
UNKNOWN_AFTER_NS = SECOND
ORPHANED_AFTER_NS = 24 * HOUR
REGISTRATIONS_MAX = 3
REGISTRATION_WINDOW_NS = 8 * SECOND
LEFT_HOLD_NS = 10 * SECOND
NODES_AT_FULL_RATE = 1000
JITTER_STEPS = 10  # hundredths of the period, either way


def scaled_period_ns(period_ns: int, nodes: int) -> int:
    """The heartbeat period for a cluster of this many nodes."""
    return period_ns * max(nodes, NODES_AT_FULL_RATE) // NODES_AT_FULL_RATE


def jitter_step(rng: Rng) -> int:
    """A step in -10 … +10, each as likely."""
    return rng.randrange(-JITTER_STEPS, JITTER_STEPS + 1)


def jittered_ns(period_ns: int, step: int) -> int:
    return period_ns + period_ns * step // 100


def recovery_grace_ns(period_ns: int) -> int:
    """How long a new leader waits for nodes that had a session with its predecessor."""
    return max(MISSED_HEARTBEATS * period_ns, RECOVERY_GRACE_NS_MIN)
