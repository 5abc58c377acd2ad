"""Mistakes in what the leader decides."""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from swarmd.manager.control import file_versions, networks
from swarmd.model.states import TaskState
from swarmd.orchestrator import (
    available,
    cron,
    drain,
    fences,
    observer,
    planner,
    restart,
    taints,
    update_pass,
    updater,
)
from swarmd.orchestrator.allocator import book, ports
from swarmd.orchestrator.rebalance import policy
from swarmd.orchestrator.scheduler import making_room, preempt, schedule
from swarmd.store import store
from tests.sim.cluster.mutation import Patch, everywhere


def double_assignment(patch: Patch) -> None:
    """A task that has a node is given another now and then."""
    plan = schedule.Scheduler.schedule

    def twice(self: Any, work: Any, view: Any, *rest: Any) -> Any:
        result = plan(self, work, view, *rest)
        nodes = view.nodes()
        for task in view.tasks():
            starting = bool(task.slot) and task.status.state is TaskState.PREPARING
            if starting and not work.touches(task.id) and task.version % 5 == 0:
                other = next((n.id for n in nodes if n.id != task.node_id), None)
                if other is not None:
                    changed = replace(task, node_id=other)
                    work.actions.append(store.Update(changed, base=task.version))
        return result

    patch.setattr(schedule.Scheduler, "schedule", twice)


def leaked_port(patch: Patch) -> None:
    """The port of a service that is gone stays taken."""
    patch.setattr(ports.PortBook, "release", lambda self, service_id: None)


def leaked_address(patch: Patch) -> None:
    """The addresses of a task that is gone stay taken."""
    release = book.AddressBook.release

    def keeping(self: Any, holder: Any, **rest: Any) -> None:
        if holder[0] != "task":
            release(self, holder, **rest)

    patch.setattr(book.AddressBook, "release", keeping)


def lease_ignored(patch: Patch) -> None:
    """A successor of an ordinal does not wait for the lease of a node that was cut off."""
    patch.setattr(fences, "fence_ns", lambda task: 0)


def lost_update_progress(patch: Patch) -> None:
    """A leader does not go on with updates that its predecessor began."""
    born = [0]
    recover = planner.Planner.__init__

    def recovering(self: Any, view: Any, env: Any) -> None:
        born[0] = env.now
        recover(self, view, env)

    advance = update_pass.advance

    def only_own(ledger: Any, judge: Any, busy: Any, work: Any) -> Any:
        status = judge.service.update_status
        if status is not None and status.state in updater.ACTIVE and status.started_at < born[0]:
            return None
        return advance(ledger, judge, busy, work)

    patch.setattr(planner.Planner, "__init__", recovering)
    everywhere(patch, "advance", advance, only_own)


def restart_without_waiting(patch: Patch) -> None:
    """A replacement starts though the old task has not stopped."""
    stopped = restart.has_stopped
    everywhere(patch, "has_stopped", stopped, lambda task, view: True, keep=("swarmd.sim",))


def node_changes_missed(patch: Patch) -> None:
    """The planner does not hear that a node is down."""
    patch.setattr(observer.Observer, "_observe_node", lambda self, node_id, old, new: None)


def too_few_left(patch: Patch) -> None:
    """Any number of tasks is taken from a service, however many have to be available."""
    patch.setattr(available.Spare, "left", lambda self, service_id: None)


def equals_preempted(patch: Patch) -> None:
    """Tasks of the same priority make room for each other."""
    begin = preempt.Preemption.__init__

    def above(self: Any, *args: Any, **kwargs: Any) -> None:
        begin(self, *args, **kwargs)
        self._priority += 1

    patch.setattr(preempt.Preemption, "__init__", above)
    patch.setattr(making_room.Rooms, "may_preempt", lambda self, priority: True)


def nobody_preempted(patch: Patch) -> None:
    """A task waits though tasks of lower priority could make room."""
    patch.setattr(preempt.Preemption, "find", lambda self, node_id: None)


def drain_ignored(patch: Patch) -> None:
    """Tasks stay on a node that is being drained."""
    everywhere(patch, "lead_away", drain.lead_away, lambda ledger, judge, busy, work: None)


def taints_ignored(patch: Patch) -> None:
    """No taint makes a task go."""
    everywhere(patch, "evicting", taints.evicting, lambda texts, tolerations: ())


def moves_without_end(patch: Patch) -> None:
    """Moves under way are not counted."""
    patch.setattr(policy, "is_move", lambda task, view: False)


def runs_overlap(patch: Patch) -> None:
    """A run begins though another one is going and the service forbids that."""
    decide = cron.decide

    def hasty(spec: Any, status: Any, *, going: int, now: Any) -> Any:
        return decide(spec, status, going=0, now=now)

    patch.setattr(cron, "decide", hasty)


def runs_repeated(patch: Patch) -> None:
    """It is not written down for which moment a run was begun."""
    decide = cron.decide

    def forgetful(spec: Any, status: Any, *, going: int, now: Any) -> Any:
        step = decide(spec, status, going=going, now=now)
        return step._replace(settled_until=status.considered_until)

    patch.setattr(cron, "decide", forgetful)


def run_lost(patch: Patch) -> None:
    """Now and then a moment of a schedule passes without a run, and nobody writes it down."""
    decide = cron.decide

    def careless(spec: Any, status: Any, *, going: int, now: Any) -> Any:
        step = decide(spec, status, going=going, now=now)
        return step._replace(start=None, missed=1) if step.missed else step

    patch.setattr(cron, "decide", careless)


def moments_not_awaited(patch: Patch) -> None:
    """A schedule is looked at when something changes, and not when its moments come."""
    decide = cron.decide

    def asleep(spec: Any, status: Any, *, going: int, now: Any) -> Any:
        return decide(spec, status, going=going, now=now)._replace(look_again=None)

    patch.setattr(cron, "decide", asleep)


def virtual_address_kept(patch: Patch) -> None:
    """The virtual addresses of a service that is gone stay taken."""
    release = book.AddressBook.release

    def keeping(self: Any, holder: Any, **rest: Any) -> None:
        if holder[0] != "service":
            release(self, holder, **rest)

    patch.setattr(book.AddressBook, "release", keeping)


def subnet_given_twice(patch: Patch) -> None:
    """A network gets its addresses as if there were no others."""
    allocate = networks.allocate_network

    def alone(network: Any, others: Any, cluster: Any) -> Any:
        return allocate(network, (), cluster)

    patch.setattr(networks, "allocate_network", alone)


def network_removed_in_use(patch: Patch) -> None:
    """A network can be removed though services take part in it."""
    patch.setattr(networks.NetworkCalls, "_check_unused", lambda self, network: None)


def rotation_missed(patch: Patch) -> None:
    """Services that follow a secret are left with its former version."""
    patch.setattr(file_versions, "_followers", lambda services, made: ())
