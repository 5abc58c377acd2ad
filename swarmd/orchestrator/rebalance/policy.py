"""Rebalancing by itself, where the cluster's settings ask for it.

A node that joins, returns or changes has the swarm looked at; the moves found are begun a few at a
time, each when one before it has ended. When all are done it is looked at once more, until there is
nothing left to move. A node is no goal before it has been ready for a while. All of this can be
found out again from the store, so a new leader just looks.
"""

from __future__ import annotations

from collections import deque

from swarmd.model.cluster import RebalanceConfig, SchedulingConfig
from swarmd.model.ids import NodeId, TaskId
from swarmd.model.instant import MILLISECOND, Instant
from swarmd.model.states import NodeState, TaskState
from swarmd.orchestrator.context import Pass
from swarmd.orchestrator.rebalance.movable import is_move
from swarmd.orchestrator.rebalance.moves import Move, begun, plan_moves

# Moves found at a time. More would be stale before they are made, and take the leader's time.
AHEAD_MAX = 64
# Between looks, for each thousand tasks that they go through: looks shall take no more than a
# twentieth of the leader's time, however many nodes join.
LOOK_PAUSE_NS = 150 * MILLISECOND


class Rebalancing:
    """What the planner remembers of moves: which are to be made, and which are under way."""

    def __init__(self) -> None:
        self.next_look: Instant | None = None  # when a node will have been ready long enough
        self._config = RebalanceConfig()
        self._look = True
        self._looked_at: Instant | None = None
        self._moves: deque[Move] = deque()
        self._under_way: dict[TaskId, bool] = {}  # whether it has been seen in the store

    @property
    def due(self) -> bool:
        """Whether the swarm is to be looked at now."""
        return self._look and self._config.enabled

    def configure(self, scheduling: SchedulingConfig) -> None:
        """Take over the cluster's settings."""
        if scheduling.rebalance != self._config:
            self._config = scheduling.rebalance
            self.look_again()
        if not self._config.enabled:
            self.next_look = None
            self._moves.clear()

    def look_again(self) -> None:
        """Have the swarm looked at in the next pass, if it is to be balanced at all."""
        self._look = True

    def begin_moves(self, work: Pass) -> None:
        """Plan the tasks of as many moves as may be under way."""
        if not self._config.enabled or work.plan.full:
            return
        if self.next_look is not None and self.next_look <= work.env.now:
            self._look = True
        if self._some_ended(work) and not self._under_way and not self._moves:
            self._look = True
        if self._look and not self._postponed(work):
            self._find_moves(work)
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
        at = Instant(self._looked_at + pause_ns)
        self.next_look = at if self.next_look is None else min(self.next_look, at)
        self._look = False
        return True

    def _find_moves(self, work: Pass) -> None:
        self._look = False
        self._looked_at = work.env.now
        cooling = self._cooling(work)
        self.next_look = min(cooling.values(), default=None)
        limit = self._config.max_moves + AHEAD_MAX
        planned = plan_moves(work.view, work.env.now, not_to=cooling, limit=limit)
        self._moves = deque(planned.moves)
        self._under_way = {task.id: True for task in planned.under_way}

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
        )
        if stays:
            successor, reason = begun(move, service, work.cluster, work.env)
            work.plan.create(successor, reason)
            self._under_way[successor.id] = False
