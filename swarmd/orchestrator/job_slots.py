"""One slot of one run of a job: what has become of it, and what it needs.

A run has an iteration number that its tasks carry. All attempts of a slot within the run decide
together: one that completed settles the slot for good, so do restarts that are used up; nothing of
that is forgotten by an election, for it is read from the tasks each time.
"""

from __future__ import annotations

from enum import Enum
from typing import NamedTuple

from swarmd.model.instant import Instant
from swarmd.model.service import Service
from swarmd.model.states import TaskState
from swarmd.model.task import Task
from swarmd.orchestrator.context import Pass
from swarmd.orchestrator.global_services import Wish
from swarmd.orchestrator.nodes import on_invalid_node
from swarmd.orchestrator.reaper import disposable
from swarmd.orchestrator.restart import retry_at, should_restart, starts_at
from swarmd.orchestrator.slots import SlotKey
from swarmd.orchestrator.supervisor import why_ended


class Verdict(Enum):
    """What has become of a slot of a run."""

    ACTIVE = "active"  # a task runs or will
    DONE = "done"  # one has completed
    SPENT = "spent"  # it failed and may not be tried again


class Tended(NamedTuple):
    """A slot after a look at it; no verdict means that it is free for a task."""

    verdict: Verdict | None
    look_again: Instant | None


def iteration_of(task: Task) -> int:
    return task.job_iteration or 0


def verdict(attempts: tuple[Task, ...]) -> Verdict | None:
    """What the attempts at one slot of a run, oldest first, have come to."""
    if any(task.status.state is TaskState.COMPLETE for task in attempts):
        return Verdict.DONE
    if any(task.desired_state <= TaskState.COMPLETE for task in attempts):
        return Verdict.ACTIVE
    if attempts and not should_restart(attempts[-1], attempts):
        return Verdict.SPENT
    return None


def tend(
    service: Service,
    key: SlotKey,
    attempts: tuple[Task, ...],
    before: tuple[Task, ...],
    wish: Wish,
    work: Pass,
    *,
    limit: int,
) -> Tended:
    """Plan what a slot of a run that is going needs: successors, starts, ends, less history.

    Args:
        before: tasks of earlier runs in the slot that have to stop before one of this run starts.
        limit: how many attempts are kept; negative: all.
    """
    outcome = verdict(attempts)
    active = [task for task in attempts if task.desired_state <= TaskState.COMPLETE]
    deadline: Instant | None = None
    if outcome is Verdict.DONE or wish is Wish.NOTHING:
        why = (
            "completed already" if outcome is Verdict.DONE else "the node does not run it any more"
        )
        for task in active:
            work.plan.shut_down(task, f"{service.spec.name}: {why}")
        outcome = outcome if outcome is Verdict.DONE else None
    else:
        outcome, deadline = _go_on(service, key, attempts, before, active, wish, work)
    _trim(attempts, limit, work)
    return Tended(outcome, deadline)


def _go_on(
    service: Service,
    key: SlotKey,
    attempts: tuple[Task, ...],
    before: tuple[Task, ...],
    active: list[Task],
    wish: Wish,
    work: Pass,
) -> Tended:
    history = before + attempts
    failing = [
        task for task in active if task.status.state.terminal or on_invalid_node(task, work.view)
    ]
    sound = [task for task in active if task not in failing]
    times = []
    for task in failing:
        retry = retry_at(task, history, work.view)
        if retry is not None and retry > work.env.now:
            times.append(retry)
            continue
        work.plan.shut_down(task, why_ended(task, work))
    for task in sound:
        if task.desired_state < TaskState.RUNNING:
            start = starts_at(task, history, work.view)
            if start <= work.env.now:
                work.plan.set_desired(task, TaskState.COMPLETE, "its turn to start has come")
            else:
                times.append(start)
    if sound or times:
        return Tended(Verdict.ACTIVE, min(times, default=None))
    last = attempts[-1] if attempts else None
    if last is None:
        return Tended(None, None)
    if not should_restart(last, attempts):
        return Tended(Verdict.SPENT, None)
    if wish is not Wish.TASK:
        return Tended(None, None)
    work.succeed(
        service,
        key,
        history,
        predecessor=last,
        reason=f"replaces one: {why_ended(last, work)}",
        iteration=iteration_of(last),
    )
    return Tended(Verdict.ACTIVE, None)


def _trim(attempts: tuple[Task, ...], limit: int, work: Pass) -> None:
    for task in disposable(attempts, limit):
        if task.status.state is not TaskState.COMPLETE and not work.plan.touches(task.id):
            work.plan.delete(task, "history beyond the limit")
