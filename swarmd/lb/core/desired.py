"""From committed state to the endpoint table, kept up with change by change.

A service has a row while it publishes a port through the mesh. Its backends are the tasks that are
observed RUNNING and desired to be no further, on nodes that are not known to be down: a node that
is merely UNKNOWN after an election keeps its tasks in the table, because they are most likely fine.

A change of one task costs the work for that task, and its service's row is rebuilt once per delta
however many of its tasks changed. `docs/design/lb.md` tells how deltas travel.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from swarmd.lb.core.tables import (
    Backend,
    BackendChange,
    Delta,
    PortMapping,
    PublishedPort,
    ServiceEndpoints,
    Tables,
)
from swarmd.model.ids import NetworkId, NodeId, ServiceId, TaskId
from swarmd.model.network import Network
from swarmd.model.node import Node
from swarmd.model.service import Service
from swarmd.model.states import PublishMode
from swarmd.model.task import Task
from swarmd.network.core.rows import (
    balance_of,
    reach,
    takes_connections,
    weight_label_of,
    weight_of,
)
from swarmd.store.changes import Committed
from swarmd.store.held_addresses import bare
from swarmd.store.view import View


class _Row:
    """A published service while it is kept up to date."""

    def __init__(self, service: Service, ports: tuple[PublishedPort, ...]) -> None:
        self.name = service.spec.name
        self.ports = ports
        self.balance = balance_of(service)
        self.weight_label = weight_label_of(service)
        self.backends: dict[TaskId, Backend] = {}

    def endpoints(self, service_id: ServiceId) -> ServiceEndpoints:
        return ServiceEndpoints(
            service_id=service_id,
            service_name=self.name,
            ports=self.ports,
            backends=tuple(self.backends[task_id] for task_id in sorted(self.backends)),
            balance=self.balance,
        )

    def shows(self, service: Service) -> bool:
        """Whether it says of the service itself what there is to say."""
        return (
            self.name == service.spec.name
            and self.ports == published_ports(service)
            and self.balance is balance_of(service)
            and self.weight_label == weight_label_of(service)
        )


class EndpointCatalogue:
    """The wanted endpoint table of a view, and what has changed since it was last asked.

    Feed it every commit, in order. `take_delta` gives the changes since the last call as one step;
    deltas taken one after the other, applied to an earlier `tables()`, lead to the latest.
    """

    def __init__(self, view: View) -> None:
        """Begin with what `view` holds now."""
        self._view = view
        self._rows: dict[ServiceId, _Row] = {}
        self._observed = view.index
        self._changed_at = 0
        self._version = view.index
        self._renewed: dict[ServiceId, None] = {}  # rows to send as a whole, or that are gone
        self._touched: dict[ServiceId, dict[TaskId, None]] = {}  # backends that came, left, changed
        for service in view.services():
            self._renew(service.id, service)
        self._renewed.clear()
        self._changed_at = 0

    @property
    def version(self) -> int:
        """The log index at which the last delta was taken: what receivers have."""
        return self._version

    @property
    def changed_at(self) -> int:
        """The log index of the last change that shows in the table; 0: none since the beginning."""
        return self._changed_at

    @property
    def changed(self) -> bool:
        """Whether `take_delta` has something to tell."""
        return bool(self._renewed or self._touched)

    def tables(self) -> Tables:
        """The whole table at `version`; take the delta first when something `changed`."""
        if self.changed:
            raise AssertionError("the table holds changes that no delta has told")
        rows: Mapping[ServiceId, ServiceEndpoints] = {
            service_id: row.endpoints(service_id) for service_id, row in self._rows.items()
        }
        return Tables(self._version, rows)

    def observe(self, committed: Committed) -> None:
        """Take in one committed entry; the view must be at this entry."""
        self._observed = committed.index
        for change in committed.changes:
            match change.new if change.new is not None else change.old:
                case Task() as task:
                    self._judge(task.id, task.service_id)
                case Service() as service:
                    self._judge_service(service.id)
                case Node() as node:
                    self._judge_node(change.old, change.new, node.id)
                case Network() as network if network.spec.ingress:
                    self._judge_ingress()

    def take_delta(self) -> Delta | None:
        """The step from `version` to the latest commit; None when nothing changed in between."""
        if not self.changed:
            return None
        services: list[ServiceEndpoints] = []
        removed: list[ServiceId] = []
        for service_id in self._renewed:
            row = self._rows.get(service_id)
            if row is None:
                removed.append(service_id)
            else:
                services.append(row.endpoints(service_id))
        changes = tuple(
            self._change(service_id, tuple(task_ids))
            for service_id, task_ids in self._touched.items()
            if service_id not in self._renewed
        )
        delta = Delta(
            complete=False,
            applies_to=self._version,
            results_in=self._observed,
            services=tuple(services),
            changes=changes,
            removed=tuple(removed),
        )
        self._version = self._observed
        self._renewed.clear()
        self._touched.clear()
        return delta

    def _change(self, service_id: ServiceId, task_ids: tuple[TaskId, ...]) -> BackendChange:
        backends = self._rows[service_id].backends
        return BackendChange(
            service_id=service_id,
            backends=tuple(backends[task_id] for task_id in task_ids if task_id in backends),
            removed=tuple(task_id for task_id in task_ids if task_id not in backends),
        )

    def _judge_service(self, service_id: ServiceId) -> None:
        service = self._view.find_service(service_id)
        row = self._rows.get(service_id)
        if service is not None and row is not None:
            if row.shows(service):
                return  # nothing that shows in the table; this is what most updates are
        elif row is None and (service is None or not published_ports(service)):
            return
        self._renew(service_id, service)

    def _renew(self, service_id: ServiceId, service: Service | None) -> None:
        """Make a service's row anew from the view, or drop it."""
        self._changed_at = self._observed
        self._renewed[service_id] = None
        ports = published_ports(service) if service is not None else ()
        if service is None or not ports:
            self._rows.pop(service_id, None)
            return
        row = _Row(service, ports)
        for task in self._view.tasks_of_service(service_id):
            backend = self._backend(task, row)
            if backend is not None:
                row.backends[task.id] = backend
        self._rows[service_id] = row

    def _judge_node(self, old: object, new: object, node_id: NodeId) -> None:
        """Heartbeats and the like change nodes all the time; only what backends show matters."""
        if isinstance(old, Node) and isinstance(new, Node) and _shown(old) == _shown(new):
            return
        for task in self._view.tasks_of_node(node_id):
            self._judge(task.id, task.service_id)

    def _judge_ingress(self) -> None:
        """Another ingress network is another address for every task."""
        for service_id, row in list(self._rows.items()):
            for task_id in list(row.backends):
                self._judge(task_id, service_id)

    def _backend(self, task: Task, row: _Row) -> Backend | None:
        ingress = self._view.find_ingress_network()
        node = self._view.find_node(task.node_id)
        ingress_id = ingress.id if ingress is not None else NetworkId("")
        return backend_of(task, node, ingress_id, weight_label=row.weight_label)

    def _judge(self, task_id: TaskId, service_id: ServiceId) -> None:
        row = self._rows.get(service_id)
        if row is None:
            return
        task = self._view.find_task(task_id)
        backend = self._backend(task, row) if task is not None else None
        if backend == row.backends.get(task_id):
            return
        if backend is None:
            del row.backends[task_id]
        else:
            row.backends[task_id] = backend
        self._changed_at = self._observed
        self._touched.setdefault(service_id, {})[task_id] = None


