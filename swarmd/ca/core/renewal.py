"""When a node renews its certificate: well before the end, spread out, and soon when asked to.

Left alone, a node picks a random minute between one half and four fifths of its certificate's
life, so that nodes which joined together do not all come back together. A change that needs a new
certificate (another role, a new root) brings the attempt forward to half a second from now. After
a failure the wait is random below a ceiling that doubles from ten seconds to one hour.

Pure: the schedule is data, the shell sleeps until `due` and reports what happened.
"""

from __future__ import annotations

from msgspec import Struct
from msgspec.structs import replace

from swarmd.model.env import Rng
from swarmd.model.instant import HOUR, MILLISECOND, MINUTE, SECOND, Instant

FORCED_DELAY_NS = 500 * MILLISECOND
RETRY_BASE_NS = 5 * SECOND
RETRY_LONGEST_NS = HOUR


class Renewal(Struct, frozen=True):
    """The next attempt: when, why, and how many in a row have failed."""

    due: Instant
    reason: str
    failures: int = 0


def schedule(*, not_before: Instant, not_after: Instant, now: Instant, rng: Rng) -> Renewal:
    """The attempt for a certificate that is good: a random minute at 50 to 80 % of its life.

    Past the middle of that window (a node that was off for weeks) the choice is among what is left
    of it; past all of it the attempt is due at once.
    """
    life_ns = not_after - not_before
    earliest = max(not_before + life_ns // 2, now)
    latest = not_before + life_ns * 4 // 5
    if earliest >= latest:
        return Renewal(now, "the certificate is near its end")
    step = MINUTE if latest - earliest >= MINUTE else 1
    due = earliest + rng.randrange(0, (latest - earliest) // step) * step
    return Renewal(Instant(due), "the certificate is past the middle of its life")


def force(renewal: Renewal, *, now: Instant, reason: str) -> Renewal:
    """Bring the attempt forward to half a second from now, because of a new `reason`.

    A reason that is already being acted on changes nothing: repeating it (every session message
    does) neither delays the attempt nor defeats its back-off. A new reason starts afresh.
    """
    if renewal.reason == reason:
        return renewal
    return Renewal(Instant(min(renewal.due, now + FORCED_DELAY_NS)), reason)


def failed(renewal: Renewal, *, now: Instant, rng: Rng) -> Renewal:
    """The attempt after one that failed, or that brought a certificate of the wrong role."""
    failures = renewal.failures + 1
    delay_ns = retry_delay_ns(failures, rng)
    return replace(renewal, due=Instant(now + delay_ns), failures=failures)


def retry_delay_ns(failures: int, rng: Rng) -> int:
    """How long to wait after so many failures in a row: random below a ceiling that doubles."""
    doublings = min(failures - 1, 16)  # the ceiling is long reached; keeps the number small
    ceiling_ns = min(RETRY_LONGEST_NS, RETRY_BASE_NS + RETRY_BASE_NS * 2**doublings)
    return rng.randrange(0, ceiling_ns)
