"""The rolling update of one service: which slots to replace next, and when to stop.

An update takes `parallelism` slots at a time. A slot is in flight from the moment its new task is
made until that task has run (or ended), plus the delay. Failures of new tasks are counted while
they are monitored; too many pause the update or roll it back. Progress is in the store: the
update status, and tasks with their spec versions and times; a new leader rebuilds its run from
them (docs/design/orchestrator.md).
"""

from __future__ import annotations

from collections.abc import Iterable

from msgspec.structs import replace

from swarmd.model import defaults
from swarmd.model.ids import TaskId
from swarmd.model.instant import SECOND, Instant
from swarmd.model.service import Service, UpdateStatus
from swarmd.model.spec import UpdateConfig
from swarmd.model.states import (
    FailureAction,
    RestartCondition,
    TaskState,
    UpdateState,
)
from swarmd.model.task import Task
from swarmd.orchestrator.restart import STOP_WAIT_NS, seen_at
from swarmd.orchestrator.slots import SlotKey, slot_key
from swarmd.store.view import View

ACTIVE = (UpdateState.UPDATING, UpdateState.ROLLBACK_STARTED)
PAUSED = (UpdateState.PAUSED, UpdateState.ROLLBACK_PAUSED)


def config_of(service: Service) -> UpdateConfig:
    """The rules in force: those for rolling back while a rollback is running."""
    status = service.update_status
    if status is not None and status.state is UpdateState.ROLLBACK_STARTED:
        return defaults.rollback_config(service.spec)
    return defaults.update_config(service.spec)


def is_watched(service: Service) -> bool:
    """Whether it matters to the service's update when its tasks come to run."""
    return service.update_status is not None and service.update_status.state in ACTIVE + PAUSED


class UpdateRun:
    """One leader's knowledge of an update in progress."""

    def __init__(
        self, service: Service, outdated: Iterable[SlotKey], tasks: Iterable[Task]
    ) -> None:
        """Rebuild what can be known from the store.

        Tasks of the service's spec version made since the update began are its work. How long a
        task that has ended ran is not stored: it counts as failed if it ended soon after it was
        made.
        """
        config, status = config_of(service), service.update_status
        self.identity = identity(service)
        self.monitor_ns = (
            defaults.UPDATE_MONITOR_NS if config.monitor_ns is None else config.monitor_ns
        )
        self._delay_ns = config.delay_ns
        self.in_flight: dict[SlotKey, TaskId] = {}
        self.cooling: dict[SlotKey, Instant] = {}
        self.failed: dict[TaskId, None] = {}
        self._made: set[TaskId] = set()
        self._ran_since: dict[TaskId, Instant] = {}
        self._settled_at = Instant(0)
        slots = set(outdated)
        began = status.started_at if status else Instant(0)
        for task in tasks:
            if task.spec_version != service.spec_version or task.created_at < began:
                continue
            slots.add(slot_key(task))
            self._made.add(task.id)
            if task.status.state.terminal:
                grace_ns = self.monitor_ns + STOP_WAIT_NS
                if _failed(task) and seen_at(task) - task.created_at <= grace_ns:
                    self.failed[task.id] = None
            elif task.desired_state <= TaskState.RUNNING:
                self.in_flight[slot_key(task)] = task.id
                self.look(task)
        self.slots_total = len(slots)

    @property
    def busy(self) -> int:
        """Slots that keep a worker of the update occupied."""
        return len(self.in_flight) + len(self.cooling)

    def occupied(self, key: SlotKey) -> bool:
        return key in self.in_flight or key in self.cooling

    def begin(self, key: SlotKey, task_id: TaskId) -> None:
        """Note that the update made, or took over, a task for a slot."""
        self._made.add(task_id)
        self.in_flight[key] = task_id

    def look(self, task: Task) -> None:
        """Take note of a task of the service as it is now."""
        state = task.status.state
        if task.id not in self._made or state < TaskState.RUNNING:
            return
        at = seen_at(task)
        if state is TaskState.RUNNING:
            self._ran_since.setdefault(task.id, at)
        elif _failed(task):
            since = self._ran_since.get(task.id)
            if since is None or at - since <= self.monitor_ns:
                self.failed.setdefault(task.id, None)
        self._settled_at = max(self._settled_at, self._ran_since.get(task.id, at))
        key = slot_key(task)
        if self.in_flight.get(key) == task.id:
            del self.in_flight[key]
            wait_ns = self._delay_ns
            if state.terminal:  # the slot may have to be tried again, but not in a tight loop
                wait_ns = max(wait_ns, defaults.restart_delay_ns(task.spec))
            if wait_ns:
                self.cooling[key] = Instant(at + wait_ns)

    def release(self, view: View, now: Instant) -> None:
        """Free the workers whose delay is over or whose task no longer exists."""
        for key in [key for key, until in self.cooling.items() if until <= now]:
            del self.cooling[key]
        for key in [key for key, made in self.in_flight.items() if not view.has_task(made)]:
            del self.in_flight[key]

    def has_failed(self, config: UpdateConfig) -> bool:
        """Whether more of the slots failed than the update may bear."""
        if config.failure_action is FailureAction.CONTINUE or not self.failed:
            return False
        return len(self.failed) > config.max_failure_ratio * max(self.slots_total, 1)

    def completes_at(self) -> Instant:
        """When the last new task will have been watched long enough."""
        watch_ns = self.monitor_ns
        if self._delay_ns >= watch_ns:
            watch_ns = self._delay_ns + 1 * SECOND
        return Instant(self._settled_at + watch_ns) if self._settled_at else Instant(0)


