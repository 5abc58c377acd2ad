"""One planning pass over one service: its changed slots, its scale, drains and update, in order."""

from __future__ import annotations

from collections.abc import Callable
from itertools import islice

from swarmd.model import defaults, modes
from swarmd.model.instant import Instant
from swarmd.model.service import Service
from swarmd.model.states import TaskState
from swarmd.model.task import Task
from swarmd.orchestrator.context import Pass
from swarmd.orchestrator.drain import WAITS, lead_away, note_leaving
from swarmd.orchestrator.global_services import Wish, wish
from swarmd.orchestrator.job_pass import reconcile_job
from swarmd.orchestrator.ledger import Ledger
from swarmd.orchestrator.nodes import is_invalid
from swarmd.orchestrator.replicated import free_slots, surplus
from swarmd.orchestrator.slots import Slot, SlotKey, SpecJudge, history_of, judge_slot
from swarmd.orchestrator.stateful import (
    give_up_service,
    look_after_ordinals,
    scale_ordinals,
)
from swarmd.orchestrator.supervisor import remove_all, supervise
from swarmd.orchestrator.update_pass import advance
from swarmd.store.view import View

SetTimer = Callable[[SlotKey | None, Instant | None], None]  # None: the service as a whole


def reconcile(ledger: Ledger, work: Pass, set_timer: SetTimer) -> None:
    """Plan what a service needs; what does not fit into the plan stays marked in the ledger."""
    service = work.view.find_service(ledger.service_id)
    if service is None:
        _remove_service(ledger, work, set_timer)
        return
    _clear_misplaced(ledger, service, work, set_timer)
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
    lead_away(ledger, judge, busy, work)
    set_timer(None, advance(ledger, judge, busy, work))
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


def _clear_misplaced(ledger: Ledger, service: Service, work: Pass, set_timer: SetTimer) -> None:
    """Remove tasks with a slot where the mode binds tasks to nodes, and the other way round.

    The API allows no other mode, but records may have come into the store in another way.
    """
    bound = modes.is_bound(service.spec.mode)
    for key in [key for key in ledger.changed if isinstance(key, int) is bound]:
        if work.plan.full:
            return
        del ledger.changed[key]
        set_timer(key, None)
        reason = f"{service.spec.name} is {modes.word(service.spec.mode)} and has no such slot"
        remove_all(history_of(work.view, service.id, key), work, reason=reason)


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
        if ledger.run is None and _is_at_rest(key, history, service, work.view):
            ledger.file_at_rest(key)
            set_timer(key, None)
            continue
        written = len(plan.actions) + len(plan.fresh)
        set_timer(key, supervise(judge, key, history, work))
        slot = judge_slot(key, history, judge, work.view)
        if not isinstance(key, int):
            slot = _tend_node(service, slot, work)
        ledger.file(slot)
        note_leaving(ledger, key, history, work)
        if ledger.run is not None:
            ledger.run.follow(key, history, work.view)
        if len(plan.actions) + len(plan.fresh) > written:
            busy.add(key)
    return busy


def _is_at_rest(key: SlotKey, history: tuple[Task, ...], service: Service, view: View) -> bool:
    """Whether nothing but one task is there, which is as wanted in every respect; never wrong.

    That is how nearly all slots are found when a new leader looks at each.
    """
    if len(history) != 1:
        return False
    task = history[0]
    if (
        task.status.state is not TaskState.RUNNING
        or task.desired_state is not TaskState.RUNNING
        or task.spec_version != service.spec_version
        or task.replaces
        or task.status.message.startswith(WAITS)
    ):
        return False
    node = view.find_node(task.node_id)
    if isinstance(key, int):
        return not is_invalid(node)
    return wish(service, node) is not Wish.NOTHING


def _tend_node(service: Service, slot: Slot, work: Pass) -> Slot:
    """Give a node its task of a global service; one that wants none is no matter for updates."""
    if wish(service, work.view.find_node(str(slot.key))) is not Wish.TASK:
        return slot._replace(outdated=False)
    if not slot.current:
        last = slot.history[-1] if slot.history else None
        reason = f"every node runs {service.spec.name}"
        work.succeed(service, slot.key, slot.history, predecessor=last, reason=reason)
    return slot


def _given_up(ledger: Ledger, judge: SpecJudge, wanted: int, work: Pass) -> list[SlotKey]:
    """The slots too many, the least wanted first.

    Giving up thousands takes several passes. Which they are is settled in the first of them, as
    judging every slot in each would keep the leader from everything else.
    """
    too_many = len(ledger.live) - wanted
    if too_many <= 0:
        ledger.surplus = []
        return []
    settled = [key for key in ledger.surplus if key in ledger.live]
    if len(settled) != too_many:
        view, service_id = work.view, judge.service.id
        slots = []
        for key in ledger.live:
            history = history_of(view, service_id, key)
            if len(history) == 1 and history[0].desired_state is TaskState.RUNNING:
                slots.append(Slot(key, history, history, outdated=False))
            else:
                slots.append(judge_slot(key, history, judge, view))
        settled = [slot.key for slot in surplus(slots, wanted)]
    ledger.surplus = settled
    return settled


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
    for key in _given_up(ledger, judge, wanted, work):
        if plan.full:
            return
        if key not in busy:
            reason = f"scaled to {wanted}"
            remove_all(history_of(view, service.id, key), work, reason=reason)
            busy.add(key)
    for key in list(ledger.dead):
        if plan.full:
            return
        if key in busy:
            continue
        history = history_of(view, service.id, key)
        if all(map(_is_leaving_for_good, history)):
            ledger.vacate(key)
        else:
            remove_all(history, work, reason="its slot is not in use")


def _is_leaving_for_good(task: Task) -> bool:
    """Whether all that is left to do about a task is to wait for its node to stop it."""
    state = task.status.state
    return (
        task.desired_state is TaskState.REMOVE and TaskState.ASSIGNED <= state <= TaskState.RUNNING
    )
