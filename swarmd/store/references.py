"""What a service's spec refers to: the networks, secrets and configs that must outlive it. Pure."""

from __future__ import annotations

from swarmd.model.service import Service
from swarmd.model.spec import NetworkAttachmentConfig, ServiceSpec


def networks_of(spec: ServiceSpec) -> tuple[NetworkAttachmentConfig, ...]:
    """The networks a service's tasks take part in; the older place counts if the newer is empty."""
    return spec.task_template.networks or spec.networks


def network_ids(service: Service) -> tuple[str, ...]:
    return tuple(attachment.target for attachment in networks_of(service.spec))


def secret_ids(service: Service) -> tuple[str, ...]:
    container = service.spec.task_template.container_spec
    return tuple(reference.secret_id for reference in container.secrets) if container else ()


def config_ids(service: Service) -> tuple[str, ...]:
    container = service.spec.task_template.container_spec
    return tuple(reference.config_id for reference in container.configs) if container else ()
