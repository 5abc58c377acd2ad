"""Why a service, or one of its tasks, is as it is, and what would change that.

The answer is put together from what is stored: the slots as the orchestrator judges them, what
tasks say about themselves, and the scheduler's own filters asked about one more task. Nothing is
remembered for it, so any manager can answer at any time. A question costs a glance at the tasks of
the service and a look at every node; without the scheduler's fleet, also a look at every task.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from msgspec import Struct

from swarmd.model import defaults
from swarmd.model.ids import NodeId, TaskId
from swarmd.model.instant import SECOND, Instant
from swarmd.model.modes import is_job, lease_ns
from swarmd.model.service import Service
from swarmd.model.states import RestartCondition, TaskState, UpdateState
from swarmd.model.task import Task
from swarmd.orchestrator import explain_modes, updater
from swarmd.orchestrator.explain_modes import job_slots
from swarmd.orchestrator.restart import retry_at, should_restart, starts_at
from swarmd.orchestrator.scheduler.explain import Refused, describe, refusals, remedy
from swarmd.orchestrator.scheduler.filters import Filters
from swarmd.orchestrator.scheduler.fleet import Fleet
from swarmd.orchestrator.scheduler.making_room import PREEMPTED
from swarmd.orchestrator.scheduler.requirement import Requirement, requirement_of
from swarmd.orchestrator.slots import Slot, SlotKey, SpecJudge, history_of, judge_slot, slot_key
from swarmd.store.view import View

HOPELESS = "tasks of lower priority run, but no end of theirs would make room"
NAMED_MAX = 8  # of tasks with one cause, and of nodes refused by one filter
_UPDATE_DONE = (UpdateState.COMPLETED, UpdateState.ROLLBACK_COMPLETED)
_FAILED = (TaskState.FAILED, TaskState.REJECTED)


class Cause(Struct, frozen=True):
    """One reason and the tasks it keeps from running, by name; `count` may be more than named."""

    reason: str
    tasks: tuple[str, ...]
    count: int


class Finding(Struct, frozen=True):
    """What one filter refuses: how many nodes, some of their names, and what would help."""

    filter: str
    reason: str
    remedy: str
    nodes: tuple[str, ...]
    count: int


class Explanation(NamedTuple):
    """Everything that is to say about a service; `reasons` are sentences, most important first."""

    service: Service
    running: int
    wanted: int
    reasons: tuple[str, ...]
    remedies: tuple[str, ...]
    causes: tuple[Cause, ...]
    findings: tuple[Finding, ...]
    able: int
    nodes: int


def explain_service(
    service: Service, view: View, now: Instant, fleet: Fleet | None = None
) -> Explanation:
    """Why a service has the tasks it has.

    Args:
        fleet: what the scheduler knows of nodes, where there is one; else it is made from `view`.
    """
    job = is_job(service.spec.mode)
    sound, slots = (0, job_slots(service, view)) if job else _slots(service, view)
    running = sound + sum(any(_runs(task) for task in slot.current) for slot in slots)
    wanted = explain_modes.wanted(service, view)
    causes = _causes(_waiting(slots, view, now))
    requirement = _requirement(service)
    fleet = Fleet.of(view) if fleet is None else fleet
    ranked = refusals(fleet, Filters(fleet, requirement))
    total = len(fleet)
    able = total - sum(len(refused.nodes) for refused in ranked)
    name = service.spec.name
    reasons = [f"{running} of {wanted} tasks of {name} run"]
    made = sound + len(slots)
    if wanted > made:
        reasons.append(f"{wanted - made} tasks are yet to be made")
    reasons += explain_modes.reasons(service, view, now)
    reasons += [_sentence(cause) for cause in causes]
    if service.update_status is not None and service.update_status.state not in _UPDATE_DONE:
        status = service.update_status
        reasons.append(f"its last update is {_words(status.state.value)}: {status.message}")
    reasons.append(_room(able, total, ranked))
    unplaced = any(
        task.status.state < TaskState.ASSIGNED for slot in slots for task in slot.current
    )
    if unplaced and not able and _outranks(service, fleet, slots):
        reasons.append(HOPELESS)
    return Explanation(
        service=service,
        running=running,
        wanted=wanted,
        reasons=tuple(reasons),
        remedies=_remedies(service, slots, ranked if unplaced else (), requirement),
        causes=causes,
        findings=tuple(_finding(refused, requirement) for refused in ranked),
        able=able,
        nodes=total,
    )


def explain_task(
    task: Task, service: Service, view: View, now: Instant, fleet: Fleet | None = None
) -> Explanation:
    """Why one task is in its state; the rest of the answer is about its service."""
    about_service = explain_service(service, view, now, fleet)
    history = history_of(view, service.id, slot_key(task))
    state, wanted = task.status.state.word, task.desired_state.word
    node = view.find_node(task.node_id) if task.node_id else None
    where = f" on {node.hostname or node.id}" if node is not None else ""
    reasons = [f"task {label(task, view)} ({task.id}) is {state}{where}, wanted {wanted}"]
    why = _why(task, history, view, now)
    if not _runs(task):
        reasons.append(why)
    if task.status.state in _FAILED and task.desired_state > TaskState.RUNNING:
        successor = next((other for other in history if other.created_at > task.created_at), None)
        if successor is not None:
            reasons.append(f"task {successor.id} has taken its place")
    return about_service._replace(reasons=(*reasons, *about_service.reasons))


def label(task: Task, view: View) -> str:
    """A task as people call it: service and slot, or service and node."""
    if task.lease_ns:
        return task.name
    node = view.find_node(task.node_id) if task.node_id and not task.slot else None
    place = task.slot or (node.hostname if node else "") or task.node_id
    return f"{task.service_name}.{place}"


def _slots(service: Service, view: View) -> tuple[int, list[Slot]]:
    """How many slots have one task that runs; and the others in use, or that could not go on."""
    judge = SpecJudge(service)
    histories: dict[SlotKey, list[Task]] = {}
    for task in view.tasks_of_service(service.id):
        histories.setdefault(slot_key(task), []).append(task)
    sound, slots = 0, []
    for key, history in histories.items():
        if len(history) == 1 and _runs(history[0]):
            sound += 1
            continue
        slot = judge_slot(key, tuple(history), judge, view)
        if slot.current:
            slots.append(slot)
    return sound, slots


def _runs(task: Task) -> bool:
    return task.status.state is TaskState.RUNNING and task.desired_state <= TaskState.COMPLETE


def _waiting(slots: Iterable[Slot], view: View, now: Instant) -> list[tuple[str, str]]:
    """Names of slots without a running task, each with the reason of its newest task."""
    found: list[tuple[str, str]] = []
    for slot in slots:
        if not any(_runs(task) for task in slot.current):
            task = slot.current[-1]
            found.append((label(task, view), _why(task, slot.history, view, now)))
    return found


def _why(task: Task, history: tuple[Task, ...], view: View, now: Instant) -> str:
    """Why a task does not run."""
    status = task.status
    said = status.err or status.message
    if status.state.terminal:
        ended = f"{_words(status.state.word)}: {said}" if said else _words(status.state.word)
        if not should_restart(task, history):
            return f"{ended}; {_spent(task)}"
        retry = retry_at(task, history, view)
        if retry is not None and retry > now:
            return f"{ended}; tried again in {(retry - now) / SECOND:.1f} s"
        return ended
    if task.desired_state < TaskState.RUNNING:
        left_ns = starts_at(task, history, view) - now
        past = _last_end(task, history)
        wait = f"starts in {max(left_ns, 0) / SECOND:.1f} s" if left_ns > 0 else "is about to start"
        return f"{wait}, after {past}" if past else wait
    if status.state < TaskState.ASSIGNED:
        waits = said or "is waiting to be placed"
        told = _told(task, history)
        return f"{waits} (the task before it was {told})" if told else waits
    past = _last_end(task, history)
    doing = f"is {status.state.word}" + (f": {said}" if said else "")
    return f"{doing}, after {past}" if past else doing


def _last_end(task: Task, history: tuple[Task, ...]) -> str:
    """How the attempt before this one failed; empty if it did not."""
    older = [other for other in history if other.created_at < task.created_at]
    if not older or older[-1].status.state not in _FAILED:
        return ""
    failures = sum(other.status.state in _FAILED for other in older)
    times = "the last attempt failed" if failures == 1 else f"{failures} attempts failed"
    said = older[-1].status.err or older[-1].status.message
    return f"{times}: {said}" if said else times


def _told(task: Task, history: tuple[Task, ...]) -> str:
    """By whom the attempt before this one was preempted; empty if it was not."""
    older = [other for other in history if other.created_at < task.created_at]
    reason = older[-1].desired_reason if older else ""
    return reason if reason.startswith(PREEMPTED) else ""


def _spent(task: Task) -> str:
    """Why an ended task has no successor."""
    policy = defaults.restart_policy(task.spec)
    condition = defaults.restart_condition(task.spec)
    if condition is RestartCondition.NONE or (
        condition is RestartCondition.ON_FAILURE and task.status.state is TaskState.COMPLETE
    ):
        return f"its restart condition is {condition.value}"
    return f"its {policy.max_attempts} restarts are used up"


def _causes(waiting: Iterable[tuple[str, str]]) -> tuple[Cause, ...]:
    by_reason: dict[str, list[str]] = {}
    for name, reason in waiting:
        by_reason.setdefault(reason, []).append(name)
    ranked = sorted(by_reason.items(), key=lambda item: (-len(item[1]), item[0]))
    return tuple(Cause(reason, tuple(names[:NAMED_MAX]), len(names)) for reason, names in ranked)


def _sentence(cause: Cause) -> str:
    more = f" and {cause.count - len(cause.tasks)} more" if cause.count > len(cause.tasks) else ""
    return f"{', '.join(cause.tasks)}{more}: {cause.reason}"


def _requirement(service: Service) -> Requirement:
    """What one more task of the service would ask of a node."""
    return requirement_of(
        Task(
            id=TaskId(""),
            service_id=service.id,
            node_id=NodeId(""),
            spec=service.spec.task_template,
            spec_version=service.spec_version,
            lease_ns=lease_ns(service.spec.mode.stateful),
            service_name=service.spec.name,
            service_labels=service.spec.labels,
            ports=service.endpoint.ports if service.endpoint else (),
        )
    )


def _room(able: int, total: int, ranked: tuple[Refused, ...]) -> str:
    if not total:
        return "the swarm has no nodes"
    details = "; ".join(describe(refused.why, len(refused.nodes)) for refused in ranked)
    nodes = "1 node" if total == 1 else f"{total} nodes"
    return f"one more task fits on {able} of {nodes}" + (f" ({details})" if details else "")


def _finding(refused: Refused, requirement: Requirement) -> Finding:
    count = len(refused.nodes)
    names = (info.node.hostname or info.node.id for info in refused.nodes[:NAMED_MAX])
    return Finding(
        filter=_words(refused.why.name.lower()),
        reason=describe(refused.why, count),
        remedy=remedy(refused.why, requirement),
        nodes=tuple(names),
        count=count,
    )


def _outranks(service: Service, fleet: Fleet, slots: Iterable[Slot]) -> bool:
    """Whether tasks of lower priority run, none of which is told to make room."""
    priority = service.spec.task_template.priority
    reserved = any(task.reserved_node_id for slot in slots for task in slot.current)
    lower = any(kind.spec.priority < priority for kind in fleet.kinds)
    return lower and fleet.scheduling.preemption and not reserved


def _remedies(
    service: Service,
    slots: Iterable[Slot],
    ranked: tuple[Refused, ...],
    requirement: Requirement,
) -> tuple[str, ...]:
    name = service.spec.name
    found = [remedy(refused.why, requirement) for refused in ranked]
    stuck = [slot for slot in slots if not any(_runs(task) for task in slot.current)]
    if any(task.status.state is TaskState.FAILED for slot in stuck for task in slot.history):
        found.append(f"see what the tasks print: swarmd service logs {name}")
    if any(_is_over(slot) for slot in stuck):
        found.append(f"start the ended tasks again: swarmd service update --force {name}")
    status = service.update_status
    if status is not None and status.state in updater.PAUSED:
        found.append(
            f"mend the spec with swarmd service update {name}, "
            f"go back with swarmd service rollback {name}, "
            f"or go on with swarmd service resume {name}"
        )
    return tuple(dict.fromkeys(found))


def _is_over(slot: Slot) -> bool:
    """Whether the slot's newest task has ended and gets no successor."""
    newest = slot.history[-1]
    return newest.status.state.terminal and not should_restart(newest, slot.history)


def _words(identifier: str) -> str:
    return identifier.replace("_", " ")
