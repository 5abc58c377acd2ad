"""A copy of the swarm that reacts: the real store and planner, and workers that always obey.

Tasks come up as soon as they may and stop as soon as they are told; those of jobs run on, as nobody
knows for how long. Nodes that are down do nothing. Time passes only when nothing else is to do: up
to the planner's next deadline, and no further than `horizon_ns`. So a rehearsal ends, also where a
schedule goes on for ever.
"""

from __future__ import annotations

from collections.abc import Iterable

from swarmd.model.env import Env, Ids, Rng
from swarmd.model.errors import Rejection
from swarmd.model.ids import NodeId, TaskId
from swarmd.model.instant import MINUTE, Instant
from swarmd.model.states import NodeState, TaskState
from swarmd.model.task import Task, TaskStatus
from swarmd.orchestrator.planner import Planner
from swarmd.orchestrator.whatif.hypothesis import Hypothesis, actions_of
from swarmd.store.changes import Action, Committed, Entry, Kind, Object, SetTaskStatus, Transaction
from swarmd.store.store import Store

HORIZON_NS = 10 * MINUTE
PASSES_MAX = 2_000
PROPOSER = NodeId("rehearsal")


class Rehearsal:
    """One copy; used for one question.

    Args:
        records: all records of the state, which are shared with it, at log index `index`.
    """

    def __init__(
        self, index: int, records: Iterable[Object], *, now: Instant, ids: Ids, rng: Rng
    ) -> None:
        self.store = Store()
        self.store.restore(index, records)
        self._started = now
        self._now = now
        self._ids = ids
        self._rng = rng
        self._moving: dict[TaskId, None] = {
            task.id: None for task in self.store.tasks() if self._next_state(task) is not None
        }

    @property
    def elapsed_ns(self) -> int:
        """The time that has passed for the copy."""
        return self._now - self._started

    def suppose(self, hypotheses: Iterable[Hypothesis]) -> None:
        """Make hypotheses true, one after the other.

        Raises:
            Rejection: one of them cannot be; the copy is of no use any more.
        """
        for hypothesis in hypotheses:
            refusal = self._apply(actions_of(hypothesis, self.store, self._env()), atomic=True)
            if refusal is not None:
                raise refusal

    def run(self, *, horizon_ns: int = HORIZON_NS, passes_max: int = PASSES_MAX) -> bool:
        """Let the swarm react until it is quiet; False if it is not by then."""
        planner = Planner(self.store, self._env())
        unsubscribe = self.store.subscribe(planner.observe)
        watching = self.store.subscribe(self._observe)
        until = self._now + horizon_ns
        try:
            for _ in range(passes_max):
                actions = planner.plan(self._env())
                if actions:
                    self._apply(actions, atomic=False)
                    continue
                if self._step():
                    continue
                deadline = planner.next_deadline()
                if deadline is None:
                    return True
                if deadline > until:
                    return False
                self._now = Instant(max(deadline, self._now))
            return False
        finally:
            watching()
            unsubscribe()

    def _step(self) -> bool:
        """Have every task that can get on do so, by one state."""
        moves = []
        for task_id in self._moving:
            task = self.store.find_task(task_id)
            state = self._next_state(task) if task is not None else None
            if task is not None and state is not None:
                status = TaskStatus(state=state, timestamp=self._now, message=state.word)
                moves.append(SetTaskStatus(task.id, status))
        self._moving.clear()
        if moves:
            self._apply(moves, atomic=False)
        return bool(moves)

    def _next_state(self, task: Task) -> TaskState | None:
        state, wanted = task.status.state, task.desired_state
        if not TaskState.ASSIGNED <= state <= TaskState.RUNNING:
            return None
        node = self.store.find_node(task.node_id)
        if node is None or node.status.state is NodeState.DOWN:
            return None
        if wanted > TaskState.COMPLETE:
            return TaskState.SHUTDOWN
        goal = TaskState.READY if wanted <= TaskState.READY else TaskState.RUNNING
        return goal if state < goal else None

    def _observe(self, committed: Committed) -> None:
        for change in committed.changes:
            if change.kind is Kind.TASK and change.new is not None:
                self._moving[TaskId(change.id)] = None

    def _apply(self, actions: Iterable[Action], *, atomic: bool) -> Rejection | None:
        entry = Entry(self._now, PROPOSER, (Transaction(tuple(actions), atomic),))
        refusal = self.store.apply(self.store.index + 1, entry).refusals[0]
        return refusal if atomic else None

    def _env(self) -> Env:
        return Env(self._now, self._ids, self._rng, self._now)
