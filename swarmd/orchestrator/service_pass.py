"""One planning pass over one service: its changed slots, its scale, its update, in this order."""

from __future__ import annotations

from collections.abc import Callable
from itertools import islice

from swarmd.model import defaults, modes
from swarmd.model.instant import Instant
from swarmd.model.service import Service
from swarmd.model.states import TaskState, UpdateOrder
from swarmd.model.task import Task
from swarmd.orchestrator import updater
from swarmd.orchestrator.context import Pass
from swarmd.orchestrator.global_services import Wish, wish
from swarmd.orchestrator.job_pass import reconcile_job
from swarmd.orchestrator.ledger import Ledger
from swarmd.orchestrator.replicated import free_slots, surplus
from swarmd.orchestrator.slots import Slot, SlotKey, SpecJudge, history_of, judge_slot
from swarmd.orchestrator.stateful import (
    give_up_service,
    is_complete,
    look_after_ordinals,
    replace_outdated,
    scale_ordinals,
)
from swarmd.orchestrator.supervisor import remove_all, supervise

SetTimer = Callable[[SlotKey | None, Instant | None], None]  # None: the service as a whole


def reconcile(ledger: Ledger, work: Pass, set_timer: SetTimer) -> None:
    """Plan what a service needs; what does not fit into the plan stays marked in the ledger."""
    service = work.view.find_service(ledger.service_id)
    if service is None:
        _remove_service(ledger, work, set_timer)
        return
    if modes.is_job(service.spec.mode):
        reconcile_job(ledger, service, work, set_timer)
        return
    judge = ledger.judge_for(service)
    ordinals = service.spec.mode.stateful is not None
    look_after = look_after_ordinals if ordinals else _look_after_slots
    busy = look_after(ledger, judge, work, set_timer)
    if ledger.changed:
        return  # the plan is full; scale and update see a complete picture or none
    ledger.step_due = False
    if ordinals:
        scale_ordinals(ledger, judge, busy, work, set_timer)
    elif service.spec.mode.global_ is None:
        _scale(ledger, judge, busy, work)
    set_timer(None, _update(ledger, judge, busy, work))
    if work.plan.full:
        ledger.step_due = True


def _remove_service(ledger: Ledger, work: Pass, set_timer: SetTimer) -> None:
    ledger.step_due = False
    set_timer(None, None)
    for key in list(ledger.changed):
        if work.plan.full:
            return
        del ledger.changed[key]
        set_timer(key, None)
        history = history_of(work.view, ledger.service_id, key)
        if any(task.lease_ns for task in history):
            set_timer(key, give_up_service(history, work))
        else:
            remove_all(history, work, reason="its service was removed")


def _look_after_slots(
    ledger: Ledger, judge: SpecJudge, work: Pass, set_timer: SetTimer
) -> set[SlotKey]:
    """Judge the changed slots anew and plan what each needs; answers those that were written."""
    busy: set[SlotKey] = set()
    service, plan = judge.service, work.plan
    for key in list(ledger.changed):
        if plan.full:
            break
        del ledger.changed[key]
        history = history_of(work.view, service.id, key)
        written = len(plan.actions) + len(plan.fresh)
        set_timer(key, supervise(judge, key, history, work))
        slot = judge_slot(key, history, judge, work.view)
        if not isinstance(key, int):
            slot = _tend_node(service, slot, work)
        ledger.file(slot)
        if ledger.run is not None:
            for task in history:
                ledger.run.look(task)
        if len(plan.actions) + len(plan.fresh) > written:
            busy.add(key)
    return busy


def _tend_node(service: Service, slot: Slot, work: Pass) -> Slot:
    """Give a node its task of a global service; one that wants none is no matter for updates."""
    if wish(service, work.view.find_node(str(slot.key))) is not Wish.TASK:
        return slot._replace(outdated=False)
    if not slot.current:
        last = slot.history[-1] if slot.history else None
        reason = f"every node runs {service.spec.name}"
        work.succeed(service, slot.key, slot.history, predecessor=last, reason=reason)
    return slot


