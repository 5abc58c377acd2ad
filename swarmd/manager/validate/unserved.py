"""What specs can say and this version doesn't act on: refused by name, never ignored."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from swarmd.model.cluster import ClusterSpec, SchedulingConfig
from swarmd.model.errors import Code, Rejection
from swarmd.model.node import NodeSpec
from swarmd.model.spec import Placement, ResourceRequirements, ServiceSpec
from swarmd.model.states import UpdateOrder

_NO_PLACEMENT, _NO_RESOURCES = Placement(), ResourceRequirements()


def _placement(spec: ServiceSpec) -> Placement:
    return spec.task_template.placement or _NO_PLACEMENT


def _generic(spec: ServiceSpec) -> bool:
    required = spec.task_template.resources or _NO_RESOURCES
    return any(
        amounts is not None and bool(amounts.generic_resources)
        for amounts in (required.limits, required.reservations)
    )


def _update(spec: ServiceSpec) -> bool:
    return any(
        config is not None and bool(config.task_timeout_ns)
        for config in (spec.update_config, spec.rollback_config)
    )


SERVICE: Mapping[str, Callable[[ServiceSpec], object]] = {
    "generic resources": _generic,
    "placement.strategy": lambda spec: _placement(spec).strategy,
    "placement.affinities": lambda spec: _placement(spec).affinities,
    "placement.tolerations": lambda spec: _placement(spec).tolerations,
    "priority": lambda spec: spec.task_template.priority,
    "min_available": lambda spec: spec.min_available,
    "update.task_timeout": _update,
    "stateful": lambda spec: spec.mode.stateful,
}
NODE: Mapping[str, Callable[[NodeSpec], object]] = {
    "taints": lambda spec: spec.taints,
    "oversell": lambda spec: spec.oversell,
    "drain_order": lambda spec: spec.drain_order is not UpdateOrder.STOP_FIRST,
}
CLUSTER: Mapping[str, Callable[[ClusterSpec], object]] = {
    "scheduling": lambda spec: spec.scheduling != SchedulingConfig(),
}


def refuse_unserved_service(spec: ServiceSpec) -> None:
    _refuse("service spec", [name for name, asks in SERVICE.items() if asks(spec)])


def refuse_unserved_node(spec: NodeSpec) -> None:
    _refuse("node spec", [name for name, asks in NODE.items() if asks(spec)])


def refuse_unserved_cluster(spec: ClusterSpec) -> None:
    _refuse("cluster spec", [name for name, asks in CLUSTER.items() if asks(spec)])


def _refuse(what: str, names: list[str]) -> None:
    if names:
        raise Rejection(
            Code.UNIMPLEMENTED,
            f"{what} asks for {', '.join(names)}, which this version of swarmd doesn't support; "
            "leave it out",
        )
