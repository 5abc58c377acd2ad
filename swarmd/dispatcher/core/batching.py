"""When to commit what has been gathered: at once when little happens, in bulk when much does."""

from __future__ import annotations

from swarmd.model.instant import MILLISECOND, Instant

QUICK_NS = 2 * MILLISECOND
SLOW_NS = 100 * MILLISECOND
BUSY_ITEMS = 1000


class Pacer:
    """The distance between batches, by the size of the last one.

    The first item after a pause waits `quick_ns`, just long enough for others of the same moment.
    After a batch of `busy_items` or more the next one waits `slow_ns`, after a smaller one
    accordingly less: load turns into larger batches and never into a longer queue.
    """

    def __init__(
        self,
        quick_ns: int = QUICK_NS,
        slow_ns: int = SLOW_NS,
        busy_items: int = BUSY_ITEMS,
    ) -> None:
        self._quick_ns = quick_ns
        self._slow_ns = slow_ns
        self._busy_items = busy_items
        self._last: Instant | None = None
        self._not_before = 0

    def due(self, first_at: Instant) -> Instant:
        """When to send a batch whose first item came at `first_at`."""
        return Instant(max(first_at + self._quick_ns, self._not_before))

    def sent(self, items: int, now: Instant, *, steady_ns: int = 0) -> None:
        """A batch was sent.

        Args:
            steady_ns: how far apart batches are, but for the second after a pause of twice this:
                for receivers to whom each batch is work, however small.
        """
        share = min(items, self._busy_items)
        distance_ns = max(self._quick_ns, self._slow_ns * share // self._busy_items)
        if self._last is not None and now - self._last < 2 * steady_ns:
            distance_ns = max(distance_ns, steady_ns)
        self._last = now
        self._not_before = now + distance_ns
