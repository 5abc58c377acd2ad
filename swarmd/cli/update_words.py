"""What an update waits for, in one sentence: which task, on which node, in which state. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from swarmd.cli.words import is_rolling_back, task_error, task_label
from swarmd.model import defaults
from swarmd.model.instant import format_duration
from swarmd.model.service import Service
from swarmd.model.states import TaskState
from swarmd.model.task import Task

NO_NAMES: Mapping[str, str] = {}


def awaits(
    service: Service, tasks: Sequence[Task], fresh: Sequence[Task], node_names: Mapping[str, str]
) -> str:
    """What the running update of a service waits for.

    Args:
        tasks: all of the service's tasks.
        fresh: those that are of the present spec.
    """
    sentences = [_waits(service, tasks, fresh, node_names)]
    status = service.update_status
    if status is not None and status.failures:
        sentences.append(f"{status.failures} failed so far")
    if status is not None and "; " in status.message:
        sentences.append(status.message.partition("; ")[2])
    return "; ".join(sentence for sentence in sentences if sentence)


def _waits(
    service: Service, tasks: Sequence[Task], fresh: Sequence[Task], node_names: Mapping[str, str]
) -> str:
    coming = [
        task
        for task in fresh
        if task.status.state < TaskState.RUNNING and task.desired_state <= TaskState.RUNNING
    ]
    stopping = [
        task
        for task in tasks
        if task.desired_state > TaskState.COMPLETE
        and TaskState.ASSIGNED <= task.status.state <= TaskState.RUNNING
    ]
    # A new task that waits for an old one to stop is not what holds things up.
    starting = [task for task in coming if task.desired_state is TaskState.RUNNING]
    if starting:
        first = min(starting, key=_place)
        reason = task_error(first)
        said = f"{_named(first, node_names)}, which is {first.status.state.word}"
        said = f"{said}: {reason}" if reason else said
        return f"waits for {said}{_more(len(starting) - 1)}"
    if stopping:
        first = min(stopping, key=_place)
        return f"waits for {_named(first, node_names)} to stop{_more(len(stopping) - 1)}"
    if coming:
        return f"waits to start {_named(min(coming, key=_place), node_names)} again"
    config = (
        defaults.rollback_config(service.spec)
        if is_rolling_back(service)
        else defaults.update_config(service.spec)
    )
    running = sum(task.status.state is TaskState.RUNNING for task in fresh)
    if running >= sum(task.desired_state <= TaskState.RUNNING for task in tasks):
        return "verifying"
    if config.delay_ns:
        return f"pauses {format_duration(config.delay_ns)} between tasks"
    return ""


def _place(task: Task) -> tuple[int, str]:
    return task.slot, task.id


def _named(task: Task, node_names: Mapping[str, str]) -> str:
    label = task_label(task, dict(node_names))
    if not task.slot or task.status.state < TaskState.ASSIGNED:
        return label
    return f"{label} on {node_names.get(task.node_id) or task.node_id}"


def _more(count: int) -> str:
    return f" and {count} more" if count else ""
