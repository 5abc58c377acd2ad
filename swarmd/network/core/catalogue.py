"""From committed state to the tables of all networks, kept up with change by change.

Every network has its own chain of versions. A change of one task costs the work for that task on
each of its networks, a change of a node the work for its peers' rows, and for its tasks only if it
can be reached in another way than before. `docs/design/dataplane.md` tells how deltas travel.

Rows are kept from the moment a record refers to a network, whether or not the network is there
yet; so the order of changes within one commit, or a snapshot, does not matter.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Generic, TypeVar

from msgspec.structs import replace

from swarmd.model.ids import NetworkId, NodeId, ServiceId, TaskId
from swarmd.model.network import Network, NetworkAttachment, is_node_local
from swarmd.model.node import Node
from swarmd.model.service import Service
from swarmd.model.task import Task
from swarmd.network.core.deltas import NetworkDelta
from swarmd.network.core.rows import (
    endpoint_of,
    head_of,
    peer_of,
    reach,
    service_rows,
    weight_label_of,
)
from swarmd.network.core.tables import Endpoint, NetworkTable, Peer, ServiceRow
from swarmd.store.changes import Change, Committed
from swarmd.store.view import View

K = TypeVar("K", bound=str)
V = TypeVar("V")


class _Rows(Generic[K, V]):
    """Rows of one kind, and which of them were touched since the last delta."""

    def __init__(self) -> None:
        self.present: dict[K, V] = {}
        self._touched: dict[K, None] = {}

    @property
    def changed(self) -> bool:
        return bool(self._touched)

    def put(self, key: K, row: V | None) -> bool:
        """Have `row`, or none, under `key`; False when it was so before."""
        if self.present.get(key) == row:
            return False
        if row is None:
            del self.present[key]
        else:
            self.present[key] = row
        self._touched[key] = None
        return True

    def take(self) -> tuple[tuple[V, ...], tuple[K, ...]]:
        """Rows that came or changed, and keys of those that left, since the last call."""
        present = self.present
        came = tuple(present[key] for key in self._touched if key in present)
        left = tuple(key for key in self._touched if key not in present)
        self._touched.clear()
        return came, left


class _Network:
    """One network while it is kept up to date; `head` is None as long as it doesn't exist."""

    def __init__(self) -> None:
        self.head: NetworkTable | None = None
        self.head_changed = False
        self.version = 0
        self.changed_at = 0
        self.peers: _Rows[NodeId, Peer] = _Rows()
        self.services: _Rows[ServiceId, ServiceRow] = _Rows()
        self.endpoints: _Rows[TaskId, Endpoint] = _Rows()

    @property
    def empty(self) -> bool:
        rows = (self.peers.present, self.services.present, self.endpoints.present)
        return self.head is None and not any(rows)

    def table(self) -> NetworkTable | None:
        if self.head is None:
            return None
        return replace(
            self.head,
            version=self.version,
            peers=dict(self.peers.present),
            services=dict(self.services.present),
            endpoints=dict(self.endpoints.present),
        )

    def take(self, network_id: NetworkId, results_in: int) -> NetworkDelta:
        peers, removed_peers = self.peers.take()
        services, removed_services = self.services.take()
        endpoints, removed_endpoints = self.endpoints.take()
        delta = NetworkDelta(
            network_id=network_id,
            complete=False,
            applies_to=self.version,
            results_in=results_in,
            head=self.head if self.head_changed else None,
            peers=peers,
            services=services,
            endpoints=endpoints,
            removed_peers=removed_peers,
            removed_services=removed_services,
            removed_endpoints=removed_endpoints,
        )
        self.head_changed = False
        self.version = results_in
        return delta


