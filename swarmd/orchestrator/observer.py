"""Commits in, marks and sums out: what each change means for the planner.

Only changes that can lead to a decision mark anything: a task that ends, a desired state, a spec,
a node that comes, goes or changes its nature. Reports of tasks coming up are only looked at while
an update waits for them.
"""

from __future__ import annotations

from swarmd.model.cluster import Cluster
from swarmd.model.ids import NetworkId, NodeId, ServiceId
from swarmd.model.modes import is_bound, is_job
from swarmd.model.network import Network
from swarmd.model.node import Node
from swarmd.model.service import Service
from swarmd.model.states import TaskState
from swarmd.model.task import Task
from swarmd.orchestrator.allocator.networks import Networks
from swarmd.orchestrator.allocator.ports import PortBook
from swarmd.orchestrator.attachments import Attachments
from swarmd.orchestrator.fences import Fences
from swarmd.orchestrator.ledger import Ledger
from swarmd.orchestrator.rebalance.policy import Rebalancing
from swarmd.orchestrator.restart import seen_at
from swarmd.orchestrator.runs import going
from swarmd.orchestrator.scheduler.fleet import Fleet
from swarmd.orchestrator.scheduler.queue import Queue
from swarmd.orchestrator.slots import ROLLING_BACK, SlotKey, slot_key
from swarmd.store.changes import Committed, Kind
from swarmd.store.view import View

FAILURES = (TaskState.FAILED, TaskState.REJECTED)


