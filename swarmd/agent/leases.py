"""Until when tasks with a lease may run: the node's last word from a manager, and who needs it.

A lease counts from the moment a heartbeat was *sent* that a leader answered, so an answer that took
long renews little. It is measured by the clock of this machine that goes on while the machine
sleeps. The keeper enforces it, since the daemon may die; this side tells it of every answer.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from swarmd.model.ids import TaskId

BEATS_PER_LEASE = 3  # heartbeats are sent at least this often


def machine_ns() -> int:
    """Nanoseconds since this machine was started, its sleep included."""
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME)


class Leases:
    """The contact of one node, and the leases of its tasks.

    Args:
        now: a clock that goes on whatever the process does; the keeper reads the same one.
    """

    def __init__(self, now: Callable[[], int] = machine_ns) -> None:
        self.now = now
        self.contact = 0  # when the last heartbeat that was answered had been sent; 0: none yet
        self.on_answer: Callable[[int], None] = lambda _sent_at: None
        self._held: dict[TaskId, int] = {}

    def hold(self, task_id: TaskId, lease_ns: int) -> None:
        """A task of this node runs, or is about to, on a lease; 0 is none."""
        if lease_ns:
            self._held[task_id] = lease_ns

    def drop(self, task_id: TaskId) -> None:
        self._held.pop(task_id, None)

    def answered(self, sent_at: int) -> None:
        """A leader has answered a heartbeat that was sent at `sent_at`."""
        self.contact = max(self.contact, sent_at)
        if self._held:
            self.on_answer(self.contact)

    def is_valid(self, lease_ns: int) -> bool:
        """Whether a task with such a lease may start now."""
        return bool(self.contact) and self.now() < self.contact + lease_ns

    def beat_within_ns(self, period_ns: int) -> int:
        """How long to wait for the next heartbeat, where `period_ns` would do without leases."""
        if not self._held:
            return period_ns
        return min(period_ns, min(self._held.values()) // BEATS_PER_LEASE)
