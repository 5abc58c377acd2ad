"""Stateful services: ordinals with identities, each with at most one task running at any time.

Ordinal n lives in slot n+1. A successor is made only when every earlier task of the ordinal has
certainly ended (`swarmd.orchestrator.fences`); so the store never holds two that could run, and no
wait for a task that does not stop ever ends by itself. Ordered services start an ordinal when those
before it run, and end and update them from the highest down, one at a time.
"""

from __future__ import annotations

from collections.abc import Callable

from swarmd.model import modes
from swarmd.model.claims import claims
from swarmd.model.ids import NodeId
from swarmd.model.instant import Instant
from swarmd.model.service import Service
from swarmd.model.spec import Stateful
from swarmd.model.states import StartOrder, TaskState
from swarmd.model.task import Task
from swarmd.orchestrator import updater
from swarmd.orchestrator.context import Pass
from swarmd.orchestrator.drain import note_leaving
from swarmd.orchestrator.ledger import Ledger
from swarmd.orchestrator.new_task import NO_NODE
from swarmd.orchestrator.nodes import is_leaving, on_invalid_node
from swarmd.orchestrator.reaper import disposable, history_limit
from swarmd.orchestrator.restart import retry_at, should_restart, starts_at
from swarmd.orchestrator.slots import Slot, SlotKey, SpecJudge, history_of
from swarmd.orchestrator.supervisor import orphan, why_ended

SetTimer = Callable[[SlotKey | None, Instant | None], None]


def look_after_ordinals(
    ledger: Ledger, judge: SpecJudge, work: Pass, set_timer: SetTimer
) -> set[SlotKey]:
    """Plan what the changed ordinals need; answers those that were written."""
    busy: set[SlotKey] = set()
    for key in list(ledger.changed):
        if work.plan.full:
            break
        del ledger.changed[key]
        history = history_of(work.view, judge.service.id, key)
        written = len(work.plan.actions)
        set_timer(key, _tend(judge.service, history, work))
        ledger.file(_judge(key, history, judge, work))
        note_leaving(ledger, key, history, work)
        if ledger.run is not None:
            ledger.run.follow(key, history, work.view)
        if len(work.plan.actions) > written:
            busy.add(key)
    return busy


def scale_ordinals(
    ledger: Ledger, judge: SpecJudge, busy: set[SlotKey], work: Pass, set_timer: SetTimer
) -> None:
    """Make the ordinals that are missing, and give up those beyond the number wanted."""
    service = judge.service
    wanted = modes.replicas(service.spec.mode)
    ordered = _ordered(service)
    known = {*ledger.live, *ledger.dead, *ledger.vacated}
    for slot in sorted(
        (key for key in known if isinstance(key, int) and key > wanted), reverse=True
    ):
        history = history_of(work.view, service.id, slot)
        set_timer(slot, _give_up(history, f"scaled to {wanted}", work))
        busy.add(slot)
        if ordered:
            break  # the next goes when this one is gone
    for slot in range(1, wanted + 1):
        if work.plan.full:
            return
        settled = slot in ledger.live and (not ordered or _has_started(service, slot, work))
        if not settled and slot not in ledger.live and slot not in busy:
            set_timer(slot, _start(service, slot, work))
            busy.add(slot)
        if ordered and not settled:
            return


def replace_outdated(
    ledger: Ledger, run: updater.UpdateRun, judge: SpecJudge, busy: set[SlotKey], work: Pass
) -> Instant | None:
    """End outdated tasks, as many as the update may have down: their ordinals are then made anew.

    Ordinals that do not run anyway come first, then the highest. A service in order has one down,
    and watches each new task for the whole monitoring time before it goes on to the next. Answers
    when that will be.
    """
    service = judge.service
    watched_until = run.completes_at()
    if _ordered(service) and watched_until > work.env.now:
        return watched_until
    wanted = modes.replicas(service.spec.mode)
    limit = 1 if _ordered(service) else updater.config_of(service).parallelism or wanted
    down = max(run.busy, _down(ledger, service, work))
    candidates = [key for key in ledger.outdated if isinstance(key, int) and key <= wanted]
    candidates.sort(key=lambda slot: (_runs(service, slot, work), -slot))
    for slot in candidates:
        if work.plan.full or down >= limit:
            return None
        if slot in busy or run.occupied(slot):
            continue
        for task in history_of(work.view, service.id, slot):
            if task.desired_state <= TaskState.RUNNING:
                work.plan.shut_down(task, f"update of {service.spec.name}")
        busy.add(slot)
        down += 1
    return None


def is_complete(ledger: Ledger, service: Service) -> bool:
    """Whether every ordinal has its task; an update is not over before."""
    return all(slot in ledger.live for slot in range(1, modes.replicas(service.spec.mode) + 1))


def give_up_service(history: tuple[Task, ...], work: Pass) -> Instant | None:
    """Make the tasks of an ordinal of a removed service disappear; when to look again."""
    orphan(history, work)
    return _give_up(history, "its service was removed", work)


