"""Whether a service has become what its spec says, once nothing disturbs it any more."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from swarmd.model import modes
from swarmd.model.node import Node
from swarmd.model.service import Service
from swarmd.model.states import Availability, RunOutcome, TaskState, UpdateState
from swarmd.model.task import Task
from swarmd.sim.furniture import TAINT, TAINTS
from swarmd.store.store import Store

_UNDER_WAY = frozenset({UpdateState.UPDATING, UpdateState.ROLLBACK_STARTED})


def service_problems(service: Service, store: Store) -> Iterator[str]:
    """Everything that a service still lacks."""
    mode = service.spec.mode
    tasks = store.tasks_of_service(service.id)
    if mode.cron is not None:
        yield from _cron(service, tasks)
        return
    if mode.replicated_job is not None:
        yield from _job(service, tasks)
        return
    if mode.global_job is not None:
        yield from _global_job(service, tasks, store)
        return
    wanted = [task for task in tasks if task.desired_state is TaskState.RUNNING]
    waiting = _waiting(service, wanted, store)
    if not waiting:  # else an update waits, too
        yield from _places(service, wanted, store)
        yield from _up_to_date(service, wanted)
    yield from _running([task for task in wanted if task not in waiting])
    yield from _out_of_place(service, wanted, store)


def _places(service: Service, wanted: list[Task], store: Store) -> Iterator[str]:
    name = service.spec.name
    if modes.is_bound(service.spec.mode):
        places = Counter(str(task.node_id) for task in wanted)
        goal = {str(node.id) for node in store.nodes() if _takes(node, service)}
        if set(places) != goal:
            yield f"service {name} is wanted on {sorted(places)}, not on {sorted(goal)}"
    else:
        places = Counter(str(task.slot) for task in wanted)
        count = modes.replicas(service.spec.mode)
        if len(places) != count:
            yield f"service {name} has {len(places)} slots, not {count}"
    for place, number in places.items():
        if number > 1:
            yield f"{number} tasks are wanted in {name}.{place}"


def _up_to_date(service: Service, wanted: list[Task]) -> Iterator[str]:
    for task in wanted:
        if task.spec_version != service.spec_version and task.spec != service.spec.task_template:
            yield f"task {task.name} has an old spec"
    if service.update_status is not None and service.update_status.state in _UNDER_WAY:
        yield f"service {service.spec.name} is still {service.update_status.state.value}"


def _running(wanted: list[Task]) -> Iterator[str]:
    for task in wanted:
        if task.status.state is not TaskState.RUNNING:
            yield f"task {task.name} is {task.status.state.word}: {task.status.err}"
        elif task.status.unready:
            yield f"task {task.name} is {task.status.unready}"


def _out_of_place(service: Service, wanted: list[Task], store: Store) -> Iterator[str]:
    """Tasks on nodes that they should have left, for which there is room elsewhere."""
    if service.spec.task_template.resources is not None:
        return
    for task in wanted:
        node = store.find_node(task.node_id)
        if node is not None and not _takes(node, service):
            yield f"task {task.name} is on a node that should have none of its kind"


def _waiting(service: Service, wanted: list[Task], store: Store) -> list[Task]:
    """Tasks that rightly wait: nodes are full of what is of more worth, or may not be spared."""
    needs = service.spec.task_template.resources
    if needs is None or needs.reservations is None:
        return []
    waiting = [task for task in wanted if not task.node_id]
    cpus = needs.reservations.nano_cpus
    if any(_free_cpus(node, store) >= cpus for node in store.nodes() if _takes(node, service)):
        return []
    priority = service.spec.task_template.priority
    for other in store.services():
        template = other.spec.task_template
        if template.resources is None or template.priority >= priority:
            continue
        running = [
            task
            for task in store.tasks_of_service(other.id)
            if task.status.state is TaskState.RUNNING and task.desired_state is TaskState.RUNNING
        ]
        if len(running) > other.spec.min_available:
            return []
    return waiting


def _free_cpus(node: Node, store: Store) -> int:
    description = node.description
    total = description.resources.nano_cpus if description and description.resources else 0
    return total - sum(
        task.spec.resources.reservations.nano_cpus
        for task in store.tasks_of_node(node.id)
        if task.desired_state <= TaskState.RUNNING
        and not task.status.state.terminal
        and task.spec.resources is not None
        and task.spec.resources.reservations is not None
    )


def _takes(node: Node, service: Service) -> bool:
    """Whether a node is one for the service, as they are left in the end."""
    placement = service.spec.task_template.placement
    tolerant = placement is not None and TAINT in placement.tolerations
    evicts = TAINTS[0] in node.spec.taints and not tolerant
    return node.spec.availability is not Availability.DRAIN and not evicts


# --- jobs


def _job(service: Service, tasks: tuple[Task, ...]) -> Iterator[str]:
    job = service.spec.mode.replicated_job
    assert job is not None
    done = sum(_completed(task, _iteration(service)) for task in tasks)
    if done != modes.completions(job):
        yield f"job {service.spec.name} was completed {done} times, not {job.total_completions}"


def _global_job(service: Service, tasks: tuple[Task, ...], store: Store) -> Iterator[str]:
    places = {str(task.node_id) for task in tasks if _completed(task, _iteration(service))}
    goal = {str(node.id) for node in store.nodes() if _takes(node, service)}
    if not goal <= places:
        yield f"job {service.spec.name} was completed on {sorted(places)}, not on {sorted(goal)}"


def _cron(service: Service, tasks: tuple[Task, ...]) -> Iterator[str]:
    """Its schedule is suspended: no run is going, and those that succeeded were complete."""
    name, cron, status = service.spec.name, service.spec.mode.cron, service.cron_status
    assert cron is not None
    if status is None or not cron.suspended:
        yield f"service {name} is not suspended"
        return
    for run in status.runs:
        if not run.ended_at:
            yield f"run {run.iteration} of {name} is still going"
        done = sum(_completed(task, run.iteration) for task in tasks)
        if run.outcome is RunOutcome.SUCCEEDED and not done:
            yield f"run {run.iteration} of {name} succeeded and nothing of it was completed"
    outcomes = [run.outcome for run in status.runs]
    most, most_failed = modes.runs_kept(cron)
    succeeded = outcomes.count(RunOutcome.SUCCEEDED)
    if succeeded > most or len(outcomes) - succeeded > most_failed:
        yield f"service {name} remembers {len(outcomes)} runs"
    for task in tasks:
        if not task.status.state.terminal:
            yield f"task {task.name} is {task.status.state.word}, though no run is going"


def _completed(task: Task, iteration: int) -> bool:
    return task.status.state is TaskState.COMPLETE and task.job_iteration == iteration


def _iteration(service: Service) -> int:
    return service.job_status.job_iteration if service.job_status is not None else 0
