"""One step of a service's rolling update: give up late tasks, begin slots, finish, pause, go back.

What an update knows is in `updater`; this module reads it against the store and plans the writes.
"""

from __future__ import annotations

from swarmd.model.instant import Instant, format_duration
from swarmd.model.service import Service
from swarmd.model.spec import UpdateConfig
from swarmd.model.states import TaskState, UpdateOrder
from swarmd.model.task import Task
from swarmd.orchestrator import updater
from swarmd.orchestrator.context import Pass
from swarmd.orchestrator.ledger import Ledger
from swarmd.orchestrator.room import Stuck, find_stuck
from swarmd.orchestrator.slots import SlotKey, SpecJudge, history_of
from swarmd.orchestrator.stateful import is_complete, replace_outdated

LATE = "gave up waiting for the task to run"
MAKES_ROOM = "waits for the task it replaces to stop, as nothing else has room"
NO_HELP = "waits for room, which stopping old tasks would not make"


def advance(ledger: Ledger, judge: SpecJudge, busy: set[SlotKey], work: Pass) -> Instant | None:
    """Advance the rolling update; when it goes on by itself, if it does."""
    service, plan, now = judge.service, work.plan, work.env.now
    status = service.update_status
    if plan.touches_service(service.id):
        return None
    if status is not None and status.state in updater.PAUSED:
        ledger.run = None
        return None
    if status is None or status.state not in updater.ACTIVE:
        ledger.run = None
        if ledger.outdated:
            plan.write_service(updater.started(service, now), "tasks differ from the spec")
        return None
    run = ledger.run
    if run is None or run.identity != updater.identity(service):
        run = ledger.run = updater.UpdateRun(service, ledger.outdated, work.view)
    run.release(work.view, now)
    config = updater.config_of(service)
    late_at = _give_up_late(run, service, config, work)
    if run.has_failed(config):
        culprit = next(reversed(run.failed), None)
        written = updater.failed(
            service,
            config.failure_action,
            culprit,
            failures=run.failures,
            now=now,
            cluster=work.cluster,
        )
        _write(written, work)
        return None
    complete, watched_until = True, None
    if service.spec.mode.stateful is not None:
        watched_until = replace_outdated(ledger, run, judge, busy, work)
        complete = is_complete(ledger, service)
    else:
        _start_slots(ledger, run, judge, busy, work)
    note = _make_room(ledger, run, judge, busy, work) if _starts_first(service, config) else None
    noted = updater.noting(service, failures=run.failures, note=note)
    if noted is not service:
        _write(noted, work)
        return None
    if ledger.outdated or run.in_flight or not complete:
        others = (late_at, watched_until, now if run.stuck else None)
        return min((*run.cooling.values(), *(at for at in others if at is not None)), default=None)
    done = run.completes_at()
    if done > now:
        return done
    _write(updater.completed(service, now), work)
    return None


def _write(service: Service, work: Pass) -> None:
    assert service.update_status is not None
    work.plan.write_service(service, service.update_status.message)


def _starts_first(service: Service, config: UpdateConfig) -> bool:
    """Whether a slot's new task starts beside the old one; never where a slot is an identity."""
    return config.order is UpdateOrder.START_FIRST and service.spec.mode.stateful is None


def _give_up_late(
    run: updater.UpdateRun, service: Service, config: UpdateConfig, work: Pass
) -> Instant | None:
    """End new tasks that took too long to run; when the next one will have."""
    if not config.task_timeout_ns:
        return None
    earliest: Instant | None = None
    for key, task_id in list(run.in_flight.items()):
        task = work.view.find_task(task_id)
        if task is None or task.ran_at or work.plan.touches(task_id) or work.plan.full:
            continue
        due = updater.due_at(task, history_of(work.view, service.id, key), config)
        if due is None:
            continue
        if due > work.env.now:
            earliest = due if earliest is None else min(earliest, due)
            continue
        run.fail(task)
        state = task.status.state
        said = task.status.err or f"it is {state.word}"
        err = f"not running within {format_duration(config.task_timeout_ns)}: {said}"
        if service.spec.mode.stateful is not None and state >= TaskState.ASSIGNED:
            # Only its node can say that it has stopped, and until then nobody may take its place.
            work.plan.shut_down(task, f"{LATE}: {err}")
        else:
            work.plan.set_status(task, TaskState.FAILED, message=LATE, err=err)
    return earliest


def _start_slots(
    ledger: Ledger, run: updater.UpdateRun, judge: SpecJudge, busy: set[SlotKey], work: Pass
) -> None:
    config = updater.config_of(judge.service)
    for key in ledger.outdated:
        if work.plan.full or (config.parallelism and run.busy >= config.parallelism):
            return
        if key in busy or run.occupied(key):
            continue
        run.begin(key, _replace_slot(judge, key, config, work).id)


def _replace_slot(judge: SpecJudge, key: SlotKey, config: UpdateConfig, work: Pass) -> Task:
    """The up-to-date task of a slot, made if there is none, with the others told to stop."""
    service = judge.service
    history = history_of(work.view, service.id, key)
    active = [task for task in history if task.desired_state <= TaskState.RUNNING]
    clean = [task for task in active if not judge.is_dirty(task, work.view)]
    reason = f"update of {service.spec.name}"
    start_first = _starts_first(service, config)
    if clean:
        task = clean[-1]
    elif start_first:
        task = work.add_task(service, key, TaskState.RUNNING, reason=reason)
    else:
        last = history[-1] if history else None
        stopping = tuple(other for other in history if other.status.state >= TaskState.ASSIGNED)
        task = work.succeed(service, key, stopping, predecessor=last, reason=reason)
    if not start_first:
        for other in active:
            if other.id != task.id:
                work.plan.shut_down(other, reason)
    return task


def _make_room(
    ledger: Ledger, run: updater.UpdateRun, judge: SpecJudge, busy: set[SlotKey], work: Pass
) -> str | None:
    """Stop one slot first where start-first can't work.

    The answer is what there is to say about it: nothing new, or that what was said is over.
    """
    if busy or work.plan.full:
        return None  # something is under way in this very pass
    found = find_stuck(run, ledger.outdated, judge, work)
    makes_room = found is not None and bool(found.leaving)
    run.stuck, was_stuck = makes_room, run.stuck
    if found is None:
        status = judge.service.update_status
        return "" if status is not None and NO_HELP in status.message else None
    place = _place(found, work)
    if not makes_room:
        return f"{place} {NO_HELP}: {found.why}"
    if not was_stuck:
        return None  # the scheduler may place it in this very pass
    reason = f"{place} stops first, as its new task has no room beside the old one"
    for task in found.leaving:
        work.plan.shut_down(task, f"{reason}: {found.why}")
    work.plan.set_status(
        found.waiting, TaskState.PENDING, message=MAKES_ROOM, err=found.waiting.status.err
    )
    return f"{reason}: {found.why}"


def _place(found: Stuck, work: Pass) -> str:
    if isinstance(found.key, int):
        return f"slot {found.key}"
    node = work.view.find_node(found.key)
    return f"the slot on {node.hostname or node.id}" if node else f"the slot on {found.key}"
