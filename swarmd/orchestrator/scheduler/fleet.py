"""All nodes with their loads, kept up to date task by task, and the orders to choose from them.

Choosing must not look at every node for every service, so nodes are kept in *partitions*: cells of
nodes that are equal in what a placement asks about, each in order of preference
(`swarmd.orchestrator.scheduler.partition`). A partition is brought up to date when it is next used,
from the list of nodes that changed since.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

from swarmd.model.cluster import SchedulingConfig
from swarmd.model.ids import NodeId, ServiceId, TaskId
from swarmd.model.instant import Instant
from swarmd.model.node import Node
from swarmd.model.states import Strategy
from swarmd.model.task import Task
from swarmd.orchestrator.scheduler.failures import Failures
from swarmd.orchestrator.scheduler.kinds import Kinds
from swarmd.orchestrator.scheduler.load import Kind, Load, Version, load_of, place_of
from swarmd.orchestrator.scheduler.node_info import NodeInfo
from swarmd.orchestrator.scheduler.order import Order
from swarmd.orchestrator.scheduler.partition import Partition
from swarmd.store.view import View

PARTITIONS_MAX = 64  # kept; the least recently used one makes room
ORDERED_AHEAD_MAX = 16
# A service is common that is on so many nodes, and on one in so many of the fleet.
SERVING_MANY = 64
SERVING_SHARE = 4
_JOURNAL_SLACK = 1024


class Fleet:
    """Nodes and loads. Changes go through the fleet, so that its indexes stay true."""

    def __init__(self, scheduling: SchedulingConfig | None = None) -> None:
        self.scheduling = scheduling or SchedulingConfig()
        self.common_from = SERVING_MANY
        self.failures = Failures()
        self._infos: dict[NodeId, NodeInfo] = {}
        self._where: dict[TaskId, NodeInfo] = {}
        self.kinds = Kinds()
        self._serving: dict[ServiceId, dict[NodeId, NodeInfo]] = {}
        self._partitions: dict[tuple[tuple[str, ...], Order], Partition] = {}
        self._journal: list[NodeInfo] = []  # nodes changed, oldest first
        self._journal_start = 0  # changes dropped from it so far

    @classmethod
    def of(cls, view: View) -> Fleet:
        """The fleet as the store has it now, for questions that must not disturb the planner's."""
        cluster = view.find_cluster()
        fleet = cls(cluster.spec.scheduling if cluster else None)
        for node in view.nodes():
            fleet.put_node(node)
        for task in view.tasks():
            fleet.track(task)
        return fleet

    def __iter__(self) -> Iterator[NodeInfo]:
        return iter(self._infos.values())

    def __len__(self) -> int:
        return len(self._infos)

    def find(self, node_id: NodeId) -> NodeInfo | None:
        return self._infos.get(node_id)

    def configure(self, scheduling: SchedulingConfig) -> bool:
        """Take over the cluster's settings; True if nodes now have more or less to give."""
        resold = scheduling.oversell != self.scheduling.oversell
        self.scheduling = scheduling
        if resold:
            for info in self._infos.values():
                info.describe(info.node, scheduling.oversell)
            self._partitions.clear()
        return resold

    def put_node(self, node: Node) -> bool:
        """Take over a node's record; True if the node is new and its tasks must be tracked."""
        info = self._infos.get(node.id)
        if info is None:
            info = self._infos[node.id] = NodeInfo(node, self.scheduling.oversell)
            self._changed(info)
            return True
        info.describe(node, self.scheduling.oversell)
        self._changed(info)
        return False

    def drop_node(self, node_id: NodeId) -> None:
        info = self._infos.pop(node_id, None)
        if info is None:
            return
        for task_id in list(info.loads):
            self._uncount(info, task_id)
        self.failures.drop_node(node_id)
        self._changed(info)

    def track(self, task: Task) -> None:
        """Count what the task takes up now, wherever it was counted before."""
        place = place_of(task)
        info = self._infos.get(place) if place else None
        if info is None:
            self.forget(task.id)
        else:
            self.put(task.id, load_of(task, self.kind_of(task)), info)

    def put(self, task_id: TaskId, load: Load, info: NodeInfo) -> None:
        """Count `load` for the task on a node of this fleet, in place of what was counted before.

        Nothing happens if just that is counted already.
        """
        before = self._where.get(task_id)
        if before is info and info.loads[task_id] == load:
            return
        if before is not None:
            self._uncount(before, task_id)
            self._changed(before)
        info.put(task_id, load)
        self._where[task_id] = info
        kind = load.kind
        if not kind.tasks:
            self.kinds.add(kind)
        kind.tasks += 1
        if load.active:
            kind.nodes[info.id] = kind.nodes.get(info.id, 0) + 1
            self._serving.setdefault(kind.service_id, {})[info.id] = info
        self._changed(info)

    def forget(self, task_id: TaskId) -> None:
        """Stop counting the task; nothing happens if it was not counted."""
        info = self._where.get(task_id)
        if info is not None:
            self._uncount(info, task_id)
            self._changed(info)

    def kind_of(self, task: Task) -> Kind:
        """The kind that a load of the task has to point to."""
        known = self.kinds.find((task.service_id, task.spec_version))
        return known if known is not None and known.is_of(task.spec) else Kind(task)

    def kind_like(self, kind: Kind) -> Kind:
        """The kind that loads have to point to in place of one made elsewhere."""
        known = self.kinds.find(kind.version)
        return known if known is not None and known.is_of(kind.spec) else kind

    def find_node_of(self, task_id: TaskId) -> NodeInfo | None:
        """Where a task is counted."""
        return self._where.get(task_id)

    def serving(self, service_id: ServiceId) -> dict[NodeId, NodeInfo]:
        """Nodes with active tasks of a service; live, and not to be changed."""
        return self._serving.get(service_id, {})

    def failing(self, version: Version, now: Instant) -> dict[NodeId, int]:
        """Nodes to be avoided for a service version, and how often they failed it."""
        return self.failures.failing(version, now)

    def note_failure(self, node_id: NodeId, version: Version, at: Instant) -> None:
        if node_id in self._infos:
            self.failures.note(version, node_id, at)

    def partition(self, attributes: tuple[str, ...], order: Order) -> Partition:
        """The nodes in cells by these attributes, brought up to date.

        It stays as it is, whatever is counted meanwhile, until it is next asked for.
        """
        key = (attributes, order)
        partition = self._partitions.pop(key, None)
        end = self._journal_start + len(self._journal)
        if partition is None or partition.cursor < self._journal_start:
            partition = self._make(attributes, order)
        elif partition.cursor < end:
            fresh = self._journal[partition.cursor - self._journal_start :]
            partition.refresh(dict.fromkeys(fresh), self._infos)
        partition.cursor = end
        self._partitions[key] = partition  # now the most recently used
        if len(self._partitions) > PARTITIONS_MAX:
            del self._partitions[next(iter(self._partitions))]
        return partition

    def _make(self, attributes: tuple[str, ...], order: Order) -> Partition:
        shared = Order(order.strategy)
        if order.service_id is not None and (attributes, shared) in self._partitions:
            return self.partition(attributes, shared).reordered(order)
        return Partition(attributes, order, self._infos.values())

    def put_in_order(self) -> None:
        """Make the orders that most groups will ask for, ahead of the first that does."""
        if self.scheduling.strategy is not Strategy.SPREAD:
            return
        self.partition((), Order(Strategy.SPREAD))
        common = (service_id for service_id in self._serving if self.is_common(service_id))
        for service_id in islice(common, ORDERED_AHEAD_MAX):
            self.partition((), Order(Strategy.SPREAD, service_id=service_id))

    def is_common(self, service_id: ServiceId) -> bool:
        """Whether a service is on so many nodes that keeping them in order for it alone pays."""
        count = len(self._serving.get(service_id, ()))
        return count >= self.common_from and count * SERVING_SHARE >= len(self._infos)

    def _uncount(self, info: NodeInfo, task_id: TaskId) -> None:
        load = info.drop(task_id)
        del self._where[task_id]
        kind = load.kind
        kind.tasks -= 1
        if load.active:
            left = kind.nodes[info.id] - 1
            if left:
                kind.nodes[info.id] = left
            else:
                del kind.nodes[info.id]
            if kind.service_id not in info.active_of:
                serving = self._serving[kind.service_id]
                del serving[info.id]
                if not serving:
                    del self._serving[kind.service_id]
        if not kind.tasks:
            self.kinds.remove(kind)

    def _changed(self, info: NodeInfo) -> None:
        if not self._partitions:
            return  # the first one is made of the nodes as they are then
        self._journal.append(info)
        if len(self._journal) > 4 * len(self._infos) + _JOURNAL_SLACK:
            oldest = len(self._journal) // 2  # partitions in use know them already
            self._journal_start += oldest
            del self._journal[:oldest]
