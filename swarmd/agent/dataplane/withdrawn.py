"""Tables without tasks that have ended, before the managers have heard of it. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Set

from msgspec.structs import replace

from swarmd.lb.core.tables import Tables
from swarmd.model.ids import NetworkId, TaskId
from swarmd.network.core.tables import NetworkTable


def named(
    tasks: Set[TaskId], published: Tables, networks: Mapping[NetworkId, NetworkTable]
) -> frozenset[TaskId]:
    """Those of `tasks` that the tables still balance to."""
    if not tasks:
        return frozenset()
    balanced = {
        task_id
        for table in networks.values()
        for task_id in tasks
        if task_id in table.endpoints and table.endpoints[task_id].ready
    }
    balanced |= {
        backend.task_id
        for service in published.services.values()
        for backend in service.backends
        if backend.task_id in tasks
    }
    return frozenset(balanced)


def without(tasks: Set[TaskId], table: NetworkTable) -> NetworkTable:
    """The table in which none of `tasks` is ready; the same if none was."""
    changed = {
        task_id: replace(table.endpoints[task_id], ready=False)
        for task_id in sorted(tasks)
        if task_id in table.endpoints and table.endpoints[task_id].ready
    }
    return replace(table, endpoints={**table.endpoints, **changed}) if changed else table


def unpublished(tasks: Set[TaskId], published: Tables) -> Tables:
    """Published ports that lead to none of `tasks`; the same if none did."""
    services = {}
    for service_id, service in published.services.items():
        kept = tuple(backend for backend in service.backends if backend.task_id not in tasks)
        if len(kept) < len(service.backends):
            services[service_id] = replace(service, backends=kept)
    return (
        replace(published, services={**published.services, **services}) if services else published
    )