class Observer:
    """The planner's memory, kept true to the store change by change."""

    def __init__(self, view: View) -> None:
        self.fleet = Fleet()
        self.queue = Queue()
        self.fences = Fences()
        self.ports = PortBook()
        self.networks = Networks(view)
        self.attachments = Attachments()
        self.rebalancing = Rebalancing()
        self.problems: dict[str, str] = {}  # service id -> why it has no published ports
        self._view = view
        self._ledgers: dict[ServiceId, Ledger] = {}
        self._dirty: dict[ServiceId, None] = {}
        self._nodes: dict[NodeId, None] = {}  # whose tasks may no longer belong there
        self._globals: dict[ServiceId, None] = {}

    @property
    def dirty(self) -> bool:
        marked = bool(self._dirty or self._nodes or self.attachments.dirty)
        return marked or self.queue.dirty or self.networks.dirty

    def scan(self) -> None:
        """Learn the whole store and mark everything, as a new leader does."""
        self.networks.scan()
        self._observe_cluster(self._view.find_cluster())
        for node in self._view.nodes():
            self.fleet.put_node(node)
            self._nodes[node.id] = None
        for service in self._view.services():
            self._learn_service(service)
        for task in self._view.tasks():
            if not task.service_id:
                self.attachments.mark(task)
                continue
            self.fleet.track(task)
            if task.status.state < TaskState.ASSIGNED:
                self.queue.observe(task)
            elif task.status.state > TaskState.RUNNING:
                self._note_failure(task)
            self.mark(task.service_id, slot_key(task))
        self.fleet.put_in_order()
        self.queue.something_changed()

    def mark(self, service_id: ServiceId, key: SlotKey | None) -> None:
        """Have a slot, or with None a service's scale and update, looked at again."""
        ledger = self._ledger(service_id)
        if key is None:
            ledger.step_due = True
        else:
            ledger.mark(key)
        self._dirty[service_id] = None

    def take_dirty(self) -> list[Ledger]:
        """The services to look at, longest waiting first."""
        return [self._ledgers[service_id] for service_id in self._dirty]

    def drop_finished(self) -> None:
        """Forget the marks of services that were looked at to the end, and removed services."""
        for service_id in list(self._dirty):
            if self._ledgers[service_id].dirty:
                continue
            del self._dirty[service_id]
            gone = self._view.find_service(service_id) is None
            if gone and not self._view.tasks_of_service(service_id):
                del self._ledgers[service_id]

    def take_nodes(self) -> list[NodeId]:
        """Nodes whose tasks must be checked against the node, once."""
        nodes = list(self._nodes)
        self._nodes.clear()
        return nodes

    def observe(self, committed: Committed) -> None:
        for change in committed.changes:
            old, new = change.old, change.new
            match change.kind:
                case Kind.TASK:
                    assert old is None or isinstance(old, Task)
                    assert new is None or isinstance(new, Task)
                    self._observe_task(old, new)
                case Kind.NODE:
                    assert old is None or isinstance(old, Node)
                    assert new is None or isinstance(new, Node)
                    self._observe_node(NodeId(change.id), old, new)
                case Kind.SERVICE:
                    assert old is None or isinstance(old, Service)
                    assert new is None or isinstance(new, Service)
                    self._observe_service(ServiceId(change.id), old, new)
                case Kind.CLUSTER:
                    assert new is None or isinstance(new, Cluster)
                    self._observe_cluster(new)
                    for ledger in self._ledgers.values():
                        self._mark_all(ledger)
                case Kind.NETWORK:
                    assert new is None or isinstance(new, Network)
                    self.networks.observe_network(NetworkId(change.id), new)
                    self._addresses_freed()

    def _observe_cluster(self, cluster: Cluster | None) -> None:
        """Take over how tasks are to be placed; with other ratios, some may have to move."""
        if cluster is None:
            return
        self.rebalancing.configure(cluster.spec.scheduling)
        if self.fleet.configure(cluster.spec.scheduling):
            self._nodes.update((info.id, None) for info in self.fleet)
        self.queue.something_changed()

    def _observe_task(self, old: Task | None, new: Task | None) -> None:
        """What a change of a task means; of one without a service, only for its addresses."""
        if (new is not None and new.networks) or (old is not None and old.networks):
            self.networks.observe_task(old, new)
            waiting = bool(self.problems) or self.attachments.waiting
            if waiting and (new is None or new.status.state > TaskState.RUNNING):
                self._addresses_freed()
        if new is None:
            assert old is not None
            if not old.service_id:
                self.attachments.forget(old.id)
                self.queue.something_changed()
                return
            self.fleet.forget(old.id)
            self.queue.forget(old)
            self.fences.forget(old.id)
            self.queue.something_changed()
            self.mark(old.service_id, slot_key(old))
            return
        if not new.service_id:
            self.attachments.mark(new)
            return
        if old is None:
            self.fleet.track(new)
            self.queue.observe(new)
            if new.replaces:
                self.queue.something_changed()  # begun by a request, so nobody has tried it yet
            self._open_slot(new)
            return
        before, after = old.status.state, new.status.state
        moved = old.node_id != new.node_id
        wanted = old.desired_state != new.desired_state
        if moved or wanted or after > TaskState.RUNNING or before < TaskState.ASSIGNED:
            self.fleet.track(new)
            self.queue.observe(new)
        ended = before <= TaskState.RUNNING < after
        if ended:
            self.queue.something_changed()
            self._note_failure(new)
        runs = after == TaskState.RUNNING and (before != after or _is_ready_again(old, new))
        ledger = self._ledger(new.service_id)
        if moved or wanted or ended or (runs and (ledger.watched or new.replaces)):
            self.mark(new.service_id, slot_key(new))

    def _open_slot(self, task: Task) -> None:
        """A task made as wanted in a new slot needs no second look."""
        ledger = self._ledger(task.service_id)
        service = self._view.find_service(task.service_id)
        as_wanted = (
            service is not None
            and task.desired_state is TaskState.RUNNING
            and task.spec_version == service.spec_version
            and not task.status.state.terminal
            and not ledger.watched
        )
        if not (as_wanted and ledger.open_slot(slot_key(task))):
            self.mark(task.service_id, slot_key(task))

    def _note_failure(self, task: Task) -> None:
        if task.status.state in FAILURES:
            version = (task.service_id, task.spec_version)
            self.fleet.note_failure(task.node_id, version, seen_at(task))

    def _observe_node(self, node_id: NodeId, old: Node | None, new: Node | None) -> None:
        if old is None or new is None or old.attachments != new.attachments:
            self.networks.observe_node(node_id, new)
        if old is not None and new is not None and not _matters(old, new):
            self.fleet.put_node(new)
            return
        if new is None:
            self.fleet.drop_node(node_id)
        else:
            if self.fleet.put_node(new):
                for task in self._view.tasks_of_node(node_id):
                    self.fleet.track(task)
            if old is None or _changes_nature(old, new):
                self._nodes[node_id] = None
            self.rebalancing.look_again()
        self.queue.something_changed()
        for task in self._view.tasks_of_node(node_id):
            if task.service_id:
                self.mark(task.service_id, slot_key(task))
            else:
                self.attachments.mark(task)
        for service_id in self._globals:
            self.mark(service_id, node_id)

    def _observe_service(
        self, service_id: ServiceId, old: Service | None, new: Service | None
    ) -> None:
        if old is None or new is None or old.endpoint != new.endpoint:
            self._ports_changed(service_id, new)
            self.networks.observe_service(service_id, new)
        if new is None:
            self._globals.pop(service_id, None)
            self._mark_all(self._ledger(service_id))
            return
        if old is None or old.spec.mode != new.spec.mode:
            self._learn_service(new)
        ledger = self._ledger(service_id)
        self.mark(service_id, None)
        same_tasks = ledger.judge_for(old or new).judges(new)
        if not same_tasks or (old is not None and _phase(old) != _phase(new)):
            self._mark_all(ledger)
        ledger.judge_for(new)
        self.queue.something_changed()

    def _learn_service(self, service: Service) -> None:
        self.ports.record(service)
        self.mark(service.id, None)
        self._globals.pop(service.id, None)
        if is_bound(service.spec.mode):
            self._globals[service.id] = None
            for info in self.fleet:
                self.mark(service.id, info.node.id)

    def _ports_changed(self, service_id: ServiceId, new: Service | None) -> None:
        """Published ports were taken or freed; services that wait for some try again."""
        if new is None:
            self.ports.release(service_id)
            self.problems.pop(service_id, None)
        else:
            self.ports.record(new)
        self._addresses_freed()

    def _addresses_freed(self) -> None:
        """Services and tasks that wait for ports or addresses try again."""
        self.attachments.addresses_freed()
        for waiting in self.problems:
            self.mark(ServiceId(waiting), None)
        self.queue.something_changed()

    def _mark_all(self, ledger: Ledger) -> None:
        ledger.step_due = True
        self._dirty[ledger.service_id] = None
        for key in self._keys(ledger.service_id):
            ledger.mark(key)

    def _keys(self, service_id: ServiceId) -> list[SlotKey]:
        keys: dict[SlotKey, None] = {}
        for task in self._view.tasks_of_service(service_id):
            keys[slot_key(task)] = None
        if service_id in self._globals:
            for info in self.fleet:
                keys[info.node.id] = None
        return list(keys)

    def _ledger(self, service_id: ServiceId) -> Ledger:
        ledger = self._ledgers.get(service_id)
        if ledger is None:
            ledger = self._ledgers[service_id] = Ledger(service_id)
            self._dirty[service_id] = None
        return ledger


def _is_ready_again(old: Task, new: Task) -> bool:
    """Whether a task that was unwell does its work again, so that others can be spared."""
    return bool(old.status.unready) and not new.status.unready


def _matters(old: Node, new: Node) -> bool:
    return old.status.state is not new.status.state or _changes_nature(old, new)


def _changes_nature(old: Node, new: Node) -> bool:
    """Whether tasks that were welcome on the node may no longer be."""
    return (
        old.spec != new.spec
        or old.status.addr != new.status.addr
        or old.description != new.description
        or old.role is not new.role
    )


def _phase(service: Service) -> tuple[bool, tuple[int, ...]]:
    """What, besides the spec, decides how slots are judged: a roll-back, the runs of a job."""
    status = service.update_status
    rolls_back = status is not None and status.state in ROLLING_BACK
    return rolls_back, going(service) if is_job(service.spec.mode) else ()
