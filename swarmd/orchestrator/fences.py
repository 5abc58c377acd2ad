"""When a task of an ordinal certainly runs no more, so that a successor may start.

Its agent says so, or its lease has run out. The keeper of the node ends the task when the node had
no answer from a leader for `Task.lease_ns`; no leader answers a node any more once it is written
down as down, or removed. So the task has ended a lease after that, whatever has become of the node.

The wait is measured on this planner's own steady clock, from the pass in which it first saw the
node down: clocks of managers may differ, and be set. A new leader therefore waits anew. That is
late by at most one lease and never early:

- a former leader that lost its majority steps down within 1.5 s, and answers nobody after;
- its successor gives every node at least 6 s to come back before it writes it down as down, and
  only that writing starts the wait.

What the managers write themselves proves nothing: a task ORPHANED with its node may still run until
its lease has run out (docs/design/orchestrator.md, "Stateful services").
"""

from __future__ import annotations

from swarmd.model.env import Env
from swarmd.model.ids import TaskId
from swarmd.model.instant import SECOND, Instant
from swarmd.model.node import Node
from swarmd.model.states import NodeState, TaskState
from swarmd.model.task import Task
from swarmd.store.view import View

MARGIN_NS = 2 * SECOND  # for a kill to take effect, and for a machine that wakes from a sleep
DRIFT_PARTS = 100  # clocks of two machines run the same to one part in so many


def fence_ns(task: Task) -> int:
    """How long after its node was cut off a task is known to have ended."""
    return task.lease_ns + task.lease_ns // DRIFT_PARTS + MARGIN_NS


def is_cut_off(task: Task, node: Node | None) -> bool:
    """Whether only its lease tells when the task ends: no agent will report it for now."""
    if task.status.state is TaskState.ORPHANED:
        return True
    on_node = TaskState.ASSIGNED <= task.status.state <= TaskState.RUNNING
    return on_node and (node is None or node.status.state is NodeState.DOWN)


def waiting_words(task: Task, node: Node | None, now: Instant) -> str:
    """Why the successor of a task cut off with its node has to wait; empty where it has not.

    A leader that was elected meanwhile waits anew, so the time left is the least there is.
    """
    if not task.lease_ns or node is None or not is_cut_off(task, node):
        return ""
    left_ns = node.status.since + fence_ns(task) - now
    where = node.hostname or node.id
    if left_ns <= 0:
        return f"the lease of {task.name} on node {where} has run out"
    seconds = -(-left_ns // SECOND)
    return f"waiting for the lease of {task.name} on node {where} to expire in {seconds} s"


class Fences:
    """Since when this planner knows of tasks that they are cut off."""

    def __init__(self) -> None:
        self._since: dict[TaskId, tuple[Instant | None, int]] = {}

    def ended_at(self, task: Task, view: View, env: Env) -> Instant | None:
        """From when on the task certainly runs no more; None if only its agent will tell.

        Ask in every pass over the slot: what is learnt late is known late.
        """
        state = task.status.state
        node = view.find_node(task.node_id) if task.node_id else None
        if not is_cut_off(task, node):
            self._since.pop(task.id, None)
            return None if TaskState.ASSIGNED <= state <= TaskState.RUNNING else env.now
        # A node that was back in between may have had an answer: `since` tells each time apart.
        time_of_it = node.status.since if node and state is not TaskState.ORPHANED else None
        known = self._since.get(task.id)
        if known is None or known[0] != time_of_it:
            known = self._since[task.id] = (time_of_it, env.steady_ns)
        left_ns = known[1] + fence_ns(task) - env.steady_ns
        return Instant(env.now + max(left_ns, 0))

    def all_ended_at(self, tasks: tuple[Task, ...], view: View, env: Env) -> Instant | None:
        """From when on none of the tasks runs; None if that only agents will tell."""
        latest = Instant(0)
        for task in tasks:
            ended = self.ended_at(task, view, env)
            if ended is None:
                return None
            latest = max(latest, ended)
        return latest

    def forget(self, task_id: TaskId) -> None:
        """The task is no longer in the store."""
        self._since.pop(task_id, None)
