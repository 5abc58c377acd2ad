"""Short factories for service specs."""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from swarmd.model.spec import (
    ContainerSpec,
    EndpointSpec,
    PortConfig,
    Replicated,
    ServiceMode,
    ServiceSpec,
    TaskSpec,
)


def a_spec(name: str = "web", *, replicas: int = 1, **fields: Any) -> ServiceSpec:
    """A valid replicated service; `fields` replace those of the spec."""
    spec = ServiceSpec(
        name=name,
        task_template=a_task_spec(),
        mode=ServiceMode(replicated=Replicated(replicas=replicas)),
    )
    return replace(spec, **fields)


def a_task_spec(**fields: Any) -> TaskSpec:
    return replace(TaskSpec(container_spec=a_container()), **fields)


def a_container(**fields: Any) -> ContainerSpec:
    return replace(ContainerSpec(command=("sleep", "1000")), **fields)


def published(*ports: int) -> EndpointSpec:
    return EndpointSpec(
        ports=tuple(PortConfig(target_port=80, published_port=port) for port in ports)
    )
