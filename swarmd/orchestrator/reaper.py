"""The task reaper: which tasks of a slot have served their purpose as history."""

from __future__ import annotations

from swarmd.model import defaults
from swarmd.model.cluster import DEFAULT_TASK_HISTORY, Cluster
from swarmd.model.service import Service
from swarmd.model.states import TaskState
from swarmd.model.task import Task
from swarmd.orchestrator.restart import doublings_max


def history_limit(service: Service, cluster: Cluster | None) -> int:
    """How many tasks a slot keeps; negative: all.

    A limit on restart attempts, and a restart delay that grows, are counted in the history, which
    must then be long enough.
    """
    policy = defaults.restart_policy(service.spec.task_template)
    if policy.max_attempts:
        return policy.max_attempts + 1
    limit = DEFAULT_TASK_HISTORY
    if cluster is not None:
        limit = cluster.spec.orchestration.task_history_retention_limit
    if limit < 0 or not policy.max_delay_ns:
        return limit
    return max(limit, doublings_max(service.spec.task_template) + 2)  # and the one that waits


def disposable(history: tuple[Task, ...], limit: int) -> tuple[Task, ...]:
    """Tasks of a slot that can be deleted, oldest first.

    Removed tasks go as soon as nothing of them can be running. Of the others the newest `limit`
    stay, and always the last one, and its predecessor while the last one waits to be started:
    they decide whether and when the slot restarts.
    """
    removed = [task for task in history if is_removable(task)]
    kept = [task for task in history if task.desired_state is not TaskState.REMOVE]
    if limit < 0 or len(kept) <= max(limit, 1):
        return tuple(removed)
    waiting = kept[-1].desired_state <= TaskState.READY
    candidates = kept[: -2 if waiting else -1]
    surplus = len(kept) - limit
    finished = [task for task in candidates if task.status.state.terminal]
    return tuple(removed + finished[:surplus])


def is_removable(task: Task) -> bool:
    """Whether a task wanted to disappear can be deleted."""
    state = task.status.state
    return task.desired_state is TaskState.REMOVE and (
        state < TaskState.ASSIGNED or state >= TaskState.COMPLETE
    )