def _tend(service: Service, history: tuple[Task, ...], work: Pass) -> Instant | None:
    orphan(history, work)
    fences, now = work.fences, work.env.now
    deadlines: list[Instant] = []
    for position, task in enumerate(history):
        if task.desired_state > TaskState.RUNNING:
            continue
        if task.status.state.terminal or _lost_its_node(task, work):
            retry = retry_at(task, history, work.view)
            if retry is not None and retry > now:
                deadlines.append(retry)
            else:
                work.plan.shut_down(task, why_ended(task, work))
        elif task.desired_state < TaskState.RUNNING:
            start = starts_at(task, history, work.view)
            clear = fences.all_ended_at(history[:position], work.view, work.env)
            if clear is None:
                continue  # the report that is awaited has the slot looked at again
            if max(start, clear) <= now:
                work.plan.set_desired(task, TaskState.RUNNING, "its turn to start has come")
            else:
                deadlines.append(max(start, clear))
    for task in disposable(history, history_limit(service, work.cluster)):
        ended = fences.ended_at(task, work.view, work.env)
        if ended is not None and ended > now:
            deadlines.append(ended)
        elif not work.plan.touches(task.id):
            work.plan.delete(task, "history beyond the limit")
    return min(deadlines, default=None)


def _lost_its_node(task: Task, work: Pass) -> bool:
    """A task not assigned yet names the node it would like, which need not be there."""
    lost = task.status.state >= TaskState.ASSIGNED and on_invalid_node(task, work.view)
    return lost and not is_leaving(task, work.view)


def _start(service: Service, slot: int, work: Pass) -> Instant | None:
    """Make the task of an ordinal once nothing of it can be running; when to look again."""
    history = history_of(work.view, service.id, slot)
    clear = work.fences.all_ended_at(history, work.view, work.env)
    if clear is None:
        return None
    if clear > work.env.now:
        return clear
    last = history[-1] if history else None
    name = f"{service.spec.name}-{slot - 1}"
    if last is None:
        work.succeed(service, slot, history, predecessor=None, reason=f"{name} is missing")
        return None
    why = why_ended(last, work)
    work.succeed(
        service,
        slot,
        history,
        predecessor=last,
        reason=f"{name} again: {why}",
        last_node=_home(last, history),
    )
    return None


def _home(last: Task, history: tuple[Task, ...]) -> NodeId:
    """The node an ordinal returns to: that of its data if it claims any, else its last one.

    Where it has never run there is no data, so that a node that refuses it holds it no longer.
    """
    if not claims(last.spec.container_spec):
        return last.node_id
    ran = [task.node_id for task in history if task.ran_at]
    return ran[-1] if ran else NO_NODE


def _give_up(history: tuple[Task, ...], reason: str, work: Pass) -> Instant | None:
    deadlines: list[Instant] = []
    for task in history:
        ended = work.fences.ended_at(task, work.view, work.env)
        if work.plan.touches(task.id):
            continue
        if ended is not None and ended > work.env.now:
            work.plan.set_desired(task, TaskState.REMOVE, reason)
            deadlines.append(ended)
        elif ended is not None and task.status.state >= TaskState.ASSIGNED:
            work.plan.delete(task, reason)
        else:
            work.plan.remove(task, reason)
    return min(deadlines, default=None)


def _judge(key: SlotKey, history: tuple[Task, ...], judge: SpecJudge, work: Pass) -> Slot:
    """A last task that ended for good stands for its ordinal until the spec asks for another."""
    active = tuple(task for task in history if task.desired_state <= TaskState.RUNNING)
    current = active
    if not active and history:
        last = history[-1]
        over = last.status.state.terminal and last.status.state is not TaskState.SHUTDOWN
        kept = last.desired_state is not TaskState.REMOVE and not should_restart(last, history)
        if over and kept and not judge.is_dirty(last, work.view):
            current = (last,)
    outdated = any(judge.is_dirty(task, work.view) for task in active)
    return Slot(key, history, current, outdated)


def _down(ledger: Ledger, service: Service, work: Pass) -> int:
    """Ordinals that do not run, besides those that are outdated."""
    slots = range(1, modes.replicas(service.spec.mode) + 1)
    return sum(
        slot not in ledger.outdated and not _has_started(service, slot, work) for slot in slots
    )


def _runs(service: Service, slot: int, work: Pass) -> bool:
    return any(
        task.status.state is TaskState.RUNNING and task.desired_state is TaskState.RUNNING
        for task in history_of(work.view, service.id, slot)
    )


def _has_started(service: Service, slot: int, work: Pass) -> bool:
    """Whether the next ordinal need not wait: this one runs, or has ended for good."""
    history = history_of(work.view, service.id, slot)
    if _runs(service, slot, work):
        return True
    last = history[-1] if history else None
    return last is not None and last.status.state.terminal and not should_restart(last, history)


def _ordered(service: Service) -> bool:
    stateful = service.spec.mode.stateful or Stateful()
    return stateful.start_order is StartOrder.ORDERED
