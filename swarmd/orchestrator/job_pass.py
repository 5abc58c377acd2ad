"""One planning pass over a job: its changed slots, then tasks for what is yet to be completed.

Cron services are jobs with several runs: the pass also writes down which runs have ended, and
starts those that are due (`swarmd.orchestrator.cron`). The run is committed first, as part of the
service; its tasks follow from the store, so a leader lost in between loses or doubles no run.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import islice

from swarmd.model import modes
from swarmd.model.instant import Instant
from swarmd.model.service import Service
from swarmd.model.states import RunOutcome, TaskState
from swarmd.model.task import Task
from swarmd.orchestrator import runs
from swarmd.orchestrator.context import Pass
from swarmd.orchestrator.cron import follow
from swarmd.orchestrator.global_services import Wish, wish
from swarmd.orchestrator.job_slots import Verdict, iteration_of, tend
from swarmd.orchestrator.ledger import Ledger
from swarmd.orchestrator.reaper import history_limit, is_removable
from swarmd.orchestrator.replicated import free_slots
from swarmd.orchestrator.slots import SlotKey, history_of
from swarmd.orchestrator.supervisor import orphan

SetTimer = Callable[[SlotKey | None, Instant | None], None]


def reconcile_job(ledger: Ledger, service: Service, work: Pass, set_timer: SetTimer) -> None:
    """Plan what a job needs; what does not fit into the plan stays marked in the ledger."""
    going = runs.going(service)
    for iteration in [number for number in ledger.verdicts if number not in going]:
        del ledger.verdicts[iteration]
    for key in list(ledger.changed):
        if work.plan.full:
            return
        del ledger.changed[key]
        set_timer(key, _tend_slot(ledger, service, key, going, work))
    ledger.step_due = False
    outcomes: dict[int, RunOutcome] = {}
    if modes.counted_job(service.spec.mode) is not None:
        for iteration in going:
            outcome = _fill(ledger, service, iteration, work)
            if outcome is not None:
                outcomes[iteration] = outcome
    if service.spec.mode.cron is not None and not work.plan.touches_service(service.id):
        written, reason, look_again = follow(service, outcomes, work.env.now)
        if written is not None:
            work.plan.write_service(written, reason)
        set_timer(None, look_again)
    if work.plan.full:
        ledger.step_due = True


def _tend_slot(
    ledger: Ledger, service: Service, key: SlotKey, going: tuple[int, ...], work: Pass
) -> Instant | None:
    history = history_of(work.view, service.id, key)
    orphan(history, work)
    limit = history_limit(service, work.cluster)
    wanted = wish(service, work.view.find_node(key)) if isinstance(key, str) else Wish.TASK
    earlier = tuple(task for task in history if iteration_of(task) not in going)
    deadlines: list[Instant] = []
    for iteration in going:
        attempts = tuple(task for task in history if iteration_of(task) == iteration)
        before: tuple[Task, ...] = ()
        if runs.waits_for_earlier(service):
            before = tuple(task for task in history if iteration_of(task) < iteration)
        verdict, deadline = tend(service, key, attempts, before, wanted, work, limit=limit)
        if verdict is None and wanted is Wish.TASK and isinstance(key, str):
            reason = f"every node runs {service.spec.name} once"
            last = attempts[-1] if attempts else None
            work.succeed(
                service,
                key,
                before + attempts,
                predecessor=last,
                reason=reason,
                iteration=iteration,
            )
            verdict = Verdict.ACTIVE
        book = ledger.verdicts.setdefault(iteration, {})
        if verdict is None:
            book.pop(key, None)
        else:
            book[key] = verdict
        if deadline is not None:
            deadlines.append(deadline)
    _tidy(service, earlier, limit, work)
    return min(deadlines, default=None)


def _tidy(service: Service, earlier: tuple[Task, ...], limit: int, work: Pass) -> None:
    """End what runs of runs that are over, and forget what need not be remembered of them."""
    for task in earlier:
        if task.desired_state <= TaskState.COMPLETE and not task.status.state.terminal:
            work.plan.shut_down(task, f"run {iteration_of(task)} of {service.spec.name} is over")
    finished = [task for task in earlier if task.status.state.terminal or is_removable(task)]
    if service.spec.mode.cron is not None:
        known = {run.iteration for run in runs.remembered(service)}
        surplus = [task for task in finished if iteration_of(task) not in known]
    else:
        surplus = finished[: max(len(finished) - limit, 0)] if limit >= 0 else []
    for task in surplus:
        if not work.plan.touches(task.id):
            work.plan.delete(task, "history beyond the limit")


def _fill(ledger: Ledger, service: Service, iteration: int, work: Pass) -> RunOutcome | None:
    """Plan the tasks that a run may have more of; its outcome if nothing is left to do."""
    job = modes.counted_job(service.spec.mode)
    assert job is not None
    book = ledger.verdicts.setdefault(iteration, {})
    verdicts = list(book.values())
    active, done = verdicts.count(Verdict.ACTIVE), verdicts.count(Verdict.DONE)
    total = modes.completions(job)
    room = min(modes.concurrency(job) - active, total - len(verdicts))
    for number in islice(free_slots(book), max(room, 0)):
        if work.plan.full:
            return None
        history = history_of(work.view, service.id, number)
        attempts = tuple(task for task in history if iteration_of(task) == iteration)
        before = history if runs.waits_for_earlier(service) else attempts
        work.succeed(
            service,
            number,
            before,
            predecessor=attempts[-1] if attempts else None,
            reason=f"completion {number} of {total} of {service.spec.name}",
            iteration=iteration,
        )
        active += 1
    if active:
        return None
    return RunOutcome.SUCCEEDED if done >= total else RunOutcome.FAILED
