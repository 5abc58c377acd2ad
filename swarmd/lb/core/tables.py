"""The endpoint table: which services are published, and which tasks take their connections.

A table has a version (the log index it was made from) and travels as one complete `Delta` and then
differences. A delta applies to exactly one version; a receiver at another one has missed something
and must ask for a complete table again. Unchanged services keep their identity from one table to
the next, so comparing two tables costs little more than walking the list of services.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from msgspec import Struct
from msgspec.structs import replace

from swarmd.model.ids import NodeId, ServiceId, TaskId
from swarmd.model.states import Balance, PortPolicy, Protocol
from swarmd.network.core.deltas import OutOfStep


class PortMapping(Struct, frozen=True, gc=False):
    """A target port of which there is something to say: another number on the task's host, or that
    the task itself answers there over IPv6, too."""

    protocol: Protocol
    target_port: int
    host_port: int
    ipv6: bool = False


class PublishedPort(Struct, frozen=True, order=False, gc=False):
    """A port that every node answers on behalf of a service."""

    protocol: Protocol
    published_port: int
    target_port: int
    policy: PortPolicy = PortPolicy.SOURCE
    address: str = ""  # the only address, or interface, of a node that answers; empty: all of them
    # Of the node, what that comes to there; None: all. No table tells: each node finds out.
    addresses: tuple[str, ...] | None = None


class Backend(Struct, frozen=True, gc=False):
    """A running task, and where other nodes reach it."""

    task_id: TaskId
    node_id: NodeId
    address: str
    ports: tuple[PortMapping, ...] = ()
    ingress_address: str = ""  # its own on the ingress network; empty when it takes no part there
    weight: int = 1  # at least 1: its share of new connections

    def host_port(self, protocol: Protocol, target_port: int) -> int:
        """The port on `address` behind `target_port`; the same number when nothing says else."""
        mapping = self._mapping(protocol, target_port)
        return mapping.host_port if mapping is not None else target_port

    def answers_ipv6(self, protocol: Protocol, target_port: int) -> bool:
        """Whether the task itself is known to answer clients that come by IPv6."""
        mapping = self._mapping(protocol, target_port)
        return mapping is not None and mapping.ipv6

    def _mapping(self, protocol: Protocol, target_port: int) -> PortMapping | None:
        for mapping in self.ports:
            if mapping.target_port == target_port and mapping.protocol is protocol:
                return mapping
        return None


class ServiceEndpoints(Struct, frozen=True, gc=False):
    """One service's row: its published ports, and its backends in order of task id."""

    service_id: ServiceId
    service_name: str
    ports: tuple[PublishedPort, ...]
    backends: tuple[Backend, ...] = ()
    balance: Balance = Balance.ROUND_ROBIN


_NO_SERVICES: Mapping[ServiceId, ServiceEndpoints] = MappingProxyType({})


class Tables(Struct, frozen=True):
    """All rows at one version. `services` is never changed in place."""

    version: int = 0
    services: Mapping[ServiceId, ServiceEndpoints] = _NO_SERVICES


class BackendChange(Struct, frozen=True, gc=False):
    """A service whose ports stayed the same: backends that came or changed, and tasks that left."""

    service_id: ServiceId
    backends: tuple[Backend, ...] = ()
    removed: tuple[TaskId, ...] = ()


class Delta(Struct, frozen=True):
    """The step from one version of the table to another.

    With `complete`, `services` is the whole table and `applies_to` says nothing. Otherwise rows in
    `services` replace or add whole services, `changes` touch the backends of known ones.
    """

    complete: bool
    applies_to: int
    results_in: int
    services: tuple[ServiceEndpoints, ...] = ()
    changes: tuple[BackendChange, ...] = ()
    removed: tuple[ServiceId, ...] = ()

    @property
    def rows(self) -> int:
        """How many services and backends it carries, with those that left."""
        return (
            sum(1 + len(row.backends) for row in self.services)
            + sum(1 + len(change.backends) + len(change.removed) for change in self.changes)
            + len(self.removed)
        )


def complete(tables: Tables) -> Delta:
    """The delta that carries all of `tables`."""
    return Delta(
        complete=True,
        applies_to=0,
        results_in=tables.version,
        services=tuple(tables.services.values()),
    )


def advance(tables: Tables, delta: Delta) -> Tables:
    """The table after `delta`; rows it does not name keep their identity.

    Raises:
        OutOfStep: the delta starts from another version, or touches a service that isn't there.
    """
    if delta.complete:
        return Tables(delta.results_in, {row.service_id: row for row in delta.services})
    if delta.applies_to != tables.version:
        raise OutOfStep(
            f"endpoint changes build on version {delta.applies_to}, "
            f"but the table here is at {tables.version}"
        )
    services = dict(tables.services)
    for service_id in delta.removed:
        services.pop(service_id, None)
    for row in delta.services:
        services[row.service_id] = row
    for change in delta.changes:
        known = services.get(change.service_id)
        if known is None:
            raise OutOfStep(f"endpoint changes name service {change.service_id}, unknown here")
        services[change.service_id] = _with_change(known, change)
    return Tables(delta.results_in, services)


def _with_change(row: ServiceEndpoints, change: BackendChange) -> ServiceEndpoints:
    backends = {backend.task_id: backend for backend in row.backends}
    for task_id in change.removed:
        backends.pop(task_id, None)
    for backend in change.backends:
        backends[backend.task_id] = backend
    return replace(row, backends=tuple(backends[task_id] for task_id in sorted(backends)))