def identity(service: Service) -> tuple[int, object]:
    """What makes an update of a service another one."""
    status = service.update_status
    return service.spec_version, (status.state, status.started_at) if status else None


def started(service: Service, now: Instant) -> Service:
    status = UpdateStatus(state=UpdateState.UPDATING, started_at=now, message="update in progress")
    return replace(service, update_status=status)


def completed(service: Service, now: Instant) -> Service:
    status = service.update_status or UpdateStatus(state=UpdateState.UPDATING)
    rollback = status.state is UpdateState.ROLLBACK_STARTED
    return replace(
        service,
        update_status=replace(
            status,
            state=UpdateState.ROLLBACK_COMPLETED if rollback else UpdateState.COMPLETED,
            completed_at=now,
            message="rollback completed" if rollback else "update completed",
        ),
    )


def failed(service: Service, action: FailureAction, task_id: TaskId, now: Instant) -> Service:
    """The service after its update was found to fail: paused, or on its way back.

    A rollback that fails, and an update with nothing to go back to, are paused.
    """
    cause = f"due to failure or early termination of task {task_id}"
    status = service.update_status or UpdateStatus(state=UpdateState.UPDATING)
    if status.state is UpdateState.ROLLBACK_STARTED:
        paused = replace(
            status, state=UpdateState.ROLLBACK_PAUSED, message=f"rollback paused {cause}"
        )
        return replace(service, update_status=paused)
    if action is FailureAction.ROLLBACK and service.previous_spec is not None:
        return replace(
            service,
            spec=service.previous_spec,
            spec_version=service.previous_spec_version,
            previous_spec=None,
            previous_spec_version=0,
            update_status=UpdateStatus(
                state=UpdateState.ROLLBACK_STARTED,
                started_at=now,
                message=f"update rolled back {cause}",
            ),
        )
    paused = replace(status, state=UpdateState.PAUSED, message=f"update paused {cause}")
    return replace(service, update_status=paused)


def _failed(task: Task) -> bool:
    state = task.status.state
    if state is TaskState.COMPLETE:
        return defaults.restart_condition(task.spec) is RestartCondition.ANY
    return state in (TaskState.FAILED, TaskState.REJECTED)
