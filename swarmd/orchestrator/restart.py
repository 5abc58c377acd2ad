"""The restart supervisor: whether a task is replaced, how often, and when the replacement starts.

Everything is derived from the history of the slot, so an election forgets nothing: attempts are
the tasks of one spec version (and one run of a job) after its first, and a replacement that is
prepared but waits is a task whose desired state is still READY. A delay that grows counts the
tasks before it that ended by themselves; one that held out for twice the longest delay starts the
count anew.
"""

from __future__ import annotations

from collections.abc import Sequence

from swarmd.model import defaults
from swarmd.model.instant import MINUTE, Instant
from swarmd.model.spec import TaskSpec
from swarmd.model.states import RestartCondition, TaskState
from swarmd.model.task import Task
from swarmd.orchestrator.nodes import has_stopped, on_invalid_node
from swarmd.store.view import View

ENDED_BY_ITSELF = (TaskState.COMPLETE, TaskState.FAILED, TaskState.REJECTED)
STOP_WAIT_NS = 1 * MINUTE  # how long a replacement waits for the old task to stop


def seen_at(task: Task) -> Instant:
    """When a task's present state was recorded, or reported if no leader has recorded it."""
    return task.status.applied_at or task.status.timestamp


def should_restart(task: Task, history: tuple[Task, ...]) -> bool:
    """Whether a task that can't go on gets a successor, by the restart policy of its own spec.

    Args:
        history: all tasks of the slot, oldest first.
    """
    policy = defaults.restart_policy(task.spec)
    if task.job_iteration is not None and task.status.state is TaskState.COMPLETE:
        return False  # a job wants nothing more of it, whatever the policy
    match defaults.restart_condition(task.spec):
        case RestartCondition.NONE:
            return False
        case RestartCondition.ON_FAILURE if task.status.state is TaskState.COMPLETE:
            return False
        case _:
            pass
    if policy.max_attempts == 0:
        return True
    of_version = [
        other
        for other in history
        if other.spec_version == task.spec_version and other.job_iteration == task.job_iteration
    ]
    restarts = [other for other in of_version[1:] if not other.replaces]  # moves are none
    if policy.window_ns:
        until = seen_at(task)
        since = until - policy.window_ns
        restarts = [other for other in restarts if since < other.created_at < until]
    return len(restarts) < policy.max_attempts


def delay_ns(successor: Task | None, older: Sequence[Task], view: View) -> int:
    """How long a successor waits after its creation, besides waiting for its predecessors.

    Nothing, unless it repeats what has just ended by itself: a first task, a new version, or a
    task whose predecessor was told to stop or lost its node has no reason to back off.

    Args:
        older: the tasks of the slot before the successor, oldest first.
    """
    predecessor = older[-1] if older else None
    if predecessor is None or predecessor.desired_state is TaskState.REMOVE:
        return 0
    if predecessor.status.state not in ENDED_BY_ITSELF or on_invalid_node(predecessor, view):
        return 0
    if successor is not None and _differ(successor, predecessor):
        return 0
    spec = (successor or predecessor).spec
    first_ns = defaults.restart_delay_ns(spec)
    longest_ns = defaults.restart_policy(spec).max_delay_ns
    if longest_ns <= first_ns:
        return first_ns
    doublings = _failures_in_a_row(older, 2 * longest_ns) - 1
    return min(first_ns << min(doublings, doublings_max(spec)), longest_ns)


def doublings_max(spec: TaskSpec) -> int:
    """How often the restart delay can double before it is as long as it gets."""
    first_ns = max(defaults.restart_delay_ns(spec), 1)
    return (defaults.restart_policy(spec).max_delay_ns // first_ns).bit_length()


def _failures_in_a_row(older: Sequence[Task], held_out_ns: int) -> int:
    """How many tasks up to the last ended by themselves, from the latest that held out so long."""
    last, count = older[-1], 0
    for task in reversed(older):
        if task.status.state not in ENDED_BY_ITSELF or _differ(task, last):
            break
        count += 1
        if seen_at(task) - task.created_at >= held_out_ns:
            break
    return count


def starts_at(task: Task, history: tuple[Task, ...], view: View) -> Instant:
    """When a task whose desired state is READY may run: after its delay and its predecessors.

    It may start once its delay is over and all older tasks of the slot have stopped, or a minute
    after its creation if one does not stop. Ask again when a task of the slot changes.
    """
    older = _older(task, history)
    wait_ns = delay_ns(task, older, view)
    if not all(has_stopped(other, view) for other in older):
        wait_ns = max(wait_ns, STOP_WAIT_NS)
    return Instant(task.created_at + wait_ns)


def retry_at(task: Task, history: tuple[Task, ...], view: View) -> Instant | None:
    """When a task that failed before it was started may be replaced; None: now.

    Otherwise a task that can't even be prepared would be replaced in a tight loop.
    """
    if task.desired_state > TaskState.READY or on_invalid_node(task, view):
        return None
    return Instant(task.created_at + delay_ns(task, _older(task, history), view))


def first_desired_state(
    history: tuple[Task, ...], *, predecessor: Task | None, same_spec: bool, view: View
) -> TaskState:
    """What is wanted of a new task in a slot: RUNNING if nothing holds it back, else READY."""
    held_back = False
    if predecessor is not None and same_spec:
        older = [*_older(predecessor, history), predecessor]
        held_back = delay_ns(None, older, view) > 0
    if held_back or not all(has_stopped(other, view) for other in history):
        return TaskState.READY
    return TaskState.RUNNING


def _older(task: Task, history: tuple[Task, ...]) -> list[Task]:
    older: list[Task] = []
    for other in history:
        if other.id == task.id:
            break
        if other.status.state >= TaskState.ASSIGNED:
            older.append(other)
    return older


def _differ(one: Task, other: Task) -> bool:
    if one.job_iteration != other.job_iteration:
        return True
    return one.spec_version != other.spec_version and one.spec != other.spec
