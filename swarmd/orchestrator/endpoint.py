"""Whether a service has the published ports and virtual addresses that its spec asks for."""

from __future__ import annotations

from swarmd.model.service import Service
from swarmd.orchestrator.allocator.wanted import vip_networks
from swarmd.store.view import View


def is_allocated(service: Service, view: View) -> bool:
    """Whether the committed endpoint answers the spec as it is now.

    A service may lack its address on the ingress network, which can be full.
    """
    endpoint = service.endpoint
    wanted = set(vip_networks(service, view))
    ingress = view.find_ingress_network() if wanted else None
    needed = wanted - {ingress.id} if ingress is not None else wanted
    if endpoint is None:
        return service.spec.endpoint_spec is None and not needed
    present = {vip.network_id for vip in endpoint.virtual_ips}
    return endpoint.spec == service.spec.endpoint_spec and needed <= present <= wanted