def published_ports(service: Service) -> tuple[PublishedPort, ...]:
    """The ports of a service that every node answers, once their numbers are chosen."""
    if service.endpoint is None:
        return ()
    return tuple(
        PublishedPort(
            port.protocol, port.published_port, port.target_port, port.policy, port.address
        )
        for port in service.endpoint.ports
        if port.publish_mode is PublishMode.INGRESS and port.published_port and port.target_port
    )


def backend_of(
    task: Task, node: Node | None, ingress_id: NetworkId, *, weight_label: str = ""
) -> Backend | None:
    """Where a task takes connections; None while it should get none."""
    if node is None or not takes_connections(task, node):
        return None
    return Backend(
        task_id=task.id,
        node_id=task.node_id,
        address=reach(node),
        ports=tuple(_mappings(task)),
        ingress_address=_address_on(task, ingress_id),
        weight=weight_of(node, weight_label),
    )


def _shown(node: Node) -> tuple[str, object]:
    """What backends show of their node."""
    return reach(node), node.spec.labels


def _mappings(task: Task) -> Iterator[PortMapping]:
    at = {
        (port.protocol, port.target_port): port.published_port
        for port in task.status.ports
        if port.published_port and not port.address  # which need not be the one that others know
    }
    by_ipv6 = dict.fromkeys((port.protocol, port.target_port) for port in task.status.ipv6_ports)
    for protocol, target in {**at, **by_ipv6}:
        host, ipv6 = at.get((protocol, target), target), (protocol, target) in by_ipv6
        if host != target or ipv6:
            yield PortMapping(protocol, target, host, ipv6)


def _address_on(task: Task, network_id: NetworkId) -> str:
    """A task's first address on a network, without the length of its prefix."""
    for attachment in task.networks:
        if attachment.network_id == network_id and attachment.addresses:
            return bare(attachment.addresses[0])
    return ""
