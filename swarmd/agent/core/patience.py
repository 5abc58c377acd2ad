"""How long an agent waits: for an answer, and before it tries again."""

from __future__ import annotations

from swarmd.model.env import Rng
from swarmd.model.instant import MILLISECOND, SECOND

RETRY_NS_FIRST = 100 * MILLISECOND
RETRY_NS_MAX = 2 * SECOND
ANSWER_NS_MIN = 1500 * MILLISECOND
ANSWER_NS_MAX = 5 * SECOND


def retry_delay_ns(failures: int, rng: Rng) -> int:
    """The wait after so many failures in a row: random, up to a bound that doubles.

    Hundreds of agents lose their leader in the same moment. The randomness keeps them from coming
    back in one; the low bound has them back soon after the next leader is elected.
    """
    bound_ns = min(RETRY_NS_FIRST << min(max(failures - 1, 0), 10), RETRY_NS_MAX)
    return rng.randrange(0, bound_ns) + 1


def answer_within_ns(period_ns: int) -> int:
    """How long to wait for the answer to a heartbeat before the manager counts as lost.

    Short enough that an agent whose leader fell silent, right after an answer, finds the next one
    within the grace that nodes are given after an election.
    """
    return min(max(period_ns // 3, ANSWER_NS_MIN), ANSWER_NS_MAX)