class NetworkCatalogue:
    """The wanted tables of all networks of a view, and what has changed since last asked.

    Feed it every commit, in order. Deltas of one network, taken one after the other and applied to
    an earlier `table`, lead to the latest.
    """

    def __init__(self, view: View) -> None:
        """Begin with what `view` holds now; that is nobody's news."""
        self._view = view
        self._observed = view.index
        self._networks: dict[NetworkId, _Network] = {}
        self._changed: dict[NetworkId, None] = {}
        self._of_service: dict[ServiceId, tuple[NetworkId, ...]] = {}  # where it has rows
        for network in view.networks():
            self._judge_head(network.id)
        for node in view.nodes():
            self._judge_peer(node.id, node.attachments)
        for service in view.services():
            self._judge_service(service.id)
        for task in view.tasks():
            self._judge_task(task.id, task.networks)
        for network_id in list(self._changed):
            self._networks[network_id].take(network_id, view.index)
            self._networks[network_id].changed_at = 0
        self._changed.clear()

    @property
    def changed(self) -> tuple[NetworkId, ...]:
        """Networks that `take` has something to tell of, or that are there no more."""
        return tuple(self._changed)

    def has(self, network_id: NetworkId) -> bool:
        """Whether the network exists."""
        return self._found(network_id) is not None

    def version(self, network_id: NetworkId) -> int:
        """The log index at which the last delta was taken: what receivers have."""
        network = self._found(network_id)
        return network.version if network is not None else 0

    def changed_at(self, network_id: NetworkId) -> int:
        """The log index of the last change that shows in the table; 0: none since the beginning."""
        network = self._found(network_id)
        return network.changed_at if network is not None else 0

    def table(self, network_id: NetworkId) -> NetworkTable | None:
        """The whole table at its `version`; take the delta first when it has changed."""
        if network_id in self._changed:
            raise AssertionError(f"network {network_id} has changes that no delta has told")
        network = self._networks.get(network_id)
        return network.table() if network is not None else None

    def observe(self, committed: Committed) -> None:
        """Take in one committed entry; the view must be at this entry."""
        self._observed = committed.index
        for change in committed.changes:
            match change.new if change.new is not None else change.old:
                case Task() as task:
                    attachments = _attachments(change)
                    if attachments:
                        self._judge_task(task.id, attachments)
                case Node() as node:
                    self._judge_node(change, node.id)
                case Service() as service:
                    self._judge_service(service.id)
                    if _weighted(change.old) != _weighted(change.new):
                        for task in self._view.tasks_of_service(service.id):
                            self._judge_task(task.id, task.networks)
                case Network() as network:
                    self._judge_network(network)

    def take(self, network_id: NetworkId) -> NetworkDelta | None:
        """The step from `version` to the latest commit; None if the network is there no more."""
        self._changed.pop(network_id, None)
        network = self._networks.get(network_id)
        if network is None:
            return None
        if network.empty:
            del self._networks[network_id]
        return network.take(network_id, self._observed) if network.head is not None else None

    # --- inside

    def _found(self, network_id: NetworkId) -> _Network | None:
        network = self._networks.get(network_id)
        return network if network is not None and network.head is not None else None

    def _put(
        self,
        network_id: NetworkId,
        kind: Callable[[_Network], _Rows[K, V]],
        key: K,
        row: V | None,
    ) -> None:
        network = self._networks.get(network_id)
        if network is None:
            if row is None:
                return
            network = self._networks[network_id] = _Network()
        if kind(network).put(key, row):
            self._note(network_id, network)

    def _note(self, network_id: NetworkId, network: _Network) -> None:
        network.changed_at = self._observed
        self._changed[network_id] = None

    def _judge_network(self, network: Network) -> None:
        """Its own fields; and services take part in networks by their being there."""
        self._judge_head(network.id)
        concerned: Iterable[Service] = self._view.services_using_network(network.id)
        if network.spec.ingress:
            concerned = self._view.services()
        for service in concerned:
            self._judge_service(service.id)

    def _judge_head(self, network_id: NetworkId) -> None:
        record = self._view.find_network(network_id)
        head = head_of(record) if record is not None and not is_node_local(record) else None
        network = self._networks.get(network_id)
        if network is None:
            network = _Network()
        if network.head != head:
            network.head, network.head_changed = head, True
            self._networks[network_id] = network
            self._note(network_id, network)

    def _judge_node(self, change: Change, node_id: NodeId) -> None:
        """Heartbeats and the like change nodes all the time; only what rows show matters."""
        old, new = change.old, change.new
        same = isinstance(old, Node) and isinstance(new, Node) and _shown(old) == _shown(new)
        if same and _attached(old) is _attached(new):
            return
        self._judge_peer(node_id, _attachments(change))
        if not same:
            for task in self._view.tasks_of_node(node_id):
                self._judge_task(task.id, task.networks)

    def _judge_peer(self, node_id: NodeId, attachments: Iterable[NetworkAttachment]) -> None:
        node = self._view.find_node(node_id)
        for network_id in _ids(attachments):
            row = peer_of(node, network_id) if node is not None else None
            self._put(network_id, _peers, node_id, row)

    def _judge_service(self, service_id: ServiceId) -> None:
        service = self._view.find_service(service_id)
        rows = service_rows(service, self._view) if service is not None else {}
        before = self._of_service.pop(service_id, ())
        if rows:
            self._of_service[service_id] = tuple(rows)
        for network_id in dict.fromkeys((*before, *rows)):
            self._put(network_id, _services, service_id, rows.get(network_id))

    def _judge_task(self, task_id: TaskId, attachments: Iterable[NetworkAttachment]) -> None:
        task = self._view.find_task(task_id)
        if task is None:
            for network_id in _ids(attachments):
                self._put(network_id, _endpoints, task_id, None)
            return
        node = self._view.find_node(task.node_id)
        label = weight_label_of(self._view.find_service(task.service_id))
        for network_id in _ids(attachments):
            row = endpoint_of(task, node, network_id, weight_label=label)
            self._put(network_id, _endpoints, task_id, row)


def _peers(network: _Network) -> _Rows[NodeId, Peer]:
    return network.peers


def _services(network: _Network) -> _Rows[ServiceId, ServiceRow]:
    return network.services


def _endpoints(network: _Network) -> _Rows[TaskId, Endpoint]:
    return network.endpoints


def _attachments(change: Change) -> tuple[NetworkAttachment, ...]:
    """The attachments of a task or node before and after a change."""
    before, after = _attached(change.old), _attached(change.new)
    return after if before is after else (*before, *after)


def _ids(attachments: Iterable[NetworkAttachment]) -> Iterable[NetworkId]:
    return dict.fromkeys(attachment.network_id for attachment in attachments)


def _attached(record: object) -> tuple[NetworkAttachment, ...]:
    match record:
        case Task(networks=networks):
            return networks
        case Node(attachments=attachments):
            return attachments
        case _:
            return ()


def _weighted(record: object) -> str:
    return weight_label_of(record) if isinstance(record, Service) else ""


def _shown(node: Node) -> tuple[str, str, object]:
    """What the rows of a node and its tasks show of it."""
    return reach(node), node.hostname, node.spec.labels