def _scale(ledger: Ledger, judge: SpecJudge, busy: set[SlotKey], work: Pass) -> None:
    service, plan, view = judge.service, work.plan, work.view
    wanted = defaults.replicas(service.spec)
    missing = wanted - len(ledger.live)
    taken: set[SlotKey] = {*ledger.live, *busy} if missing > 0 else set()
    for number in islice(free_slots(taken), max(missing, 0)):
        if plan.full:
            return
        history = history_of(view, service.id, number)
        last = history[-1] if history else None
        reason = f"replica {number} of {service.spec.name} is missing"
        work.succeed(service, number, history, predecessor=last, reason=reason)
        busy.add(number)
    if missing < 0:
        slots = [
            judge_slot(key, history_of(view, service.id, key), judge, view) for key in ledger.live
        ]
        for slot in surplus(slots, wanted):
            if plan.full:
                return
            if slot.key not in busy:
                remove_all(slot.history, work, reason=f"scaled to {wanted}")
                busy.add(slot.key)
    for key in ledger.dead:
        if key not in busy and not plan.full:
            remove_all(history_of(view, service.id, key), work, reason="its slot is not in use")


def _update(ledger: Ledger, judge: SpecJudge, busy: set[SlotKey], work: Pass) -> Instant | None:
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
        tasks = work.view.tasks_of_service(service.id)
        run = ledger.run = updater.UpdateRun(service, ledger.outdated, tasks)
    run.release(work.view, now)
    config = updater.config_of(service)
    if run.has_failed(config):
        culprit = next(reversed(run.failed))
        written = updater.failed(service, config.failure_action, culprit, now)
        assert written.update_status is not None
        plan.write_service(written, written.update_status.message)
        return None
    if service.spec.mode.stateful is not None:
        watched_until = replace_outdated(ledger, run, judge, busy, work)
        if ledger.outdated or run.in_flight or not is_complete(ledger, service):
            times = [*run.cooling.values(), *([watched_until] if watched_until else [])]
            return min(times, default=None)
    else:
        _start_slots(ledger, run, judge, busy, work)
    if ledger.outdated or run.in_flight:
        return min(run.cooling.values(), default=None)
    done = run.completes_at()
    if done > now:
        return done
    written = updater.completed(service, now)
    assert written.update_status is not None
    plan.write_service(written, written.update_status.message)
    return None


def _start_slots(
    ledger: Ledger, run: updater.UpdateRun, judge: SpecJudge, busy: set[SlotKey], work: Pass
) -> None:
    config = updater.config_of(judge.service)
    for key in ledger.outdated:
        if work.plan.full or (config.parallelism and run.busy >= config.parallelism):
            return
        if key in busy or run.occupied(key):
            continue
        history = history_of(work.view, judge.service.id, key)
        run.begin(key, _replace_slot(judge, key, history, config.order, work).id)


def _replace_slot(
    judge: SpecJudge, key: SlotKey, history: tuple[Task, ...], order: UpdateOrder, work: Pass
) -> Task:
    """The up-to-date task of a slot, made if there is none, with the others told to stop."""
    active = [task for task in history if task.desired_state <= TaskState.RUNNING]
    clean = [task for task in active if not judge.is_dirty(task, work.view)]
    reason = f"update of {judge.service.spec.name}"
    if clean:
        task = clean[-1]
    elif order is UpdateOrder.START_FIRST:
        task = work.add_task(judge.service, key, TaskState.RUNNING, reason=reason)
    else:
        last = history[-1] if history else None
        stopping = tuple(other for other in history if other.status.state >= TaskState.ASSIGNED)
        task = work.succeed(judge.service, key, stopping, predecessor=last, reason=reason)
    if order is UpdateOrder.STOP_FIRST:
        for other in active:
            if other.id != task.id:
                work.plan.shut_down(other, reason)
    return task
