"""What the policies of published ports make of the table on one node. Pure.

A port for tasks of the node that a client connected to leads, on each node, to that node's tasks.
It gets a row of its own, so that back ends need not know: a port, and who answers.
"""

from __future__ import annotations

from msgspec.structs import replace

from swarmd.lb.core.tables import ServiceEndpoints, Tables
from swarmd.model.ids import NodeId, ServiceId
from swarmd.model.states import PortPolicy

_LOCAL_SUFFIX = ".local"  # ids of services have no dot


def here(published: Tables, node_id: NodeId) -> Tables:
    """The table as this node is to serve it; the same if no port is for local tasks alone."""
    services: dict[ServiceId, ServiceEndpoints] = {}
    for service_id, row in published.services.items():
        local = tuple(port for port in row.ports if port.policy is PortPolicy.LOCAL)
        if not local:
            services[service_id] = row
            continue
        shared = tuple(port for port in row.ports if port.policy is not PortPolicy.LOCAL)
        if shared:
            services[service_id] = replace(row, ports=shared)
        own = ServiceId(f"{service_id}{_LOCAL_SUFFIX}")
        backends = tuple(backend for backend in row.backends if backend.node_id == node_id)
        services[own] = replace(row, service_id=own, ports=local, backends=backends)
    if len(services) == len(published.services) and services.keys() == published.services.keys():
        return published
    return Tables(published.version, services)
