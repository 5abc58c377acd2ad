"""Life of one task on its node: what to do next, and what its status becomes.

`next_step` looks only at the desired and the observed state, so that it can go on from any point
after a restart; `after` folds the outcome of a step into the status. States never go back, and a
timestamp changes only with the content it belongs to.
"""

from __future__ import annotations

from enum import Enum

from msgspec import Struct
from msgspec.structs import replace

from swarmd.model.instant import Instant
from swarmd.model.spec import PortConfig
from swarmd.model.states import TaskState
from swarmd.model.task import ContainerStatus, Task, TaskStatus


class Step(Enum):
    """What the runner does next; all but ACCEPT, BEGIN_* and NOTHING involve the executor."""

    NOTHING = "nothing"
    ACCEPT = "accept"
    BEGIN_PREPARING = "begin preparing"
    PREPARE = "prepare"
    BEGIN_STARTING = "begin starting"
    START = "start"
    WAIT = "wait"
    SHUTDOWN = "shutdown"


class Done(Struct, frozen=True):
    """The step succeeded."""


class Failed(Struct, frozen=True):
    """The step failed for good; `reason` says why and what to do."""

    reason: str


class Delayed(Struct, frozen=True):
    """The step could not be done now and will be tried again; `reason` is shown meanwhile."""

    reason: str


Outcome = Done | Failed | Delayed


class Surroundings(Struct, frozen=True):
    """What the executor knows of a task it has started."""

    container: ContainerStatus | None = None
    ports: tuple[PortConfig, ...] = ()


NO_SURROUNDINGS = Surroundings()
DONE = Done()

_AFTER_SUCCESS = {
    Step.ACCEPT: (TaskState.ACCEPTED, "accepted"),
    Step.BEGIN_PREPARING: (TaskState.PREPARING, "preparing"),
    Step.PREPARE: (TaskState.READY, "prepared"),
    Step.BEGIN_STARTING: (TaskState.STARTING, "starting"),
    Step.START: (TaskState.RUNNING, "started"),
    Step.WAIT: (TaskState.COMPLETE, "finished"),
    Step.SHUTDOWN: (TaskState.SHUTDOWN, "shutdown"),
}


def next_step(*, desired: TaskState, state: TaskState) -> Step:
    """The step that brings a task in `state` nearer to `desired`."""
    if desired >= TaskState.SHUTDOWN:
        return Step.NOTHING if state >= TaskState.COMPLETE else Step.SHUTDOWN
    if state > desired:
        return Step.NOTHING
    if state <= TaskState.ASSIGNED:
        return Step.ACCEPT
    if state == TaskState.ACCEPTED:
        return Step.BEGIN_PREPARING
    if state == TaskState.PREPARING:
        return Step.PREPARE
    if state == TaskState.READY:
        return Step.BEGIN_STARTING if desired > TaskState.READY else Step.NOTHING
    if state == TaskState.STARTING:
        return Step.START
    if state == TaskState.RUNNING:
        return Step.WAIT
    return Step.NOTHING


def after(
    status: TaskStatus,
    step: Step,
    outcome: Outcome,
    *,
    now: Instant,
    surroundings: Surroundings = NO_SURROUNDINGS,
    note: str = "",
) -> TaskStatus:
    """The status that follows when `step` has ended with `outcome`.

    Args:
        surroundings: reported from STARTING on.
        note: appended to the message, for what is worth knowing though nothing failed.
    """
    match outcome:
        case Done():
            state, message = _AFTER_SUCCESS[step]
            changed = replace(status, state=state, message=message, err="", unready="")
        case Delayed(reason=reason):
            changed = replace(status, err=reason)
        case Failed(reason=reason):
            started = status.state >= TaskState.STARTING
            state = TaskState.FAILED if started else TaskState.REJECTED
            changed = replace(status, state=state, message=state.word, err=reason, unready="")
    if changed.state < status.state:
        raise AssertionError(f"a task cannot go from {status.state.word} to {changed.state.word}")
    if note:
        changed = replace(changed, message=f"{changed.message}; {note}")
    if changed.state >= TaskState.STARTING:
        changed = replace(
            changed,
            container=surroundings.container or changed.container,
            ports=surroundings.ports or changed.ports,
        )
    return changed if changed == status else replace(changed, timestamp=now)


def meanwhile(status: TaskStatus, doing: str, *, now: Instant) -> TaskStatus:
    """The status of a task whose step goes on, with what it is about in place of its message."""
    if status.message == doing and not status.err:
        return status
    return replace(status, message=doing, err="", timestamp=now)


def merged(known: Task, sent: Task) -> Task | None:
    """The task to go on with when the manager sends `sent`; None when nothing new was said.

    The desired state never decreases, and what this node saw of the task is worth more than what
    the manager remembers of its reports.
    """
    if sent.desired_state < known.desired_state:
        return None
    same = replace(sent, status=known.status, version=known.version, updated_at=known.updated_at)
    return None if same == known else replace(sent, status=known.status)
