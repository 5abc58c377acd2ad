"""The rolling update of one service: which slots are under way, what failed, and when it ends.

An update takes `parallelism` slots at a time. A slot is in flight from the moment its new task is
made until that task has run (or ended), plus the delay. Failures of new tasks are counted while
they are monitored; too many pause the update or roll it back.

Where a slot stands is read from its history alone, so a new leader sees what the old one saw. Only
the number of failures may outlive the tasks that failed, and is kept in the update status
(docs/design/orchestrator.md).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from msgspec.structs import replace

from swarmd.model import defaults, versions
from swarmd.model.cluster import Cluster
from swarmd.model.ids import TaskId
from swarmd.model.instant import SECOND, Instant
from swarmd.model.service import PastSpec, Service, UpdateStatus
from swarmd.model.spec import UpdateConfig
from swarmd.model.states import FailureAction, RestartCondition, TaskState, UpdateState
from swarmd.model.task import Task
from swarmd.orchestrator.nodes import has_stopped
from swarmd.orchestrator.restart import ENDED_BY_ITSELF, seen_at
from swarmd.orchestrator.slots import SlotKey, slot_key
from swarmd.store.view import View

ACTIVE = (UpdateState.UPDATING, UpdateState.ROLLBACK_STARTED)
PAUSED = (UpdateState.PAUSED, UpdateState.ROLLBACK_PAUSED)
_NOTE = "; "


def config_of(service: Service) -> UpdateConfig:
    """The rules in force: those for rolling back while a rollback is running."""
    status = service.update_status
    if status is not None and status.state is UpdateState.ROLLBACK_STARTED:
        return defaults.rollback_config(service.spec)
    return defaults.update_config(service.spec)


def first_of_update(service: Service, history: Sequence[Task]) -> Task | None:
    """The task by which the update in progress judges a slot; it is kept while it matters."""
    if not is_watched(service) or service.update_status is None:
        return None
    began = service.update_status.started_at
    for task in history:
        if task.spec_version == service.spec_version and task.created_at >= began:
            return task
    return None


def is_watched(service: Service) -> bool:
    """Whether it matters to the service's update when its tasks come to run."""
    return service.update_status is not None and service.update_status.state in ACTIVE + PAUSED


class UpdateRun:
    """One leader's knowledge of an update in progress."""

    def __init__(self, service: Service, outdated: Iterable[SlotKey], view: View) -> None:
        """Learn from the store how far the update is.

        Args:
            outdated: the slots that are not what the spec asks for.
        """
        config, status = config_of(service), service.update_status
        self.identity = identity(service)
        self.monitor_ns = (
            defaults.UPDATE_MONITOR_NS if config.monitor_ns is None else config.monitor_ns
        )
        self._delay_ns = config.delay_ns
        self._spec_version = service.spec_version
        self._began = status.started_at if status else Instant(0)
        self._forgiven = status.resumed_at if status else Instant(0)
        self.in_flight: dict[SlotKey, TaskId] = {}
        self.cooling: dict[SlotKey, Instant] = {}
        self.stopping: dict[SlotKey, None] = {}  # slots whose old tasks still take up room
        self.failed: dict[TaskId, None] = {}
        self.stuck = False  # the last look found that a slot has to stop first
        self._settled_at = Instant(0)
        self._slots: set[SlotKey] = set(outdated)
        histories: dict[SlotKey, list[Task]] = {}
        for task in view.tasks_of_service(service.id):
            histories.setdefault(slot_key(task), []).append(task)
        for key, history in histories.items():
            self.follow(key, history, view)
        written_down = status.failures if status else 0
        self._forgotten = max(0, written_down - len(self.failed))  # their tasks are deleted

    @property
    def busy(self) -> int:
        """Slots that keep a worker of the update occupied."""
        return len(self.in_flight) + len(self.cooling)

    @property
    def failures(self) -> int:
        return self._forgotten + len(self.failed)

    @property
    def slots_total(self) -> int:
        return len(self._slots)

    def occupied(self, key: SlotKey) -> bool:
        return key in self.in_flight or key in self.cooling

    def begin(self, key: SlotKey, task_id: TaskId) -> None:
        """Note that the update made, or took over, a task for a slot."""
        self._slots.add(key)
        self.cooling.pop(key, None)
        self.in_flight[key] = task_id

    def follow(self, key: SlotKey, history: Sequence[Task], view: View) -> None:
        """Take note of where a slot stands.

        The first new task that ran or failed settles the slot; what the restart supervisor makes
        of it afterwards is no matter of the update. As long as an old task holds the slot, failed
        tasks are followed by another attempt. A new task that lost its node hands on to the next.

        Args:
            history: all tasks of the slot, oldest first.
        """
        self.in_flight.pop(key, None)
        self.cooling.pop(key, None)
        if any(t.desired_state > TaskState.COMPLETE and not has_stopped(t, view) for t in history):
            self.stopping[key] = None
        else:
            self.stopping.pop(key, None)
        mine = [task for task in history if self._is_mine(task)]
        if not mine:
            return
        self._slots.add(key)
        old = next((task for task in reversed(history) if not self._is_mine(task)), None)
        settled: Task | None = None
        for task in mine:
            if settled is not None and (settled.ran_at or not _holds(old, task)):
                return
            if _is_settled(task):
                settled = task
                self._settle(key, task)
            elif task.desired_state <= TaskState.RUNNING:
                self.cooling.pop(key, None)
                self.in_flight[key] = task.id
                return

    def fail(self, task: Task) -> None:
        """Count a task that the update itself gave up."""
        self.failed.setdefault(task.id, None)

    def release(self, view: View, now: Instant) -> None:
        """Free the workers whose delay is over or whose task no longer exists."""
        for key in [key for key, until in self.cooling.items() if until <= now]:
            del self.cooling[key]
        for key in [key for key, made in self.in_flight.items() if not view.has_task(made)]:
            del self.in_flight[key]

    def has_failed(self, config: UpdateConfig) -> bool:
        """Whether more of the slots failed than the update may bear."""
        if config.failure_action is FailureAction.CONTINUE or not self.failures:
            return False
        return self.failures > config.max_failure_ratio * max(self.slots_total, 1)

    def completes_at(self) -> Instant:
        """When the last new task will have been watched long enough."""
        watch_ns = self.monitor_ns
        if self._delay_ns >= watch_ns:
            watch_ns = self._delay_ns + 1 * SECOND
        return Instant(self._settled_at + watch_ns) if self._settled_at else Instant(0)

    def _is_mine(self, task: Task) -> bool:
        return task.spec_version == self._spec_version and task.created_at >= self._began

    def _settle(self, key: SlotKey, task: Task) -> None:
        at, wait_ns = task.ran_at or seen_at(task), self._delay_ns
        if self._failed_early(task) and seen_at(task) >= self._forgiven:
            self.failed.setdefault(task.id, None)
        if not task.ran_at:  # the slot may have to be tried again, but not in a tight loop
            wait_ns = max(wait_ns, defaults.restart_delay_ns(task.spec))
        self._settled_at = max(self._settled_at, at)
        if wait_ns:
            self.cooling[key] = Instant(at + wait_ns)

    def _failed_early(self, task: Task) -> bool:
        if not _failed(task):
            return False
        return not task.ran_at or seen_at(task) - task.ran_at <= self.monitor_ns


