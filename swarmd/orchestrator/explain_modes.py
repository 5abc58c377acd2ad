"""What there is to say of jobs, cron and stateful services besides what is true of all."""

from __future__ import annotations

from swarmd.model import defaults, modes
from swarmd.model.instant import Instant
from swarmd.model.schedule import upcoming
from swarmd.model.service import Service
from swarmd.orchestrator import runs
from swarmd.orchestrator.cron import read_schedule
from swarmd.orchestrator.fences import waiting_words
from swarmd.orchestrator.global_services import Wish, wish
from swarmd.orchestrator.job_slots import Verdict, iteration_of, verdict
from swarmd.orchestrator.slots import Slot, SlotKey, history_of, slot_key
from swarmd.store.view import View


def job_slots(service: Service, view: View) -> list[Slot]:
    """The slots of the runs of a job that are going, with the tasks that stand for them."""
    keys: dict[SlotKey, None] = {}
    for task in view.tasks_of_service(service.id):
        keys[slot_key(task)] = None
    slots: list[Slot] = []
    for iteration in runs.going(service):
        for key in keys:
            history = history_of(view, service.id, key)
            attempts = tuple(task for task in history if iteration_of(task) == iteration)
            if verdict(attempts) in (Verdict.ACTIVE, Verdict.SPENT):
                slots.append(Slot(key, attempts, attempts[-1:], outdated=False))
    return slots


def wanted(service: Service, view: View) -> int:
    """How many tasks a service wants at once; a job no more than it has yet to complete."""
    mode = service.spec.mode
    if modes.is_bound(mode):
        done = _verdicts(service, view) if mode.global_job is not None else []
        return sum(wish(service, node) is Wish.TASK for node in view.nodes()) - len(done)
    job = modes.counted_job(mode)
    if job is None:
        return defaults.replicas(service.spec)
    left = modes.completions(job) * len(runs.going(service)) - len(_verdicts(service, view))
    return min(modes.concurrency(job) * len(runs.going(service)), left)


def reasons(service: Service, view: View, now: Instant) -> list[str]:
    """Sentences about the run of a job, the schedule, and leases that are waited for."""
    mode = service.spec.mode
    if mode.stateful is not None:
        waits = (
            waiting_words(task, view.find_node(task.node_id) if task.node_id else None, now)
            for task in view.tasks_of_service(service.id)
        )
        return [words for words in waits if words]
    found: list[str] = []
    if mode.cron is not None:
        found += _schedule(service, now)
    if modes.is_job(mode) and runs.going(service):
        verdicts = _verdicts(service, view)
        done, spent = verdicts.count(Verdict.DONE), verdicts.count(Verdict.SPENT)
        found.append(f"{done} completions of run {runs.iteration(service)} are done")
        if spent:
            found.append(f"{spent} completions have failed for good: no restarts are left to them")
    return found


def _verdicts(service: Service, view: View) -> list[Verdict]:
    """What slots of the runs that are going have come to, those that are settled."""
    keys = dict.fromkeys(slot_key(task) for task in view.tasks_of_service(service.id))
    found: list[Verdict] = []
    for key in keys:
        history = history_of(view, service.id, key)
        for iteration in runs.going(service):
            outcome = verdict(tuple(task for task in history if iteration_of(task) == iteration))
            if outcome in (Verdict.DONE, Verdict.SPENT):
                found.append(outcome)
    return found


def _schedule(service: Service, now: Instant) -> list[str]:
    cron = service.spec.mode.cron
    assert cron is not None
    schedule = read_schedule(cron.schedule, cron.time_zone)
    if schedule is None:
        return [f"its schedule {cron.schedule!r} can't be read on this manager"]
    if cron.suspended:
        return ["its schedule is suspended; resume it with swarmd service update --resume"]
    left_ns = [at - now for at in upcoming(schedule, now, 1)]
    return [f"the next run is due in {ns // 10**9} s" for ns in left_ns]
