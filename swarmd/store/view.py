"""Reading the tables: the typed questions every decision and every request asks.

A `View` is the live state. Under one event loop a decision without `await` reads one version of
it, so a view costs nothing; whoever awaits must read again afterwards.
"""

from __future__ import annotations

from typing import Any

from swarmd.model.cluster import Cluster
from swarmd.model.errors import not_found
from swarmd.model.ids import NodeId, ServiceId, TaskId
from swarmd.model.node import Node
from swarmd.model.service import Service
from swarmd.model.task import Task
from swarmd.store.catalogue import Catalogue
from swarmd.store.changes import Kind, Object
from swarmd.store.references import config_ids, network_ids, secret_ids
from swarmd.store.tables import Table


class View(Catalogue):
    """Read access to the tables, by id and by index. `find_` may return None, `get_` rejects."""

    def __init__(self) -> None:
        super().__init__()
        self._clusters: Table[Cluster] = Table()
        self._nodes: Table[Node] = Table({"hostname": lambda node: node.hostname or None})
        self._services: Table[Service] = Table(
            {"name": lambda row: row.spec.name.lower()},
            references={"network": network_ids, "secret": secret_ids, "config": config_ids},
        )
        self._tasks: Table[Task] = Table(
            {
                "service": lambda task: task.service_id or None,
                "node": lambda task: task.node_id or None,
                "slot": lambda task: (task.service_id, task.slot) if task.slot else None,
            }
        )
        self._tables: dict[Kind, Table[Any]] = {
            Kind.CLUSTER: self._clusters,
            Kind.NODE: self._nodes,
            Kind.SERVICE: self._services,
            Kind.TASK: self._tasks,
            Kind.NETWORK: self._networks,
            Kind.SECRET: self._secrets,
            Kind.CONFIG: self._configs,
            Kind.EXTENSION: self._extensions,
            Kind.RESOURCE: self._resources,
        }
        self._index = 0

    @property
    def index(self) -> int:
        """The log index of the last entry applied."""
        return self._index

    def find(self, kind: Kind, object_id: str) -> Object | None:
        row: Object | None = self._tables[kind].find(object_id)
        return row

    def all(self, kind: Kind) -> tuple[Object, ...]:
        """All records of a kind, in creation order."""
        return self._tables[kind].all()

    def find_cluster(self) -> Cluster | None:
        """The one cluster object; None before the cluster was founded."""
        return next(iter(self._clusters), None)

    def cluster(self) -> Cluster:
        cluster = self.find_cluster()
        if cluster is None:
            raise not_found("cluster", "default")
        return cluster

    def find_node(self, node_id: str) -> Node | None:
        return self._nodes.find(node_id)

    def get_node(self, node_id: str) -> Node:
        node = self._nodes.find(node_id)
        if node is None:
            raise not_found("node", node_id)
        return node

    def nodes(self) -> tuple[Node, ...]:
        return self._nodes.all()

    def nodes_by_hostname(self, hostname: str) -> tuple[Node, ...]:
        return self._nodes.by("hostname", hostname)

    def find_service(self, service_id: str) -> Service | None:
        return self._services.find(service_id)

    def get_service(self, service_id: str) -> Service:
        service = self._services.find(service_id)
        if service is None:
            raise not_found("service", service_id)
        return service

    def find_service_by_name(self, name: str) -> Service | None:
        """Names are compared without regard to case."""
        return next(iter(self._services.by("name", name.lower())), None)

    def services(self) -> tuple[Service, ...]:
        return self._services.all()

    def services_using_network(self, network_id: str) -> tuple[Service, ...]:
        return self._services.by("network", network_id)

    def login_version(self, secret_id: str) -> int | None:
        """The version of a login to a registry; None when there is no such login."""
        secret = self._secrets.find(secret_id)
        return secret.version if secret is not None and secret.internal else None

    def services_using_secret(self, secret_id: str) -> tuple[Service, ...]:
        return self._services.by("secret", secret_id)

    def services_using_config(self, config_id: str) -> tuple[Service, ...]:
        return self._services.by("config", config_id)

    def find_task(self, task_id: str) -> Task | None:
        return self._tasks.find(task_id)

    def get_task(self, task_id: str) -> Task:
        task = self._tasks.find(task_id)
        if task is None:
            raise not_found("task", task_id)
        return task

    def tasks(self) -> tuple[Task, ...]:
        return self._tasks.all()

    def tasks_of_service(self, service_id: ServiceId) -> tuple[Task, ...]:
        return self._tasks.by("service", service_id)

    def tasks_of_node(self, node_id: NodeId) -> tuple[Task, ...]:
        return self._tasks.by("node", node_id)

    def tasks_of_slot(self, service_id: ServiceId, slot: int) -> tuple[Task, ...]:
        """All tasks of a replica's slot, current and past, oldest first."""
        return self._tasks.by("slot", (service_id, slot))

    def services_with_tasks(self) -> tuple[ServiceId, ...]:
        """Ids of services that have tasks, whether or not the service still exists."""
        return tuple(ServiceId(str(key)) for key in self._tasks.keys("service"))

    def nodes_with_tasks(self) -> tuple[NodeId, ...]:
        """Ids of nodes that tasks are bound to, whether or not the node still exists."""
        return tuple(NodeId(str(key)) for key in self._tasks.keys("node"))

    def node_count(self) -> int:
        return len(self._nodes)

    def task_count(self) -> int:
        return len(self._tasks)

    def has_task(self, task_id: TaskId) -> bool:
        return self._tasks.find(task_id) is not None
