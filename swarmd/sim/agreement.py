"""What must hold after every entry, on every manager and every machine.

Managers apply the same entries at the same index and come to the same state; the state keeps the
store's invariants; tasks only go forward and are assigned once. On the machines, no task runs in
two places and no ordinal of a stateful service runs twice, whatever the managers believe.
"""

from __future__ import annotations

from collections.abc import Collection
from functools import partial
from zlib import crc32

from msgspec import msgpack

from swarmd.manager.manager import Manager
from swarmd.model.ids import NodeId, TaskId
from swarmd.model.node import Node
from swarmd.model.service import Service
from swarmd.model.spec import ServiceSpec
from swarmd.model.states import Concurrency, TaskState, UpdateOrder
from swarmd.model.task import Task
from swarmd.orchestrator.nodes import has_stopped, is_lost
from swarmd.orchestrator.restart import STOP_WAIT_NS
from swarmd.sim.machine import Machine
from swarmd.sim.promises import KNOWN_WITHIN_S, Promises
from swarmd.sim.timeline import Timeline
from swarmd.store.changes import Change, Committed, Kind, Object
from swarmd.store.invariants import check
from swarmd.store.store import Store

_ENCODER = msgpack.Encoder(order="deterministic")


class Agreement:
    """Listens to every manager's store and to every machine's containers.

    Args:
        machines: all there are at any time.
    """

    def __init__(self, timeline: Timeline, machines: Collection[Machine]) -> None:
        self.entries = 0
        self.restores = 0
        self._timeline = timeline
        self._machines = machines
        self._digests: dict[int, int] = {}  # of the state after each index
        self._first: dict[int, str] = {}  # who applied it first
        self._homes: dict[TaskId, str] = {}
        self._assigned: dict[TaskId, NodeId] = {}
        self._leaders: dict[int, str] = {}  # by term
        self._lost: dict[str, float] = {}  # when each node was last known to be down
        self._down: dict[str, bool] = {}  # whether each node is, by the latest entry
        self._promises = Promises(timeline)

    def manager_starts(self, machine: Machine, manager: Manager) -> None:
        """Check what this manager applies from now on, and when it leads."""
        if machine.loop is not None:
            machine.loop.after = partial(self._check_leader, machine)
        store = manager.store
        store.subscribe(lambda committed: self._applied(machine.name, store, committed))

    def containers_changed(self) -> None:
        """Check what runs where."""
        ordinals: dict[tuple[str, int], tuple[str, TaskId]] = {}
        for machine in self._machines:
            for container in machine.containers.running():
                task = container.task
                home = self._homes.setdefault(task.id, machine.name)
                if home != machine.name:
                    self._accuse(f"task {task.id} has run on {home} and runs on {machine.name}")
                if not task.lease_ns:
                    continue
                place = (machine.name, task.id)
                other = ordinals.setdefault((task.service_id, task.slot), place)
                if other != place:
                    self._accuse(
                        f"ordinal {task.slot} of {task.service_name} runs as {other[1]} on "
                        f"{other[0]} and as {task.id} on {machine.name}"
                    )

    def node_left(self, node_id: NodeId, told: bool) -> None:
        """A node has left; once a manager has heard so, its tasks are free to go elsewhere."""
        if told and not self._down.get(node_id, False):
            self._accuse(f"node {node_id} was let go, and is not written down as down")

    def _applied(self, who: str, store: Store, committed: Committed) -> None:
        index = committed.index
        digest = state_digest(store)
        agreed = self._digests.get(index)
        if not committed.now:
            self.restores += 1
        if agreed is None:
            self._digests[index] = digest
            self._first[index] = who
            self.entries += 1
            self._timeline.tell(who, f"entry {index}: {_summary(committed)}")
            self._check_state(store, committed)
        elif agreed != digest:
            self._accuse(f"at index {index} the state of {who} is not that of {self._first[index]}")

    def _check_leader(self, machine: Machine) -> None:
        manager = machine.manager
        leader = manager.raft.leader if manager is not None else None
        if manager is None or leader is None or leader.raft_id != manager.raft.raft_id:
            return
        term = manager.raft.term
        elected = self._leaders.setdefault(term, machine.name)
        if elected != machine.name:
            self._accuse(f"{elected} and {machine.name} both lead in term {term}")

    def _check_state(self, store: Store, committed: Committed) -> None:
        for violation in check(store):
            self._accuse(f"at index {committed.index}: {violation}")
        self._promises.check(store, committed)
        for change in committed.changes:
            if _is_lost(change.old) or _is_lost(change.new):
                self._lost[change.id] = self._timeline.now
            if change.kind is Kind.NODE:
                self._down[change.id] = change.new is None or _is_lost(change.new)
        for change in committed.changes:
            if isinstance(change.new, Task):
                self._check_task(change, change.new)
                if _begins(change.old, change.new):
                    self._check_turn(change.new, store)

    def _check_task(self, change: Change, new: Task) -> None:
        old = change.old
        if isinstance(old, Task):
            if new.status.state < old.status.state:
                self._accuse(
                    f"task {new.id} went back from {old.status.state.word} to "
                    f"{new.status.state.word}"
                )
            if new.desired_state < old.desired_state:
                self._accuse(
                    f"task {new.id} was wanted {old.desired_state.word} and now is wanted "
                    f"{new.desired_state.word}"
                )
        if new.node_id and new.status.state >= TaskState.ASSIGNED:  # before, it is but a wish
            home = self._assigned.setdefault(new.id, new.node_id)
            if home != new.node_id:
                self._accuse(f"task {new.id} was assigned to {home} and then to {new.node_id}")

    def _check_turn(self, new: Task, store: Store) -> None:
        """A task may begin when those before it in its slot have stopped, unless told otherwise."""
        service = store.find_service(new.service_id)
        if service is None or not new.slot or new.replaces:  # a move runs beside what it replaces
            return
        if _overlaps(service) or new.updated_at - new.created_at >= STOP_WAIT_NS:
            return
        for other in store.tasks_of_service(service.id):
            older = other.slot == new.slot and other.created_at < new.created_at
            # A plan may be made just before a node is found to be back.
            lost = self._lost.get(other.node_id, -KNOWN_WITHIN_S) + KNOWN_WITHIN_S
            if older and not has_stopped(other, store) and lost <= self._timeline.now:
                self._accuse(f"task {new.name} may run while {other.name} has not stopped")

    def _accuse(self, reason: str) -> None:
        self._timeline.accuse(reason)


