"""Which networks services, tasks and nodes take part in. Pure.

Most services have no networks and publish no ports; for them these questions cost next to nothing.
"""

from __future__ import annotations

from swarmd.model.ids import NetworkId
from swarmd.model.network import has_addresses
from swarmd.model.service import Service
from swarmd.model.spec import NetworkAttachmentConfig, ServiceSpec
from swarmd.model.states import PublishMode, ResolutionMode
from swarmd.store.references import networks_of
from swarmd.store.view import View


def needs_ingress(spec: ServiceSpec) -> bool:
    """Whether traffic from outside reaches the tasks through the ingress network.

    Tasks on their node's own network are reached there, and are on no other.
    """
    endpoint = spec.endpoint_spec
    container = spec.task_template.container_spec
    access = container.host_access if container is not None else None
    return (
        endpoint is not None
        and not (access is not None and access.network)
        and endpoint.mode is ResolutionMode.VIP
        and any(port.publish_mode is PublishMode.INGRESS for port in endpoint.ports)
    )


def attachments_of(service: Service, view: View) -> tuple[NetworkAttachmentConfig, ...]:
    """The networks a task of `service` is attached to, the ingress network first.

    Networks that don't exist are left out, and one that is named twice counts once.
    """
    spec = service.spec
    named = networks_of(spec)
    ingress = view.find_ingress_network() if spec.endpoint_spec and needs_ingress(spec) else None
    if not named and ingress is None:
        return ()
    wanted: dict[str, NetworkAttachmentConfig] = {}
    if ingress is not None:
        wanted[ingress.id] = NetworkAttachmentConfig(target=ingress.id)
    for attachment in named:
        if view.find_network(attachment.target) is not None:
            wanted.setdefault(attachment.target, attachment)
    return tuple(wanted.values())


def vip_networks(service: Service, view: View) -> tuple[NetworkId, ...]:
    """The networks on which the service has a virtual address, the ingress network first."""
    endpoint = service.spec.endpoint_spec
    if endpoint is not None and endpoint.mode is ResolutionMode.DNSRR:
        return ()
    networks = (view.find_network(wanted.target) for wanted in attachments_of(service, view))
    return tuple(network.id for network in networks if network and has_addresses(network))
