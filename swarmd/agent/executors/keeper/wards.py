"""Everything of a node that is on a lease: its containers, its processes, and who sees to them.

The keeper carries leases out (`lease`); so does its second, from the ledger, should the keeper be
dead. What is in the ledger is guarded again by the next keeper before its daemon asks for it.
"""

from __future__ import annotations

import functools
import sys

from swarmd.agent.executors.keeper.guarded import Guarded
from swarmd.agent.executors.keeper.kept import Kept
from swarmd.agent.executors.keeper.lease import LeaseWatch
from swarmd.agent.executors.keeper.ledger import Entry, Ledger
from swarmd.agent.executors.keeper.loop import Loop
from swarmd.agent.executors.keeper.second import Second

SECOND_AGAIN_NS = 20_000_000


class Wards:
    """The leases of one keeper.

    Args:
        directory: the keeper's.
        tasks: its processes, of which some have a lease; those of an earlier keeper are dead.
    """

    def __init__(self, loop: Loop, directory: str, tasks: dict[str, Kept]) -> None:
        self._loop = loop
        self._ledger = Ledger(directory)
        self._second = Second(self._ledger)
        self._containers: dict[str, Guarded] = {}
        self._processes: set[str] = set()
        self._watch = LeaseWatch(loop, tasks, self._containers, contact=self._ledger.contact)
        for task_id, entry in self._ledger.entries().items():
            if entry.is_child:
                self._ledger.drop(task_id)
                continue
            guarded = self._guarded(task_id, entry)
            if guarded.lapsed:
                guarded.lapse()  # the earlier one may not have come to the end of it
        if self._containers:
            self._begin()

    @property
    def second_pid(self) -> int:
        return self._second.pid

    @property
    def any_container(self) -> bool:
        """Whether there are containers whose lease may still have to be carried out."""
        return any(not (one.lapsed or one.over) for one in self._containers.values())

    def contacted(self, sent_at: int) -> None:
        """A manager has answered a heartbeat that was sent at `sent_at`."""
        if self._watch.contacted(sent_at) and (self._containers or self._processes):
            self._ledger.contacted(sent_at)
            self._second.contacted(sent_at)

    def is_valid(self, lease_ns: int) -> bool:
        return self._watch.is_valid(lease_ns)

    def guard(self, task_id: str, *, lease_ns: int, directories: tuple[str, ...]) -> bool:
        """Keep the lease of a container that exists; True if it has run out, and is carried out.

        Raises:
            OSError: it can't be kept.
        """
        guarded = self._containers.get(task_id)
        if guarded is None:
            entry = Entry(lease_ns, directories)
            self._ledger.put(task_id, entry)
            guarded = self._guarded(task_id, entry)
        if not guarded.lapsed and not self.is_valid(guarded.lease_ns):
            guarded.lapse()
        if not guarded.lapsed:
            self._begin()
        return guarded.lapsed

    def unguard(self, task_id: str) -> None:
        """The container is over."""
        guarded = self._containers.pop(task_id, None)
        if guarded is not None:
            guarded.over = True
            self._forget(task_id)

    def has_lapsed(self, task_id: str) -> bool:
        guarded = self._containers.get(task_id)
        return guarded is not None and guarded.lapsed

    def began(self, task: Kept) -> None:
        """A process on a lease was forked; what hides from its parent's death is ended as well."""
        self._watch.watch()
        if not task.group_directories:
            return  # found by marks, which the second does not know
        entry = Entry(task.lease_ns, task.group_directories, is_child=True)
        try:
            self._ledger.put(task.id, entry)
            self._processes.add(task.id)
            self._begin()
        except OSError as error:
            # It still ends with its lease by the keeper, and with the keeper by the kernel.
            print(f"the lease of {task.id} has one keeper only: {error}", file=sys.stderr)

    def ended(self, task_id: str) -> None:
        """A process has ended."""
        if task_id in self._processes:
            self._processes.discard(task_id)
            self._forget(task_id)

    def reaped(self) -> None:
        """The second has ended: with the last lease, or before its time."""
        self._second.reaped()
        self._loop.after(SECOND_AGAIN_NS, self._have_second)

    def _have_second(self) -> None:
        if self.any_container or self._processes:
            self._second.ensure()

    def _guarded(self, task_id: str, entry: Entry) -> Guarded:
        guarded = Guarded(
            self._loop,
            lease_ns=entry.lease_ns,
            directories=entry.directories,
            lapsed=entry.lapsed,
            noted=functools.partial(self._ledger.lapsed, task_id),
        )
        self._containers[task_id] = guarded
        return guarded

    def _begin(self) -> None:
        self._ledger.contacted(self._watch.contact)
        self._second.contacted(self._watch.contact)
        self._second.ensure()
        self._watch.watch()

    def _forget(self, task_id: str) -> None:
        self._ledger.drop(task_id)
        self._second.look_again()
