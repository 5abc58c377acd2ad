"""Rebalancing by itself, where the cluster's settings ask for it.

A node that joins, returns or changes has the swarm looked at; the moves found are begun a few at a
time, each when one before it has ended. When all are done it is looked at once more, until there is
nothing left to move. A node is no goal before it has been ready for a while. All of this can be
found out again from the store, so a new leader just looks.

A look at many tasks takes long, and the leader has other things to do: it is made a portion at a
time, with pauses.
"""

from __future__ import annotations

from collections import deque

from swarmd.model.cluster import RebalanceConfig, SchedulingConfig
from swarmd.model.ids import NodeId, TaskId
from swarmd.model.instant import MILLISECOND, Instant
from swarmd.model.states import NodeState, TaskState
from swarmd.model.task import Task
from swarmd.orchestrator.context import Pass
from swarmd.orchestrator.rebalance.movable import is_move
from swarmd.orchestrator.rebalance.moves import Move, Planned, begun, look_for_moves
from swarmd.orchestrator.rebalance.portions import Portions
from swarmd.orchestrator.slots import history_of

# Moves found at a time. More would be stale before they are made, and take the leader's time.
AHEAD_MAX = 64
# Between looks, for each thousand tasks that they go through: looks shall take no more than a
# twentieth of the leader's time, however many nodes join.
LOOK_PAUSE_NS = 150 * MILLISECOND
# So many tasks and nodes are looked at without a pause, which takes some milliseconds.
PORTION_MAX = 1_500
PORTION_PAUSE_NS = 50 * MILLISECOND


class Rebalancing:
    """What the planner remembers of moves: which are to be made, and which are under way."""

    def __init__(self) -> None:
        self._wake: Instant | None = None  # when a node will have been ready long enough
        self._looking: Portions[Planned] | None = None
        self._go_on: Instant | None = None  # when the next portion of the look is due
        self._config = RebalanceConfig()
        self._look = True
        self._looked_at: Instant | None = None
        self._moves: deque[Move] = deque()
        self._under_way: dict[TaskId, bool] = {}  # whether it has been seen in the store

    @property
    def due(self) -> bool:
        """Whether the swarm is to be looked at now."""
        return self._look and self._config.enabled and self._looking is None

    @property
    def next_look(self) -> Instant | None:
        """When there is something to look at again."""
        return self._go_on if self._looking is not None else self._wake

    def configure(self, scheduling: SchedulingConfig) -> None:
        """Take over the cluster's settings."""
        if scheduling.rebalance != self._config:
            self._config = scheduling.rebalance
            self.look_again()
        if not self._config.enabled:
            self._wake = None
            self._looking = None
            self._moves.clear()

    def look_again(self) -> None:
        """Have the swarm looked at in the next pass, if it is to be balanced at all."""
        self._look = True

    def begin_moves(self, work: Pass) -> None:
        """Plan the tasks of as many moves as may be under way."""
        if not self._config.enabled or work.plan.full:
            return
        if self._wake is not None and self._wake <= work.env.now:
            self._look = True
        if self._some_ended(work) and not self._under_way and not self._moves:
            self._look = True
        if self._looking is None and self._look and not self._postponed(work):
            self._begin_look(work)
        if self._looking is not None and self._is_time(work.env.now):
            self._go_on_looking(self._looking, work.env.now)
        while self._moves and len(self._under_way) < self._config.max_moves:
            self._begin(self._moves.popleft(), work)

    def _some_ended(self, work: Pass) -> bool:
        """Forget moves that are over; whether any of them was ever made.

        One that was called off at once says nothing new: looking again would find it again.
        """
        ended = False
        for task_id, made in list(self._under_way.items()):
            task = work.view.find_task(task_id)
            if task is not None and is_move(task, work.view):
                self._under_way[task_id] = True
                continue
            del self._under_way[task_id]
            ended = ended or made or task is not None
        return ended

    def _postponed(self, work: Pass) -> bool:
        """Put a look off that comes too soon after the last one."""
        pause_ns = work.view.task_count() // 1000 * LOOK_PAUSE_NS
        if self._looked_at is None or not 0 <= work.env.now - self._looked_at < pause_ns:
            return False
        self._wake_at(Instant(self._looked_at + pause_ns))
        self._look = False
        return True

    def _begin_look(self, work: Pass) -> None:
        self._look = False
        self._looked_at = work.env.now
        self._go_on = None
        self._moves.clear()  # what is still worth doing is found again
        cooling = self._cooling(work)
        self._wake = min(cooling.values(), default=None)
        limit = self._config.max_moves + AHEAD_MAX
        self._looking = look_for_moves(work.view, work.env.now, not_to=cooling, limit=limit)

    def _is_time(self, now: Instant) -> bool:
        """Whether the pause is over, also if the clock was set back in it."""
        return self._go_on is None or not 0 < self._go_on - now <= PORTION_PAUSE_NS

    def _go_on_looking(self, looking: Portions[Planned], now: Instant) -> None:
        """Look at one portion more."""
        looked_at = 0
        try:
            while looked_at < PORTION_MAX:
                looked_at += next(looking)
        except StopIteration as done:
            planned: Planned = done.value
            self._looking = None
            self._looked_at = now
            self._moves = deque(planned.moves)
            self._under_way |= {task.id: True for task in planned.under_way}
            if self._look:  # something happened meanwhile
                self._look = False
                self._wake_at(Instant(now + PORTION_PAUSE_NS))
            return
        self._go_on = Instant(now + PORTION_PAUSE_NS)

    def _wake_at(self, at: Instant) -> None:
        self._wake = at if self._wake is None else min(self._wake, at)

    def _cooling(self, work: Pass) -> dict[NodeId, Instant]:
        """Nodes that have not been ready for long enough, and when they will have been."""
        return {
            node.id: Instant(node.status.since + self._config.cooldown_ns)
            for node in work.view.nodes()
            if node.status.state is NodeState.READY
            and node.status.since + self._config.cooldown_ns > work.env.now
        }

    def _begin(self, move: Move, work: Pass) -> None:
        task = work.view.find_task(move.task.id)
        service = work.view.find_service(move.task.service_id)
        if task is None or service is None or work.plan.touches(task.id):
            return
        stays = (
            task.status.state is TaskState.RUNNING
            and task.desired_state is TaskState.RUNNING
            and task.node_id == move.task.node_id
            and service.spec_version == move.spec_version
            and not _has_successor(task, work)
        )
        if stays:
            successor, reason = begun(move, service, work.cluster, work.env)
            work.plan.create(successor, reason)
            self._under_way[successor.id] = False


def _has_successor(task: Task, work: Pass) -> bool:
    """Whether somebody else has begun to move a task since it was looked at."""
    history = history_of(work.view, task.service_id, task.slot)
    return any(other.replaces == task.id and is_move(other, work.view) for other in history)
