"""What the managers promise of their own decisions, checked in the entries that carry them out.

A plan is made from the state of a moment and committed a little later. So what a plan is blamed
for is judged with what was true shortly before, too: a task that has just failed counts as one
that runs, for the plan could not know.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from swarmd.model.ids import NodeId, ServiceId, TaskId
from swarmd.model.states import TaskState
from swarmd.model.task import Task
from swarmd.orchestrator.nodes import is_lost
from swarmd.orchestrator.rebalance.movable import is_move
from swarmd.sim.references import reference_problems
from swarmd.sim.schedules import Schedules
from swarmd.sim.timeline import Timeline
from swarmd.store.changes import Committed
from swarmd.store.store import Store

KNOWN_WITHIN_S = 5.0
_WINNER = re.compile(r"preempted by .* \(priority (-?\d+)\)")
_LEADS_AWAY = "being drained"
MOVED = "takes over from task"
_IN_ITS_PLACE = re.compile(r"task (\S+) runs in its place")


class Promises:
    """Looks at each entry once, on the manager that is the first to apply it."""

    def __init__(self, timeline: Timeline) -> None:
        self._timeline = timeline
        self._ran: dict[ServiceId, dict[TaskId, float]] = {}  # when each was last seen to run
        self._fewest: dict[ServiceId, tuple[int, float]] = {}  # min-available, and since when
        self._schedules = Schedules()
        self._movers: set[TaskId] = set()

    def check(self, store: Store, committed: Committed) -> None:
        """Judge what an entry has changed; `store` is as it has left it."""
        for complaint in (
            *self._orders(store, committed),
            *self._schedules.check(committed),
            *reference_problems(store, committed),
            *self._moves(store, committed),
        ):
            self._timeline.accuse(f"at index {committed.index}: {complaint}")
        self._note(store)

    # --- orders to stop

    def _orders(self, store: Store, committed: Committed) -> Iterator[str]:
        for old, new in _told_to_stop(committed):
            if not new.desired_reason:
                yield f"task {new.name} was told to end, and nobody said why"
            winner = _WINNER.match(new.desired_reason)
            if winner is not None and int(winner[1]) <= new.spec.priority:
                yield (f"task {new.name} of priority {new.spec.priority} was {new.desired_reason}")
            if winner is not None or _LEADS_AWAY in new.desired_reason:
                yield from self._check_spared(store, old)
            heir = _IN_ITS_PLACE.match(new.desired_reason)
            if heir is not None:
                yield from _check_heir(store, new, TaskId(heir[1]))

    def _check_spared(self, store: Store, victim: Task) -> Iterator[str]:
        """A service that gave a running task away has as many left as it asks for."""
        service = store.find_service(victim.service_id)
        fewest, since = self._fewest.get(victim.service_id, (0, 0.0))
        now = self._timeline.now
        if service is None or not _serves(store, victim) or since + KNOWN_WITHIN_S > now:
            return
        ran = self._ran.get(service.id, {})
        left = 0
        for task in store.tasks_of_service(service.id):
            wanted = task.desired_state <= TaskState.RUNNING
            left += wanted and ran.get(task.id, -KNOWN_WITHIN_S) + KNOWN_WITHIN_S > now
        if left < fewest:
            yield f"{service.spec.name} is left with {left} tasks, {fewest} have to be available"

    def _note(self, store: Store) -> None:
        now = self._timeline.now
        for service in store.services():
            fewest = service.spec.min_available
            if self._fewest.get(service.id, (-1, 0.0))[0] != fewest:
                self._fewest[service.id] = (fewest, now)
            if not fewest:
                continue
            ran = self._ran.setdefault(service.id, {})
            for task in store.tasks_of_service(service.id):
                if _serves(store, task):
                    ran[task.id] = now

    # --- moves

    def _moves(self, store: Store, committed: Committed) -> Iterator[str]:
        """As many tasks move at a time as the cluster's settings allow."""
        begun = {TaskId(c.id) for c in committed.changes if c.old is None and MOVED in c.reason}
        if not begun:
            return
        self._movers |= begun
        cluster = store.find_cluster()
        most = cluster.spec.scheduling.rebalance.max_moves if cluster is not None else 0
        moving = [
            task.name for task in store.tasks() if task.id in self._movers and is_move(task, store)
        ]
        if len(moving) > most:
            yield f"{', '.join(moving)} move at once, {most} may"


def _told_to_stop(committed: Committed) -> Iterator[tuple[Task, Task]]:
    if committed.restored:
        return
    for change in committed.changes:
        old, new = change.old, change.new
        if not isinstance(old, Task) or not isinstance(new, Task):
            continue
        if old.desired_state < TaskState.SHUTDOWN <= new.desired_state:
            yield old, new


def _serves(store: Store, task: Task) -> bool:
    return (
        task.status.state is TaskState.RUNNING
        and not task.status.unready
        and task.desired_state <= TaskState.RUNNING
        and not is_lost(store.find_node(NodeId(task.node_id)))
    )


def _check_heir(store: Store, task: Task, heir_id: TaskId) -> Iterator[str]:
    heir = store.find_task(heir_id)
    if heir is not None and heir.status.state < TaskState.RUNNING:
        yield f"task {task.name} had to go for {heir.name}, which is {heir.status.state.word}"
