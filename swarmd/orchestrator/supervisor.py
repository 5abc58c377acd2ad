"""Looking after one slot: replace what can't go on, start what has waited, delete old history.

This is the level-triggered heart of the orchestrator. It reads the history of a slot and says
what should happen to its tasks now, and when to look again if nothing changes before.
"""

from __future__ import annotations

from swarmd.model.ids import NodeId
from swarmd.model.instant import MINUTE, Instant
from swarmd.model.service import Service
from swarmd.model.states import TaskState
from swarmd.model.task import Task
from swarmd.orchestrator.context import Pass
from swarmd.orchestrator.global_services import Wish, wish
from swarmd.orchestrator.nodes import is_leaving, on_invalid_node
from swarmd.orchestrator.reaper import disposable, history_limit
from swarmd.orchestrator.restart import retry_at, should_restart, starts_at
from swarmd.orchestrator.slots import SlotKey, SpecJudge, takes_over
from swarmd.orchestrator.updater import as_it_was, first_of_update

MOVE_WAIT_NS = 5 * MINUTE  # in which a task that takes over has to run
NODE_DELETED = "Task belonged to a node that has been deleted"


def supervise(
    judge: SpecJudge, key: SlotKey, history: tuple[Task, ...], work: Pass
) -> Instant | None:
    """Plan what a slot needs apart from scaling and updating; when to look again, if ever."""
    service = judge.service
    orphan(history, work)
    desired = Wish.TASK if isinstance(key, int) else wish(service, work.view.find_node(key))
    active = [task for task in history if task.desired_state <= TaskState.RUNNING]
    if desired is Wish.NOTHING:
        for task in active:
            work.plan.shut_down(task, f"the node does not run {service.spec.name}")
        _reap(service, history, work, gone=work.view.find_node(str(key)) is None)
        return None
    failing = [task for task in active if _cannot_go_on(task, work)]
    sound = [task for task in active if task not in failing]
    deadline = _replace(service, key, history, failing, bool(sound), desired, work)
    for task in sound:
        if task.desired_state < TaskState.RUNNING:
            start = starts_at(task, history, work.view)
            if start <= work.env.now:
                work.plan.set_desired(task, TaskState.RUNNING, "its turn to start has come")
            else:
                deadline = start if deadline is None else min(deadline, start)
    _settle(judge, sound, work)
    due = _arrival_due(sound, work)
    _reap(service, history, work, gone=False)
    return min((at for at in (deadline, due) if at is not None), default=None)


def remove_all(history: tuple[Task, ...], work: Pass, *, reason: str) -> None:
    """Make all tasks of a slot disappear."""
    orphan(history, work)
    for task in history:
        if not work.plan.touches(task.id):
            work.plan.remove(task, reason)


def orphan(history: tuple[Task, ...], work: Pass) -> None:
    """Declare lost what ran on nodes that are no longer part of the swarm."""
    for task in history:
        state = task.status.state
        on_node = bool(task.node_id) and TaskState.ASSIGNED <= state <= TaskState.RUNNING
        if on_node and work.view.find_node(task.node_id) is None:
            work.plan.set_status(task, TaskState.ORPHANED, message=NODE_DELETED, err=NODE_DELETED)


def _cannot_go_on(task: Task, work: Pass) -> bool:
    if task.status.state.terminal:
        return True
    return on_invalid_node(task, work.view) and not is_leaving(task, work.view)


def _replace(
    service: Service,
    key: SlotKey,
    history: tuple[Task, ...],
    failing: list[Task],
    has_sound: bool,
    desired: Wish,
    work: Pass,
) -> Instant | None:
    """End failing tasks; the newest of them gets a successor if nothing else holds the slot."""
    deadline: Instant | None = None
    for position, task in enumerate(failing):
        retry = retry_at(task, history, work.view)
        if retry is not None and retry > work.env.now:
            deadline = retry if deadline is None else min(deadline, retry)
            continue
        why = why_ended(task, work)
        work.plan.shut_down(task, why)
        newest = position == len(failing) - 1 and deadline is None
        if newest and not has_sound and desired is Wish.TASK and should_restart(task, history):
            work.succeed(
                as_it_was(service, task),
                key,
                history,
                predecessor=task,
                reason=f"replaces one: {why}",
            )
    return deadline


def why_ended(task: Task, work: Pass) -> str:
    """What keeps a task from going on, as a clause."""
    state = task.status.state
    if state.terminal:
        return f"task {task.id} is {state.word}: {task.status.err or task.status.message}"
    node = work.view.find_node(NodeId(task.node_id))
    if node is None:
        return f"node {task.node_id} was removed"
    draining = node.status.state.value != "down"
    return f"node {node.hostname or node.id} is {'being drained' if draining else 'down'}"


def _settle(judge: SpecJudge, sound: list[Task], work: Pass) -> None:
    """Once an up-to-date task of the slot runs, the others have been replaced."""
    if len(sound) < 2:
        return
    running = [
        task
        for task in sound
        if task.status.state is TaskState.RUNNING
        and task.desired_state is TaskState.RUNNING
        and not judge.is_dirty(task, work.view)
        and not is_leaving(task, work.view)
    ]
    if running:
        for task in sound:
            if task.id != running[-1].id and not _arrives(task, sound):
                work.plan.shut_down(task, f"task {running[-1].id} runs in its place")


def _arrives(task: Task, sound: list[Task]) -> bool:
    """Whether a task still comes up to take over from one that runs."""
    return task.status.state < TaskState.RUNNING and takes_over(task, sound)


def _arrival_due(sound: list[Task], work: Pass) -> Instant | None:
    """Call off moves that take too long, as the old task runs well; when to look again."""
    due: Instant | None = None
    for task in sound:
        if not _arrives(task, sound) or any(is_leaving(other, work.view) for other in sound):
            continue
        until = Instant(task.created_at + MOVE_WAIT_NS)
        if until <= work.env.now:
            work.plan.shut_down(task, "the move is off: the new task does not come up")
        else:
            due = until if due is None else min(due, until)
    return due


def _reap(service: Service, history: tuple[Task, ...], work: Pass, *, gone: bool) -> None:
    limit = history_limit(service, work.cluster)
    finished = [task for task in history if gone and task.status.state >= TaskState.COMPLETE]
    kept = first_of_update(service, history)
    for task in finished or disposable(history, limit):
        if not work.plan.touches(task.id) and task is not kept:
            work.plan.delete(task, "history beyond the limit")
