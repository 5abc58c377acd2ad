"""How far a job is: its completions, and whether any more can come. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

from swarmd.cli.words import task_error
from swarmd.model import modes
from swarmd.model.service import Service
from swarmd.model.states import TaskState
from swarmd.model.task import Task
from swarmd.orchestrator import runs

PROBLEMS_MAX = 3


class JobProgress(NamedTuple):
    """The latest run of a job. `spent` places have failed for good once nothing is on its way."""

    done: int
    wanted: int
    on_its_way: int
    problems: tuple[str, ...]


def job_progress(service: Service, tasks: Sequence[Task]) -> JobProgress:
    """Count the latest run of a job; a global one wants as many as there are nodes with a task."""
    iteration = runs.iteration(service)
    current = [task for task in tasks if (task.job_iteration or 0) == iteration]
    done = {_place(task) for task in current if task.status.state is TaskState.COMPLETE}
    counted = modes.counted_job(service.spec.mode)
    places = {_place(task) for task in current}
    on_its_way = sum(
        task.desired_state <= TaskState.COMPLETE and not task.status.state.terminal
        for task in current
    )
    errors = Counter(
        error for task in current if _place(task) not in done and (error := task_error(task))
    )
    return JobProgress(
        done=len(done),
        wanted=modes.completions(counted) if counted is not None else len(places),
        on_its_way=on_its_way,
        problems=tuple(
            cause if count == 1 else f"{count} tasks: {cause}"
            for cause, count in errors.most_common(PROBLEMS_MAX)
        ),
    )


def _place(task: Task) -> int | str:
    return task.slot or task.node_id