def due_at(task: Task, history: Sequence[Task], config: UpdateConfig) -> Instant | None:
    """When a new task that does not run yet counts as failed; None: never, or not known yet.

    The time runs from when nothing holds the task back any more: it was made, and the tasks before
    it have stopped.
    """
    if not config.task_timeout_ns or task.desired_state < TaskState.RUNNING:
        return None
    since = task.created_at
    for other in history:
        if other.status.state.terminal and other.id != task.id:
            since = max(since, seen_at(other))
    return Instant(since + config.task_timeout_ns)


def _is_settled(task: Task) -> bool:
    """Whether a task has run or ended by itself, rather than because of its node."""
    return bool(task.ran_at) or task.status.state in ENDED_BY_ITSELF


def _holds(old: Task | None, later: Task) -> bool:
    """Whether the old task of a slot still held it when a later attempt was made."""
    if old is None:
        return False
    return not old.status.state.terminal or seen_at(old) > later.created_at


def identity(service: Service) -> tuple[int, object]:
    """What makes an update of a service another one."""
    status = service.update_status
    if status is None:
        return service.spec_version, None
    return service.spec_version, (status.state, status.started_at, status.resumed_at)


def noting(service: Service, *, failures: int, note: str | None) -> Service:
    """The service with what there is to say about its update.

    Args:
        note: None: nothing new. Empty: what was said is over.
    """
    status = service.update_status
    assert status is not None
    message = status.message
    if note is not None:
        message = message.partition(_NOTE)[0] + (f"{_NOTE}{note}" if note else "")
    failures = max(failures, status.failures)
    if (message, failures) == (status.message, status.failures):
        return service
    return replace(service, update_status=replace(status, message=message, failures=failures))


def as_it_was(service: Service, task: Task) -> Service:
    """The service for a successor of `task`: as the task knew it while its update is paused.

    A paused update changes nothing, not even through the back door of a restart.
    """
    status = service.update_status
    if status is None or status.state not in PAUSED or task.spec_version == service.spec_version:
        return service
    spec = replace(service.spec, task_template=task.spec, endpoint_spec=task.endpoint_spec)
    return replace(service, spec=spec, spec_version=task.spec_version)


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


def failed(
    service: Service,
    action: FailureAction,
    task_id: TaskId | None,
    *,
    failures: int,
    now: Instant,
    cluster: Cluster | None,
) -> Service:
    """The service after its update was found to fail: paused, or on its way back.

    A rollback that fails, and an update with nothing to go back to, are paused.

    Args:
        task_id: the last task that failed, if it is still known.
    """
    cause = f"due to failure or early termination of {f'task {task_id}' if task_id else 'tasks'}"
    status = service.update_status or UpdateStatus(state=UpdateState.UPDATING)
    status = replace(status, failures=failures)
    if status.state is UpdateState.ROLLBACK_STARTED:
        paused = replace(
            status, state=UpdateState.ROLLBACK_PAUSED, message=f"rollback paused {cause}"
        )
        return replace(service, update_status=paused)
    if action is FailureAction.ROLLBACK and service.previous_spec is not None:
        back = versions.gone_back(
            service,
            PastSpec(service.previous_spec, spec_version=service.previous_spec_version),
            now=now,
            limit=versions.limit_of(cluster),
            message=f"update rolled back {cause}",
        )
        return replace(back, previous_spec=None, previous_spec_version=0)
    paused = replace(status, state=UpdateState.PAUSED, message=f"update paused {cause}")
    return replace(service, update_status=paused)


def _failed(task: Task) -> bool:
    state = task.status.state
    if state is TaskState.COMPLETE:
        return defaults.restart_condition(task.spec) is RestartCondition.ANY
    return state in (TaskState.FAILED, TaskState.REJECTED)
