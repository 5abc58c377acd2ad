"""Leading tasks away from nodes that are being drained, in the order the node asks for.

Stop-first, a task is told to stop and its successor starts when it has stopped. Start-first, the
successor runs before the task is told to stop. A service keeps `min_available` slots running: as
many tasks leave at a time as that allows, and the others wait and say so. A service that may spare
none at all can only go start-first, so it does, whatever the node asks for.

Start-first can't work where a network is full and a successor waits for the very address that the
task holds. Once nothing is under way any more that would free one, the task stops first after all,
one at a time, if its service can spare it.

An ordinal of a stateful service can't run twice, so it always stops first, and one that its service
may not spare stays until that changes. Tasks bound to their node end with it.
"""

from __future__ import annotations

from typing import NamedTuple

from swarmd.model import defaults
from swarmd.model.node import Node
from swarmd.model.service import Service
from swarmd.model.states import TaskState, UpdateOrder
from swarmd.model.task import Task
from swarmd.orchestrator.available import Spare
from swarmd.orchestrator.context import Pass
from swarmd.orchestrator.ledger import Ledger
from swarmd.orchestrator.nodes import is_leaving
from swarmd.orchestrator.restart import should_restart
from swarmd.orchestrator.room import Probe, brief, lacks_room
from swarmd.orchestrator.slots import SlotKey, SpecJudge, history_of
from swarmd.orchestrator.updater import as_it_was

WAITS = "waits to leave its node"
STAYS = "running"


class _HeldUp(NamedTuple):
    """A task that is to leave start-first, and its successor, which has no room."""

    key: SlotKey
    leaving: Task
    waiting: Task


def note_leaving(ledger: Ledger, key: SlotKey, history: tuple[Task, ...], work: Pass) -> None:
    """Enter whether a slot has a task to lead away; one that may stay after all says so."""
    leaving = False
    for task in history:
        if is_leaving(task, work.view):
            leaving = True
        elif task.status.message.startswith(WAITS) and _goes_on(task):
            _say(task, STAYS, work)
    if leaving:
        ledger.leaving[key] = None
    else:
        ledger.leaving.pop(key, None)


def lead_away(ledger: Ledger, judge: SpecJudge, busy: set[SlotKey], work: Pass) -> None:
    """Plan which tasks leave now, and what the others wait for."""
    if not ledger.leaving:
        return
    service = judge.service
    spare = Spare(work.view, work.plan.ending)
    held_up: list[_HeldUp] = []
    for key in ledger.leaving:
        if work.plan.full:
            return
        if key in busy:
            continue
        history = history_of(work.view, service.id, key)
        leaving = next((task for task in history if is_leaving(task, work.view)), None)
        if leaving is None or work.plan.touches(leaving.id):
            continue
        node = work.view.get_node(leaving.node_id)
        if _starts_first(service, node):
            written = _start_successor(service, key, history, leaving, node, work)
            waiting = next((task for task in history if _waits_for(leaving, task)), None)
            if waiting is not None:
                held_up.append(_HeldUp(key, leaving, waiting))
        elif not spare.can_take(leaving):
            written = _say(leaving, f"{WAITS}: {_too_few(service)}", work)
        else:
            spare.take(leaving)
            _stop(service, key, history, leaving, node, work)
            written = True
        if written:
            busy.add(key)
    if held_up and not busy and not work.plan.full:
        _make_room(held_up, service, spare, busy, work)


def _waits_for(leaving: Task, task: Task) -> bool:
    """Whether a task of the same slot is the successor and has no room."""
    return (
        task.replaces == leaving.id and task.desired_state <= TaskState.RUNNING and lacks_room(task)
    )


def _room_is_coming(service: Service, work: Pass) -> bool:
    """Whether addresses of the service become free by what is under way."""
    for task in work.view.tasks_of_service(service.id):
        state = task.status.state
        if task.desired_state > TaskState.RUNNING:
            if TaskState.ASSIGNED <= state <= TaskState.RUNNING:
                return True  # it stops
        elif task.replaces and TaskState.ASSIGNED <= state < TaskState.RUNNING:
            return True  # what it replaces will stop
    return False


def _make_room(
    held_up: list[_HeldUp], service: Service, spare: Spare, busy: set[SlotKey], work: Pass
) -> None:
    """Have the first task stop whose successor could then be placed."""
    if work.networks.would_attach(service):
        return  # they wait for a node, which no stopping here would give them
    if _room_is_coming(service, work):
        return
    for key, leaving, waiting in held_up:
        probe = Probe(waiting, work)
        if not probe.has_node:
            return  # nor for the others, which ask for the same
        if spare.can_take(leaving) and probe.is_helped_by((leaving,)):
            why = f"its successor has no room beside it: {brief(waiting)}"
            work.plan.shut_down(leaving, f"task {leaving.id} stops first, as {why}")
            busy.add(key)
            return


def _starts_first(service: Service, node: Node) -> bool:
    if service.spec.mode.stateful is not None:
        return False
    if node.spec.drain_order is UpdateOrder.START_FIRST:
        return True
    return 0 < defaults.replicas(service.spec) <= service.spec.min_available


def _start_successor(
    service: Service,
    key: SlotKey,
    history: tuple[Task, ...],
    leaving: Task,
    node: Node,
    work: Pass,
) -> bool:
    """Make the successor, if there is none; the supervisor ends the task once that one runs."""
    if not should_restart(leaving, history):
        _stop(service, key, history, leaving, node, work)
        return True
    has_successor = any(
        task.id != leaving.id and task.desired_state <= TaskState.RUNNING for task in history
    )
    if not has_successor:
        work.add_task(
            as_it_was(service, leaving),
            key,
            TaskState.RUNNING,
            reason=_reason(leaving, node),
            replaces=leaving.id,
        )
    said = _say(leaving, f"{WAITS}: runs until its successor does", work)
    return said or not has_successor


def _stop(
    service: Service,
    key: SlotKey,
    history: tuple[Task, ...],
    leaving: Task,
    node: Node,
    work: Pass,
) -> None:
    reason = _reason(leaving, node)
    work.plan.shut_down(leaving, reason)
    others = any(
        task.id != leaving.id and task.desired_state <= TaskState.RUNNING for task in history
    )
    ordinal = service.spec.mode.stateful is not None  # made anew when it has certainly ended
    if not others and not ordinal and should_restart(leaving, history):
        work.succeed(as_it_was(service, leaving), key, history, predecessor=leaving, reason=reason)


def _goes_on(task: Task) -> bool:
    return task.status.state is TaskState.RUNNING and task.desired_state <= TaskState.RUNNING


def _too_few(service: Service) -> str:
    return (
        f"{service.spec.min_available} tasks of {service.spec.name} have to go on running "
        "(min-available)"
    )


def _reason(leaving: Task, node: Node) -> str:
    return f"task {leaving.id} leaves node {node.hostname or node.id}, which is being drained"


def _say(task: Task, message: str, work: Pass) -> bool:
    """Have a running task say something else; False if it does so already."""
    if task.status.message == message or work.plan.touches(task.id):
        return False
    work.plan.set_status(task, task.status.state, message=message, err="")
    return True
