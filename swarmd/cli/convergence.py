"""Whether a service has become what its spec asks for. Pure.

One look at a service and its tasks gives a `Progress`: how many tasks of the present spec run, how
many should, and whether waiting makes sense. It is done when exactly the wanted tasks run, all of
them from the present spec, and no update is under way. It has failed when the updater gave up, or
when nothing is left that could still start.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from enum import Enum
from typing import NamedTuple

from msgspec.structs import replace

from swarmd.cli.job_progress import job_progress
from swarmd.cli.update_words import NO_NAMES, awaits
from swarmd.cli.words import task_error
from swarmd.model import defaults, modes
from swarmd.model.endpoints import alike_for_tasks
from swarmd.model.instant import SECOND
from swarmd.model.service import Service
from swarmd.model.states import RestartCondition, TaskState, UpdateState
from swarmd.model.task import Task

# For so long nothing may be on its way before that counts as failure; orchestrators are faster.
IDLE_NS = 2 * SECOND
PROBLEMS_MAX = 3
RUNNING = "running"


class Phase(Enum):
    WAITING = "waiting"
    DONE = "done"
    FAILED = "failed"


class Progress(NamedTuple):
    """How far a service is.

    `stuck` says that no task is on its way although some are missing. `problems` are sentences
    about tasks that do not run, the most frequent first.
    """

    phase: Phase
    running: int
    wanted: int
    note: str = ""
    problems: tuple[str, ...] = ()
    stuck: bool = False
    word: str = RUNNING  # what `running` counts; for a job what it has completed


def progress(
    service: Service,
    tasks: Sequence[Task],
    *,
    rolling_back: bool = False,
    node_names: Mapping[str, str] = NO_NAMES,
) -> Progress:
    """What one look at a service and all its tasks shows.

    Args:
        rolling_back: a roll-back was asked for, so that one is no failure.
        node_names: host names by node id, as far as they are known.
    """
    if modes.is_job(service.spec.mode):
        return _job(service, tasks)
    fresh = [task for task in tasks if is_current(task, service)]
    running = sum(_runs(task) and task.desired_state <= TaskState.RUNNING for task in fresh)
    wanted = _wanted(service, tasks)
    problems = _problems(fresh)
    state = service.update_status.state if service.update_status else None
    message = service.update_status.message if service.update_status else ""
    if state in (UpdateState.PAUSED, UpdateState.ROLLBACK_PAUSED):
        return Progress(Phase.FAILED, running, wanted, message, problems)
    if state is UpdateState.ROLLBACK_STARTED and not rolling_back:
        return Progress(Phase.WAITING, running, wanted, "rolling back", problems)
    if state in (UpdateState.UPDATING, UpdateState.ROLLBACK_STARTED):
        note = awaits(service, tasks, fresh, node_names)
        return Progress(Phase.WAITING, running, wanted, note, problems)
    if state is UpdateState.ROLLBACK_COMPLETED and not rolling_back:
        return Progress(Phase.FAILED, running, wanted, "the update was rolled back", problems)
    if not tasks and service.spec.mode.global_ is not None:
        return Progress(Phase.WAITING, 0, 0, "no node qualifies", stuck=True)
    alive = sum(_runs(task) for task in tasks)
    if running == wanted and alive == wanted:
        return Progress(Phase.DONE, running, wanted)
    if running == wanted:
        return Progress(Phase.WAITING, running, wanted, f"stopping {alive - wanted}", ())
    if _ran_to_completion(service, fresh):
        return Progress(Phase.DONE, running, wanted, "ran to completion")
    on_its_way = any(
        task.status.state < TaskState.RUNNING and task.desired_state <= TaskState.RUNNING
        for task in fresh
    )
    return Progress(Phase.WAITING, running, wanted, "", problems, stuck=not on_its_way)


def _job(service: Service, tasks: Sequence[Task]) -> Progress:
    """A job is done when it is complete; a schedule is, as soon as it is followed."""
    job = job_progress(service, tasks)
    if service.spec.mode.cron is not None and not job.on_its_way:
        return Progress(Phase.DONE, job.done, job.done, "waits for its time", word="completed")
    done = job.done == job.wanted and bool(job.wanted or not service.spec.mode.global_job)
    phase = Phase.DONE if done else Phase.WAITING
    stuck = phase is Phase.WAITING and not job.on_its_way
    return Progress(phase, job.done, job.wanted, "", job.problems, stuck, word="completed")


def is_current(task: Task, service: Service) -> bool:
    """Whether the task is what the present spec would make.

    Where it may run aside: tasks that may stay where they are stay, and the others are replaced
    sooner than a service is taken for stable.
    """
    return task.spec_version == service.spec_version or (
        replace(task.spec, placement=None) == replace(service.spec.task_template, placement=None)
        and alike_for_tasks(task.endpoint_spec, service.spec.endpoint_spec)
    )


def _wanted(service: Service, tasks: Sequence[Task]) -> int:
    if service.spec.mode.global_ is None:
        return defaults.replicas(service.spec)
    nodes = {task.node_id for task in tasks if task.desired_state <= TaskState.RUNNING}
    return len(nodes)


def _runs(task: Task) -> bool:
    return task.status.state is TaskState.RUNNING


def _ran_to_completion(service: Service, fresh: Sequence[Task]) -> bool:
    """Every slot ended successfully and its policy does not restart success."""
    condition = defaults.restart_condition(service.spec.task_template)
    if condition is RestartCondition.ANY or not fresh:
        return False
    latest: dict[object, Task] = {}
    for task in fresh:
        slot = task.slot or task.node_id
        if slot not in latest or latest[slot].created_at <= task.created_at:
            latest[slot] = task
    done = sum(task.status.state is TaskState.COMPLETE or _runs(task) for task in latest.values())
    return done == len(latest) and done >= _wanted(service, fresh) > 0


def _problems(current: Sequence[Task]) -> tuple[str, ...]:
    """Why tasks do not run, equal reasons counted together; old tasks have had their time."""
    causes = Counter(error for task in current if not _runs(task) and (error := task_error(task)))
    return tuple(
        cause if count == 1 else f"{count} tasks: {cause}"
        for cause, count in causes.most_common(PROBLEMS_MAX)
    )
