"""How many tasks a service wants, has, and has completed: the numbers of a list of services."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from swarmd.model import defaults, modes
from swarmd.model.service import Service
from swarmd.model.states import TaskState
from swarmd.model.task import Task
from swarmd.orchestrator import runs


class Counts(NamedTuple):
    desired_tasks: int
    running_tasks: int
    completed_tasks: int


def counts(service: Service, tasks: Iterable[Task]) -> Counts:
    """Count the tasks of a service; of a job only those of its latest run, or of runs going.

    A task that is told to stop, or was lost with its node, runs no longer. A job wants as many
    tasks at once as it may run; where there is one per node, it is the tasks there are that count.
    """
    mode = service.spec.mode
    job = modes.is_job(mode)
    found = list(tasks)
    if job:
        current = {runs.iteration(service), *runs.going(service)}
        found = [task for task in found if (task.job_iteration or 0) in current]
    running = sum(
        task.status.state is TaskState.RUNNING and task.desired_state <= TaskState.COMPLETE
        for task in found
    )
    completed = sum(task.status.state is TaskState.COMPLETE for task in found) if job else 0
    return Counts(_desired(service, found), running, completed)


def _desired(service: Service, tasks: list[Task]) -> int:
    mode = service.spec.mode
    counted = modes.counted_job(mode)
    if counted is not None:
        number = len(runs.going(service)) if mode.cron is not None else 1
        return number * min(modes.concurrency(counted), modes.completions(counted))
    if mode.global_job is not None:
        return sum(
            task.desired_state is TaskState.COMPLETE and task.status.state < TaskState.COMPLETE
            for task in tasks
        )
    if mode.global_ is not None:
        return sum(task.desired_state is TaskState.RUNNING for task in tasks)
    return defaults.replicas(service.spec)
