"""The planner: committed changes in, the next writes out.

One planner serves one leader's term. It is created from a scan of the store, observes every
commit, and plans when it is dirty or a deadline is due. What it remembers between passes are
marks (what to look at again) and sums (loads, slots, ports); decisions are made from the store
alone, so a plan that was lost or partly refused is simply made again
(docs/design/orchestrator.md).
"""

from __future__ import annotations

from typing import TypeAlias

from msgspec.structs import replace

from swarmd.model.env import Env
from swarmd.model.ids import ServiceId
from swarmd.model.instant import Instant
from swarmd.model.states import TaskState
from swarmd.orchestrator.actions import Plan
from swarmd.orchestrator.allocator.books import Books
from swarmd.orchestrator.allocator.ports import PortConflict
from swarmd.orchestrator.attaching import Exhausted
from swarmd.orchestrator.context import Pass
from swarmd.orchestrator.endpoint import is_allocated
from swarmd.orchestrator.enforcer import MESSAGE, violations
from swarmd.orchestrator.observer import Observer
from swarmd.orchestrator.scheduler.fleet import Fleet
from swarmd.orchestrator.scheduler.schedule import Scheduler
from swarmd.orchestrator.service_pass import reconcile
from swarmd.orchestrator.slots import SlotKey
from swarmd.orchestrator.timers import Timers
from swarmd.store.changes import Action, Committed
from swarmd.store.view import View

TimerKey: TypeAlias = tuple[ServiceId, SlotKey | None]


class Planner:
    """All decisions of the orchestrator, scheduler and allocator for one term.

    The caller commits the actions of a plan (refused ones are dropped) and feeds the commit back
    through `observe` before it plans again.
    """

    def __init__(self, view: View, env: Env) -> None:
        """Recover from a scan of `view`; everything is looked at once."""
        self._view = view
        self._timers: Timers[TimerKey] = Timers()
        self._observer = Observer(view)
        self._scheduler = Scheduler(
            self._observer.fleet, self._observer.queue, self._observer.networks, is_allocated
        )
        self._observer.scan()

    @property
    def dirty(self) -> bool:
        """Whether another pass has work to do now."""
        return self._observer.dirty or self._observer.rebalancing.due

    @property
    def fleet(self) -> Fleet:
        """The nodes with what is on them, for questions; they may not count anything on it."""
        return self._observer.fleet

    @property
    def books(self) -> Books:
        """Who holds which addresses and ports, for questions."""
        return Books(self._observer.networks.book, self._observer.ports)

    def observe(self, committed: Committed) -> None:
        """Take note of what an entry changed; cheap, as most changes decide nothing."""
        self._observer.observe(committed)

    def next_deadline(self) -> Instant | None:
        """When to plan again even if nothing happens."""
        deadlines = (self._timers.next(), self._observer.rebalancing.next_look)
        return min((at for at in deadlines if at is not None), default=None)

    def plan(self, env: Env) -> tuple[Action, ...]:
        """The writes that bring the store closer to what the specs ask for; none if converged."""
        for service_id, key in self._timers.due(env.now):
            self._observer.mark(service_id, key)
        work = Pass(
            self._view,
            env,
            Plan(env.now),
            self._view.find_cluster(),
            self._observer.fences,
            self._observer.fleet,
            self._observer.networks,
        )
        self._scheduler.settle(self._view)
        self._observer.networks.settle()
        self._enforce(work)
        for ledger in self._observer.take_dirty():
            if work.plan.full:
                break
            if not self._allocate(ledger.service_id, work):
                continue  # its tasks are planned when its ports are committed

            def set_timer(
                key: SlotKey | None, at: Instant | None, service_id: ServiceId = ledger.service_id
            ) -> None:
                self._timers.set((service_id, key), at)

            reconcile(ledger, work, set_timer)
        self._observer.drop_finished()
        self._observer.rebalancing.begin_moves(work)
        self._scheduler.schedule(work.plan, self._view, self._observer.problems, env.rng)
        self._observer.attachments.tend(work, self._observer.networks.attacher_of_one)
        self._observer.networks.tend_nodes(work.plan)
        return tuple(work.plan.actions)

    def _enforce(self, work: Pass) -> None:
        for node_id in self._observer.take_nodes():
            node = self._view.find_node(node_id)
            for task, why in violations(node, self._view) if node else ():
                if task.lease_ns:  # its node must say that it has stopped
                    work.plan.shut_down(task, why)
                else:
                    work.plan.set_status(task, TaskState.REJECTED, message=MESSAGE, err=why)

    def _allocate(self, service_id: ServiceId, work: Pass) -> bool:
        """Give a service its ports and virtual addresses; False while that is being written."""
        service = self._view.find_service(service_id)
        if service is None or is_allocated(service, self._view):
            self._observer.problems.pop(service_id, None)
            return True
        try:
            endpoint = self._observer.ports.allocate(service)
            endpoint = self._observer.networks.endpoint(service, endpoint)
        except (PortConflict, Exhausted) as conflict:
            self._observer.ports.record(service)
            problem = str(conflict)
            if self._observer.problems.get(service_id) != problem:
                self._observer.problems[service_id] = problem
                self._observer.queue.something_changed()
            return True
        self._observer.problems.pop(service_id, None)
        work.plan.write_service(replace(service, endpoint=endpoint), "ports and addresses chosen")
        return False