def state_digest(store: Store) -> int:
    """A checksum of all records with their versions, in their order."""
    digest = 0
    for record in store.records():
        digest = crc32(_ENCODER.encode(record), digest)
    return digest


def _begins(old: Object | None, new: Task) -> bool:
    before = old.desired_state if isinstance(old, Task) else TaskState.NEW
    return before < TaskState.RUNNING and new.desired_state is TaskState.RUNNING


def _is_lost(record: Object | None) -> bool:
    return isinstance(record, Node) and is_lost(record)


def _overlaps(service: Service) -> bool:
    """Whether the spec, or one the service had before, lets two tasks of a slot overlap."""
    specs = [service.spec, service.previous_spec, *(past.spec for past in service.history)]
    return any(_may_overlap(spec) for spec in specs if spec is not None)


def _may_overlap(spec: ServiceSpec) -> bool:
    if spec.mode.cron is not None:
        return spec.mode.cron.concurrency is Concurrency.ALLOW
    configs = (spec.update_config, spec.rollback_config)
    return any(config is not None and config.order is UpdateOrder.START_FIRST for config in configs)


def _summary(committed: Committed) -> str:
    words = []
    for change in committed.changes:
        new = change.new
        what = f"{change.kind.value} {change.id[:6]}"
        if new is None:
            words.append(f"-{what}")
        elif isinstance(new, Task):
            words.append(
                f"{what} {new.service_name}.{new.slot}@{new.node_id} {new.status.state.word}"
                f"/{new.desired_state.word}"
            )
        else:
            words.append(f"{what} v{new.version}")
        if change.reason:
            words[-1] += f" ({change.reason})"
    return "; ".join(words) or "nothing"
