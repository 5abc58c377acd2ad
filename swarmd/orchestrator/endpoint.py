"""Whether a service has the published ports and virtual addresses that its spec asks for."""

from __future__ import annotations

from swarmd.model.service import Service
from swarmd.orchestrator.allocator.wanted import vip_networks
from swarmd.store.view import View


def is_allocated(service: Service, view: View) -> bool:
    """Whether the committed endpoint answers the spec as it is now."""
    endpoint = service.endpoint
    wanted = set(vip_networks(service, view))
    if endpoint is None:
        return service.spec.endpoint_spec is None and not wanted
    present = {vip.network_id for vip in endpoint.virtual_ips}
    return endpoint.spec == service.spec.endpoint_spec and present == wanted
