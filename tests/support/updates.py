"""Services that are being updated in a simulated swarm, and what can be seen of it."""

from __future__ import annotations

from collections.abc import Iterator

from swarmd.model.ids import ServiceId
from swarmd.model.service import UpdateStatus
from swarmd.model.spec import EndpointSpec, PortConfig, RestartPolicy, ServiceSpec, UpdateConfig
from swarmd.model.states import PublishMode, UpdateOrder
from swarmd.model.task import Task
from tests.support.cluster import Swarm, a_service_spec, a_task_spec

START_FIRST = UpdateConfig(parallelism=1, order=UpdateOrder.START_FIRST)
NOW = RestartPolicy(delay_ns=0)
HOST_PORT = EndpointSpec(
    ports=(PortConfig(target_port=80, published_port=80, publish_mode=PublishMode.HOST),)
)


def a_spec(image: str, config: UpdateConfig, *, replicas: int = 2, **fields: object) -> ServiceSpec:
    template = {"restart_policy": NOW, **fields.pop("task", {})}  # type: ignore[dict-item]
    return a_service_spec(
        replicas=replicas,
        task=a_task_spec(image=image, **template),  # type: ignore[arg-type]
        update_config=config,
        rollback_config=config,
        **fields,
    )


def updating(config: UpdateConfig, *, nodes: int = 2, **fields: object) -> tuple[Swarm, ServiceId]:
    swarm = Swarm(nodes=nodes)
    service_id = swarm.create(a_spec("web:1", config, **fields))
    swarm.converge()
    swarm.update(service_id, a_spec("web:2", config, **fields))
    return swarm, service_id


def image(task: Task) -> str:
    assert task.spec.container_spec is not None
    return task.spec.container_spec.image


def images(swarm: Swarm, service_id: ServiceId) -> list[str]:
    return sorted(image(task) for task in swarm.running(service_id))


def update_status(swarm: Swarm, service_id: ServiceId) -> UpdateStatus:
    status = swarm.store.get_service(service_id).update_status
    assert status is not None
    return status


def walk(swarm: Swarm) -> Iterator[None]:
    """Step by step until nothing is left to do."""
    for _ in range(500):
        moved = swarm.step()
        yield
        if not moved:
            at = swarm.deadline
            if at is None:
                return
            swarm.now = max(at, swarm.now)
    raise AssertionError("the update does not end")
