"""Whether a service has the published ports that its spec asks for."""

from __future__ import annotations

from swarmd.model.service import Service


def is_allocated(service: Service) -> bool:
    """Whether the committed endpoint answers the spec as it is now."""
    wanted = service.spec.endpoint_spec
    endpoint = service.endpoint
    if wanted is None:
        return endpoint is None
    return endpoint is not None and endpoint.spec == wanted
