"""What specs can say and this version doesn't act on: refused by name, never ignored."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from swarmd.model.cluster import ClusterSpec, RebalanceConfig
from swarmd.model.errors import Code, Rejection
from swarmd.model.spec import ServiceSpec

SERVICE: Mapping[str, Callable[[ServiceSpec], object]] = {}
CLUSTER: Mapping[str, Callable[[ClusterSpec], object]] = {
    "scheduling.rebalance": lambda spec: spec.scheduling.rebalance != RebalanceConfig(),
}


def refuse_unserved_service(spec: ServiceSpec) -> None:
    _refuse("service spec", [name for name, asks in SERVICE.items() if asks(spec)])


def refuse_unserved_cluster(spec: ClusterSpec) -> None:
    _refuse("cluster spec", [name for name, asks in CLUSTER.items() if asks(spec)])


def _refuse(what: str, names: list[str]) -> None:
    if names:
        raise Rejection(
            Code.UNIMPLEMENTED,
            f"{what} asks for {', '.join(names)}, which this version of swarmd doesn't support; "
            "leave it out",
        )
