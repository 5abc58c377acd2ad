"""The spec of a new cluster, from what `init` was told, and the network it begins with."""

from __future__ import annotations

from swarmd.model.cluster import (
    CAConfig,
    Cluster,
    ClusterSpec,
    DispatcherConfig,
    OrchestrationConfig,
)
from swarmd.model.ids import NetworkId
from swarmd.model.network import INGRESS_NAME, Network, NetworkSpec


def cluster_spec(
    *, heartbeat_period_ns: int, node_cert_expiry_ns: int, task_history_limit: int | None
) -> ClusterSpec:
    """The spec of a new cluster; zero and None mean the default."""
    spec = ClusterSpec()
    dispatcher, ca, orchestration = spec.dispatcher, spec.ca_config, spec.orchestration
    if heartbeat_period_ns:
        dispatcher = DispatcherConfig(heartbeat_period_ns=heartbeat_period_ns)
    if node_cert_expiry_ns:
        ca = CAConfig(node_cert_expiry_ns=node_cert_expiry_ns)
    if task_history_limit is not None:
        orchestration = OrchestrationConfig(task_history_retention_limit=task_history_limit)
    return ClusterSpec(dispatcher=dispatcher, ca_config=ca, orchestration=orchestration)


def ingress_network(cluster: Cluster, network_id: NetworkId) -> Network:
    """The network through which published ports reach tasks, with the first block of the pools."""
    from swarmd.orchestrator.allocator.subnets import allocate_network

    spec = NetworkSpec(name=INGRESS_NAME, ingress=True)
    return allocate_network(Network(id=network_id, spec=spec), (), cluster)
