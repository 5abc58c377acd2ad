"""Leases kept by the keeper: a task on a lease is killed when no manager was heard of for too long.

The keeper outlives the daemon, so a lease holds even where the daemon is dead or hangs. Times are
those of a clock that goes on while the machine sleeps; after a sleep the next look, a second later
at most, finds what has run out meanwhile.
"""

from __future__ import annotations

from swarmd.agent.executors.keeper.guarded import Guarded
from swarmd.agent.executors.keeper.kept import Kept
from swarmd.agent.executors.keeper.ledger import now
from swarmd.agent.executors.keeper.loop import Loop

LOOK_NS_MAX = 1_000_000_000
SOON_NS = 1_000_000


class LeaseWatch:
    """Looks after the tasks with a lease for as long as there are any.

    Args:
        tasks: processes, of which some have a lease.
        containers: those that have one.
        contact: when a manager was last heard of, as an earlier keeper knew.
    """

    def __init__(
        self, loop: Loop, tasks: dict[str, Kept], containers: dict[str, Guarded], *, contact: int
    ) -> None:
        self._loop = loop
        self._tasks = tasks
        self._containers = containers
        self.contact = contact
        self._watching = False

    def contacted(self, sent_at: int) -> bool:
        """A manager has answered a heartbeat that was sent at `sent_at`; False: that is no news."""
        is_news = sent_at > self.contact
        self.contact = max(self.contact, sent_at)
        return is_news

    def is_valid(self, lease_ns: int) -> bool:
        return now() < self.contact + lease_ns

    def watch(self) -> None:
        """A task with a lease has been started."""
        if not self._watching:
            self._watching = True
            self._look()

    def _look(self) -> None:
        at, rest_ns = now(), LOOK_NS_MAX
        self._watching = False
        all_of_them: list[Kept | Guarded] = [*self._tasks.values(), *self._containers.values()]
        for task in all_of_them:
            if not task.lease_ns or task.lapsed or task.over:
                continue
            left_ns = self.contact + task.lease_ns - at
            if left_ns <= 0:
                task.lapse()
                continue
            self._watching = True
            rest_ns = min(rest_ns, left_ns + SOON_NS)
        if self._watching:
            self._loop.after(rest_ns, self._look)
