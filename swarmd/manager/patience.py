"""How long managers bear each other's silence, by the size of what they manage. Pure.

What stops a leader's loop for a while grows with the swarm: the first look at everything after an
election, and hundreds of nodes that come back at once. A time-out that a small swarm wants would
have a large one elect leader after leader, each too busy with its arrival to be heard. A leader
that dies is not waited for either way: its connections end with it.
"""

from __future__ import annotations

TASKS_PER_UNIT = 10_000
NODES_PER_UNIT = 1_000
PATIENCE_MAX = 4.0
# A change smaller than this is not worth a word.
STEP = 0.25


def election_patience(tasks: int, nodes: int) -> float:
    """The factor for election time-outs: 1 for a small swarm, 4 at most."""
    factor = 1 + tasks / TASKS_PER_UNIT + nodes / NODES_PER_UNIT
    return min(PATIENCE_MAX, STEP * int(factor / STEP))
